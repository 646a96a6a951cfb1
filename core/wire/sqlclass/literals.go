package sqlclass

// literal takes one in quotes.
func (s *scanner) literal(escapes, unsure bool) {
	q := s.src[s.pos]
	s.pos++
	for s.pos < len(s.src) {
		c := s.src[s.pos]
		s.pos++
		switch {
		case c == '\\' && escapes:
			if s.src[s.pos-2] >= 0xc0 { // half of a character, in some encodings
				s.mark()
				s.giveUp()
				return
			}
			s.pos++
		case c == '\\' && unsure && (s.at(0) == q || s.at(0) == '\\'):
			s.mark()
			s.giveUp()
			return
		case c == q && s.at(0) == q:
			s.pos++
		case c == q:
			if s.pos == len(s.src) && s.cut {
				s.giveUp() // the quote may have been doubled
			}
			s.mark()
			return
		}
	}
	s.pos = len(s.src)
	s.mark()
}

// quoted takes a name in quotes.
func (s *scanner) quoted(q byte) {
	from := s.pos
	s.pos++
	for s.pos < len(s.src) {
		c := s.src[s.pos]
		s.pos++
		if c == q && s.at(0) != q {
			s.gap()
			s.dst = append(s.dst, s.src[from:min(s.pos, from+MaxLen)]...)
			s.begin = false
			return
		}
		if c == q {
			s.pos++
		}
	}
	s.giveUp()
}

// dollar takes a parameter or a literal between tags.
func (s *scanner) dollar() {
	end := s.pos + 1
	if end < len(s.src) && isDigit(s.src[end]) {
		s.pos = end
		for s.pos < len(s.src) && isDigit(s.src[s.pos]) {
			s.pos++
		}
		s.mark()
		return
	}
	for end < len(s.src) && isWord(s.src[end]) && s.src[end] != '$' {
		end++
	}
	if end == len(s.src) || s.src[end] != '$' {
		if end == len(s.src) {
			s.giveUp()
			return
		}
		s.symbol('$')
		return
	}
	tag := s.src[s.pos : end+1]
	for s.pos = end + 1; s.pos < len(s.src); s.pos++ {
		if s.src[s.pos] == '$' && len(s.src)-s.pos >= len(tag) && string(s.src[s.pos:s.pos+len(tag)]) == string(tag) {
			s.pos += len(tag)
			s.mark()
			return
		}
	}
	s.mark()
}
