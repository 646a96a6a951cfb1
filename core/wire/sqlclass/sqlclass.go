// Package sqlclass gives the class of SQL statements: their text without
// literals and comments, what they do, and to which table.
//
//	select * from t where a='x' and b in (1, 2,3) -- hi
//	SELECT * FROM t WHERE a=? AND b IN (?)
//
// It cuts text into tokens as the server does, so that nothing that was written
// as a literal is let through, whatever it looks like. Where it cannot know how
// the server reads the text, the fingerprint ends with "…". Functions are pure
// and allocate nothing.
package sqlclass

// Dialect is how a server reads text.
type Dialect uint8

// Parts of dialects.
const (
	// DoubleQuotes says that "x" is a literal, and that `x` is a name.
	DoubleQuotes Dialect = 1 << iota
	// Backslash says that a backslash escapes in any literal.
	Backslash
	// Unsure says that nobody told whether Backslash holds.
	Unsure
	// Hash says that # begins a comment, and -- only before a space.
	Hash
	// Dollar says that $x$ encloses literals, E goes before those with escapes,
	// and comments are nested.
	Dollar
)

// Dialects.
const (
	Postgres = Dollar
	MySQL    = DoubleQuotes | Backslash | Hash
)

// MaxLen bounds a fingerprint, in bytes.
const MaxLen = 240

const ellipsis = "…"

// Append appends the fingerprint of sql to dst. cut says that the text goes on.
func Append(dst, sql []byte, d Dialect, cut bool) []byte {
	s := scanner{src: sql, dst: dst, base: len(dst), dialect: d, cut: cut, begin: true}
	for s.pos < len(s.src) && !s.stop {
		if len(s.dst)-s.base > MaxLen-len(ellipsis) {
			s.truncate()
			return s.dst
		}
		if s.hidden {
			s.hide()
		} else {
			s.token()
		}
	}
	if s.open || s.cut && !s.stop {
		s.truncate()
		return s.dst
	}
	for n := len(s.dst); n > s.base && (s.dst[n-1] == ';' || s.dst[n-1] == ' '); n-- {
		s.dst = s.dst[:n-1]
	}
	if len(s.dst)-s.base > MaxLen {
		s.truncate()
	}
	return s.dst
}

// scanner takes a statement apart.
type scanner struct {
	src     []byte
	pos     int
	dst     []byte
	base    int // where the fingerprint begins in dst
	dialect Dialect
	cut     bool
	space   bool // there was one before this token
	begin   bool // the next word is the first of a statement
	setting bool // the statement sets a variable
	hidden  bool // up to the end of the statement
	stop    bool // nothing more is let through
	open    bool // and there would have been more
}

func (s *scanner) is(d Dialect) bool { return s.dialect&d != 0 }

// at gives the byte that is i after the position, 0 beyond the end.
func (s *scanner) at(i int) byte {
	if s.pos+i < len(s.src) {
		return s.src[s.pos+i]
	}
	return 0
}

// last gives the last byte of the fingerprint, 0 when it is empty.
func (s *scanner) last() byte {
	if len(s.dst) == s.base {
		return 0
	}
	return s.dst[len(s.dst)-1]
}

func (s *scanner) ends(with string) bool {
	n := len(s.dst) - len(with)
	return n >= s.base && string(s.dst[n:]) == with
}

// giveUp ends the fingerprint here.
func (s *scanner) giveUp() { s.stop, s.open = true, true }

// truncate ends the fingerprint with an ellipsis, within its limit.
func (s *scanner) truncate() {
	limit := s.base + MaxLen - len(ellipsis)
	n := min(len(s.dst), limit)
	for n > s.base && n < len(s.dst) && s.dst[n]&0xc0 == 0x80 {
		n-- // not inside of a character
	}
	for n > s.base && s.dst[n-1] == ' ' {
		n--
	}
	s.dst = append(s.dst[:n], ellipsis...)
}

func (s *scanner) token() {
	c := s.src[s.pos]
	switch {
	case c <= ' ' || c == 0x7f:
		s.space = true
		s.pos++
	case isDigit(c), c == '.' && isDigit(s.at(1)) && (s.space || !isWord(s.last())):
		s.number()
	case c == '$' && s.is(Dollar):
		s.dollar()
	case isWord(c):
		s.word()
	case c == '\'':
		s.literal(s.is(Backslash), s.is(Unsure))
	case c == '"' && s.is(DoubleQuotes):
		s.literal(s.is(Backslash), s.is(Unsure))
	case c == '"', c == '`' && s.is(DoubleQuotes):
		s.quoted(c)
	case c == '?' && s.is(Hash):
		s.pos++
		s.mark()
	case c == '-' && s.at(1) == '-':
		s.dashes()
	case c == '#' && s.is(Hash):
		s.line()
	case c == '/' && s.at(1) == '*':
		s.comment()
	default:
		s.symbol(c)
	}
}

// gap writes the space that belongs before the next token.
func (s *scanner) gap() {
	last := s.last()
	if last == ',' || s.space && last != 0 && last != '(' && last != ' ' {
		s.dst = append(s.dst, ' ')
	}
	s.space = false
}

func (s *scanner) symbol(c byte) {
	s.pos++
	switch c {
	case ',', ';':
		s.space = false
		if c == ';' && s.last() == 0 {
			return
		}
	case ')':
		s.space = false
		if s.ends("(?), (?") {
			s.dst = s.dst[:len(s.dst)-len("), (?")]
		}
	default:
		s.gap()
	}
	s.dst = append(s.dst, c)
	switch {
	case c == ';':
		s.begin, s.setting = true, false
	case c == '=' && s.setting:
		s.space = s.at(0) == ' '
		s.rest()
	}
}

// rest stands for all that a variable is set to, which may be written without
// quotes.
func (s *scanner) rest() {
	s.mark()
	s.hidden = true
}

// hide passes over the next token.
func (s *scanner) hide() {
	at, end := len(s.dst), s.src[s.pos] == ';'
	if end {
		s.hidden = false
	}
	s.token()
	if !end {
		s.dst, s.space = s.dst[:at], false
	}
}

// mark writes "?", and nothing in a list of them.
func (s *scanner) mark() {
	switch {
	case s.ends("?,"):
		s.dst = s.dst[:len(s.dst)-1]
		s.space = false
		return
	case s.ends("?"):
		s.space = false
		return
	}
	if c := s.last(); c == '-' || c == '+' {
		s.sign()
	}
	s.gap()
	s.dst = append(s.dst, '?')
}

// sign drops a sign that belongs to the number behind it.
func (s *scanner) sign() {
	n := len(s.dst) - 1
	k := n
	for k > s.base && s.dst[k-1] == ' ' {
		k--
	}
	if k == s.base {
		return
	}
	switch s.dst[k-1] {
	case '(', ',', '=', '<', '>', '+', '-', '*', '/', '%':
		s.space = n > k
		s.dst = s.dst[:k]
	}
}

func (s *scanner) number() {
	based := false
	if next := s.at(1) | 0x20; s.src[s.pos] == '0' && (next == 'x' || next == 'b' || next == 'o') {
		based = true
		s.pos += 2
	}
	for ; s.pos < len(s.src); s.pos++ {
		c := s.src[s.pos]
		switch {
		case isDigit(c), c == '.', c == '_' && isDigit(s.at(1)):
		case based && (c|0x20 >= 'a' && c|0x20 <= 'f'):
		case c|0x20 == 'e' && isDigit(s.at(1)):
		case c|0x20 == 'e' && (s.at(1) == '+' || s.at(1) == '-') && isDigit(s.at(2)):
			s.pos++
		default:
			s.mark()
			return
		}
	}
	s.mark()
}

// word takes a keyword, a name, or the prefix of a literal.
func (s *scanner) word() {
	from := s.pos
	for s.pos < len(s.src) && isWord(s.src[s.pos]) {
		s.pos++
	}
	w := s.src[from:s.pos]
	if s.pos == len(s.src) && s.cut {
		s.giveUp()
		return
	}
	if q := s.at(0); (q == '\'' || q == '"' && s.is(DoubleQuotes)) && s.prefix(w) {
		escapes := s.is(Backslash) || s.is(Dollar) && w[0]|0x20 == 'e'
		s.literal(escapes, s.is(Unsure) && !escapes)
		return
	}
	s.gap()
	at := len(s.dst)
	s.dst = append(s.dst, w...)
	upper := upperKeyword(s.dst[at:])
	if s.begin {
		s.begin, s.setting = false, string(s.dst[at:]) == "SET"
	}
	if s.setting && upper && string(s.dst[at:]) == "TO" {
		s.space = true
		s.rest()
	}
	if !upper {
		s.shorten(at)
	}
}

// shorten replaces the number at the end of a name that is one of many.
func (s *scanner) shorten(at int) {
	n := len(s.dst)
	for n > at && isDigit(s.dst[n-1]) {
		n--
	}
	if len(s.dst)-n >= 4 && n > at {
		s.dst = append(s.dst[:n], "{n}"...)
	}
}

// prefix reports whether w belongs to the literal that follows it at once.
func (s *scanner) prefix(w []byte) bool {
	if s.is(Hash) && w[0] == '_' {
		return true
	}
	switch w[0] | 0x20 {
	case 'n', 'x', 'b':
		return len(w) == 1
	case 'e':
		return len(w) == 1 && s.is(Dollar)
	}
	return false
}
