package expose

import (
	dto "github.com/prometheus/client_model/go"

	"vitals/core"
)

// Families is Families with options.
func (o Options) Families(s *core.Snapshot) []*dto.MetricFamily { return nil }
