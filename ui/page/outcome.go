package page

import (
	"strconv"
	"strings"

	"vitals/core"
	"vitals/ui/canvas"
)

// outcome is how these requests ended, in a word or two.
func (r *Route) outcome() string { return Outcome(r.Status, r.Code, r.Err) }

// Outcome is how a request ended: its status, the name of its error, and what
// broke it off.
func Outcome(status int, code, err string) string {
	text := StatusText(status, code)
	switch {
	case err == "" || err == code:
		return text
	case text == "":
		return err
	}
	return text + " " + err
}

// StatusText is an outcome in a word: "200", "503 timeout", "reset", "".
func StatusText(status int, err string) string {
	if status == 0 {
		return err
	}
	text := strconv.Itoa(status)
	if err != "" {
		text += " " + err
	}
	return text
}

// StatusToken colours an outcome.
func StatusToken(status int, failed bool) canvas.Token {
	switch {
	case failed:
		return canvas.Crit
	case status >= 400 && status < 600:
		return canvas.Warn
	}
	return canvas.OK
}

// Statement is a route without the operation before it, which has a column of
// its own: "id FROM orders WHERE id = ?" of a SELECT.
func Statement(protocol, method, route string) string {
	if protocol == core.ProtoHTTP || method == "" {
		return route
	}
	if rest, ok := strings.CutPrefix(route, method+" "); ok {
		return rest
	}
	return route
}
