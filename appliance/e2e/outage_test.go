package e2e

import (
	"strings"
	"testing"
	"time"
)

// TestCallsOutliveTheLine cuts the line during an internal and an external
// call. The internal one loses no packet and no phone hears a word of SIP;
// the status says so in a sentence; what is dialled into the gap rings; the
// return of the line drops nothing.
func TestCallsOutliveTheLine(t *testing.T) {
	town, box, far := office(t, 5, Site{Lines: 10})
	a, b, c := town.Phone(t, 0, hzNear), town.Phone(t, 1, hzDesk), town.Phone(t, 2, 1100)
	d, e := town.Phone(t, 3, 1300), town.Phone(t, 4, 1500)
	talk(t, a, b, "23")
	talk(t, c, far, farNumber)
	lan := town.Box.Capture(t, "lan0")

	cut := time.Now()
	town.CutLine()
	pass(time.Until(cut.Add(500 * time.Millisecond)))
	dialled := time.Now()
	d.Dial(t, "26")
	e.Await(t, "CALL_INCOMING", 5*time.Second)
	if took := time.Since(dialled); took > 3*time.Second {
		t.Errorf("a call dialled 0.5 s after the cut rang after %v, the limit is 3 s", took)
	}
	t.Logf("survival %v after the cut, with calls in progress", box.AwaitSurvival(t, cut, 5*time.Second))
	e.Answer(t)
	d.Await(t, "CALL_ESTABLISHED", 5*time.Second)
	bothHear(t, d, e)
	bothHear(t, a, b)
	pass(time.Until(cut.Add(10 * time.Second)))

	mend := time.Now()
	town.MendLine()
	box.AwaitOnline(t, 15*time.Second)
	t.Logf("online with 10 lines %v after the return", time.Since(mend))
	bothHear(t, a, b)
	bothHear(t, d, e)
	bothHear(t, c, far)
	back := time.Now()
	if n := box.Status(t).Calls.Active; n != 3 {
		t.Errorf("%d calls are active after the return, want all 3", n)
	}
	packets := lan.Packets(t)
	part(t, a, b)
	part(t, d, e)
	part(t, c, far)
	box.AwaitIdle(t)
	talk(t, far, a, "+498912345622")
	part(t, far, a)

	for _, phone := range []*Baresip{a, b} {
		nothingLost(t, packets, phone.account.Addr, 10*time.Second)
	}
	for _, phone := range []*Baresip{a, b, c} {
		notDisturbed(t, packets, phone.account.Addr, cut, back)
	}
}

// nothingLost wants one stream to and one from the phone, of some length,
// without a gap.
func nothingLost(t *testing.T, packets []Packet, phone string, length time.Duration) {
	t.Helper()
	for _, way := range [][2]string{{boxLAN, phone}, {phone, boxLAN}} {
		all := streams(packets, way[0], way[1])
		if len(all) != 1 {
			t.Errorf("%d RTP streams from %s to %s, want 1", len(all), way[0], way[1])
		}
		for _, stream := range all {
			if n := lost(stream); n != 0 {
				t.Errorf("%d RTP packets of %d are missing from %s to %s", n, len(stream), way[0], way[1])
			}
			if span := stream[len(stream)-1].At.Sub(stream[0].At); span < length {
				t.Errorf("RTP from %s to %s spans only %v", way[0], way[1], span)
			}
		}
	}
}

// notDisturbed wants no SIP from the box to a phone in a time, save answers
// to registrations that the phone itself refreshed.
func notDisturbed(t *testing.T, packets []Packet, phone string, from, to time.Time) {
	t.Helper()
	for _, p := range packets {
		if p.From.Addr().String() != boxLAN || p.To.Addr().String() != phone || p.At.Before(from) || p.At.After(to) {
			continue
		}
		line := p.SIP()
		if line == "" || strings.HasPrefix(line, "SIP/2.0") && strings.HasSuffix(p.CSeq(), "REGISTER") {
			continue
		}
		t.Errorf("%v after the cut the box said %q (%s) to %s", p.At.Sub(from), line, p.CSeq(), phone)
	}
}

// TestDialledIntoTheGapWhenInternalCallsGoThroughTheCloud is the detection
// gap: nobody has noticed yet, the cloud answers nothing, the call goes on
// inside.
func TestDialledIntoTheGapWhenInternalCallsGoThroughTheCloud(t *testing.T) {
	town, box, _ := office(t, 2, Site{Lines: 2, Internal: "cloud"})
	a, b := town.Phone(t, 0, hzNear), town.Phone(t, 1, hzDesk)
	cut := time.Now()
	town.CutLine()
	pass(time.Until(cut.Add(500 * time.Millisecond)))
	dialled := time.Now()
	a.Dial(t, "23")
	b.Await(t, "CALL_INCOMING", 5*time.Second)
	if took := time.Since(dialled); took > 3*time.Second {
		t.Errorf("it rang after %v, the limit is 3 s", took)
	}
	b.Answer(t)
	a.Await(t, "CALL_ESTABLISHED", 5*time.Second)
	bothHear(t, a, b)
	t.Logf("survival %v after the cut, with a call dialled", box.AwaitSurvival(t, cut, 5*time.Second))
	part(t, a, b)
}

// TestTheLineIsMissedInSilence cuts while nobody calls.
func TestTheLineIsMissedInSilence(t *testing.T) {
	town, box, far := office(t, 1, Site{Lines: 10})
	a := town.Phone(t, 0, hzNear)
	cut := time.Now()
	town.CutLine()
	t.Logf("survival %v after the cut, in silence", box.AwaitSurvival(t, cut, 35*time.Second))

	// An external call in survival is refused at once, not left hanging.
	a.Dial(t, farNumber)
	if e := a.Await(t, "CALL_CLOSED", 3*time.Second); !strings.Contains(e.Param, "503") {
		t.Errorf("an external call in survival closed with %q, want 503", e.Param)
	}

	mend := time.Now()
	town.MendLine()
	box.AwaitOnline(t, 15*time.Second)
	t.Logf("online with 10 lines %v after the return", time.Since(mend))
	if cause := box.Status(t).Cause; cause != "" {
		t.Errorf("online, but the cause is still %q", cause)
	}
	talk(t, a, far, farNumber)
	part(t, a, far)
}

// TestPowerCutForgetsNobody kills the daemon without warning while 20 phones
// are registered. It is ready again in under a second, and an inbound call
// reaches a phone that did not register anew.
func TestPowerCutForgetsNobody(t *testing.T) {
	const phones = 20
	town, box, far := office(t, 1, Site{Lines: phones})
	desk := town.Phones[0]
	at := desk.addr.String() + ":5070"
	registerAll(t, desk, phones, at, boxLAN+":5060")
	box.AwaitStatus(t, 5*time.Second, "all phones are registered", func(s Status) bool { return s.Extensions.Registered == phones })
	pass(time.Second) // bindings are written behind; a second is what a power cut may cost

	box.Kill()
	if took := box.Up(t); took > time.Second {
		t.Errorf("ready after %v, the limit is 1 s", took)
	} else {
		t.Logf("ready after %v", took)
	}
	if s := box.Status(t); s.Extensions.Registered != phones {
		t.Errorf("%d of %d phones are known after the restart", s.Extensions.Registered, phones)
	}
	box.AwaitOnline(t, 30*time.Second)
	callee := desk.SIPp(t, "answers", at, "-m", "1")
	far.Dial(t, "+498912345635")
	far.Await(t, "CALL_ESTABLISHED", 5*time.Second)
	hears(t, far.Listen(t), hzFar) // the phone is an echo
	far.Hangup(t)
	callee.Succeeds(t, 5*time.Second)
}
