package serve

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"vitals/core"
	"vitals/core/diagnose"
)

// Mountable is implemented by units of integrations that have pages of their
// own.
type Mountable interface {
	// Handler answers everything under Prefix(kind, id), and the prefix itself,
	// with the path as it was asked for. It may be called more than once and
	// gives an equivalent handler each time; nil means that there is nothing.
	Handler() (http.Handler, error)
}

// mounts keeps the handler of each attached unit, so that it is asked for once.
type mounts struct {
	mu   sync.Mutex
	kept map[string]mount // by unit id
}

type mount struct {
	unit    core.Unit
	handler http.Handler
	err     error
}

// of gives the handler of a unit, nil without one. Units that are not in now any
// more are forgotten.
func (m *mounts) of(id string, unit core.Unit, now *core.Snapshot) (http.Handler, error) {
	page, ok := unit.(Mountable)
	if !ok {
		return nil, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if have, ok := m.kept[id]; ok && have.unit == unit {
		return have.handler, have.err
	}
	made := mount{unit: unit}
	made.handler, made.err = handlerOf(page)
	if m.kept == nil {
		m.kept = map[string]mount{}
	}
	m.kept[id] = made
	for other := range m.kept {
		if unitRow(now, other) == nil {
			delete(m.kept, other)
		}
	}
	return made.handler, made.err
}

func handlerOf(page Mountable) (h http.Handler, err error) {
	defer func() {
		if v := recover(); v != nil {
			h, err = nil, &core.PanicError{Value: v}
		}
	}()
	return page.Handler()
}

// integrations is /integrations/<kind>/<id>/...: metrics and health of each, and
// what its unit answers itself.
func (s *Server) integrations(w http.ResponseWriter, r *http.Request, path string) error {
	now := s.cfg.Source.Latest()
	if now.Seq == 0 {
		return notYet(w)
	}
	if path == "" || path == "/" {
		return s.index(w, r)
	}
	escapedKind, rest := cut(strings.TrimPrefix(path, "/"))
	escapedID, rest := cut(rest)
	kind, ok1 := text(escapedKind)
	instance, ok2 := text(escapedID)
	if !ok1 || !ok2 {
		return answer(w, http.StatusBadRequest, "the path is not validly escaped")
	}
	id := "integration/" + kind + "/" + instance
	row := unitRow(now, id)
	if row == nil || row.Class != core.ClassIntegration || escapedID == "" {
		return answer(w, http.StatusNotFound, fmt.Sprintf("there is no integration %s %q: / lists those there are",
			core.Clean(kind, core.MaxName), core.Clean(instance, core.MaxName)))
	}
	if rest == "health" {
		return s.healthOf(w, r, id)
	}
	if !runs(row.Phase) {
		return notRunning(w, row)
	}
	var unit core.Unit
	if s.cfg.Directory != nil {
		_, unit, _ = s.cfg.Directory.Lookup(id)
	}
	handler, err := s.mounts.of(id, unit, now)
	switch {
	case rest == "metrics":
		return s.pageOf(w, r, now, row)
	case err != nil:
		s.warn("an integration has no pages", id+": "+diagnose.Redact(err.Error()))
		return answer(w, http.StatusInternalServerError, id+" has no pages: "+diagnose.Redact(err.Error()))
	case handler == nil:
		return s.notFound(w, r)
	}
	handler.ServeHTTP(w, r)
	return nil
}

// pageOf is the metrics page of one integration, for a Prometheus that has its
// target: job and instance come with that.
func (s *Server) pageOf(w http.ResponseWriter, r *http.Request, now *core.Snapshot, row *core.UnitRow) error {
	families, err := s.collect(now, row, r)
	if err == nil && len(families) == 0 {
		if i := integration(now, row.ID); i != nil && i.Message != "" {
			w.Header().Set("Retry-After", "5")
			return answer(w, http.StatusServiceUnavailable, row.ID+" has no figures: "+diagnose.Redact(i.Message))
		}
	}
	return s.exposition(w, r, families, err)
}

func runs(p core.Phase) bool { return p == core.PhaseRunning || p == core.PhaseTuning }

// notRunning tells why a unit does not answer and when it may.
func notRunning(w http.ResponseWriter, row *core.UnitRow) error {
	wait, why := 5, "is "+string(row.Phase)
	switch row.Phase {
	case core.PhaseNew, core.PhaseAttaching, core.PhaseStarting:
		wait, why = 1, "is starting"
	case core.PhaseBackoff:
		why = "failed and will be tried again"
		wait = max(1, int(time.Until(row.NextTry).Seconds()+1))
	case core.PhaseFailed, core.PhaseStuck, core.PhaseUnsupp:
		wait, why = 60, "failed"
	case core.PhaseOff, core.PhaseDetaching, core.PhaseGone:
		wait, why = 60, "is stopped"
	}
	h := w.Header()
	h.Set("Retry-After", strconv.Itoa(wait))
	h.Set("Vitals-Phase", string(row.Phase))
	text := row.ID + " does not run: it " + why
	if row.Message != "" {
		text += ": " + diagnose.Redact(row.Message)
	}
	return answer(w, http.StatusServiceUnavailable, text)
}
