package ui

import (
	"vitals/ui/page"
	"vitals/ui/page/events"
	"vitals/ui/page/integration"
	"vitals/ui/page/integrations"
	"vitals/ui/page/metrics"
	"vitals/ui/page/overview"
	"vitals/ui/page/probes"
	"vitals/ui/page/process"
	"vitals/ui/page/processes"
	"vitals/ui/page/requests"
	"vitals/ui/page/route"
	"vitals/ui/page/servicemap"
)

// pages lists the pages of the first level, in the order of their numbers.
func pages() []page.Page {
	return []page.Page{
		overview.New(),
		processes.New(),
		servicemap.New(),
		requests.New(),
		integrations.New(),
		events.New(),
		probes.New(),
		metrics.New(),
	}
}

// open makes the page of a subject.
func open(s page.Subject) page.Page {
	switch {
	case s.Integration != "":
		return integration.New(s.Integration)
	case s.Route != nil:
		return route.New(*s.Route)
	}
	return process.New(s)
}
