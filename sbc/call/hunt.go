package call

import "slices"

// hunt is one search for somebody who takes the call: the plan's steps in order.
// The call begins with one; a transfer begins another.
type hunt struct {
	// host waits for the answer: the caller, or whom a transfer sends on.
	host *leg
	plan Plan
	step int
	// replaned says that the router has been asked for another way already.
	replaned bool
	// redirects counts the forwardings that were followed.
	redirects int
	// visited is where they led to.
	visited []string
	rung    bool // the host was told that it rings
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
