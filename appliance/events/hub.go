package events

import (
	"context"
	"sync"
	"time"
)

// DefaultDepth is how many events the ring keeps where the owner has no wish.
const DefaultDepth = 2048

// Hub is the ring and its fan-out. Use New.
type Hub struct {
	mu      sync.Mutex
	ring    []Event       // ring[seq%len] holds seq while it is kept
	oldest  uint64        // sequence of the oldest event kept
	next    uint64        // sequence that the next event gets
	changed chan struct{} // closed by the next Publish; nil while nobody waits
}

// New returns a hub that keeps the last depth events (DefaultDepth if depth is
// not positive). The first event gets the sequence number first, at least 1. A
// daemon passes its start time in microseconds, so that numbers rise across
// restarts and a client that reconnects is given what is new to it.
func New(depth int, first uint64) *Hub {
	if depth <= 0 {
		depth = DefaultDepth
	}
	first = max(first, 1)
	return &Hub{ring: make([]Event, depth), oldest: first, next: first}
}

// Publish gives e the next sequence number (and the present time where it has
// none), keeps it and wakes the followers. It never blocks on a follower. It
// returns the sequence number.
func (h *Hub) Publish(e Event) uint64 {
	e = bounded(e)
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	if e.Severity == "" {
		e.Severity = Info
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	e.Seq = h.next
	h.ring[e.Seq%uint64(len(h.ring))] = e
	h.next++
	if h.next-h.oldest > uint64(len(h.ring)) {
		h.oldest++
	}
	if h.changed != nil {
		close(h.changed)
		h.changed = nil
	}
	return e.Seq
}

// Newest returns the sequence number of the latest event; where nothing was
// published yet, the number before the first. Follow(Newest()) sees only what
// is still to come.
func (h *Hub) Newest() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.next - 1
}

// Last returns up to n of the latest events, oldest first.
func (h *Hub) Last(n int) []Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	kept := h.next - h.oldest
	count := min(uint64(max(n, 0)), kept)
	out := make([]Event, 0, count)
	for seq := h.next - count; seq < h.next; seq++ {
		out = append(out, h.ring[seq%uint64(len(h.ring))])
	}
	return out
}

// Follow returns a follower that reads on after the event with the sequence
// number after. A number from the future belongs to another run of the
// appliance: such a follower gets all that is kept.
func (h *Hub) Follow(after uint64) *Follower {
	h.mu.Lock()
	defer h.mu.Unlock()
	if after >= h.next {
		return &Follower{hub: h, at: h.oldest}
	}
	return &Follower{hub: h, at: after + 1}
}

// Follower is one reader's place in the ring. It belongs to one goroutine and
// holds nothing that would need closing.
type Follower struct {
	hub *Hub
	at  uint64 // sequence to read next
}

// Next waits for the next event and returns it together with the number of
// events that this follower was too slow for, which lie before it. The error
// is the context's.
func (f *Follower) Next(ctx context.Context) (e Event, missed uint64, err error) {
	for {
		e, missed, ok, changed := f.take(true)
		if ok {
			return e, missed, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Event{}, 0, ctx.Err()
		}
	}
}

// Try returns the next event if there is one now.
func (f *Follower) Try() (e Event, missed uint64, ok bool) {
	e, missed, ok, _ = f.take(false)
	return e, missed, ok
}

// take reads the event at the follower's place, or hands out the channel that
// the next Publish closes.
func (f *Follower) take(wait bool) (e Event, missed uint64, ok bool, changed <-chan struct{}) {
	h := f.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if f.at < h.oldest {
		missed = h.oldest - f.at
		f.at = h.oldest
	}
	if f.at < h.next {
		e = h.ring[f.at%uint64(len(h.ring))]
		f.at++
		return e, missed, true, nil
	}
	if !wait {
		return Event{}, 0, false, nil
	}
	if h.changed == nil {
		h.changed = make(chan struct{})
	}
	return Event{}, 0, false, h.changed
}
