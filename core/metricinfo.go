package core

// MetricInfo is one family of metrics as it is exposed, for people to look at.
type MetricInfo struct {
	Name, Help, Type string
	Series           int      // label sets; a histogram counts as one
	Samples          int      // lines of the text format, without comments
	Lines            []string // the first of them
}
