package demo

import (
	"context"
	"fmt"
	"time"

	"linekeeper/appliance/api"
	"linekeeper/appliance/lab/ua"
)

// heardFor is how long a tone must last to count as heard.
const heardFor = 300 * time.Millisecond

// pair is a call seen from both its ends.
type pair struct {
	a, b         *ua.Call
	aTone, bTone float64 // what each end sends
}

// heard waits until each end hears the other.
func (p pair) heard(ctx context.Context) error {
	if err := p.a.Heard(ctx, p.bTone, heardFor); err != nil {
		return fmt.Errorf("the caller: %w", err)
	}
	if err := p.b.Heard(ctx, p.aTone, heardFor); err != nil {
		return fmt.Errorf("the callee: %w", err)
	}
	return nil
}

// lost is how many RTP packets have not reached the ends.
func (p pair) lost() uint64 { return p.a.Stats().Lost + p.b.Stats().Lost }

// day plays every step; the first that fails ends it.
func (w *world) day(ctx context.Context) error {
	var kept, external pair
	steps := []struct {
		name string
		do   func(context.Context, *step)
	}{
		{"phones register at the box", w.register},
		{"lines register at the cloud, mode online", w.linesUp},
		{"internal call 22 -> 23", w.internal},
		{"hold and resume", w.hold},
		{"call to the outside world over SRTP", w.outbound},
		{"call from the outside world", w.inbound},
		{"busy, unknown number, caller gives up", w.refusals},
		{"two calls are up, the line is cut", func(ctx context.Context, s *step) { kept, external = w.cut(ctx, s) }},
		{"calls dialled in survival", w.survival},
		{"the line is back", func(ctx context.Context, s *step) { w.back(ctx, s, kept, external) }},
		{"calls after the return", w.outbound},
		{"call records", w.records},
	}
	for _, st := range steps {
		within, cancel := context.WithTimeout(ctx, 25*time.Second)
		err := w.out.step(st.name, func(s *step) { st.do(within, s) })
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *world) register(ctx context.Context, s *step) {
	for _, p := range staff() {
		if !s.must(w.phones[p.number].Register(ctx), "phone %s registered", p.number) {
			return
		}
	}
	st, err := w.api.Status(ctx)
	s.check(err == nil && st.Extensions.Registered == len(staff()), "status shows %d extensions registered", len(staff()))
}

func (w *world) linesUp(ctx context.Context, s *step) {
	st, err := w.status(ctx, func(st api.Status) bool { return st.Mode == "online" && st.Lines.Registered == len(staff()) })
	s.must(err, "status: mode online, %d of %d lines registered", st.Lines.Registered, st.Lines.Total)
}

// status polls until ok.
func (w *world) status(ctx context.Context, ok func(api.Status) bool) (api.Status, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		st, err := w.api.Status(ctx)
		if err == nil && ok(st) {
			return st, nil
		}
		select {
		case <-ctx.Done():
			return st, fmt.Errorf("mode %s (%s), %d of %d lines: %w", st.Mode, st.Cause, st.Lines.Registered, st.Lines.Total, ctx.Err())
		case <-tick.C:
		}
	}
}

// connect lets one phone call another and waits until both talk.
func (w *world) connect(ctx context.Context, from, to string) (pair, error) {
	caller, callee := w.phones[from], w.phones[to]
	a, err := caller.Dial(ctx, to)
	if err != nil {
		return pair{}, err
	}
	b, err := callee.Incoming(ctx)
	if err != nil {
		return pair{}, fmt.Errorf("phone %s did not ring: %w", to, err)
	}
	p := pair{a, b, caller.Tone(), callee.Tone()}
	return p, a.WaitState(ctx, ua.Talking)
}

func (w *world) internal(ctx context.Context, s *step) {
	p, err := w.connect(ctx, "22", "23")
	if !s.must(err, "23 rang and answered") {
		return
	}
	s.must(p.heard(ctx), "tone heard at both ends")
	s.must(p.a.Hangup(ctx), "22 hung up")
	s.must(p.b.WaitState(ctx, ua.Ended), "23 was told")
	s.check(p.lost() == 0, "no RTP packet lost (%d and %d received)", p.a.Stats().Received, p.b.Stats().Received)
}

func (w *world) hold(ctx context.Context, s *step) {
	p, err := w.connect(ctx, "24", "25")
	if !s.must(err, "25 rang and answered") {
		return
	}
	s.must(p.heard(ctx), "tone heard at both ends")
	s.must(p.a.Hold(ctx), "24 put 25 on hold")
	s.must(p.b.WaitHeld(ctx, true), "25 is on hold")
	s.must(p.a.Resume(ctx), "24 resumed")
	s.must(p.b.WaitHeld(ctx, false), "25 is talking again")
	s.must(p.heard(ctx), "tone heard at both ends again")
	s.must(p.b.Hangup(ctx), "25 hung up")
	s.must(p.a.WaitState(ctx, ua.Ended), "24 was told")
}

// dialOut calls the outside subscriber.
func (w *world) dialOut(ctx context.Context, from string) (pair, error) {
	p := w.phones[from]
	a, err := p.Dial(ctx, "089555100")
	if err != nil {
		return pair{}, err
	}
	b, err := w.cloud.Arrived(ctx, outside)
	if err != nil {
		return pair{}, fmt.Errorf("the call did not reach the cloud: %w", err)
	}
	return pair{a, b, p.Tone(), outsideTone}, a.WaitState(ctx, ua.Talking)
}

func (w *world) outbound(ctx context.Context, s *step) {
	p, err := w.dialOut(ctx, "22")
	if !s.must(err, "089555100 reached the outside as %s and was answered", outside) {
		return
	}
	s.must(p.heard(ctx), "tone heard at both ends")
	st := p.b.Stats()
	s.check(st.Bare == 0 && st.Broken == 0, "cloud leg: %d SRTP packets, 0 in the clear, 0 undecryptable", st.Received)
	s.must(p.a.Hangup(ctx), "22 hung up")
	s.must(p.b.WaitState(ctx, ua.Ended), "the outside was told")
}

func (w *world) inbound(ctx context.Context, s *step) {
	a, err := w.cloud.Call(ctx, "23", "+4989555200", cloudTone)
	if !s.must(err, "the cloud calls account 23") {
		return
	}
	b, err := w.phones["23"].Incoming(ctx)
	if !s.must(err, "phone 23 rang") {
		return
	}
	s.check(b.Peer() == "089555200" || b.Peer() == "+4989555200", "the display shows %s", b.Peer())
	p := pair{a, b, cloudTone, w.phones["23"].Tone()}
	s.must(a.WaitState(ctx, ua.Talking), "phone 23 answered")
	s.must(p.heard(ctx), "tone heard at both ends")
	s.must(a.Hangup(ctx), "the outside hung up")
	s.must(b.WaitState(ctx, ua.Ended), "phone 23 was told")
}

func (w *world) refusals(ctx context.Context, s *step) {
	a, err := w.phones["22"].Dial(ctx, "99")
	if s.must(err, "22 dials 99, which nobody has") {
		_ = a.WaitState(ctx, ua.Ended)
		s.check(a.View().End.Code == 404, "answer: %d", a.View().End.Code)
	}
	s.must(w.busy(ctx), "22 dials 24, which is busy: 486")
	s.must(w.giveUp(ctx), "22 dials 25 and gives up while it rings: 25 stops ringing")
}
