package codec

import (
	"bytes"
	"io"
	"maps"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// decodeText reads the Prometheus text format. A missing line feed at the end
// and carriage returns before one are what people's scripts send, and harmless.
func decodeText(body []byte, o Options, visit func(*dto.MetricFamily) error) error {
	if bytes.Contains(body, []byte("\r\n")) {
		body = bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n"))
	}
	in := io.Reader(bytes.NewReader(body))
	if len(body) > 0 && body[len(body)-1] != '\n' {
		in = io.MultiReader(in, strings.NewReader("\n"))
	}
	families, err := parseText(in, o)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(families)) {
		if err := visit(families[name]); err != nil {
			return err
		}
	}
	return nil
}

func parseText(in io.Reader, o Options) (map[string]*dto.MetricFamily, error) {
	scheme := model.LegacyValidation
	if o.UTF8Names {
		scheme = model.UTF8Validation
	}
	parser := expfmt.NewTextParser(scheme)
	return parser.TextToMetricFamilies(in)
}
