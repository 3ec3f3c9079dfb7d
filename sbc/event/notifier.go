package event

import "time"

// Notifier is the notifier's end of one subscription. Make it with NewNotifier;
// Step is total.
type Notifier struct {
	phase  notifying
	until  time.Time // when the subscription runs out
	retry  time.Time // Waiting, Stuck: when to send again; Idle: not before
	dirty  bool      // something changed that the subscriber hasn't been told
	ending Reason    // set: the next NOTIFY is the last
	last   bool      // the last one is out
	out    time.Time // when the NOTIFY that is out went
	failed int       // transient refusals in a row
}

// Paces and bounds of a notifier.
const (
	// pace is the least time between two NOTIFYs of a subscription: what changes
	// in between is told together (RFC 6665 4.2.2 lets a package limit the rate).
	pace = 100 * time.Millisecond
	// again is when a NOTIFY is repeated after a refusal that names no time.
	again = 5 * time.Second
	// stuckWait is when a subscriber whose connection broke is tried again.
	stuckWait = 30 * time.Second
	// unheard is when an answer can no longer come: more than 64*T1 (RFC 3261 17.1.2.2).
	unheard = 40 * time.Second
	// maxFailed bounds transient refusals in a row.
	maxFailed = 3
)

type notifying uint8

const (
	idle    notifying = iota
	sending           // a NOTIFY is out
	waiting           // the subscriber asked for a pause
	stuck             // the way to the subscriber broke
	over
)

// NotifierInput is something that happened to a watched subscription.
type NotifierInput interface{ notifierInput() }

type (
	// Refresh is a SUBSCRIBE, the first one too; Expires 0 ends the subscription.
	Refresh struct{ Expires time.Duration }
	// Changed says that what is watched has changed.
	Changed struct{}
	// Answered is the final answer to the NOTIFY that is out.
	Answered struct {
		Code       int
		RetryAfter time.Duration
	}
	// Unanswered says that the NOTIFY that is out got no answer in time.
	Unanswered struct{}
	// Broken says that the NOTIFY that is out could not be sent, or its connection broke.
	Broken struct{}
	// Back says that there is a new way to the subscriber.
	Back struct{}
	// End ends the subscription from our side.
	End struct{ Reason Reason }
	// Due says that the time of Next has come.
	Due struct{}
)

func (Refresh) notifierInput()    {}
func (Changed) notifierInput()    {}
func (Answered) notifierInput()   {}
func (Unanswered) notifierInput() {}
func (Broken) notifierInput()     {}
func (Back) notifierInput()       {}
func (End) notifierInput()        {}
func (Due) notifierInput()        {}

// Notify is the one thing that a notifier wants done: a NOTIFY with this state.
// Full says whether it carries the document.
type Notify struct {
	State State
	Full  bool
}

// NewNotifier makes a subscription that waits for its first Refresh.
func NewNotifier() *Notifier { return &Notifier{} }

// Revive makes a subscription that was there before a restart. A Changed tells
// its subscriber how things stand now.
func Revive(until time.Time) *Notifier { return &Notifier{until: until} }

// Until is when the subscription runs out.
func (n *Notifier) Until() time.Time { return n.until }

// Ending says that the subscription can no longer be refreshed.
func (n *Notifier) Ending() bool { return n.ending != "" || n.phase == over }

// Over says that nothing is left of the subscription.
func (n *Notifier) Over() bool { return n.phase == over }

// Next is when Due must come; zero: never.
func (n *Notifier) Next() time.Time {
	switch {
	case n.phase == over:
		return time.Time{}
	case n.phase == sending:
		return n.out.Add(unheard)
	case n.ending != "":
		return n.retry
	case n.phase == idle && !n.dirty, n.until.Before(n.retry):
		return n.until
	}
	return n.retry
}

// Step takes one input; ok says that a NOTIFY is to be sent.
func (n *Notifier) Step(now time.Time, in NotifierInput) (out Notify, ok bool) {
	if n.phase == over {
		return Notify{}, false
	}
	switch in := in.(type) {
	case Refresh:
		n.refresh(now, in.Expires)
	case Changed:
		n.dirty = true
	case Answered:
		n.answered(now, in)
	case Unanswered:
		if n.phase == sending {
			n.phase = over // RFC 6665 4.2.2
		}
	case Broken:
		n.broken(now)
	case Back:
		if n.phase == stuck || n.phase == idle {
			n.phase, n.retry, n.dirty = idle, now, true
		}
	case End:
		n.end(now, in.Reason)
	case Due:
		switch {
		case n.phase == waiting || n.phase == stuck:
			n.phase = idle
		case n.phase == sending && !now.Before(n.out.Add(unheard)):
			n.phase = over
		}
	}
	return n.send(now)
}

// refresh takes a SUBSCRIBE: it is answered with a NOTIFY at once (RFC 6665 4.2.1.2).
func (n *Notifier) refresh(now time.Time, d time.Duration) {
	n.until, n.dirty, n.retry = now.Add(d), true, now
	if d <= 0 {
		n.ending = TimedOut
	}
	if n.phase != sending {
		n.phase = idle // whoever refreshes is there
	}
}

func (n *Notifier) end(now time.Time, why Reason) {
	if n.ending == "" {
		n.ending, n.retry = why, now
	}
	if n.phase == stuck {
		n.phase = over // nobody to tell
	}
}

func (n *Notifier) answered(now time.Time, in Answered) {
	switch {
	case n.phase != sending || in.Code < 200:
		return
	case n.last:
		n.phase = over
	case in.Code < 300:
		n.phase, n.failed, n.retry = idle, 0, now.Add(pace)
	case in.Code == 481, n.failed >= maxFailed:
		n.phase = over
	case in.RetryAfter > 0:
		n.pause(now, min(in.RetryAfter, longest))
	case in.Code == 491, in.Code >= 500 && in.Code < 600 && in.Code != 501 && in.Code != 505:
		n.pause(now, again)
	default: // RFC 6665 4.2.2, RFC 5057: nothing that a repetition would mend
		n.phase = over
	}
}

func (n *Notifier) pause(now time.Time, d time.Duration) {
	n.phase, n.dirty, n.retry = waiting, true, now.Add(d)
	n.failed++
}

func (n *Notifier) broken(now time.Time) {
	switch {
	case n.phase != sending:
	case n.ending != "":
		n.phase = over
	default:
		n.phase, n.dirty, n.retry = stuck, true, now.Add(stuckWait)
	}
}

// send tells the subscriber what it must know, if it may be told now.
func (n *Notifier) send(now time.Time) (Notify, bool) {
	if n.ending == "" && !now.Before(n.until) {
		n.ending, n.retry = TimedOut, now
		if n.phase == stuck {
			n.phase = over
		}
	}
	if n.phase != idle || !n.dirty && n.ending == "" || now.Before(n.retry) {
		return Notify{}, false
	}
	n.phase, n.dirty, n.out = sending, false, now
	if n.ending != "" {
		n.last = true
		return Notify{State{Value: Terminated, Reason: n.ending}, n.ending == TimedOut}, true
	}
	return Notify{State{Value: Active, Expires: n.until.Sub(now)}, true}, true
}
