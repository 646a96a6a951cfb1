package nginx

import (
	"errors"
	"strings"
	"testing"
)

const page = "Active connections: 291 \nserver accepts handled requests\n 16630948 16630940 31070465 \nReading: 6 Writing: 179 Waiting: 106 \n"

func TestStatusPage(t *testing.T) {
	want := Status{Active: 291, Reading: 6, Writing: 179, Waiting: 106, Accepts: 16630948, Handled: 16630940, Requests: 31070465}
	tengine := strings.NewReplacer("handled requests", "handled requests request_time", "31070465", "31070465 9912").Replace(page)
	for name, text := range map[string]string{
		"nginx": page, "CRLF": strings.ReplaceAll(page, "\n", "\r\n"), "no newline at the end": strings.TrimSpace(page), "Tengine": tengine,
	} {
		got, err := parseStatus([]byte(text))
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestWhatIsNoStatusPage(t *testing.T) {
	for name, text := range map[string]string{
		"empty":         "",
		"HTML":          "<html><title>Welcome to nginx!</title></html>",
		"cut":           page[:60],
		"cut at last":   page[:len(page)-6],
		"negative":      strings.Replace(page, "291", "-1", 1),
		"overflow":      strings.Replace(page, "16630948", "99999999999999999999", 1),
		"float":         strings.Replace(page, "291", "2.5", 1),
		"more after it": page + "garbage",
		"words swapped": strings.Replace(page, "Reading", "Writing", 1),
		"escape":        strings.Replace(page, "291", "\x1b[31m", 1),
	} {
		s, err := parseStatus([]byte(text))
		if !errors.Is(err, errNotStatus) || s != (Status{}) {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
		if err != nil && strings.ContainsRune(err.Error(), 0x1b) {
			t.Errorf("%s: the error carries an escape: %q", name, err)
		}
	}
}

func FuzzStatus(f *testing.F) {
	f.Add([]byte(page))
	f.Add([]byte("Active connections: 1"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := parseStatus(text)
		if err != nil && s != (Status{}) {
			t.Fatalf("figures beside an error: %+v, %v", s, err)
		}
	})
}
