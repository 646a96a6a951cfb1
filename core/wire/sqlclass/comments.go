package sqlclass

// dashes takes a comment to the end of the line, or a minus.
func (s *scanner) dashes() {
	if next := s.at(2); s.is(Hash) && next > ' ' && next != 0x7f {
		s.symbol('-')
		return
	}
	if s.is(Hash) && s.pos+2 == len(s.src) && s.cut {
		s.giveUp()
		return
	}
	s.line()
}

// line skips what is left of the line.
func (s *scanner) line() {
	for s.pos < len(s.src) && s.src[s.pos] != '\n' && (s.src[s.pos] != '\r' || s.is(Hash)) {
		s.pos++
	}
	s.space = true
}

// comment skips a comment in the style of C. Those that a server may execute
// are skipped when they hold nothing that hides where they end.
func (s *scanner) comment() {
	runs := s.is(Hash) && (s.at(2) == '!' || s.at(2) == 'M' && s.at(3) == '!')
	depth := 0
	for s.pos < len(s.src) {
		c, next := s.src[s.pos], s.at(1)
		switch {
		case c == '/' && next == '*' && (depth == 0 || s.is(Dollar)):
			depth++
			s.pos++
		case c == '*' && next == '/':
			depth--
			s.pos++
			if depth == 0 {
				s.pos++
				s.space = true
				return
			}
		case runs && (c == '\'' || c == '"' || c == '`' || c == '#' || c == '-' && next == '-' || c == '/' && next == '*'):
			s.giveUp()
			return
		}
		s.pos++
	}
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// isWord reports whether c is part of names.
func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || isDigit(c) || c == '_' || c == '$' || c == '@' || c >= 0x80
}
