package requests

// interner gives one string for equal bytes, so that records cost no memory.
// It is bounded: what does not fit any more gets the fallback.
type interner struct {
	known    map[string]string
	max      int
	fallback string
	folded   uint64 // how often the fallback was given
	clean    func(string) string
}

func newInterner(max int, fallback string, clean func(string) string) *interner {
	return &interner{known: make(map[string]string), max: max, fallback: fallback, clean: clean}
}

func (in *interner) get(b []byte) string {
	if s, ok := in.known[string(b)]; ok {
		return s
	}
	if len(in.known) >= in.max {
		in.folded++
		return in.fallback
	}
	s := in.clean(string(b))
	in.known[string(b)] = s
	return s
}
