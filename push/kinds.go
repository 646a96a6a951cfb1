package push

import (
	"context"
	"fmt"
	"strings"

	"vitals/core"
)

// kind is one sort of destination. A new one is a file with a check and an
// open, and a line in kinds.
type kind struct {
	name    string
	title   string   // in a sentence
	formats []Format // that it takes, the one that auto means first
	// strict destinations refuse timestamps and names that they expose themselves.
	strict bool
	// check fills in shown, target and what else the kind needs. No side effects.
	check func(*settings) error
	// open makes the sender. It reads the files that the settings name.
	open func(*settings) (sender, error)
}

func kinds() []kind {
	return []kind{
		{Pushgateway, "Pushgateway at", []Format{FormatProtobuf, FormatText, FormatOpenMetrics, FormatJSON}, true, checkPushgateway, openPushgateway},
		{Textfile, "text file", []Format{FormatText}, true, checkTextfile, openTextfile},
		{Stdout, "standard output", []Format{FormatText, FormatOpenMetrics, FormatProtobuf, FormatJSON, FormatInflux}, false, checkStdout, openStdout},
	}
}

// sender delivers payloads to one destination. It is used by one goroutine.
type sender interface {
	// deliver hands p over, within ctx, and tells the bytes that it took.
	deliver(ctx context.Context, p payload) (answer, int)
	// remove takes away what was delivered.
	remove(ctx context.Context) error
	// check finds out, without changing anything, whether a delivery would work,
	// and says how it is in a few words. Unlike the others it may be called at
	// any time.
	check(ctx context.Context) (string, error)
	close()
}

func kindOf(name string) (kind, error) {
	if name == "" {
		name = Pushgateway
	}
	var known []string
	for _, k := range kinds() {
		if k.name == name {
			return k, nil
		}
		known = append(known, k.name)
	}
	return kind{}, fmt.Errorf("push to %q: the kinds of destinations are %s", core.Clean(name, 32), strings.Join(known, ", "))
}
