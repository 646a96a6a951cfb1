package ui

import (
	"vitals/ui/page"
	"vitals/ui/page/overview"
)

// pages lists the pages of the first level, in the order of their numbers.
func pages() []page.Page {
	return []page.Page{
		overview.New(),
	}
}

// open makes the page of a subject.
func open(s page.Subject) page.Page { return nil }
