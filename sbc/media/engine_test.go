package media

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"linekeeper/sbc/sdp"
	"linekeeper/sbc/sound"
)

func TestSocketsAreMarked(t *testing.T) {
	e := engine(t, Config{DSCP: 46})
	s := open(t, e, "wan")
	for _, fd := range []int{s.pair.rtp, s.pair.rtcp} {
		tos, err := unix.GetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_TOS)
		if err != nil || tos != 46<<2 {
			t.Errorf("TOS %#x, %v", tos, err)
		}
		prio, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PRIORITY)
		if err != nil || prio != voicePriority {
			t.Errorf("priority %d, %v", prio, err)
		}
	}
}

func TestSixToFourRelay(t *testing.T) {
	e := engine(t, Config{DSCP: 46})
	side := Side{Leg: "wan", Addr: netip.MustParseAddr("::1"), Low: 21000, High: 29999}
	six, peer := mustOpen(t, e, side), mustOpen(t, e, side) // the peer is a stream too: both sides speak IPv6
	four := open(t, e, "lan")
	p := newPhone(t, 7)
	p.to = four.Local()
	set(t, four, p.flow())
	set(t, six, sdp.Flow{Remote: peer.Local(), Send: true, Recv: true, Formats: pcma()})
	set(t, peer, sdp.Flow{Remote: six.Local(), Send: true, Recv: true, Formats: pcma()})
	e.Bridge(four, six)
	p.say("over six")
	eventually(t, "arrived over IPv6", func() bool { return peer.Stats().In.Packets == 1 })
	peer.Play(sound.TonesOf("DE").Dial())
	if h, _ := p.hear(); h.Payload != 8 {
		t.Errorf("tone back: %+v", h)
	}
}

func mustOpen(t *testing.T, e *Engine, side Side) *Stream {
	t.Helper()
	s, err := e.Open(side)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestEndedEngineRefusesAndHoldsNothing(t *testing.T) {
	e, err := New(Config{Rest: -1, Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	side := Side{Addr: lo, Low: 21000, High: 29999}
	s := mustOpen(t, e, side) // before Run is fine
	if err := e.Run(ctx, cancel); err != nil {
		t.Fatal(err)
	}
	if e.Totals().Streams != 0 {
		t.Error("a stream outlived its engine")
	}
	if err := s.Set(sdp.Flow{}); !errors.Is(err, ErrClosed) {
		t.Errorf("set: %v", err)
	}
	if _, err := e.Open(side); !errors.Is(err, ErrClosed) {
		t.Errorf("open: %v", err)
	}
	s.Unbridge()
	s.Close()
}

func TestKeyOfWrongLengthIsRefused(t *testing.T) {
	e := engine(t, Config{})
	s := open(t, e, "lan")
	if err := s.Set(sdp.Flow{Out: &sdp.Key{Suite: sdp.AES128GCM, Material: make([]byte, 30)}}); err == nil {
		t.Error("accepted")
	}
}
