package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"

	"vitals/core"
	"vitals/core/diagnose"
	"vitals/core/expose"
)

// metrics is /metrics: everything, and the Go runtime of vitals itself.
func (s *Server) metrics(w http.ResponseWriter, r *http.Request) error {
	now := s.newest(r)
	if now.Seq == 0 {
		return notYet(w)
	}
	own, err := s.runtime.Gather()
	return s.exposition(w, r, expose.Merge(s.cfg.Families(now), own), err)
}

// unitMetrics is /metrics/<unit>: what one unit measures, and what is known of
// the unit itself.
func (s *Server) unitMetrics(w http.ResponseWriter, r *http.Request, path string) error {
	id, ok := unitID(path)
	if !ok {
		return answer(w, http.StatusBadRequest, "the path is not validly escaped")
	}
	now := s.newest(r)
	if now.Seq == 0 {
		return notYet(w)
	}
	row := unitRow(now, id)
	if row == nil {
		return answer(w, http.StatusNotFound, fmt.Sprintf("there is no unit %q: / lists those there are", core.Clean(id, core.MaxName)))
	}
	measured, err := s.collect(now, row, r)
	if err != nil && len(measured) == 0 {
		// Not a matter of health: what failed is the telling.
		return errors.Join(err, answer(w, http.StatusInternalServerError, "collect: "+diagnose.Redact(err.Error())))
	}
	return s.exposition(w, r, expose.Merge(measured, ofUnit(s.cfg.Families(now), row, now, s.ofKind(row))), err)
}

// collect asks a unit for its metrics; those of integrations are in the snapshot.
func (s *Server) collect(now *core.Snapshot, row *core.UnitRow, r *http.Request) ([]*dto.MetricFamily, error) {
	if i := integration(now, row.ID); i != nil {
		return expose.Convert(i.Families), nil
	}
	if s.cfg.Directory == nil {
		return nil, nil
	}
	_, unit, _ := s.cfg.Directory.Lookup(row.ID)
	m, ok := unit.(core.Measured)
	if !ok {
		return nil, nil
	}
	families, err := collectFrom(r, m, core.CheckRequest{Unit: row.ID, Kind: row.Kind, Header: header(r)})
	return expose.Convert(families), err
}

func collectFrom(r *http.Request, m core.Measured, q core.CheckRequest) (families []core.Family, err error) {
	defer func() {
		if v := recover(); v != nil {
			families, err = nil, &core.PanicError{Value: v}
		}
	}()
	return m.Collect(r.Context(), q)
}

func (s *Server) ofKind(row *core.UnitRow) func(family string) bool {
	if s.cfg.OfKind == nil || row.Class != core.ClassInstrumentation {
		return func(string) bool { return false }
	}
	return func(family string) bool { return s.cfg.OfKind(row.Kind, family) }
}

// newest is the newest snapshot, or one that is made for who asks. Few are made
// at one time, as few pages are.
func (s *Server) newest(r *http.Request) *core.Snapshot {
	now := s.cfg.Source.Latest()
	if s.cfg.Fresh == nil || now.Seq == 0 || time.Since(now.At) < MaxAge {
		return now
	}
	release, err := s.token(r)
	if err != nil {
		return now
	}
	defer release()
	ctx, cancel := context.WithTimeout(r.Context(), s.cfg.Limits.Wait)
	defer cancel()
	return s.cfg.Fresh(ctx)
}

// ofUnit keeps what names the unit, or its destination, in a label, and the
// families that it alone measures.
func ofUnit(families []*dto.MetricFamily, row *core.UnitRow, now *core.Snapshot, owned func(string) bool) []*dto.MetricFamily {
	destination := ""
	if i := slices.IndexFunc(now.Push, func(p *core.PushRow) bool { return p.Unit == row.ID }); i >= 0 {
		destination = now.Push[i].Destination
	}
	var out []*dto.MetricFamily
	for _, f := range families {
		if owned(f.GetName()) {
			out = append(out, f)
			continue
		}
		var some []*dto.Metric
		for _, m := range f.Metric {
			if has(m, "unit", row.ID) || destination != "" && has(m, "destination", destination) {
				some = append(some, m)
			}
		}
		if len(some) > 0 {
			out = append(out, &dto.MetricFamily{Name: f.Name, Help: f.Help, Type: f.Type, Unit: f.Unit, Metric: some})
		}
	}
	return out
}

func has(m *dto.Metric, name, value string) bool {
	return slices.ContainsFunc(m.Label, func(l *dto.LabelPair) bool { return l.GetName() == name && l.GetValue() == value })
}

func unitRow(s *core.Snapshot, id string) *core.UnitRow {
	i := slices.IndexFunc(s.Units, func(u *core.UnitRow) bool { return u.ID == id })
	if i < 0 {
		return nil
	}
	return s.Units[i]
}

func integration(s *core.Snapshot, id string) *core.IntegrationRow {
	i := slices.IndexFunc(s.Integrations, func(u *core.IntegrationRow) bool { return u.ID == id })
	if i < 0 {
		return nil
	}
	return s.Integrations[i]
}

// snapshot is /api/v1/snapshot: what vitals snapshot -o json prints, with counts
// since vitals started.
func (s *Server) snapshot(w http.ResponseWriter, r *http.Request) error {
	now := s.newest(r)
	if now.Seq == 0 {
		return notYet(w)
	}
	tag := fmt.Sprintf(`"%d-%d"`, s.began.UnixNano(), now.Seq)
	w.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return s.send(w, r, http.StatusOK, "application/json", func(out io.Writer) error { return expose.WriteJSON(out, now) })
}

// header is what checks and collections see of a request: no credentials.
func header(r *http.Request) map[string][]string {
	h := r.Header.Clone()
	for _, name := range []string{"Authorization", "Proxy-Authorization", "Cookie"} {
		h.Del(name)
	}
	return h
}
