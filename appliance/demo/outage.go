package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"linekeeper/appliance/api"
	"linekeeper/appliance/lab/cloud"
	"linekeeper/appliance/lab/phone"
	"linekeeper/appliance/lab/ua"
)

// busy lets 22 dial 24, which says that it is busy.
func (w *world) busy(ctx context.Context) error {
	w.phones["24"].SetAnswer(phone.Answer{Mode: phone.Busy})
	defer w.phones["24"].SetAnswer(accept())
	a, err := w.phones["22"].Dial(ctx, "24")
	if err != nil {
		return err
	}
	_ = a.WaitState(ctx, ua.Ended)
	if code := a.View().End.Code; code != 486 {
		return fmt.Errorf("the answer was %d", code)
	}
	return nil
}

func accept() phone.Answer {
	return phone.Answer{Mode: phone.Accept, After: 150 * time.Millisecond}
}

// giveUp lets 22 dial 25 and cancel while it rings.
func (w *world) giveUp(ctx context.Context) error {
	w.phones["25"].SetAnswer(phone.Answer{Mode: phone.Ring})
	defer w.phones["25"].SetAnswer(accept())
	a, err := w.phones["22"].Dial(ctx, "25")
	if err != nil {
		return err
	}
	b, err := w.phones["25"].Incoming(ctx)
	if err != nil {
		return err
	}
	if err := a.WaitState(ctx, ua.Ringing); err != nil {
		return err
	}
	if err := a.Hangup(ctx); err != nil {
		return err
	}
	return b.WaitState(ctx, ua.Ended)
}

// cut black-holes the cloud while an internal and an external call are up.
func (w *world) cut(ctx context.Context, s *step) (kept, external pair) {
	kept, err := w.connect(ctx, "22", "23")
	if !s.must(err, "22 talks with 23") {
		return kept, external
	}
	s.must(kept.heard(ctx), "tone heard at both ends")
	external, err = w.dialOut(ctx, "24")
	if !s.must(err, "24 talks with the outside") {
		return kept, external
	}
	s.must(external.heard(ctx), "tone heard at both ends")
	messages := w.phones["22"].Messages() + w.phones["23"].Messages()
	began := time.Now()
	s.must(w.cloud.SetFault(cloud.Fault{Silent: true}), "the cloud is cut off: nothing passes, nothing is closed")
	st, err := w.status(ctx, func(st api.Status) bool { return st.Mode == "survival" })
	took := time.Since(began)
	s.must(err, "mode survival after %s: %s", took.Round(10*time.Millisecond), st.Cause)
	s.check(took < 5*time.Second, "found within 5 s")
	s.check(st.Cause != "", "the cause is named")
	w.listen(ctx, kept)
	s.must(kept.heard(ctx), "22 and 23 still hear each other")
	s.check(kept.lost() == 0, "0 RTP packets lost on the internal call")
	s.check(w.phones["22"].Messages()+w.phones["23"].Messages() == messages, "no SIP message went to the phones of the internal call")
	return kept, external
}

// listen lets some more speech pass.
func (w *world) listen(ctx context.Context, p pair) {
	for want := p.a.Stats().Received + 50; p.a.Stats().Received < want && ctx.Err() == nil; {
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// survival dials while the cloud is away.
func (w *world) survival(ctx context.Context, s *step) {
	began := time.Now()
	a, err := w.phones["25"].Dial(ctx, "22")
	if err == nil {
		err = a.WaitState(ctx, ua.Ringing)
	}
	rang := time.Since(began)
	s.must(err, "25 dials 22: it rings after %s", rang.Round(time.Millisecond))
	s.check(rang < 3*time.Second, "within 3 s")
	b, err := w.phones["22"].Incoming(ctx)
	if !s.must(err, "22 rings though it is talking") {
		return
	}
	p := pair{a, b, w.phones["25"].Tone(), w.phones["22"].Tone()}
	s.must(a.WaitState(ctx, ua.Talking), "22 answered")
	s.must(p.heard(ctx), "tone heard at both ends")
	s.must(a.Hangup(ctx), "25 hung up")
	out, err := w.phones["25"].Dial(ctx, "089555100")
	if s.must(err, "25 dials the outside world") {
		_ = out.WaitState(ctx, ua.Ended)
		s.check(out.View().End.Code == 503, "answer: %d %s", out.View().End.Code, out.View().End.Reason)
	}
}

// back lets the line return under the running calls.
func (w *world) back(ctx context.Context, s *step, kept, external pair) {
	began := time.Now()
	s.must(w.cloud.SetFault(cloud.Fault{}), "the cloud is there again")
	st, err := w.status(ctx, func(st api.Status) bool { return st.Mode == "online" && st.Lines.Registered == len(staff()) })
	s.must(err, "mode online, %d lines registered after %s", st.Lines.Registered, time.Since(began).Round(10*time.Millisecond))
	s.must(kept.heard(ctx), "22 and 23 still hear each other")
	s.check(kept.lost() == 0, "0 RTP packets lost on the internal call through it all (%d and %d received)", kept.a.Stats().Received, kept.b.Stats().Received)
	s.must(external.heard(ctx), "24 and the outside hear each other again")
	s.must(errors.Join(external.a.Hangup(ctx), external.b.WaitState(ctx, ua.Ended)), "24 hung up, the outside was told")
	s.must(errors.Join(kept.a.Hangup(ctx), kept.b.WaitState(ctx, ua.Ended)), "22 hung up, 23 was told")
	for _, p := range staff() {
		_, _, renewals, failure := w.phones[p.number].Registration()
		s.check(renewals == 1 && failure == nil, "phone %s never had to register again", p.number)
	}
}
