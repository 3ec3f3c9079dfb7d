package survivability

import (
	"fmt"
	"time"

	"linekeeper/sbc/call"
	"linekeeper/sbc/number"
	"linekeeper/sbc/sip"
)

// Desk is what the router needs of the switchboard.
type Desk interface {
	// Dial understands what was dialled.
	Dial(dialled string) number.Dialled
	// May says whether an extension may dial a class of numbers.
	May(ext string, class number.Class) bool
	// RingExtension rings every contact of an extension.
	RingExtension(inv call.Invite, ext string) call.Plan
	// ExtensionOf is the extension behind a cloud account.
	ExtensionOf(account string) string
	// Emergency tries every way out that may still work, the cloud's included:
	// that the box holds it for dead must not decide over an emergency call.
	Emergency(inv call.Invite, d number.Dialled) call.Plan
}

// Router is the survival brain.
type Router struct{ desk Desk }

// New makes the survival brain over a desk.
func New(d Desk) *Router { return &Router{d} }

// retryAfter is how soon a caller may try an outside number again.
const retryAfter = 30 * time.Second

// Route follows the same order as online: emergency, barring, codes, inside, outside.
func (r *Router) Route(inv call.Invite) call.Plan {
	if inv.Caller.Line != "" { // the cloud got a call through to us: take it
		return r.desk.RingExtension(inv, r.desk.ExtensionOf(inv.Caller.Line))
	}
	d := r.desk.Dial(inv.Dialled)
	switch d.Meaning {
	case number.Emergency:
		return r.desk.Emergency(inv, d)
	case number.Extension:
		return r.desk.RingExtension(inv, d.Text)
	case number.Blocked:
		return refuse(403, fmt.Sprintf("%s is blocked at this site", d.Text))
	case number.Outside:
		if !r.desk.May(inv.Caller.Extension, d.Class) {
			return refuse(403, fmt.Sprintf("extension %s may not dial %s numbers", inv.Caller.Extension, d.Class))
		}
		return away(fmt.Sprintf("%s cannot be reached while the line to the provider is gone", d.Text))
	case number.Code:
		return away(fmt.Sprintf("the code %s needs the provider, whose line is gone", d.Text))
	default: // nothing to do
	}
	return refuse(404, fmt.Sprintf("%q cannot be dialled here", inv.Dialled))
}

func refuse(code int, why string) call.Plan {
	return call.Plan{Way: call.Internal, Reject: &sip.Reject{Code: code, Phrase: sip.Phrase(code), Cause: fmt.Errorf("%s", why)}}
}

func away(why string) call.Plan {
	return call.Plan{Way: call.Cloud, Reject: &sip.Reject{Code: 503, Phrase: "Line To The Provider Is Gone", After: retryAfter, Cause: fmt.Errorf("%s", why)}}
}
