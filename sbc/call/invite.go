package call

import (
	"net/netip"
	"time"

	"linekeeper/sbc/dialog"
	"linekeeper/sbc/policy"
	"linekeeper/sbc/sdp"
	"linekeeper/sbc/sip"
)

// Party is who calls, as the box has proved or been told it.
type Party struct {
	// Extension is the internal number of the phone that calls; empty for a call from outside.
	Extension string
	// Line names the cloud account over which the call came in; empty for a phone.
	Line string
	// Instance is which of the extension's devices it is, where that one says so.
	Instance string
	// Number and Display are what the callee may be shown.
	Number, Display string
	// Anonymous is set when the caller withholds the number (RFC 3323).
	Anonymous bool
	// Wish is the number, E.164, by which the caller asks to be shown outside: one
	// of its own; "": the usual one.
	Wish string
	// Through says that the phone of the line holds the cloud's credentials itself.
	Through bool
}

// Invite is a call that wants to be routed.
type Invite struct {
	// Token names the call; it is unguessable, since tags are made of it.
	Token string
	// Caller is who calls.
	Caller Party
	// Dialled is the user part of the request URI.
	Dialled string
	// Zone is where the call came from.
	Zone string
	// Instance is the only device that shall ring, where a GRUU was called (RFC 5627).
	Instance string
	// Diverted are those who had the call before and sent it on, the latest first.
	Diverted []policy.Divert
	// For is whom the callee is shown instead of Caller, who asks for the call with
	// its own rights: the party that a transfer sends on.
	For *Party
	// Through is set for a phone that holds the cloud's own credentials.
	Through *Through
	// Silent is set when the call needs a way inside: the cloud kept silent, or it goes
	// back to a phone.
	Silent bool
}

// Shown is the party that the callee is shown.
func (i *Invite) Shown() Party {
	if i.For != nil {
		return *i.For
	}
	return i.Caller
}

// Through is what of a phone's own INVITE goes to the cloud as it is, because the
// phone's digest covers it or speaks for it.
type Through struct {
	// Account is the phone's account in the cloud.
	Account string
	// URI is the request URI, From the caller.
	URI  sip.URI
	From dialog.Address
	// Headers are its credentials and its wishes for privacy.
	Headers []sip.Header
	// CallID is the same for the repetition with credentials.
	CallID string
}

// Router turns an invitation into a plan. The online brain and the survival
// brain are its two implementations. Route must not block.
type Router interface {
	Route(Invite) Plan
}

// Way says which kind of way a call takes; metrics and call records carry it.
type Way string

// The ways of a call.
const (
	Internal Way = "internal"
	Cloud    Way = "cloud"
	Gateway  Way = "gateway"
)

// Plan is the ordered list of things to try for a call.
type Plan struct {
	// Way is how the call is counted.
	Way Way
	// Steps are tried in order until one is answered.
	Steps []Step
	// Insist lets every step be tried whatever the ones before were answered: one
	// line's 603 must not end an emergency call.
	Insist bool
	// Reject, when set, refuses the call at once.
	Reject *sip.Reject
}

// Step is one attempt: all targets ring together, the first that answers wins.
type Step struct {
	Targets []Target
	// Ring bounds how long the step may ring unanswered; 0 means no bound of its own.
	Ring time.Duration
	// Spare is another server for the step before: it is tried only where that one
	// gave no sign, could not be reached, or answered 503 (RFC 3263 4.3).
	Spare bool
	// Silent is how long a target may give no sign at all before the call asks
	// the router again with Invite.Silent set; 0 means the transaction's own timeout.
	Silent time.Duration
}

// Target is one leg to be called.
type Target struct {
	// Name is for people: "phone 22", "line 23".
	Name string
	// Extension is the internal number that rings, if it is one.
	Extension string
	// Instance is the device's, where it says one.
	Instance string
	// Line is the cloud account used, if one is.
	Line string
	// Flow is where the INVITE goes.
	Flow sip.Flow
	// Flows are other ways to the same device, tried in order where this one fails
	// (RFC 5626).
	Flows []Target
	// URI is the request URI.
	URI sip.URI
	// From and To are the identities shown to the target.
	From, To dialog.Address
	// Contact is the box's own contact on the flow.
	Contact sip.URI
	// Routes is a preloaded route set (Service-Route, outbound proxy).
	Routes []sip.URI
	// Credentials answer a digest challenge; nil means none are known.
	Credentials *sip.Credentials
	// Through hands the cloud's challenges to the caller, whose phone can answer
	// them, and its answers on.
	Through bool
	// CallID of the leg; empty: one of its own.
	CallID string
	// Headers go into the INVITE as they are (P-Asserted-Identity, Alert-Info …).
	Headers []sip.Header
	// Side names the media side: its address, ports and SRTP policy are the room's.
	Side Side
}

// Side is where a leg's media lives: which of the box's addresses and which
// policy. The room knows the rest.
type Side struct {
	// Name is "lan", "wan" or a trunk's name.
	Name string
	// Addr is the box's media address on that side.
	Addr netip.Addr
	// Segment is the network that the peer sits on, where media may go past the box
	// between two peers of one segment; invalid: never.
	Segment netip.Prefix
}

// Opened is what the room has opened for a leg's media.
type Opened = sdp.Local
