package sbc

import (
	"context"
	"errors"
	"time"

	"linekeeper/sbc/call"
)

// Calls lists the calls that are up.
func (s *Switch) Calls() []CallView {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]CallView, 0, len(s.calls))
	for _, o := range s.calls {
		if v := o.view.Load(); v.End == nil {
			out = append(out, o.live(*v))
		}
	}
	return out
}

// live adds to a call's view what its media says at this moment.
func (o *owner) live(v CallView) CallView {
	list := o.ports.Load()
	if list == nil || len(*list) != 2 {
		return v
	}
	a, b := (*list)[0], (*list)[1]
	v.Media = &CallReport{A: a.stream.Stats(), B: b.stream.Stats()}
	v.Codec = b.codec
	v.LANSecure = a.secure && lanSide(a.side) || b.secure && lanSide(b.side)
	v.CloudSecure = a.secure && !lanSide(a.side) || b.secure && !lanSide(b.side)
	return v
}

// CallsUp counts calls by their way, for the metrics.
func (s *Switch) CallsUp() map[call.Way]int {
	out := map[call.Way]int{}
	for _, v := range s.Calls() {
		out[v.Way]++
	}
	return out
}

const (
	// drainPace is how often Drain looks, drainSay how often it tells.
	drainPace = 200 * time.Millisecond
	drainSay  = 5 * time.Second
	// lastWords is how long the BYEs of calls that have ended are waited for.
	lastWords = 2 * time.Second
)

// Drain refuses new calls with 503 and waits until the last one has ended and
// its peers know, or ctx ends; every few seconds say is told how many remain.
func (s *Switch) Drain(ctx context.Context, say func(left int)) {
	s.mu.Lock()
	s.drain = true
	s.mu.Unlock()
	tick := time.NewTicker(drainPace)
	defer tick.Stop()
	for i := 0; ; i++ {
		left := len(s.Calls())
		if left == 0 {
			break
		}
		if i%int(drainSay/drainPace) == 0 {
			say(left)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
	for i := 0; i < int(lastWords/drainPace) && s.AtWork() > 0; i++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// AtWork counts the calls that have an owner, those included that have ended
// and still say so to their peers.
func (s *Switch) AtWork() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls)
}

// Check proves that the call engine answers: its table can be had before ctx
// ends. The watchdog asks it.
func (s *Switch) Check(ctx context.Context) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !s.mu.TryLock() {
		select {
		case <-ctx.Done():
			return errors.New("the call engine doesn't answer")
		case <-tick.C:
		}
	}
	s.mu.Unlock()
	if !s.ready.Load() {
		return errors.New("the switchboard isn't serving")
	}
	return nil
}
