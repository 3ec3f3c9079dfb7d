package main

import (
	"net/netip"
	"testing"
	"time"
)

// newTestRig is a call load whose phones call its own cloud directly.
func newTestRig(t *testing.T) *rig {
	t.Helper()
	g, err := newRig(netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.close(); err != nil {
			t.Error(err)
		}
	})
	g.aim(g.far.local, false)
	return g
}

func TestCallLoadCompletesWhatIsAnswered(t *testing.T) {
	g := newTestRig(t)
	ctx := within(t, time.Minute)
	if err := g.register(ctx); err != nil {
		t.Fatal(err)
	}
	if len(g.lines) != phoneCount {
		t.Errorf("%d of %d phones registered", len(g.lines), phoneCount)
	}
	res := g.run(ctx, shape{200, 500 * time.Millisecond, 50 * time.Millisecond})
	if res.Offered != 100 || res.Done != 100 || res.Failed+res.Shed+res.Rude > 0 {
		t.Errorf("of %d calls %d done, %d failed (%s), %d shed", res.Offered, res.Done, res.Failed, res.FirstError, res.Shed)
	}
	if res.Setup.count != 100 || res.Setup.max == 0 {
		t.Errorf("set-up of %d calls was told", res.Setup.count)
	}
}

func TestCallLoadRepeatsAndGivesUpWhereNobodyAnswers(t *testing.T) {
	g := newTestRig(t)
	deaf, err := openPlug(netip.MustParseAddr("127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = deaf.close() }()
	g.aim(deaf.local, false)
	now := time.Now()
	g.call(now, 0)
	for _, step := range []time.Duration{rigT1, 3 * rigT1, 7 * rigT1} {
		g.fire(now.Add(step))
	}
	if g.present.Repeats != 3 {
		t.Errorf("%d repeats after 0.5, 1.5 and 3.5 s", g.present.Repeats)
	}
	g.fire(now.Add(rigPatience))
	if g.present.Failed != 1 || len(g.calls) != 0 {
		t.Errorf("%d failed, %d left", g.present.Failed, len(g.calls))
	}
}

func TestCallLoadTellsKindRefusalsFromRudeOnes(t *testing.T) {
	g := newTestRig(t)
	now := time.Now()
	for _, extra := range []string{"Retry-After: 2\r\n", ""} {
		g.call(now, 0)
		for _, c := range g.calls {
			c.answered(now, 503, answerTo(c.last, "503 Service Unavailable", "x", extra, nil))
		}
	}
	if r := g.present; r.Shed != 1 || r.Rude != 1 || r.Failed != 0 || len(g.calls) != 0 {
		t.Errorf("%d shed, %d rude, %d failed, %d left", r.Shed, r.Rude, r.Failed, len(g.calls))
	}
}

func TestHeaderFieldsAreFoundByNameInOrder(t *testing.T) {
	msg := []byte("SIP/2.0 200 OK\r\nRecord-Route: <sip:a;lr>\r\nVia: x\r\nrecord-route:<sip:b;lr>\r\nContact: \"x\" <sip:c@d>;q=1\r\n\r\nVia: body\r\n")
	if got := fields(msg, "Record-Route"); len(got) != 2 || got[0] != "<sip:a;lr>" || got[1] != "<sip:b;lr>" {
		t.Errorf("record-routes %q", got)
	}
	if got := inBrackets(field(msg, "contact")); got != "sip:c@d" {
		t.Errorf("contact %q", got)
	}
	if got := fields(msg, "Via"); len(got) != 1 {
		t.Errorf("the body counts as head: %q", got)
	}
	if status(msg) != 200 || status([]byte("BYE sip:a SIP/2.0\r\n")) != 0 || method([]byte("BYE sip:a SIP/2.0\r\n")) != "BYE" {
		t.Error("status or method")
	}
}
