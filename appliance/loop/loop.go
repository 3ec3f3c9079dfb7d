package loop

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// Machine is pure state: one input in, effects out. It has no clock, lock,
// socket or goroutine; now is the only time it knows.
type Machine[I, E any] interface {
	Step(now time.Time, in I) []E
}

// Perform carries out one effect on the owner's goroutine, in the order in
// which the machine gave them. It must not block. Inputs it returns are stepped
// right after the rest of the present effects, before anything in the inbox.
type Perform[I, E any] func(ctx context.Context, tm *Timers[I], effect E) []I

// What Post and Run answer when a loop cannot go on.
var (
	// ErrBusy says that the inbox is full: the owner is overloaded and the
	// caller should refuse what it was about to ask (503 in SIP).
	ErrBusy = errors.New("owner is busy: its inbox is full")
	// ErrEnded says that the owner no longer lives.
	ErrEnded = errors.New("owner has ended")
	// ErrSpins says that a machine kept feeding itself without end.
	ErrSpins = errors.New("machine feeds itself without end")
)

// maxChain bounds the inputs that perform may feed back within one turn.
const maxChain = 4096

// Loop is the one owner of one machine, with a goroutine of its own. Nobody else may
// touch the machine once Run was called.
type Loop[I, E any] struct {
	core[I, E]
	inbox chan I
	woken chan struct{} // the alarm rang
	ended atomic.Bool
}

// New makes the owner of machine with an inbox of depth inputs (at least 1).
// It starts nothing: Run does.
func New[I, E any](machine Machine[I, E], depth int, perform Perform[I, E]) *Loop[I, E] {
	l := &Loop[I, E]{core: core[I, E]{machine: machine, perform: perform}, inbox: make(chan I, max(depth, 1)), woken: make(chan struct{}, 1)}
	l.timers.clock, l.timers.rings = system{}, func() {
		select {
		case l.woken <- struct{}{}:
		default: // it is awake
		}
	}
	return l
}

// Post hands one input to the owner. It never blocks and may be called from
// anywhere, before Run too. It answers ErrBusy when the inbox is full and
// ErrEnded when Run has returned.
func (l *Loop[I, E]) Post(in I) error {
	if l.ended.Load() {
		return ErrEnded
	}
	select {
	case l.inbox <- in:
		return nil
	default:
		return ErrBusy
	}
}

// Waiting is how many inputs lie in the inbox.
func (l *Loop[I, E]) Waiting() int { return len(l.inbox) }

// Run steps the machine until ctx ends (it then returns nil and says nothing to
// the machine: the end of ctx is a restart, not a goodbye), until perform calls
// Timers.End (nil), or until machine or perform panics (*Panic).
// It may be called once.
func (l *Loop[I, E]) Run(ctx context.Context) (err error) {
	defer l.ended.Store(true)
	defer l.timers.stop()
	defer func() {
		if v := recover(); v != nil {
			err = caught(l.present, v)
		}
	}()
	for !l.timers.end {
		select {
		case <-ctx.Done():
			return nil
		case in := <-l.inbox:
			err = l.turn(ctx, in)
		case <-l.woken:
			err = l.due(ctx)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
