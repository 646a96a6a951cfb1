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
		lists = append(lists, Convert(r.Families, labels...))
	}
	return lists
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
