package sbc

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"

	"linekeeper/sbc/call"
	"linekeeper/sbc/media"
	"linekeeper/sbc/sdp"
	"linekeeper/sbc/sip"
)

// TestCallWithoutKeysOrPathEndsWithItsCause tells a call that talks of all that can
// happen to keys and paths: only what leaves it without media is its end.
func TestCallWithoutKeysOrPathEndsWithItsCause(t *testing.T) {
	for _, c := range []struct {
		kind media.EventKind
		ends bool
	}{
		{media.KeysAgreed, false}, {media.PathFound, false}, {media.ConsentLost, false},
		{media.KeysFailed, true}, {media.KeysLate, true}, {media.PathLate, true},
	} {
		inWorld(t, nil, func(t *testing.T, w *world) {
			a, b := w.phone("22", 10), w.phone("23", 20)
			b.registers()
			talk := a.connects("23", b)
			w.media.streams[1].side.Notify(media.Event{Kind: c.kind, Err: errors.New("the peer shows another certificate")})
			synctest.Wait()
			if !c.ends {
				talk.end()
				w.idle()
				return
			}
			a.answers(a.gets(sip.BYE), 200)
			b.answers(b.gets(sip.BYE), 200)
			if v := w.lastEnd(); v.End.Code != 488 || v.End.Blame != call.Unknown || !strings.Contains(v.End.Reason, "no media with the phone: the peer shows another certificate") {
				t.Errorf("%s: ended as %+v", c.kind, v.End)
			}
			w.idle()
		})
	}
}

// TestRingingCallWaitsForItsKeys hears that they are late while it rings: they may
// come with the answer.
func TestRingingCallWaitsForItsKeys(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		a, b := w.phone("22", 10), w.phone("23", 20)
		b.registers()
		invite := a.dials("23")
		rung := b.gets(sip.INVITE)
		b.answers(rung, 180)
		a.hears(180)
		w.media.streams[1].side.Notify(media.Event{Kind: media.KeysLate, Err: errors.New("not begun")})
		synctest.Wait()
		b.answers(rung, 200, "sdp")
		ok := a.hears(200)
		a.acks(invite, ok)
		b.gets(sip.ACK)
		talk{a, b, invite, rung, ok}.end()
		w.idle()
	})
}

// TestWornKeysAreReplacedInTheCall offers a phone new keys by a re-INVITE.
func TestWornKeysAreReplacedInTheCall(t *testing.T) {
	inWorld(t, func(c *Config) {
		side := c.Sides[LAN]
		side.SRTP = sdp.Preferred
		c.Sides[LAN] = side
	}, func(t *testing.T, w *world) {
		a, b := w.phone("22", 10), w.phone("23", 20)
		b.registers()
		talk := a.connects("23", b)
		before := string(talk.rung.Body())
		w.media.streams[1].side.Notify(media.Event{Kind: media.KeysWorn})
		again := b.gets(sip.INVITE)
		was, err := sdp.Parse([]byte(before))
		if err != nil {
			t.Fatal(err)
		}
		now, err := sdp.Parse(again.Body())
		if err != nil {
			t.Fatal(err)
		}
		if k, l := was.Audio().Crypto, now.Audio().Crypto; len(k) == 0 || len(l) != len(k) || k[0].Key.Equal(&l[0].Key) || was.Audio().Port != now.Audio().Port {
			t.Errorf("offered anew:\n%s", again.Body())
		}
		b.answers(again, 200, "sdp")
		b.gets(sip.ACK)
		talk.end()
		w.idle()
	})
}

// TestSideOffersWhatItIsSetTo has a UC server's side with candidates, one of them the
// public address.
func TestSideOffersWhatItIsSetTo(t *testing.T) {
	s := &Switch{public: func() netip.Addr { return netip.MustParseAddr("198.51.100.7") }}
	if a := s.seenAt(MediaSide{ICE: sdp.ICEFull}); a.String() != "198.51.100.7" {
		t.Errorf("a full side shows %v", a)
	}
	if a := s.seenAt(MediaSide{ICE: sdp.ICELite}); a.IsValid() {
		t.Errorf("a lite side shows %v", a)
	}
	// A relayed address is for legs toward the cloud that offer candidates.
	taken := 0
	s.relayed = func() *media.Relayed {
		taken++
		return nil
	}
	for _, c := range []struct {
		side string
		ice  sdp.ICEPolicy
		want int
	}{{"wan", sdp.ICEFull, 1}, {"wan", sdp.ICERequired, 1}, {"wan", sdp.ICEOff, 0}, {LAN, sdp.ICERequired, 0}, {LAN + "/xphone", sdp.ICEFull, 0}} {
		taken = 0
		if r, at := s.relayedFor(c.side, MediaSide{ICE: c.ice}); taken != c.want || r != nil || at.IsValid() {
			t.Errorf("%+v: %d taken, %v", c, taken, at)
		}
	}
}
