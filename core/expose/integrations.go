package expose

import (
	"cmp"
	"maps"
	"slices"

	dto "github.com/prometheus/client_model/go"

	"vitals/core"
)

// integrations renders what servers tell of themselves, each series with
// job="integrations/<kind>" and instance, as if Prometheus had scraped it, and
// with the labels of the configuration.
func integrations(s *core.Snapshot) [][]*dto.MetricFamily {
	var lists [][]*dto.MetricFamily
	for _, r := range s.Integrations {
		if len(r.Families) == 0 {
			continue
		}
		labels := []string{"job", "integrations/" + r.Kind, "instance", r.Instance}
		for _, name := range slices.Sorted(maps.Keys(r.Labels)) {
			labels = append(labels, name, r.Labels[name])
		}
		lists = append(lists, Convert(exported(r.Families), labels...))
	}
	return lists
}

// exported gives families whose series have a job or an instance of their own,
// which a scraped page may, these labels under the names that Prometheus gives
// them. Families without are shared, not copied.
func exported(families []core.Family) []core.Family {
	own := func(l core.Label) bool { return l.Name == "job" || l.Name == "instance" }
	has := func(s core.Series) bool { return slices.ContainsFunc(s.Labels, own) }
	var out []core.Family
	for i, f := range families {
		if !slices.ContainsFunc(f.Series, has) {
			continue
		}
		if out == nil {
			out = slices.Clone(families)
		}
		f.Series = slices.Clone(f.Series)
		for k, s := range f.Series {
			if has(s) {
				f.Series[k].Labels = renamed(s.Labels, own)
			}
		}
		out[i] = f
	}
	if out == nil {
		return families
	}
	return out
}

func renamed(labels []core.Label, which func(core.Label) bool) []core.Label {
	out := slices.Clone(labels)
	for i, l := range out {
		if !which(l) {
			continue
		}
		name := l.Name
		for slices.ContainsFunc(labels, func(o core.Label) bool { return o.Name == name }) {
			name = "exported_" + name
		}
		out[i].Name = name
	}
	slices.SortFunc(out, func(a, b core.Label) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// jsonIntegration is a server that integrations know.
type jsonIntegration struct {
	ID       string                `json:"id"`
	Kind     string                `json:"kind"`
	Instance string                `json:"instance"`
	Origin   string                `json:"origin"`
	State    core.IntegrationState `json:"state"`
	Why      string                `json:"why"`
	Needs    string                `json:"needs"`
	Message  string                `json:"message"`
	Health   core.Health           `json:"health"`
	Pinned   bool                  `json:"pinned"`
	Service  string                `json:"service"`
	PIDs     []int32               `json:"pids"`
	Interval number                `json:"interval_seconds"`
	LastRun  moment                `json:"last_run"`
	NextRun  moment                `json:"next_run"`
	Duration number                `json:"duration_seconds"`
	Runs     uint64                `json:"runs"`
	Failures uint64                `json:"failures"`
	Series   int                   `json:"series"`
	Dropped  uint64                `json:"dropped"`
	Missing  []string              `json:"missing"`
	Figures  []jsonFigure          `json:"figures"`
	Grants   string                `json:"grants,omitempty"`
}

type jsonFigure struct {
	Title string `json:"title"`
	Unit  string `json:"unit"`
	V     number `json:"value"`
}

func jsonIntegrationOf(r *core.IntegrationRow) jsonIntegration {
	out := jsonIntegration{
		ID: r.ID, Kind: r.Kind, Instance: r.Instance, Origin: r.Origin, State: r.State, Why: r.Why, Needs: r.Needs,
		Message: r.Message, Health: r.Health, Pinned: r.Pinned, Service: r.Service, PIDs: []int32{},
		Interval: number(r.Interval.Seconds()), LastRun: moment(r.LastRun), NextRun: moment(r.NextRun),
		Duration: number(r.Duration.Seconds()), Runs: r.Runs, Failures: r.Failures, Series: r.Series, Dropped: r.Dropped,
		Missing: list(r.Missing), Grants: r.Grants,
		Figures: each(r.Figures, func(f core.IntegrationFigure) jsonFigure { return jsonFigure{f.Title, f.Unit, number(f.V)} }),
	}
	for _, p := range r.Procs {
		out.PIDs = append(out.PIDs, p.PID)
	}
	slices.SortFunc(out.PIDs, func(a, b int32) int { return cmp.Compare(a, b) })
	return out
}
