package http2

// lengths are those of the codes of RFC 7541, appendix B, in bits. The code is
// canonical: codes of one length follow each other in the order of their bytes,
// so that lengths are all there is to say. The last is the end of a string.
var lengths = [257]uint8{
	13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
	28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
	6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
	5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
	13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
	7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
	15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
	6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
	20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
	24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
	22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
	21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
	26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
	19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
	20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
	26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
	30,
}

// step is what four bits do in a state: they may end one byte, never two, since
// the shortest code has five bits.
type step struct {
	next uint8
	emit bool
	end  bool // the end of the string, or no code at all
	char byte
}

// steps is the decoder: 256 states, each a place in the code's tree.
var steps = newSteps()

func newSteps() *[256][16]step {
	// The tree: children of 256 inner nodes; a leaf is 512 and its byte.
	const leaf = 512
	var tree [256][2]int
	nodes, code := 1, uint32(0)
	for bits := uint8(5); bits <= 30; bits++ {
		for char, n := range lengths {
			if n != bits {
				continue
			}
			at := 0
			for i := int(bits) - 1; i > 0; i-- {
				bit := code >> i & 1
				if tree[at][bit] == 0 {
					tree[at][bit] = nodes
					nodes++
				}
				at = tree[at][bit]
			}
			tree[at][code&1] = leaf + char
			code++
		}
		code <<= 1
	}
	table := new([256][16]step)
	for state := range nodes {
		for bits := range 16 {
			at, s := state, step{}
			for i := 3; i >= 0 && !s.end; i-- {
				at = tree[at][bits>>i&1]
				if at >= leaf {
					s.end = at == leaf+256
					s.emit, s.char = !s.end, byte(at-leaf)
					at = 0
				}
			}
			s.next = uint8(at)
			table[state][bits] = s
		}
	}
	return table
}

// unhuffman decodes src into dst and gives how much of dst it takes; cut says
// that dst is too small for all of it.
func unhuffman(dst, src []byte) (n int, cut bool) {
	state := uint8(0)
	for _, b := range src {
		for _, bits := range [2]byte{b >> 4, b & 15} {
			s := &steps[state][bits]
			if s.end {
				return n, false
			}
			if s.emit {
				if n == len(dst) {
					return n, true
				}
				dst[n] = s.char
				n++
			}
			state = s.next
		}
	}
	return n, false
}
