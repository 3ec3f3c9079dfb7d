package exchange

import (
	"math/bits"
	"sync"
	"time"
)

const (
	// wheelTick is how far apart transactions are woken. RFC 3261 has its timers in
	// hundreds of milliseconds; a timer of the runtime for each transaction woke
	// the process two thousand times a second at 300 calls/s.
	wheelTick = 20 * time.Millisecond
	// wheelSlots reach a little beyond 64*T1. What is due later is looked at then.
	wheelSlots = 2048
)

// wheel wakes transactions when they are due, never early and up to a tick late,
// with a single timer of the runtime.
//
//	cursor: done     next: the timer is set to it
//	   │                 │
//	───●─────────────────■────■■──■────▶ ticks, in a ring of slots
type wheel struct {
	mu     sync.Mutex
	base   time.Time // of tick 0
	cursor int64     // the last tick that is done
	next   int64     // what timer is set to; 0: not at all
	timer  *time.Timer
	slots  [wheelSlots]*tx // lists of those due at a tick
	used   [wheelSlots / 64]uint64
}

// seat is a transaction's place in the wheel, guarded by the wheel's mutex.
type seat struct {
	before, after *tx
	slot          int16
	taken         bool
}

func newWheel() *wheel {
	now := time.Now()
	w := &wheel{base: now.Add(-time.Duration(now.UnixNano() % int64(wheelTick)))}
	w.timer = time.AfterFunc(time.Hour, w.turn)
	w.timer.Stop()
	return w
}

// arm lets t be woken at a time, in place of any earlier wish.
func (w *wheel) arm(t *tx, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.leaveLocked(t)
	if passed := int64(time.Since(w.base) / wheelTick); passed > w.cursor {
		if w.next > 0 {
			passed = min(passed, w.next-1)
		}
		w.cursor = max(w.cursor, passed)
	}
	tick := int64((at.Sub(w.base) + wheelTick - 1) / wheelTick)
	tick = min(max(tick, w.cursor+1), w.cursor+wheelSlots-1)
	w.enterLocked(t, int16(tick%wheelSlots))
	if w.next == 0 || tick < w.next {
		w.setLocked(tick)
	}
}

// disarm forgets t's wish.
func (w *wheel) disarm(t *tx) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.leaveLocked(t)
}

func (w *wheel) enterLocked(t *tx, slot int16) {
	head := w.slots[slot]
	t.seat = seat{after: head, slot: slot, taken: true}
	if head != nil {
		head.seat.before = t
	}
	w.slots[slot] = t
	w.used[slot/64] |= 1 << (slot % 64)
}

func (w *wheel) leaveLocked(t *tx) {
	s := t.seat
	if !s.taken {
		return
	}
	if s.after != nil {
		s.after.seat.before = s.before
	}
	if s.before != nil {
		s.before.seat.after = s.after
	} else if w.slots[s.slot] = s.after; s.after == nil {
		w.used[s.slot/64] &^= 1 << (s.slot % 64)
	}
	t.seat = seat{}
}

func (w *wheel) setLocked(tick int64) {
	w.next = tick
	w.timer.Reset(time.Until(w.base.Add(time.Duration(tick) * wheelTick)))
}

// turn wakes all that are due.
func (w *wheel) turn() {
	var due []*tx
	w.mu.Lock()
	now := int64(time.Since(w.base) / wheelTick)
	for w.cursor < now {
		ahead := w.aheadLocked()
		if ahead == 0 || w.cursor+ahead > now {
			w.cursor = now
			break
		}
		w.cursor += ahead
		slot := w.cursor % wheelSlots
		for t := w.slots[slot]; t != nil; t = w.slots[slot] {
			w.leaveLocked(t)
			due = append(due, t)
		}
	}
	w.next = 0
	if ahead := w.aheadLocked(); ahead > 0 {
		w.setLocked(w.cursor + ahead)
	}
	w.mu.Unlock()
	for _, t := range due {
		t.woken()
	}
}

// aheadLocked is how many ticks after the cursor somebody waits; 0: nobody does.
func (w *wheel) aheadLocked() int64 {
	first := (w.cursor + 1) % wheelSlots
	word := first / 64
	if b := w.used[word] >> (first % 64); b != 0 {
		return 1 + int64(bits.TrailingZeros64(b))
	}
	for i := int64(1); i <= int64(len(w.used)); i++ {
		at := (word + i) % int64(len(w.used))
		if b := w.used[at]; b != 0 {
			slot := at*64 + int64(bits.TrailingZeros64(b))
			return 1 + (slot-first+wheelSlots)%wheelSlots
		}
	}
	return 0
}
