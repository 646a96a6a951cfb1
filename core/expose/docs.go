package expose

import (
	"fmt"
	"io"
	"strings"

	"vitals/core"
)

// WriteDocs writes the reference of metrics as Markdown.
func WriteDocs(w io.Writer, docs []Doc) error {
	var b strings.Builder
	b.WriteString("# Metrics\n\nGenerated from the descriptions in the code; do not edit.\n\n" +
		"Request histograms have classic buckets (0, .005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10 s) and, in\n" +
		"protobuf, native ones. Figures are sums over the processes of a service; counters include processes that ended. Process\n" +
		"metrics are exposed for services that serve or make requests, listen, or were switched on. What is not known is absent.\n" +
		"Empty labels are left out.\n\n| Metric | Type | Labels | Meaning |\n| --- | --- | --- | --- |\n")
	for _, d := range docs {
		kind := map[core.MetricKind]string{core.Counter: "counter", core.Gauge: "gauge", core.Histogram: "histogram"}[d.Kind]
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", d.Name, kind, strings.Join(d.Labels, ", "), d.Help)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
