package systems

import (
	"strings"
	"time"

	"linekeeper/appliance/lab/cloud"
	"linekeeper/appliance/lab/phone"
	"linekeeper/appliance/lab/tone"
	"linekeeper/appliance/lab/ua"
)

// out is a call to the outside and what must be seen of it there.
type out struct {
	from    *phone.Phone
	dials   string // as the user does
	number  string // as the cloud must be asked
	shows   string // as the called party sees; empty: withheld
	screens bool   // the cloud put the account's own number in place
	secure  bool   // speech is encrypted toward the cloud
	hold    bool   // the caller holds and takes back
}

// calls lets a phone call outside, both hear each other, and the phone hang up.
func (s *scene) calls(o out) {
	s.Helper()
	ctx := s.within(longest)
	a, err := o.from.Dial(ctx, strings.ReplaceAll(o.dials, " ", ""))
	s.must(err, "dial %s", o.dials)
	b, err := s.cloud.Arrived(ctx, o.number)
	if err != nil {
		s.Fatalf("%s: %v; the phone's call: %+v, breaches %q", o.dials, err, a.View(), s.cloud.Breaches())
	}
	if got := b.Called(); got != o.number {
		s.Errorf("%s reaches the cloud as %s, want %s", o.dials, got, o.number)
	}
	if got := s.cloud.Caller(b); got.Number != o.shows || got.Screened != o.screens {
		s.Errorf("%s: the called party sees %+v, want %q, screened %v", o.dials, got, o.shows, o.screens)
	}
	s.must(a.WaitState(ctx, ua.Talking), "%s is answered", o.dials)
	s.hear(a, o.from.Tone(), b, outsideTone)
	deal, ok := b.Voice().Deal()
	if !ok || (deal.Out != nil) != o.secure || deal.Law != tone.A {
		s.Errorf("%s: media agreed as %+v, want A-law, encrypted %v", o.dials, deal, o.secure)
	}
	if o.hold {
		s.must(a.Hold(ctx), "hold")
		s.must(b.WaitHeld(ctx, true), "the far end is held")
		s.must(a.Resume(ctx), "resume")
		s.must(b.WaitHeld(ctx, false), "the far end is taken back")
		s.hear(a, o.from.Tone(), b, outsideTone)
	}
	s.must(a.Hangup(ctx), "the phone hangs up")
	s.must(b.WaitState(ctx, ua.Ended), "the far end is told")
	if st := b.Stats(); st.Broken > 0 || o.secure && st.Bare > 0 {
		s.Errorf("%s: the cloud received %+v", o.dials, st)
	}
}

// hear wants each end to hear the other.
func (s *scene) hear(a *ua.Call, aTone float64, b *ua.Call, bTone float64) {
	s.Helper()
	ctx := s.within(longest)
	s.must(a.Heard(ctx, bTone, heardFor), "one end hears %v Hz", bTone)
	s.must(b.Heard(ctx, aTone, heardFor), "the other end hears %v Hz", aTone)
}

// comes lets the cloud call an account; from is what From has, asserted what the
// network vouches for, shown what the phone must have on its display.
func (s *scene) comes(to *phone.Phone, account, from, asserted, shown string) {
	s.Helper()
	ctx := s.within(longest)
	a, err := s.cloud.CallWith(ctx, account, from, callerTone, map[string]string{"P-Asserted-Identity": "<sip:" + asserted + "@cloud.example>"})
	s.must(err, "the cloud calls %s", account)
	b, err := to.Incoming(ctx)
	s.must(err, "the phone rings")
	if b.Peer() != shown {
		s.Errorf("a call from %s (network: %s) is shown as %s, want %s", from, asserted, b.Peer(), shown)
	}
	s.must(a.WaitState(ctx, ua.Talking), "the phone answers")
	s.hear(a, callerTone, b, to.Tone())
	s.must(a.Hangup(ctx), "the caller hangs up")
	s.must(b.WaitState(ctx, ua.Ended), "the phone is told")
}

// inside lets two phones talk without a word to the cloud.
func (s *scene) inside(a, b *phone.Phone) {
	s.Helper()
	ctx := s.within(longest)
	before := s.cloud.Stats().Calls
	x, err := a.Dial(ctx, b.Extension())
	s.must(err, "dial %s", b.Extension())
	y, err := b.Incoming(ctx)
	s.must(err, "%s rings", b.Extension())
	s.must(x.WaitState(ctx, ua.Talking), "%s answers", b.Extension())
	if y.Peer() != a.Extension() {
		s.Errorf("%s shows %s, want %s", b.Extension(), y.Peer(), a.Extension())
	}
	s.hear(x, a.Tone(), y, b.Tone())
	s.must(x.Hangup(ctx), "hang up")
	s.must(y.WaitState(ctx, ua.Ended), "the other is told")
	if after := s.cloud.Stats().Calls; after != before {
		s.Errorf("the cloud saw %d calls of an internal one", after-before)
	}
}

// code lets a phone dial a star code that the cloud must get as want.
func (s *scene) code(p *phone.Phone, account, dials, want string) {
	s.Helper()
	ctx := s.within(longest)
	a, err := p.Dial(ctx, strings.ReplaceAll(dials, "#", "%23"))
	s.must(err, "dial %s", dials)
	s.must(s.cloud.WaitCode(ctx, cloud.Code{Account: account, Text: want}), "the cloud takes %s", dials)
	s.must(a.WaitState(ctx, ua.Talking), "%s is confirmed", dials)
	s.must(a.Hangup(ctx), "hang up")
}

// refused wants a call to end with a code.
func (s *scene) refused(p *phone.Phone, dials string, code int) {
	s.Helper()
	ctx := s.within(longest)
	a, err := p.Dial(ctx, dials)
	s.must(err, "dial %s", dials)
	s.must(a.WaitState(ctx, ua.Ended), "%s ends", dials)
	if got := a.View().End.Code; got != code {
		s.Errorf("%s: %d, want %d", dials, got, code)
	}
}

// paced wants the lines to have registered so far apart on average.
func (s *scene) paced(spacing time.Duration) {
	s.Helper()
	first := map[string]time.Time{}
	var begin, end time.Time
	for _, r := range s.cloud.Registrations() {
		if _, seen := first[r.Account]; !seen && r.Code == 200 {
			first[r.Account] = r.At
			end = r.At
			if begin.IsZero() {
				begin = r.At
			}
		}
	}
	if gaps := time.Duration(len(first) - 1); end.Sub(begin) < gaps*spacing*9/10 {
		s.Errorf("%d lines registered within %s, want %s between them", len(first), end.Sub(begin), spacing)
	}
}

// leaves takes the last extension, whose line of the document has mark in it,
// out of the site: its account unregisters.
func (s *scene) leaves(account, mark string) {
	s.Helper()
	for line := range strings.Lines(s.text) {
		if strings.Contains(line, mark) {
			s.becomes(line, "")
			s.must(s.cloud.WaitUnregistered(s.within(longest), account), "account %s unregisters", account)
			return
		}
	}
	s.Fatalf("%q is in no line of the document", mark)
}
