package e2e

import (
	"strings"
	"testing"
	"time"
)

// wideband is how a baresip knows G.722.
const wideband = "G722/16000/1"

// TestSidesWithoutCommonCodecHearEachOther lets phones that know G.722 alone, or want
// 30 ms in a packet, talk to the cloud's A-law by SRTP and to each other.
func TestSidesWithoutCommonCodecHearEachOther(t *testing.T) {
	town, box, far := office(t, 2, Site{Lines: 2})
	wide := town.Phone(t, 0, hzNear, func(a *Account) { a.Codecs = wideband })
	slow := town.Phone(t, 1, hzDesk, func(a *Account) { a.Codecs, a.Ptime = "pcmu", 30 })
	for _, c := range []struct {
		from, to *Baresip
		number   string
	}{{wide, far, farNumber}, {far, wide, "+498912345622"}, {wide, slow, "23"}, {slow, wide, "22"}} {
		dial(t, c.from, c.to, c.number)
		from, to := c.from.Listen(t), c.to.Listen(t)
		hears(t, from, c.to.account.Hz)
		hears(t, to, c.from.account.Hz)
		part(t, c.from, c.to)
		box.AwaitIdle(t)
	}
}

// TestOpusIsPassedAndRefusedWhereNobodyKnowsIt lets two phones speak Opus to each other,
// which the box cannot convert, and one of them dial the cloud, whose list lacks it.
func TestOpusIsPassedAndRefusedWhereNobodyKnowsIt(t *testing.T) {
	town, box, _ := office(t, 2, Site{Lines: 2})
	opus := func(a *Account) { a.Codecs = "opus/48000/2" }
	a, b := town.Phone(t, 0, hzNear, opus), town.Phone(t, 1, hzDesk, opus)
	talk(t, a, b, "23")
	b.Hold(t)
	b.Resume(t)
	part(t, a, b)
	box.AwaitIdle(t)
	a.Dial(t, farNumber)
	if e := a.Await(t, "CALL_CLOSED", 10*time.Second); !strings.Contains(e.Param, "488") {
		t.Errorf("toward the cloud: closed with %q", e.Param)
	}
	box.AwaitIdle(t)
}

// TestKeyPressesGoAcross lets a phone and the far party press keys by telephone-event:
// each learns of all, in order, and of none twice.
func TestKeyPressesGoAcross(t *testing.T) {
	town, box, far := office(t, 1, Site{Lines: 1})
	phone := town.Phone(t, 0, hzNear)
	dial(t, phone, far, farNumber)
	const keys = "159#0*3377"
	for _, x := range [2][2]*Baresip{{phone, far}, {far, phone}} {
		x[0].do(t, "sndcode", keys)
		x[1].presses(t, keys)
	}
	part(t, phone, far)
	for _, b := range []*Baresip{phone, far} {
		if n := b.count("CALL_DTMF_START"); n != len(keys) {
			t.Errorf("%s heard %d keys, not %d", b.name, n, len(keys))
		}
	}
	box.AwaitIdle(t)
}

// TestKeyPressByINFOReachesWhoAgreedOnEvents lets a SIPp phone press keys by INFO; the
// baresip that it talks to has agreed on telephone-event.
func TestKeyPressByINFOReachesWhoAgreedOnEvents(t *testing.T) {
	town, box, _ := office(t, 2, Site{Lines: 2})
	other := town.Phone(t, 1, hzDesk)
	desk := town.Phones[0]
	registerOne(t, desk, firstExtension, desk.addr.String()+":5070", boxLAN+":5060")
	lan := town.Box.Capture(t, "lan0")
	caller := desk.Play(t, "caller", desk.addr.String()+":5072", boxLAN+":5060", false, func(s *Script) {
		s.Dial("22", "23", sdp("sendrecv"))
		s.Recv("180")
		s.Recv("200")
		s.Ack()
		for _, key := range []string{"5", "11"} {
			s.Ask("INFO", carries("application/dtmf-relay", "Signal="+key, "Duration=160"))
			s.Recv("200", has("CSeq", "INFO"))
		}
		s.Pause(2 * time.Second)
		s.Ask("BYE")
		s.Recv("200")
	})
	other.Await(t, "CALL_INCOMING", 10*time.Second)
	other.Answer(t)
	other.presses(t, "5#")
	caller.Succeeds(t, 20*time.Second)
	box.AwaitIdle(t)
	if n := other.count("CALL_DTMF_START"); n != 2 {
		t.Errorf("%d keys were heard", n)
	}
	for _, p := range lan.Packets(t) {
		if p.To.Addr() == town.Phones[1].addr && strings.HasPrefix(p.SIP(), "INFO") {
			t.Error("INFO went to a phone that knows better")
		}
	}
}

// presses waits until a phone has heard keys.
func (b *Baresip) presses(t *testing.T, keys string) {
	t.Helper()
	got := ""
	for range keys {
		got += b.Await(t, "CALL_DTMF_START", 10*time.Second).Param
	}
	if got != keys {
		t.Errorf("%s heard %q of %q", b.name, got, keys)
	}
}

// count says how many events of a type have come.
func (b *Baresip) count(kind string) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.events {
		if e.Type == kind {
			n++
		}
	}
	return n
}
