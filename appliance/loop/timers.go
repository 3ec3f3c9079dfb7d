package loop

import "time"

// Timers are the owner's keyed timers. There is at most one per key: arming it
// again replaces it. They live on the owner's goroutine as plain deadlines
// behind a single runtime timer, so a shot of a timer that was re-armed or
// disarmed cannot exist. Only perform may use them.
type Timers[I any] struct {
	armed []timer[I]
	clock *time.Timer
	next  time.Time // what clock is set to; zero: not running
	end   bool
}

type timer[I any] struct {
	key string
	at  time.Time
	in  I
}

// Arm lets in be stepped d from now, in place of whatever key stood for.
// A d of zero or less is due at once, after what is being performed.
func (t *Timers[I]) Arm(key string, d time.Duration, in I) {
	at := time.Now().Add(max(d, 0))
	if i := t.find(key); i >= 0 {
		t.armed[i].at, t.armed[i].in = at, in
	} else {
		t.armed = append(t.armed, timer[I]{key, at, in})
	}
	t.set()
}

// Disarm forgets the timer of key, if there is one.
func (t *Timers[I]) Disarm(key string) {
	i := t.find(key)
	if i < 0 {
		return
	}
	t.remove(i)
}

// Armed says whether a timer of that key runs.
func (t *Timers[I]) Armed(key string) bool { return t.find(key) >= 0 }

// End lets the owner end after the present effects: Run returns nil.
func (t *Timers[I]) End() { t.end = true }

func (t *Timers[I]) find(key string) int {
	for i := range t.armed {
		if t.armed[i].key == key {
			return i
		}
	}
	return -1
}

func (t *Timers[I]) remove(i int) {
	last := len(t.armed) - 1
	t.armed[i] = t.armed[last]
	t.armed[last] = timer[I]{}
	t.armed = t.armed[:last]
}

// earliest is the index of the timer due first, -1 when none is armed.
func (t *Timers[I]) earliest() int {
	first := -1
	for i := range t.armed {
		if first < 0 || t.armed[i].at.Before(t.armed[first].at) {
			first = i
		}
	}
	return first
}

// pop takes out the earliest timer that is due at now.
func (t *Timers[I]) pop(now time.Time) (I, bool) {
	var none I
	i := t.earliest()
	if i < 0 || t.armed[i].at.After(now) {
		return none, false
	}
	in := t.armed[i].in
	t.remove(i)
	return in, true
}

// set points the runtime timer at the earliest deadline. A deadline that moved
// later leaves the clock alone: it wakes once for nothing, which is cheaper
// than a reset per message of a busy call.
func (t *Timers[I]) set() {
	i := t.earliest()
	if i < 0 {
		return
	}
	at := t.armed[i].at
	if !t.next.IsZero() && !at.Before(t.next) {
		return
	}
	t.next = at
	d := time.Until(at)
	if t.clock == nil {
		t.clock = time.NewTimer(d)
		return
	}
	t.clock.Reset(d)
}

// wake is the channel that says something may be due; nil while no timer runs.
func (t *Timers[I]) wake() <-chan time.Time {
	if t.clock == nil {
		return nil
	}
	return t.clock.C
}

// fired notes that the runtime timer went off, and says when.
func (t *Timers[I]) fired() time.Time {
	t.next = time.Time{}
	return time.Now()
}

func (t *Timers[I]) stop() {
	if t.clock != nil {
		t.clock.Stop()
	}
}
