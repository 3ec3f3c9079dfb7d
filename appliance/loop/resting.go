package loop

import (
	"context"
	"sync"
)

// Resting is the one owner of one machine, without a goroutine as long as nothing
// happens: for owners of which there are many, most of them idle. An input or a timer
// gives it a goroutine until there is nothing more to do. Nobody else may touch the
// machine once Start was called.
type Resting[I, E any] struct {
	core[I, E]
	crew  *Crew
	depth int
	over  func(error)
	ctx   context.Context // perform's

	at sync.Mutex // who has it works; taken before mu

	mu      sync.Mutex
	queue   []I
	head    int
	started bool
	called  bool // somebody works, or is on the way
	rung    bool // a timer may be due
	left    bool // Stop was called
	ended   bool
}

// NewResting makes the owner of machine with an inbox of depth inputs (at least 1) that
// lives by clock; nil: the system's; crew works for it. over is called once, when the owner has ended, by
// whoever ended it: with nil after Stop or Timers.End, with a *Panic after a panic of
// machine or perform, with ErrSpins.
func NewResting[I, E any](clock Clock, crew *Crew, machine Machine[I, E], depth int, perform Perform[I, E], over func(error)) *Resting[I, E] {
	r := &Resting[I, E]{core: core[I, E]{machine: machine, perform: perform}, crew: crew, depth: max(depth, 1), over: over}
	r.timers.rings = r.ring
	if clock == nil {
		r.timers.clock = system{}
	} else {
		// From the start, so that the clock knows of an owner that has armed no timer yet.
		r.timers.clock, r.timers.alarm = clock, clock.Alarm(0, r.ring)
	}
	return r
}

// Start lets the owner live; what was posted before is stepped now. It is called once.
func (r *Resting[I, E]) Start(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ctx, r.started = ctx, true
	if len(r.queue) > 0 || r.left {
		r.callLocked()
	}
}

// Post hands one input to the owner. It never blocks and may be called from
// anywhere, before Start too. It answers ErrBusy when the inbox is full and
// ErrEnded when the owner has ended.
func (r *Resting[I, E]) Post(in I) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.ended:
		return ErrEnded
	case len(r.queue)-r.head >= r.depth:
		return ErrBusy
	}
	r.queue = append(r.queue, in)
	r.callLocked()
	return nil
}

// Waiting is how many inputs lie in the inbox.
func (r *Resting[I, E]) Waiting() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.queue) - r.head
}

// Stop ends the owner and says nothing to the machine: it is a restart, not a goodbye.
// It does not wait; over tells when.
func (r *Resting[I, E]) Stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left = true
	r.callLocked()
}

// callLocked gives the owner a goroutine if it has none.
func (r *Resting[I, E]) callLocked() {
	if r.started && !r.called && !r.ended {
		r.called = true
		r.crew.do(r)
	}
}

// ring is what the alarm does: it returns when the owner has nothing more to do.
func (r *Resting[I, E]) ring() {
	r.mu.Lock()
	r.rung = true
	r.mu.Unlock()
	r.work()
}

// work does what there is to do.
func (r *Resting[I, E]) work() {
	r.at.Lock()
	defer r.at.Unlock()
	if err, end := r.steps(); end {
		r.timers.stop()
		r.over(err)
	}
}

// steps steps until the owner rests, or has come to its end just now.
func (r *Resting[I, E]) steps() (err error, end bool) {
	defer func() {
		if v := recover(); v != nil {
			err, end = caught(r.present, v), true
		}
		if end {
			r.mu.Lock()
			r.ended, r.queue, r.head = true, nil, 0
			r.mu.Unlock()
		}
	}()
	for {
		in, what := r.next()
		switch what {
		case rest:
			return nil, false
		case leave:
			return nil, true
		case wake:
			err = r.due(r.ctx)
		case step:
			err = r.turn(r.ctx, in)
		}
		if err != nil || r.timers.end {
			return err, true
		}
	}
}

// chore is what an owner has to do.
type chore int

const (
	rest chore = iota
	leave
	wake
	step
)

// keepRoom is the room for inputs that an owner keeps while it rests.
const keepRoom = 4

// next is what is to be done next.
func (r *Resting[I, E]) next() (in I, what chore) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.ended || !r.started:
		return in, rest
	case r.left:
		return in, leave
	case r.rung:
		r.rung = false
		return in, wake
	case r.head < len(r.queue):
		var none I
		in, r.queue[r.head] = r.queue[r.head], none
		r.head++
		return in, step
	}
	r.called, r.head, r.queue = false, 0, r.queue[:0]
	if cap(r.queue) > keepRoom {
		r.queue = nil
	}
	return in, rest
}
