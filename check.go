package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"vitals/core"
	"vitals/core/cli"
	"vitals/core/diagnose"
)

// check tells the health of units: of the vitals that serves where the
// configuration says, else of what the configuration describes.
func check(ctx context.Context, r *cli.Options, o cli.CheckOptions) (core.Status, error) {
	switch {
	case r.Listen == "" || o.Spec:
	case r.WebConfig != "":
		fmt.Fprintf(r.Stderr, "who serves at %s may ask for users: checking what the configuration describes; /health there tells what runs\n", r.Listen)
	default:
		sum, missing, ok := askRunning(ctx, r.Listen, o.Units)
		switch {
		case ok && missing:
			return core.StatusUnknown, cli.Usage(errors.New(sum.Message))
		case ok:
			return core.StatusOf(sum.Status), tellHealth(r, sum)
		}
		fmt.Fprintf(r.Stderr, "no vitals serves at %s: checking what the configuration describes\n", r.Listen)
	}
	rehearsal := *r
	rehearsal.Rehearse = true
	p, err := newProgram(settings{Options: &rehearsal, push: true, log: stderrLog(r, true)})
	if err != nil {
		return core.StatusUnknown, cli.Usage(err)
	}
	specs, err := p.units(p.settings)
	if err != nil {
		return core.StatusUnknown, cli.Usage(err)
	}
	if specs, err = named(specs, o.Units); err != nil {
		return core.StatusUnknown, cli.Usage(err)
	}
	sum := diagnose.Summarise(try(ctx, specs))
	told, err := plainly(sum)
	if err != nil {
		return core.StatusUnknown, err
	}
	return sum.Status, tellHealth(r, told)
}

// named keeps the units of the given ids or kinds; all when none is given.
func named(specs []core.Spec, names []string) ([]core.Spec, error) {
	if len(names) == 0 {
		return specs, nil
	}
	var some []core.Spec
	for _, name := range names {
		before := len(some)
		for _, s := range specs {
			if s.ID == name || s.Kind == name {
				some = append(some, s)
			}
		}
		if len(some) == before {
			var known []string
			for _, s := range specs {
				known = append(known, s.ID)
			}
			return nil, fmt.Errorf("there is no unit %q: there are %s", core.Clean(name, core.MaxName), strings.Join(known, ", "))
		}
	}
	return some, nil
}

// triesAtOnce bounds how many units are tried side by side.
const triesAtOnce = 8

func try(ctx context.Context, specs []core.Spec) []diagnose.Health {
	list := make([]diagnose.Health, len(specs))
	slots := make(chan struct{}, triesAtOnce)
	var all sync.WaitGroup
	for i, spec := range specs {
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			list[i] = diagnose.Try(ctx, spec, core.CheckRequest{}, diagnose.DefaultDeadline)
		})
	}
	all.Wait()
	slices.SortFunc(list, func(a, b diagnose.Health) int { return strings.Compare(a.Unit, b.Unit) })
	return list
}

// toldHealth is a summary as it goes over HTTP.
type toldHealth struct {
	Status  string `json:"status"`
	Message string `json:"message"`
	Units   []struct {
		Unit    string `json:"unit"`
		Status  string `json:"status"`
		Message string `json:"message"`
		Health  string `json:"health"`
	} `json:"units"`

	raw []byte
}

func plainly(sum diagnose.Summary) (*toldHealth, error) {
	b, err := json.Marshal(sum)
	if err != nil {
		return nil, err
	}
	told := &toldHealth{raw: b}
	return told, json.Unmarshal(b, told)
}

// longestAsk is more than all checks take, which run side by side; mostHealth
// bounds the answer.
const (
	longestAsk = 15 * time.Second
	mostHealth = 8 << 20
)

// askRunning asks the vitals that serves at address; ok is false when none
// answers as one does, missing says that it has no such unit.
func askRunning(ctx context.Context, address string, units []string) (told *toldHealth, missing, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, longestAsk)
	defer cancel()
	if strings.HasPrefix(address, ":") {
		address = "127.0.0.1" + address
	}
	query := url.Values{}
	for _, u := range units {
		query.Add("unit", u)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/health?"+query.Encode(), nil)
	if err != nil {
		return nil, false, false
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	a, err := client.Do(r)
	if err != nil {
		return nil, false, false
	}
	defer a.Body.Close()
	body, err := io.ReadAll(io.LimitReader(a.Body, mostHealth))
	told = &toldHealth{raw: body}
	if err != nil || json.Unmarshal(body, told) != nil || told.Status == "" {
		return nil, false, false
	}
	return told, a.StatusCode == http.StatusNotFound, true
}

// tellHealth writes one line for each unit, or the JSON that /health has.
func tellHealth(r *cli.Options, told *toldHealth) error {
	if r.Output == "json" {
		_, err := fmt.Fprintf(r.Stdout, "%s\n", strings.TrimSpace(string(told.raw)))
		return err
	}
	width := 0
	for _, u := range told.Units {
		width = max(width, len(u.Unit))
	}
	for _, u := range told.Units {
		fmt.Fprintf(r.Stdout, "%-7s  %-*s  %s\n", core.Clean(u.Status, core.MaxName), width, core.Clean(u.Unit, core.MaxName), core.Clean(u.Message, core.MaxCmdline))
	}
	_, err := fmt.Fprintf(r.Stdout, "\n%s: %s\n", core.Clean(told.Status, core.MaxName), core.Clean(told.Message, core.MaxCmdline))
	return err
}
