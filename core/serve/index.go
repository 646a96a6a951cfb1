package serve

import (
	"html/template"
	"io"
	"net/http"
	"strings"

	"vitals/core"
)

const indexHTML = `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>vitals on {{.Instance}}</title>
<style>body{font:15px/1.5 system-ui,sans-serif;margin:2rem;max-width:60rem}td,th{padding:.2rem .8rem .2rem 0;text-align:left}code{font-size:.95em}</style></head>
<body><h1>vitals on {{.Instance}}</h1>
<p>What every process on this machine is doing. Version {{.Version}}.</p>
<ul>
<li><a href="/metrics">/metrics</a> for Prometheus</li>
<li><a href="/health">/health</a> of every unit: 200 when all is well, else 503</li>
<li><a href="/sd">/sd</a> targets of integrations, for Prometheus' HTTP service discovery</li>
<li><a href="/api/v1/snapshot">/api/v1/snapshot</a> the whole picture as JSON</li>
<li><a href="/-/ready">/-/ready</a>, <a href="/-/healthy">/-/healthy</a></li>
</ul>
<table><tr><th>unit</th><th>phase</th><th>health</th><th></th></tr>
{{range .Units}}<tr><td><code>{{.ID}}</code></td><td>{{.Phase}}</td><td>{{.Health}}</td>
<td><a href="/health/{{.Path}}">health</a> <a href="/metrics/{{.Path}}">metrics</a>{{if .Prefix}} <a href="{{.Prefix}}/metrics">page</a>{{end}}</td></tr>
{{end}}</table></body></html>
`

type indexUnit struct {
	ID     string
	Phase  core.Phase
	Health core.Health
	Path   template.URL
	Prefix template.URL
}

// index is /: what there is.
func (s *Server) index(w http.ResponseWriter, r *http.Request) error {
	now := s.cfg.Source.Latest()
	page := struct {
		Instance, Version string
		Units             []indexUnit
	}{Instance: s.cfg.Instance, Version: now.Self.Version}
	for _, u := range now.Units {
		one := indexUnit{ID: u.ID, Phase: u.Phase, Health: u.Health, Path: template.URL(unitPath(u.ID))}
		if u.Class == core.ClassIntegration {
			one.Prefix = template.URL(Prefix(u.Kind, strings.TrimPrefix(u.ID, "integration/"+u.Kind+"/")))
		}
		page.Units = append(page.Units, one)
	}
	t, err := template.New("index").Parse(indexHTML)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	return s.send(w, r, http.StatusOK, "text/html; charset=utf-8", func(out io.Writer) error { return t.Execute(out, page) })
}
