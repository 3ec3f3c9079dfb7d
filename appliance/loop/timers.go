package loop

import "time"

// Timers are the owner's keyed timers. There is at most one per key: arming it
// again replaces it. They live on the owner's goroutine as plain deadlines
// behind a single alarm of the clock, so a shot of a timer that was re-armed or
// disarmed cannot exist. Only perform may use them.
type Timers[I any] struct {
	armed []timer[I]
	clock Clock
	rings func()    // what the alarm does
	alarm Alarm     // nil: never set
	next  time.Time // what the alarm is set to; zero: not running
	end   bool
}

// Clock is what a loop takes its time from.
type Clock interface {
	Now() time.Time
	// Alarm makes an alarm that calls rings once, after d and on a goroutine of the
	// clock's.
	Alarm(d time.Duration, rings func()) Alarm
}

// Alarm is a timer of a clock.
type Alarm interface {
	// Set lets it ring after d, instead of when it was set to.
	Set(d time.Duration)
	Stop()
}

// system is the clock of the machine we run on.
type system struct{}

func (system) Now() time.Time { return time.Now() }
func (system) Alarm(d time.Duration, rings func()) Alarm {
	return systemAlarm{time.AfterFunc(d, rings)}
}

type systemAlarm struct{ *time.Timer }

func (a systemAlarm) Set(d time.Duration) { a.Reset(d) }
func (a systemAlarm) Stop()               { a.Timer.Stop() }

type timer[I any] struct {
	key string
	at  time.Time
	in  I
}

// Arm lets in be stepped d from now, in place of whatever key stood for.
// A d of zero or less is due at once, after what is being performed.
func (t *Timers[I]) Arm(key string, d time.Duration, in I) {
	at := t.clock.Now().Add(max(d, 0))
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

// set points the alarm at the earliest deadline. A deadline that moved
// later leaves the alarm alone: it wakes once for nothing, which is cheaper
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
	d := at.Sub(t.clock.Now())
	if t.alarm == nil {
		t.alarm = t.clock.Alarm(d, t.rings)
		return
	}
	t.alarm.Set(d)
}

// fired notes that the alarm rang, and says when.
func (t *Timers[I]) fired() time.Time {
	t.next = time.Time{}
	return t.clock.Now()
}

func (t *Timers[I]) stop() {
	if t.alarm != nil {
		t.alarm.Stop()
	}
}
