package wire

// Names gives one string for equal bytes, so that what repeats costs no memory.
// It is bounded: when full, everything new is Other. It belongs to one goroutine.
type Names struct {
	known map[string]string
	aged  map[string]string // known before the last Age, and not asked for since
	max   int
	clean func(string) string
	// Folded is how often Other was given. The owner may reset it.
	Folded uint64
}

// Other stands for everything beyond the limit of Names.
const Other = "other"

// NewNames makes a table of at most max names. clean makes a new name fit for
// the screen (control characters, length); nil keeps it as it is.
func NewNames(max int, clean func(string) string) *Names {
	return &Names{known: make(map[string]string), max: max, clean: clean}
}

// Get gives the name that b is. It allocates for new names only.
func (n *Names) Get(b []byte) string {
	if s, ok := n.known[string(b)]; ok {
		return s
	}
	if len(n.known) >= n.max {
		n.Folded++
		return Other
	}
	if s, ok := n.aged[string(b)]; ok {
		n.known[string(b)] = s
		return s
	}
	key := string(b)
	s := key
	if n.clean != nil {
		s = n.clean(key)
	}
	n.known[key] = s
	return s
}

// Age makes room: names that nobody asks for until the next Age are forgotten.
func (n *Names) Age() { n.known, n.aged = make(map[string]string), n.known }
