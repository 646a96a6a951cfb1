package feed

// Queue holds what waits for an answer, oldest first, at most as many as Push
// is told. It grows on demand and keeps its memory.
type Queue[T any] struct {
	ring  []T // a power of two
	begin int
	n     int
	// over counts what was pushed beyond the limit and is not answered yet: its
	// answers come after those of everything in the ring.
	over int
}

// Len is how many wait, with those that Push refused.
func (q *Queue[T]) Len() int { return q.n + q.over }

// Held is how many are in the queue.
func (q *Queue[T]) Held() int { return q.n }

// At gives the i-th oldest, which belongs to the queue: 0 <= i < Held.
func (q *Queue[T]) At(i int) *T { return &q.ring[(q.begin+i)&(len(q.ring)-1)] }

// Oldest gives the oldest, nil when there is none, or when it was refused.
func (q *Queue[T]) Oldest() *T {
	if q.n == 0 {
		return nil
	}
	return q.At(0)
}

// Newest gives the one that was pushed last, nil when there is none, or when it
// was refused.
func (q *Queue[T]) Newest() *T {
	if q.n == 0 || q.over > 0 {
		return nil
	}
	return q.At(q.n - 1)
}

// Push adds v and reports whether there was room for it among limit. Without,
// its place in the order is kept: Pop takes it into account.
func (q *Queue[T]) Push(v T, limit int) bool {
	if q.over > 0 || q.n >= limit {
		q.over++
		return false
	}
	if q.n == len(q.ring) {
		ring := make([]T, max(4, 2*len(q.ring)))
		for i := range q.n {
			ring[i] = *q.At(i)
		}
		q.ring, q.begin = ring, 0
	}
	q.n++
	*q.At(q.n - 1) = v
	return true
}

// Pop takes the oldest away. held is false when it was refused by Push, ok is
// false when nothing waits.
func (q *Queue[T]) Pop() (v T, held, ok bool) {
	if q.n == 0 {
		if q.over == 0 {
			return v, false, false
		}
		q.over--
		return v, false, true
	}
	at := q.At(0)
	v = *at
	var none T
	*at = none
	q.begin = (q.begin + 1) & (len(q.ring) - 1)
	q.n--
	return v, true, true
}

// Clear drops everything.
func (q *Queue[T]) Clear() {
	clear(q.ring)
	q.begin, q.n, q.over = 0, 0, 0
}
