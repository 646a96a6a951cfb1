package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"

	"vitals/core"
	"vitals/core/diagnose"
)

// health is /health: the worst of all units. ?unit=ID or ?unit=KIND, which may be
// repeated, asks for some of them.
func (s *Server) health(w http.ResponseWriter, r *http.Request) error {
	wanted, err := query(r, "unit")
	if err != nil {
		return s.undecodable(w, r, err)
	}
	ids := wanted["unit"]
	now := s.cfg.Source.Latest()
	if now.Seq == 0 {
		return s.report(w, r, diagnose.Summary{Message: "not yet available: vitals is starting"}, core.StatusUnknown)
	}
	q := core.CheckRequest{Header: header(r)}
	var units []diagnose.Health
	if len(ids) == 0 {
		units = s.board.All(r.Context(), q)
	}
	for _, name := range ids {
		if !slices.ContainsFunc(now.Units, func(row *core.UnitRow) bool { return row.ID == name || row.Kind == name }) {
			return s.unknown(w, r, fmt.Errorf("%s: %w", core.Clean(name, core.MaxName), diagnose.ErrNoUnit))
		}
	}
	for _, row := range now.Units { // each once, however often it is asked for
		if !slices.Contains(ids, row.ID) && !slices.Contains(ids, row.Kind) {
			continue
		}
		if h, err := s.board.Check(r.Context(), row.ID, q); err == nil {
			units = append(units, h)
		}
	}
	sum := diagnose.Summarise(units)
	return s.report(w, r, sum, sum.Status)
}

// unitHealth is /health/<unit>.
func (s *Server) unitHealth(w http.ResponseWriter, r *http.Request, path string) error {
	id, ok := unitID(path)
	if !ok {
		return s.undecodable(w, r, errors.New("the path is not validly escaped"))
	}
	if _, err := query(r); err != nil {
		return s.undecodable(w, r, err)
	}
	return s.healthOf(w, r, id)
}

func (s *Server) healthOf(w http.ResponseWriter, r *http.Request, id string) error {
	h, err := s.board.Check(r.Context(), id, core.CheckRequest{Header: header(r)})
	if err != nil {
		return s.unknown(w, r, err)
	}
	return s.report(w, r, h, h.Status)
}

// report sends health: 200 for OK, 503 for everything else.
func (s *Server) report(w http.ResponseWriter, r *http.Request, what any, status core.Status) error {
	code := http.StatusOK
	if status != core.StatusOK {
		code = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "5")
	}
	return s.sendJSON(w, r, code, what)
}

func (s *Server) sendJSON(w http.ResponseWriter, r *http.Request, code int, what any) error {
	return s.send(w, r, code, "application/json", func(out io.Writer) error {
		enc := json.NewEncoder(out)
		enc.SetEscapeHTML(false)
		return enc.Encode(what)
	})
}

// undecodable answers a request that cannot be understood in the form of health.
func (s *Server) undecodable(w http.ResponseWriter, r *http.Request, err error) error {
	text := "the request cannot be understood: " + core.Clean(err.Error(), core.MaxRoute)
	return s.sendJSON(w, r, http.StatusBadRequest, diagnose.Health{Status: core.StatusError, Message: text,
		Details: map[string]any{"path": core.Clean(r.URL.Path, core.MaxRoute), "query": core.Clean(r.URL.RawQuery, core.MaxRoute)}})
}

func (s *Server) unknown(w http.ResponseWriter, r *http.Request, err error) error {
	return s.sendJSON(w, r, http.StatusNotFound, diagnose.Health{Message: err.Error() + ": / lists those there are"})
}

// query reads the query strictly: names that are not known are errors.
func query(r *http.Request, known ...string) (url.Values, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
next:
	for name := range values {
		for _, k := range known {
			if k == name {
				continue next
			}
		}
		return nil, fmt.Errorf("%q is not asked for here", core.Clean(name, core.MaxName))
	}
	return values, nil
}
