package exchange

import (
	"sync"
	"time"

	"linekeeper/sbc/sip"
	"linekeeper/sbc/txn"
)

// maxQueue bounds what may wait for a slow owner of one transaction; repeated
// and provisional messages beyond it are dropped.
const maxQueue = 64

// act is one order with the message, way or fault that came with it.
type act struct {
	do   txn.Verb
	over bool // the transaction has ended with this step
	msg  sip.Message
	flow sip.Flow
	err  error
	call func() // instead of all the others
}

// performer is a Client or a Server: it follows orders, one at a time.
type performer interface {
	perform(a act)
	ended()
}

// tx is what clients and servers have in common.
type tx struct {
	x    *Exchange
	self performer

	mu       sync.Mutex
	machine  txn.Machine
	wakeAt   time.Time // zero: asleep for good
	queue    []act
	draining bool
	effects  [4]txn.Effect // room for one step

	settled      bool // stands in the exchange's queue of settled ones
	settledAt    time.Time
	older, newer *tx // guarded by the queue's mutex
	seat         seat
}

// step tells the machine what happened and follows its orders.
func (t *tx) step(in txn.Input, a act) {
	t.mu.Lock()
	t.stepLocked(in, a)
	t.drainLocked()
	t.mu.Unlock()
}

func (t *tx) stepLocked(in txn.Input, a act) {
	before := t.machine.State()
	effects := t.machine.Step(in, t.effects[:0])
	a.over = t.machine.State() == txn.Terminated
	for _, e := range effects {
		switch e.Do {
		case txn.Wake:
			t.armLocked(e.After)
		case txn.Rest:
			t.restLocked()
		case txn.End:
			t.restLocked()
			if before != txn.Terminated {
				t.endedLocked()
			}
		default:
			a.do = e.Do
			dispensable := e.Do == txn.Again || (e.Do == txn.Deliver && in.Code < 200)
			if !dispensable || len(t.queue) < maxQueue {
				t.queue = append(t.queue, a)
			}
		}
	}
	if !a.over && !t.settled && t.machine.Settled() {
		t.settleLocked()
	}
}

// settleLocked lets the transaction go when the exchange is short of room.
func (t *tx) settleLocked() {
	t.settled = true
	t.x.settled.push(t)
}

func (t *tx) endedLocked() {
	if t.settled {
		t.x.settled.remove(t)
	}
	t.self.ended()
}

// drainLocked performs what is queued, with the mutex let go meanwhile. When
// somebody else is at it already, it is theirs to do.
func (t *tx) drainLocked() {
	if t.draining {
		return
	}
	t.draining = true
	for len(t.queue) > 0 {
		a := t.queue[0]
		t.queue[0] = act{}
		t.queue = t.queue[1:]
		t.mu.Unlock()
		if a.call != nil {
			a.call()
		} else {
			t.self.perform(a)
		}
		t.mu.Lock()
	}
	t.queue = nil
	t.draining = false
}

func (t *tx) armLocked(after time.Duration) {
	t.wakeAt = time.Now().Add(after)
	t.x.wheel.arm(t, t.wakeAt)
}

func (t *tx) restLocked() {
	if !t.wakeAt.IsZero() {
		t.wakeAt = time.Time{}
		t.x.wheel.disarm(t)
	}
}

// woken runs when the wheel comes by. It may be early: for one that was armed anew
// in the meantime, or is due beyond the wheel's reach.
func (t *tx) woken() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.wakeAt.IsZero() {
		return
	}
	if time.Now().Before(t.wakeAt) {
		t.x.wheel.arm(t, t.wakeAt)
		return
	}
	t.wakeAt = time.Time{}
	t.stepLocked(txn.Input{What: txn.Woken}, act{})
	t.drainLocked()
}

// halt silences the transaction for good.
func (t *tx) halt() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.machine.State() == txn.Terminated {
		return
	}
	t.machine = over{}
	t.restLocked()
	t.queue = nil
	t.endedLocked()
}

// over is the machine of a transaction that was halted.
type over struct{}

func (over) Step(_ txn.Input, out []txn.Effect) []txn.Effect { return out }
func (over) State() txn.State                                { return txn.Terminated }
func (over) Settled() bool                                   { return false }
