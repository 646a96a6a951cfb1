package serve

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"vitals/core"
)

// group is one entry of Prometheus' HTTP service discovery.
type group struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`

	source string
}

// discovery is /sd: the targets of running integrations, one group for each.
// ?integrations=a,b&instance=ID asks for some of them.
func (s *Server) discovery(w http.ResponseWriter, r *http.Request) error {
	values, err := query(r, "integrations", "instance")
	if err != nil {
		return answer(w, http.StatusBadRequest, core.Clean(err.Error(), core.MaxRoute))
	}
	for name, list := range values {
		if slices.Contains(list, "") {
			return answer(w, http.StatusBadRequest, name+" is empty: leave it out, or name what is wanted")
		}
	}
	now := s.cfg.Source.Latest()
	if now.Seq == 0 {
		return notYet(w)
	}
	var kinds []string
	for _, list := range values["integrations"] {
		kinds = append(kinds, strings.Split(list, ",")...)
	}
	groups := s.targets(now, kinds, values["instance"], r.TLS != nil)
	return s.sendJSON(w, r, http.StatusOK, groups)
}

// targets lists the targets of what runs, sorted by kind and instance.
func (s *Server) targets(now *core.Snapshot, kinds, instances []string, tls bool) []group {
	groups := []group{} // an empty list, not null
	if s.cfg.Directory == nil {
		return groups
	}
	for _, row := range now.Units {
		instance := strings.TrimPrefix(row.ID, "integration/"+row.Kind+"/")
		wanted := (len(kinds) == 0 || slices.Contains(kinds, row.Kind)) && (len(instances) == 0 || slices.Contains(instances, instance))
		if row.Class != core.ClassIntegration || !runs(row.Phase) || !wanted {
			continue
		}
		_, unit, _ := s.cfg.Directory.Lookup(row.ID)
		u, ok := unit.(core.Scrapeable)
		if !ok {
			continue
		}
		for n, t := range targetsOf(u) {
			g := s.group(t, row.Kind, instance, tls)
			g.source = fmt.Sprintf("%s/%s/%04d", row.Kind, instance, n)
			groups = append(groups, g)
		}
	}
	slices.SortFunc(groups, func(a, b group) int { return strings.Compare(a.source, b.source) })
	return groups
}

func targetsOf(u core.Scrapeable) (list []core.Target) {
	defer func() {
		if recover() != nil {
			list = nil
		}
	}()
	return u.Targets()
}

func (s *Server) group(t core.Target, kind, instance string, tls bool) group {
	labels := map[string]string{
		"job": "integrations/" + kind, "instance": instance, "agent_hostname": s.cfg.Instance,
		"__meta_agent_integration_name": kind, "__meta_agent_integration_instance": instance,
		"__meta_agent_integration_autoscrape": "1",
	}
	if t.Manual {
		labels["__meta_agent_integration_autoscrape"] = "0"
	}
	address, path := t.Address, t.Path
	if address == "" {
		address = s.cfg.Advertise
		if tls {
			labels["__scheme__"] = "https"
		}
	}
	if path == "" {
		path = Prefix(kind, instance) + "/metrics"
	}
	labels["__metrics_path__"] = path
	if t.Interval > 0 {
		labels["__scrape_interval__"] = seconds(t.Interval)
	}
	if t.Timeout > 0 {
		labels["__scrape_timeout__"] = seconds(t.Timeout)
	}
	maps.Copy(labels, t.Labels)
	if own := labels["__address__"]; own != "" {
		address = own
	}
	delete(labels, "__address__")
	if _, _, err := net.SplitHostPort(address); err != nil {
		address = net.JoinHostPort(address, "80")
	}
	return group{Targets: []string{address}, Labels: labels}
}

// seconds writes a duration as Prometheus reads it.
func seconds(d time.Duration) string { return fmt.Sprintf("%dms", d.Milliseconds()) }
