package exchange

import (
	"sync"
	"time"
)

// settledQueue holds the transactions that only absorb stragglers, oldest first.
// Under load they are most of all: 500 registrations a second leave 32,000 of
// them behind on UDP, and none may cost a newcomer his place.
type settledQueue struct {
	mu             sync.Mutex
	oldest, newest *tx
}

// push is called under t's mutex.
func (q *settledQueue) push(t *tx) {
	t.settledAt = time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	t.older = q.newest
	if q.newest != nil {
		q.newest.newer = t
	} else {
		q.oldest = t
	}
	q.newest = t
}

// remove takes t out, if it is still in.
func (q *settledQueue) remove(t *tx) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.removeLocked(t)
}

func (q *settledQueue) removeLocked(t *tx) {
	if t.older == nil && q.oldest != t {
		return // a newcomer has taken its place already
	}
	if t.older != nil {
		t.older.newer = t.newer
	} else {
		q.oldest = t.newer
	}
	if t.newer != nil {
		t.newer.older = t.older
	} else {
		q.newest = t.older
	}
	t.older, t.newer = nil, nil
}

// pop takes the oldest out; nil if there is none of that age.
func (q *settledQueue) pop(age time.Duration) *tx {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := q.oldest
	if t == nil || time.Since(t.settledAt) < age {
		return nil
	}
	q.removeLocked(t)
	return t
}
