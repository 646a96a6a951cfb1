package postgres

// statement is what is known of a prepared statement.
type statement struct{ method, target string }

// maxStatements bounds how many prepared statements of a connection are kept;
// the oldest goes first.
const maxStatements = 256

// statements are those with a name, and portals, by a hash of their names.
type statements struct {
	known map[uint64]statement
	order []uint64 // a ring once it is full
	next  int
}

// key hashes a name (FNV-1a); kind keeps statements and portals apart.
func key(kind byte, name []byte) uint64 {
	h := uint64(14695981039346656037)
	h = (h ^ uint64(kind)) * 1099511628211
	for _, c := range name {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}

func (s *statements) put(k uint64, st statement) {
	if old, ok := s.known[k]; ok {
		if old != st {
			s.known[k] = st
		}
		return
	}
	if s.known == nil {
		s.known = make(map[uint64]statement)
	}
	switch {
	case len(s.order) < maxStatements:
		s.order = append(s.order, k)
	default:
		delete(s.known, s.order[s.next])
		s.order[s.next] = k
		s.next = (s.next + 1) % maxStatements
	}
	s.known[k] = st
}

func (s *statements) get(k uint64) statement {
	if st, ok := s.known[k]; ok {
		return st
	}
	return statement{"EXECUTE", notFound}
}
