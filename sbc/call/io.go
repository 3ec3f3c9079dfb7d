package call

import (
	"time"

	"linekeeper/sbc/sdp"
	"linekeeper/sbc/sip"
)

// LegID numbers a leg within its call: 0 is the A leg.
type LegID int

// TxID numbers a server transaction of the call. The room keeps the transaction
// behind it.
type TxID int

// Ref numbers a client request of the call.
type Ref int

// Input is something that happened to the call.
type Input interface{ input() }

type (
	// Arrived starts the call: its INVITE with the transaction to answer on.
	Arrived struct {
		Tx      TxID
		Req     *sip.Request
		Flow    sip.Flow
		Contact sip.URI
		Side    Side
		Plan    Plan
		// Credentials answer the caller's challenges to the box's requests; nil: none are known.
		Credentials *sip.Credentials
	}
	// Planned is a new plan for a call whose cloud kept silent.
	Planned struct{ Plan Plan }
	// Request is an in-dialog request on a leg.
	Request struct {
		Leg  LegID
		Tx   TxID
		Req  *sip.Request
		Flow sip.Flow
		// Far is for a REFER that names a dialog of the box: the one on the other
		// side of that call.
		Far *sip.Replaces
	}
	// Cancelled says that whoever sent the INVITE of Tx gave up before an answer, by
	// this CANCEL; 0: the caller.
	Cancelled struct {
		Tx  TxID
		Req *sip.Request
	}
	// Answer is a response to a request that the call sent.
	Answer struct {
		Leg  LegID
		Ref  Ref
		Resp *sip.Response
		Flow sip.Flow
	}
	// Failed says that a request got no final answer: timeout, or the connection broke.
	Failed struct {
		Leg LegID
		Ref Ref
		Err error
	}
	// Acked is the ACK of a 2xx that the call sent.
	Acked struct {
		Leg LegID
		Req *sip.Request
	}
	// Unacked says that a 2xx was never acknowledged (RFC 3261 13.3.1.4): on a leg,
	// or that to the INVITE of Tx.
	Unacked struct {
		Leg LegID
		Tx  TxID
	}
	// Join is an INVITE whose Replaces names a leg of this call.
	Join struct {
		Tx       TxID
		Req      *sip.Request
		Flow     sip.Flow
		Contact  sip.URI
		Side     Side
		Who      Party
		Leg      LegID
		Replaces sip.Replaces
		// May says whether the newcomer may stand in for a party, of an answered
		// call or of a ringing one.
		May func(p Party, answered bool) bool
	}
	// Adopt offers a leg of another call to this one, in the place of Leg. The
	// answer is Adopted with the same Cargo.
	Adopt struct {
		Held     Held
		By       Party
		Leg      LegID
		Replaces sip.Replaces
		Cargo    any
	}
	// Moved says what became of a leg that was offered to another call: 200, and it
	// is that one's, or why not.
	Moved struct {
		Leg  LegID
		Code int
	}
	// Digit is a key press that a leg's peer must be told of by INFO: what it has
	// agreed on has no other way.
	Digit struct {
		Leg    LegID
		Key    byte
		Length time.Duration
	}
	// Rekey gives a leg a new seed for its media keys, and offers its peer keys made
	// of it: those in use have served their time (RFC 3711 8.2).
	Rekey struct {
		Leg  LegID
		Keys sdp.Secret
	}
	// Due is a timer that ran out.
	Due struct{ Key string }
	// MediaOpened hands in the ports opened for a leg.
	MediaOpened struct {
		Leg   LegID
		Local Opened
	}
	// MediaRefused says that no port could be opened for a leg.
	MediaRefused struct {
		Leg LegID
		Err error
	}
	// Hangup ends the call from inside: shutdown, an administrator, a guard.
	Hangup struct{ End End }
)

func (Arrived) input()      {}
func (Planned) input()      {}
func (Request) input()      {}
func (Cancelled) input()    {}
func (Answer) input()       {}
func (Failed) input()       {}
func (Acked) input()        {}
func (Unacked) input()      {}
func (Digit) input()        {}
func (Due) input()          {}
func (MediaOpened) input()  {}
func (MediaRefused) input() {}
func (Hangup) input()       {}
func (Join) input()         {}
func (Adopt) input()        {}
func (Moved) input()        {}
func (Rekey) input()        {}

// Held is a leg on its way from one call to another.
type Held struct {
	leg   *leg
	party Party
}

// Effect is an order to the room.
type Effect interface{ effect() }

type (
	// Respond answers a server transaction.
	Respond struct {
		Tx   TxID
		Resp *sip.Response
	}
	// Send starts a client transaction; its responses come back as Answer with the same Ref.
	Send struct {
		Leg  LegID
		Ref  Ref
		Req  *sip.Request
		Flow sip.Flow
	}
	// Cancel takes back an INVITE (RFC 3261 9.1).
	Cancel struct {
		Ref    Ref
		Reason string
	}
	// Ack sends the ACK of a 2xx, outside any transaction.
	Ack struct {
		Req  *sip.Request
		Flow sip.Flow
	}
	// Open asks for media ports for a leg; the answer is MediaOpened or MediaRefused.
	Open struct {
		Leg  LegID
		Side Side
	}
	// Media tells the relay what a leg's descriptions have agreed on.
	Media struct {
		Leg  LegID
		Flow sdp.Flow
	}
	// Bridge joins the media of two legs, both ways.
	Bridge struct{ A, B LegID }
	// Direct says that the media of the two that are bridged goes past the box, or no longer.
	Direct struct{ On bool }
	// Press tells the relay of a key that a leg's peer has pressed by INFO.
	Press struct {
		Leg    LegID
		Key    byte
		Length time.Duration
	}
	// Play lets a leg hear the ring-back tone instead of whom it is joined with, or
	// ends that.
	Play struct {
		Leg      LegID
		RingBack bool
	}
	// Close releases a leg's media ports.
	Close struct{ Leg LegID }
	// Arm sets or resets a timer, which comes back as Due.
	Arm struct {
		Key string
		D   time.Duration
	}
	// Disarm takes a timer back.
	Disarm struct{ Key string }
	// Replan asks the router again, because every target of the step kept silent.
	Replan struct{ Invite Invite }
	// Redirect asks the router for a way to where a phone has forwarded the call.
	Redirect struct{ Invite Invite }
	// Transfer asks the router for a way to whom a REFER points at.
	Transfer struct {
		Invite Invite
		To     sip.URI
	}
	// Move offers a leg to the call that Replaces names a leg of; the answer is Moved.
	Move struct {
		Leg      LegID
		Held     Held
		By       Party
		Replaces sip.Replaces
	}
	// Adopted answers an Adopt: with code 200 the leg is this call's, numbered Leg,
	// and requests with Tag come here.
	Adopted struct {
		Leg   LegID
		Tag   string
		Cargo any
		Code  int
	}
	// Gone forgets a leg's media without closing it: it is another call's now.
	Gone struct{ Leg LegID }
	// Forward hands a request that came for such a leg to where it is now.
	Forward struct{ Tx TxID }
	// Silent is evidence for the WAN state: an INVITE on this target got no answer of any kind.
	Silent struct{ Target Target }
	// Overloaded is evidence too: the target answered 503; After is for how long, 0: it
	// didn't say.
	Overloaded struct {
		Target Target
		After  time.Duration
	}
	// Heard is evidence too: the target gave its first sign.
	Heard struct{ Target Target }
	// Became reports a change of the call's state.
	Became struct{ State State }
	// Ended says why the call is over; the owner ends when the machine is Done.
	Ended struct{ End End }
)

func (Respond) effect()    {}
func (Send) effect()       {}
func (Cancel) effect()     {}
func (Ack) effect()        {}
func (Open) effect()       {}
func (Media) effect()      {}
func (Direct) effect()     {}
func (Bridge) effect()     {}
func (Press) effect()      {}
func (Play) effect()       {}
func (Close) effect()      {}
func (Arm) effect()        {}
func (Disarm) effect()     {}
func (Replan) effect()     {}
func (Redirect) effect()   {}
func (Silent) effect()     {}
func (Heard) effect()      {}
func (Overloaded) effect() {}
func (Became) effect()     {}
func (Ended) effect()      {}
func (Transfer) effect()   {}
func (Move) effect()       {}
func (Adopted) effect()    {}
func (Gone) effect()       {}
func (Forward) effect()    {}

// State is where a call stands.
type State string

// The states of a call.
const (
	Trying  State = "trying"
	Ringing State = "ringing"
	Talking State = "talking"
	Ending  State = "ending"
	Over    State = "over"
)

// Blame says who ended a call.
type Blame string

// Who may be to blame for the end of a call.
const (
	ByCaller Blame = "caller"
	ByCallee Blame = "callee"
	ByCloud  Blame = "cloud"
	ByUs     Blame = "us"
	Unknown  Blame = "unknown"
)

// End is why a call is over, said once by whoever knew first.
type End struct {
	Blame  Blame
	Code   int // SIP code the caller was given; 200 after an answered call
	Reason string
}
