package gateway

import (
	"bytes"
	"html/template"
	"net/http"
	"time"
)

// maxRows bounds the groups that the page shows.
const maxRows = 500

var pageTemplate = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>vitals gateway</title>
<style>body{font:14px system-ui,sans-serif;margin:2em}table{border-collapse:collapse}td,th{padding:.3em .8em;border-bottom:1px solid #ccc;text-align:left}
.n{text-align:right}.e{color:#b00}code{font-size:13px}</style></head><body>
<h1>vitals gateway</h1>
<p>{{.Groups}} groups, {{.Series}} series, up since {{.Started}}. <a href="metrics">metrics</a> &middot; <a href="api/v1/metrics">JSON</a> &middot; <a href="api/v1/status">status</a></p>
<table><tr><th>group</th><th class="n">series</th><th class="n">bytes</th><th>last push</th><th>last failure</th><th>expires</th></tr>
{{range .Rows}}<tr><td><code>{{.Key}}</code></td><td class="n">{{.Series}}</td><td class="n">{{.Bytes}}</td><td>{{.Pushed}}</td><td class="e">{{.Failed}} {{.Error}}</td><td>{{.Expires}}</td></tr>
{{end}}</table>
{{if .More}}<p>and {{.More}} more groups</p>{{end}}
</body></html>
`))

type pageRow struct {
	Key, Pushed, Failed, Error, Expires string
	Series, Bytes                       int
}

// page shows the groups to people.
func (g *Gateway) page(w http.ResponseWriter, r *http.Request) {
	groups := g.Groups()
	data := struct {
		Groups, Series, More int
		Started              string
		Rows                 []pageRow
	}{Groups: len(groups), Started: ago(g.started)}
	for i, grp := range groups {
		data.Series += grp.Series
		if i >= maxRows {
			data.More++
			continue
		}
		row := pageRow{Key: grp.Key.String(), Pushed: ago(grp.Pushed), Series: grp.Series, Bytes: grp.Bytes}
		if grp.Failed.After(grp.Pushed) {
			row.Failed, row.Error = ago(grp.Failed), grp.LastError
		}
		if !grp.Expires.IsZero() {
			row.Expires = "in " + time.Until(grp.Expires).Round(time.Second).String()
		}
		data.Rows = append(data.Rows, row)
	}
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, data); err != nil {
		answer(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	_, _ = w.Write(b.Bytes())
}

func ago(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}
