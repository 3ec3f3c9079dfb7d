package txn

import (
	"fmt"
	"time"
)

// Timers are the times of RFC 3261 table 4. All others are made of these.
type Timers struct {
	T1     time.Duration // round trip estimate
	T2     time.Duration // longest pause between repetitions
	T4     time.Duration // longest life of a message in the network
	D      time.Duration // wait for repeated final responses to INVITE
	Trying time.Duration // silence of the owner before the 100 goes out by itself
}

// Defaults are the times of the RFC.
func Defaults() Timers {
	return Timers{
		T1: 500 * time.Millisecond, T2: 4 * time.Second, T4: 5 * time.Second,
		D: 32 * time.Second, Trying: 200 * time.Millisecond,
	}
}

// Life is 64*T1: timers B, F, H, J, L and M.
func (t Timers) Life() time.Duration { return 64 * t.T1 }

// State is where a transaction stands.
type State uint8

// The states of all four machines.
const (
	Calling State = iota // client INVITE sent, nothing heard
	Trying               // non-INVITE, nothing said yet
	Proceeding
	Completed
	Confirmed
	Accepted
	Terminated
)

func (s State) String() string {
	return [...]string{"Calling", "Trying", "Proceeding", "Completed", "Confirmed", "Accepted", "Terminated"}[s]
}

// What tells what happened.
type What uint8

// The things that happen to transactions.
const (
	Begun     What = iota // once, first
	Answered              // client: a response came; Code says which
	Replied               // server: the owner gives a response; Code says which
	Repeated              // server: the request came again
	Confirm               // server: the ACK came
	Woken                 // the time of the last Wake is over
	Broken                // client: the flow is lost, or a send failed
	Cancelled             // client INVITE: the owner gives up
)

func (w What) String() string {
	return [...]string{"Begun", "Answered", "Replied", "Repeated", "Confirm", "Woken", "Broken", "Cancelled"}[w]
}

// Input is one thing that happened. Code is set for Answered and Replied.
type Input struct {
	What What
	Code int
}

func (i Input) String() string {
	if i.Code != 0 {
		return fmt.Sprintf("%v %d", i.What, i.Code)
	}
	return i.What.String()
}

// Verb is an order to the exchange.
type Verb uint8

// The orders.
const (
	Send     Verb = iota // send the message that this input is about
	Again                // send once more what was sent last
	Deliver              // hand the message of this input to the owner
	Ack                  // send the ACK of a refused INVITE
	Withdraw             // send the CANCEL
	Say100               // send 100 Trying for the owner
	Acked                // tell the owner: the 2xx was acknowledged
	Unacked              // tell the owner: the 2xx never was
	Expire               // tell the owner: nobody answered in time
	Fail                 // tell the owner: the way is lost
	Wake                 // come back with Woken after After, instead of any earlier Wake
	Rest                 // forget the last Wake
	End                  // the transaction is over
)

func (v Verb) String() string {
	return [...]string{"Send", "Again", "Deliver", "Ack", "Withdraw", "Say100", "Acked", "Unacked", "Expire", "Fail", "Wake", "Rest", "End"}[v]
}

// Effect is one order; After belongs to Wake.
type Effect struct {
	Do    Verb
	After time.Duration
}

func (e Effect) String() string {
	if e.Do == Wake {
		return fmt.Sprintf("Wake{%v}", e.After)
	}
	return e.Do.String()
}

// Machine is any of the four. Step appends its effects to out: orders are to
// be followed in order. Every state takes every input, stray ones with nothing.
type Machine interface {
	Step(in Input, out []Effect) []Effect
	State() State
	// Settled tells that nothing is left to do but to absorb what comes again:
	// whoever is short of room may forget the transaction.
	Settled() bool
}

// clock counts time by wakes alone: how long the state may last still, and how
// long until the next repetition.
type clock struct {
	left  time.Duration
	due   time.Duration
	pause time.Duration // between repetitions; 0: none
	slept time.Duration
}

// start begins a state that lasts for life, with a first repetition after pause.
func (c *clock) start(life, pause time.Duration, out []Effect) []Effect {
	*c = clock{left: life, due: pause, pause: pause}
	return c.sleep(out)
}

func (c *clock) sleep(out []Effect) []Effect {
	c.slept = c.left
	if c.pause > 0 && c.due < c.left {
		c.slept = c.due
	}
	return append(out, Effect{Do: Wake, After: c.slept})
}

// woken counts the last sleep off. over: the state has lasted its life;
// otherwise again tells that a repetition is due.
func (c *clock) woken() (over, again bool) {
	c.left -= c.slept
	c.due -= c.slept
	return c.left <= 0, c.pause > 0 && c.due <= 0
}

// repeat sends again and doubles the pause up to most (0: no limit).
func (c *clock) repeat(most time.Duration, out []Effect) []Effect {
	c.pause *= 2
	if most > 0 && c.pause > most {
		c.pause = most
	}
	c.due = c.pause
	return c.sleep(append(out, Effect{Do: Again}))
}

// machine is what the four have in common.
type machine struct {
	t        *Timers
	clock    clock
	state    State
	reliable bool
}

// State tells where the transaction stands.
func (m *machine) State() State { return m.state }

// Settled tells that nothing is left to do.
func (m *machine) Settled() bool { return m.state == Completed }

func (m *machine) end(out []Effect, before ...Verb) []Effect {
	m.state = Terminated
	for _, v := range before {
		out = append(out, Effect{Do: v})
	}
	return append(out, Effect{Do: End})
}

// linger moves to s for as long as d; no time at all ends the transaction.
func (m *machine) linger(s State, d, pause time.Duration, out []Effect) []Effect {
	if d <= 0 {
		return m.end(out)
	}
	m.state = s
	return m.clock.start(d, pause, out)
}

// unlessReliable is d, or nothing where the transport repeats by itself.
func (m *machine) unlessReliable(d time.Duration) time.Duration {
	if m.reliable {
		return 0
	}
	return d
}
