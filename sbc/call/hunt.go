package call

import (
	"slices"

	"linekeeper/sbc/sdp"
	"linekeeper/sbc/sip"
)

// hunt is one search for somebody who takes the call: the plan's steps in order.
// The call begins with one; a transfer begins another.
type hunt struct {
	// host waits for the answer: the caller, or whom a transfer sends on.
	host *leg
	// transfer is what the hunt is for; nil for the call's first.
	transfer *transfer
	// recall is set where it looks for whoever sent the host on: how the call ends in vain.
	recall *End
	// onward is how the router was asked; nil for the call's first.
	onward *Transfer
	plan   Plan
	step   int
	// replaned says that the router has been asked for another way already.
	replaned bool
	// redirects counts the forwardings that were followed.
	redirects int
	// visited is where they led to.
	visited []string
	// headers go into the INVITEs beyond the plan's own.
	headers []sip.Header
	rung    bool // the host was told that it rings
	rings   bool // somebody rings for a host that hears no ringing of its own phone
	tone    bool // the host hears that from the box
	// heard is the dialog whose early media the host hears; turns counts those that
	// have described theirs.
	heard *talk
	turns int
}

// offer is what the targets are offered, out of what the host has described. One
// who is sent on may be on hold: that ends with the answer.
func (h *hunt) offer() *sdp.Session {
	if h.host.stage == early {
		return h.host.theirs
	}
	return live(h.host.theirs)
}

// pass goes to the next step that is no spare of this one.
func (h *hunt) pass() {
	for h.step++; h.step < len(h.plan.Steps) && h.plan.Steps[h.step].Spare; h.step++ {
	}
}

func (h *hunt) viaCloud() bool {
	if h.step >= len(h.plan.Steps) {
		return false
	}
	return slices.ContainsFunc(h.plan.Steps[h.step].Targets, func(t Target) bool { return t.Line != "" })
}

// lone says whether the present step rings at one target alone.
func (h *hunt) lone() bool {
	return h.step < len(h.plan.Steps) && len(h.plan.Steps[h.step].Targets) == 1
}
