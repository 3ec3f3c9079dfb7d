package mode

import "time"

// Input is one piece of evidence.
type Input interface{ input() }

// Fact is what is known of something that may be broken.
type Fact uint8

// What may be known.
const (
	Unknown Fact = iota
	Good
	Bad
)

type (
	// Start begins the probing.
	Start struct{}
	// Answered: a probe or any request to the target was answered with Code. Any
	// code but 503 proves that the target is reachable.
	Answered struct {
		Target int
		Code   int
		RTT    time.Duration
	}
	// Missed: a probe got no answer within its time.
	Missed struct{ Target int }
	// Silent: a request of ours got no answer of any kind within call_timeout.
	Silent struct {
		Target int
		Call   bool // it was an INVITE
	}
	// CallHeard: an INVITE to the cloud was answered by anything.
	CallHeard struct{ Target int }
	// Lost: the connection to the target broke or could not be made.
	Lost struct {
		Target      int
		Certificate bool // over a certificate, the peer's or ours
	}
	// Media: Dead external calls have lost their speech in both directions.
	Media struct{ Dead int }
	// Link: the WAN port has a carrier, or not.
	Link struct{ Up bool }
	// Gateway: the next hop answers, or not.
	Gateway struct{ Fact Fact }
	// Internet: something beyond the next hop that isn't the provider answers (STUN say).
	Internet struct{ Fact Fact }
	// DNS: the resolver gets answers.
	DNS struct{ Fact Fact }
	// Lines is the sum of all lines.
	Lines struct{ Registered, Rejected, Total int }
	// Retarget: the provider now has Count targets; all evidence per target starts anew.
	Retarget struct{ Count int }
	// Due: the timer of the last WakeAfter ran out.
	Due struct{}
)

func (Start) input()     {}
func (Answered) input()  {}
func (Missed) input()    {}
func (Silent) input()    {}
func (CallHeard) input() {}
func (Lost) input()      {}
func (Media) input()     {}
func (Link) input()      {}
func (Gateway) input()   {}
func (Internet) input()  {}
func (DNS) input()       {}
func (Lines) input()     {}
func (Retarget) input()  {}
func (Due) input()       {}

// Effect is an order to the room.
type Effect interface{ effect() }

type (
	// ProbeAfter arms the one probe timer of the target: OPTIONS after D, to be
	// reported as Answered or as Missed after Config.Fast.
	ProbeAfter struct {
		Target int
		D      time.Duration
	}
	// WakeAfter arms the one wake timer: Due after D.
	WakeAfter struct{ D time.Duration }
	// Became says that the mode, or its cause, is new.
	Became struct {
		Mode  Mode
		Cause Cause
	}
)

func (ProbeAfter) effect() {}
func (WakeAfter) effect()  {}
func (Became) effect()     {}

// Mode is the site's relation to its cloud.
type Mode uint8

// The modes (CONTRACT.md).
const (
	// Recovering: the path is back, the lines are not all.
	Recovering Mode = iota
	// Online: all is well.
	Online
	// Degraded: reachable, with a defect.
	Degraded
	// Survival: the box serves alone.
	Survival
)

// String is the mode's name in status.
func (m Mode) String() string {
	return [...]string{"recovering", "online", "degraded", "survival"}[m]
}
