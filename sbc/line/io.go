package line

import "time"

// Input is something that happened to the line.
type Input interface{ input() }

type (
	// Start lets the line begin, Delay from now: the room spaces its lines by
	// the provider's pace.
	Start struct{ Delay time.Duration }
	// Answer is a final or provisional answer to the REGISTER number Try.
	Answer struct {
		// Try is the number of the Register effect that is answered; answers
		// to earlier ones are late and dropped.
		Try uint64
		// Code is the status code, 100 to 699.
		Code int
		// Expires is what a 200 granted our contact; 0: our contact isn't in it.
		Expires time.Duration
		// Others is how many contacts that aren't ours a 200 listed.
		Others int
		// RetryAfter is the header of that name; 0: none.
		RetryAfter time.Duration
		// MinExpires is the header of that name in a 423; 0: none.
		MinExpires time.Duration
		// FlowTimer is the header of that name: how long the flow is kept without a
		// sign of life (RFC 5626 4.4.1); 0: none.
		FlowTimer time.Duration
		// Stale says that a 401 or 407 called only our nonce old (RFC 7616 3.3).
		Stale bool
	}
	// Silent says that the REGISTER number Try got no answer in time.
	Silent struct{ Try uint64 }
	// Broken says that the connection to the present target was lost or could not be made.
	Broken struct {
		// Certificate says that the peer's certificate, or ours, was not accepted.
		Certificate bool
	}
	// Due says that the timer of the last WakeAfter ran out.
	Due struct{}
	// PingDue says that the timer of the last PingAfter ran out.
	PingDue struct{}
	// Retarget says that the resolver's list of targets changed.
	Retarget struct {
		// Count is how many targets there are now.
		Count int
		// Keep is where the present target stands in the new list, -1 if it left.
		Keep int
	}
	// Cut says that the path to the provider is known to be gone.
	Cut struct{}
	// Reachable says that the path is back, or that our address changed: register
	// anew, Delay from now (the room's pace).
	Reachable struct{ Delay time.Duration }
	// Move says that a better target than the present one has been answering for long:
	// a bound line asks it with its next refresh.
	Move struct{ Target int }
	// Retry is an admin's order, or the consequence of changed credentials: forget
	// all failures and register now.
	Retry struct{}
	// Leave takes the account off the box: unregister and end.
	Leave struct{}
)

func (Start) input()     {}
func (Answer) input()    {}
func (Silent) input()    {}
func (Broken) input()    {}
func (Due) input()       {}
func (PingDue) input()   {}
func (Retarget) input()  {}
func (Cut) input()       {}
func (Reachable) input() {}
func (Move) input()      {}
func (Retry) input()     {}
func (Leave) input()     {}

// Effect is an order to the room.
type Effect interface{ effect() }

type (
	// Register sends a REGISTER to target number Target.
	Register struct {
		// Try numbers the attempt; it comes back in Answer and Silent.
		Try uint64
		// Target counts from 0 in the list that Retarget told of.
		Target int
		// Auth says to answer the newest challenge that the room remembers; with
		// none remembered the request goes out plain.
		Auth bool
		// Expires is what to ask for; 0 unregisters.
		Expires time.Duration
	}
	// WakeAfter arms the line's one wake timer: Due after D.
	WakeAfter struct{ D time.Duration }
	// Sleep disarms the wake timer.
	Sleep struct{}
	// Ping keeps the NAT's mapping toward target number Target open.
	Ping struct{ Target int }
	// PingAfter arms the keep-alive timer: PingDue after D.
	PingAfter struct{ D time.Duration }
	// Became says that the line is in a new state, or in it for a new cause.
	Became struct {
		State State
		Cause Cause
	}
	// Alarm raises or clears a condition that a person must look at.
	Alarm struct {
		Code AlarmCode
		On   bool
	}
)

func (Register) effect()  {}
func (WakeAfter) effect() {}
func (Sleep) effect()     {}
func (Ping) effect()      {}
func (PingAfter) effect() {}
func (Became) effect()    {}
func (Alarm) effect()     {}

// AlarmCode names what is wrong with an account.
type AlarmCode uint8

// The alarms of a line.
const (
	// AlarmRejected: the provider refused the credentials three times; the line
	// rests until Retry, so that the account isn't locked.
	AlarmRejected AlarmCode = iota + 1
	// AlarmDuplicate: somebody else is registered with the same exclusive account.
	AlarmDuplicate
	// AlarmCertificate: TLS to the provider failed over a certificate.
	AlarmCertificate
)

// String is the alarm's code as the health room names it.
func (a AlarmCode) String() string {
	switch a {
	case AlarmRejected:
		return "line-rejected"
	case AlarmDuplicate:
		return "line-duplicate"
	case AlarmCertificate:
		return "line-certificate"
	default:
		return "line-unknown"
	}
}
