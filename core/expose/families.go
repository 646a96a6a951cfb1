package expose

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"

	"vitals/core"
)

// families collects metrics by family.
type families struct {
	byName map[string]*dto.MetricFamily
}

// Families is Families with options.
func (o Options) Families(s *core.Snapshot) []*dto.MetricFamily {
	f := &families{byName: map[string]*dto.MetricFamily{}}
	f.requests(s)
	f.traffic(s)
	f.edges(s)
	f.services(s, o)
	f.machine(s)
	f.self(s)
	f.programs(s)
	f.pushes(s)
	f.calls(s)
	f.units(s)
	return Merge(append([][]*dto.MetricFamily{f.sorted()}, integrations(s)...)...)
}

// family finds or makes a family; nil when the name is taken by another type.
func (f *families) family(d *core.Desc) *dto.MetricFamily {
	t := dto.MetricType_GAUGE
	switch d.Kind {
	case core.Counter:
		t = dto.MetricType_COUNTER
	case core.Histogram:
		t = dto.MetricType_HISTOGRAM
	}
	fam := f.byName[d.Name]
	if fam == nil {
		fam = &dto.MetricFamily{Name: &d.Name, Help: &d.Help, Type: &t}
		f.byName[d.Name] = fam
	}
	if fam.GetType() != t {
		return nil
	}
	return fam
}

// add appends one value; labels are names and values in turn. Unknown values
// are left out: absent, not zero.
func (f *families) add(d *core.Desc, v float64, labels ...string) {
	if math.IsNaN(v) || d.Kind == core.Histogram { // histograms do not come as values
		return
	}
	fam := f.family(d)
	if fam == nil {
		return
	}
	m := &dto.Metric{Label: pairs(labels)}
	switch d.Kind {
	case core.Counter:
		m.Counter = &dto.Counter{Value: &v}
	default:
		m.Gauge = &dto.Gauge{Value: &v}
	}
	fam.Metric = append(fam.Metric, m)
}

// pairs makes labels, sorted by name, without empty ones.
func pairs(labels []string) []*dto.LabelPair {
	list := make([]*dto.LabelPair, 0, len(labels)/2)
	for i := 0; i+1 < len(labels); i += 2 {
		if labels[i+1] != "" {
			list = append(list, &dto.LabelPair{Name: &labels[i], Value: &labels[i+1]})
		}
	}
	slices.SortFunc(list, func(a, b *dto.LabelPair) int { return strings.Compare(*a.Name, *b.Name) })
	return list
}

// sorted gives the families by name with their metrics by labels.
func (f *families) sorted() []*dto.MetricFamily {
	list := make([]*dto.MetricFamily, 0, len(f.byName))
	for _, fam := range f.byName {
		slices.SortFunc(fam.Metric, compareMetrics)
		list = append(list, fam)
	}
	slices.SortFunc(list, func(a, b *dto.MetricFamily) int { return strings.Compare(*a.Name, *b.Name) })
	return list
}

func compareMetrics(a, b *dto.Metric) int {
	for i := 0; i < len(a.Label) && i < len(b.Label); i++ {
		if c := strings.Compare(*a.Label[i].Name, *b.Label[i].Name); c != 0 {
			return c
		}
		if c := strings.Compare(*a.Label[i].Value, *b.Label[i].Value); c != 0 {
			return c
		}
	}
	return len(a.Label) - len(b.Label)
}

// services renders what is known of the processes of each service.
func (f *families) services(s *core.Snapshot, o Options) {
	worth := worthwhile(s)
	for _, svc := range s.Services {
		if svc.Server.Count > 0 {
			f.add(&activeRequests.Desc, float64(svc.Server.InFlight), "service_name", svc.Name)
		}
		if !o.AllProcesses && !worth[svc.Name] {
			continue
		}
		name := svc.Name
		u := &svc.Usage
		f.add(&cpuTime.Desc, known(u.CPUUser, 1e9), "service_name", name, "cpu_mode", "user")
		f.add(&cpuTime.Desc, known(u.CPUSystem, 1e9), "service_name", name, "cpu_mode", "system")
		f.add(&contextSwitches.Desc, known(u.VoluntarySw, 1), "service_name", name, "process_context_switch_type", "voluntary")
		f.add(&contextSwitches.Desc, known(u.InvoluntarySw, 1), "service_name", name, "process_context_switch_type", "involuntary")
		f.add(&pagingFaults.Desc, known(u.MinorFaults, 1), "service_name", name, "process_paging_fault_type", "minor")
		f.add(&pagingFaults.Desc, known(u.MajorFaults, 1), "service_name", name, "process_paging_fault_type", "major")
		f.add(&diskIO.Desc, known(u.ReadBytes, 1), "service_name", name, "disk_io_direction", "read")
		f.add(&diskIO.Desc, known(u.WriteBytes, 1), "service_name", name, "disk_io_direction", "write")
		for _, v := range svc.Values {
			f.value(v, "service_name", name)
		}
		f.add(&processCount.Desc, float64(len(svc.PIDs)), "service_name", name)
		if len(svc.PIDs) == 0 {
			continue
		}
		f.add(&cpuUtilization.Desc, svc.CPURatio, "service_name", name)
		f.add(&memoryUsage.Desc, known(u.RSS, 1), "service_name", name)
		f.add(&memoryVirtual.Desc, known(u.VSize, 1), "service_name", name)
		f.add(&threadCount.Desc, known(u.Threads, 1), "service_name", name)
		f.add(&fileDescriptors.Desc, known(u.FDs, 1), "service_name", name)
		if !svc.Started.IsZero() {
			f.add(&uptime.Desc, max(0, s.At.Sub(svc.Started).Seconds()), "service_name", name)
		}
		f.add(&targetInfo.Desc, 1, "service_name", name, "service_namespace", svc.Group,
			"host_name", s.Host.Name, "process_runtime_name", svc.Language)
	}
}

// worthwhile names the services whose processes are worth exposing: those that
// serve or make requests, listen, or were switched on by somebody.
func worthwhile(s *core.Snapshot) map[string]bool {
	worth := map[string]bool{}
	for _, svc := range s.Services {
		if svc.Server.Count+svc.Client.Count > 0 {
			worth[svc.Name] = true
		}
	}
	chosen := map[core.ProcKey]bool{}
	if s.Toggles != nil {
		for key, choice := range s.Toggles.Choices {
			switch {
			case choice != core.On:
			case key.Scope == core.ScopeService:
				worth[key.Target] = true
			case key.Scope == core.ScopeProcess:
				chosen[key.Proc] = true
			}
		}
	}
	for _, p := range s.Processes {
		if len(p.Listeners) > 0 || chosen[p.ProcKey] {
			worth[p.Service] = true
		}
	}
	delete(worth, "")
	return worth
}

// value renders a metric of a probe.
func (f *families) value(v core.Value, labels ...string) {
	if v.Desc.Label != "" {
		labels = append(labels, v.Desc.Label, v.Label)
	}
	f.add(v.Desc, v.V, labels...)
}

func known(v int64, per float64) float64 {
	if v < 0 {
		return math.NaN()
	}
	return float64(v) / per
}

func (f *families) machine(s *core.Snapshot) {
	for _, v := range s.Machine {
		f.value(v)
	}
}

// self renders what vitals knows of itself.
func (f *families) self(s *core.Snapshot) {
	f.add(&buildInfo.Desc, 1, "version", s.Self.Version)
	f.add(&facts.Desc, float64(s.Self.Events))
	f.add(&completeness.Desc, s.Self.Completeness)
	f.add(&folded.Desc, float64(s.Self.Folded))
	f.add(&selfCPU.Desc, s.Self.CPURatio)
	f.add(&selfBPF.Desc, s.Self.BPFRatio)
	if s.Self.RSSBytes > 0 {
		f.add(&selfMemory.Desc, float64(s.Self.RSSBytes))
	}
	if s.Toggles != nil {
		for x := range s.Toggles.Shed {
			f.add(&shed.Desc, 1, "kind", x.Kind, "service_name", x.Service)
		}
	}
	for key, n := range s.Self.Lost {
		stage, reason, _ := strings.Cut(key, "/")
		f.add(&lostEvents.Desc, float64(n), "stage", stage, "reason", reason)
	}
	if len(s.Kinds) > 0 {
		count := make([]int, len(s.Kinds))
		for _, p := range s.Processes {
			for i, in := range p.Instr {
				if p.Alive && i < len(count) && in.Phase == core.PhaseRunning {
					count[i]++
				}
			}
		}
		for i, k := range s.Kinds {
			f.add(&instrumented.Desc, float64(count[i]), "kind", k.Kind)
		}
	}
	for _, u := range s.Units {
		state, value := healthOf(s, u)
		f.add(&unitHealth.Desc, value, "unit", u.ID, "class", string(u.Class), "kind", u.Kind, "state", string(state))
	}
}

func (f *families) programs(s *core.Snapshot) {
	for _, p := range s.Programs {
		labels := []string{"prog", p.Name, "unit", p.Unit}
		f.add(&bpfRunTime.Desc, p.RunTime.Seconds(), labels...)
		f.add(&bpfMeasured.Desc, p.Measured.Seconds(), labels...)
		f.add(&bpfRuns.Desc, float64(p.Runs), labels...)
		f.add(&bpfMaps.Desc, float64(p.MapBytes), labels...)
	}
}

func (f *families) pushes(s *core.Snapshot) {
	for _, p := range s.Push {
		f.add(&pushes.Desc, float64(p.Pushes), "destination", p.Destination, "outcome", "success")
		f.add(&pushes.Desc, float64(p.Failures), "destination", p.Destination, "outcome", "failure")
		f.add(&pushSkipped.Desc, float64(p.Skipped), "destination", p.Destination)
		if p.LastSuccess.IsZero() {
			continue
		}
		f.add(&pushBytes.Desc, float64(p.Bytes), "destination", p.Destination)
		f.add(&pushSeries.Desc, float64(p.Series), "destination", p.Destination)
		f.add(&pushDuration.Desc, p.Duration.Seconds(), "destination", p.Destination)
		f.add(&pushSucceeded.Desc, float64(p.LastSuccess.UnixNano())/float64(time.Second), "destination", p.Destination)
	}
}

// status is the label of a status code, empty when there is none.
func status(code int) string {
	if code <= 0 {
		return ""
	}
	return strconv.Itoa(code)
}
