package media

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"linekeeper/sbc/sdp"
)

func TestForeignSourceNeverDisturbsACall(t *testing.T) {
	e := engine(t, Config{})
	a, b, la, _ := call(t, e, "", sdp.AES128SHA80)
	a.say("first")
	b.expect("first")
	stranger := newPhone(t, 0xdead)
	stranger.to = la.Local()
	const flood = 400
	for range flood {
		stranger.say("evil")
	}
	for i := range 50 {
		a.say(fmt.Sprint("good ", i))
		b.expect(fmt.Sprint("good ", i))
	}
	eventually(t, "all packets counted", func() bool { return la.Stats().Dropped[Foreign] == flood && la.Stats().Relayed == 51 })
	if st := la.Stats(); st.In.Lost != 0 || len(st.Dropped) != 1 {
		t.Errorf("stats %+v", st)
	}
}

func TestReplayedAndForgedPacketsAreDropped(t *testing.T) {
	for _, suite := range []sdp.Suite{sdp.AES128SHA80, sdp.AES128GCM} {
		e := engine(t, Config{})
		a, b, la, _ := call(t, e, suite, "")
		p := a.protect(a.packet("once"))
		forged := a.protect(a.packet("forged"))
		forged[len(forged)-1] ^= 1
		a.write(p)
		a.write(p)
		a.write(forged)
		a.say("again")
		b.expect("once")
		b.expect("again")
		eventually(t, "both counted", func() bool { s := la.Stats(); return s.Dropped[Replayed] == 1 && s.Dropped[Unauthentic] == 1 })
	}
}

func TestLatchBehindNATHoldsItsFirstSource(t *testing.T) {
	e := engine(t, Config{})
	a, b, la, _ := call(t, e, "", "")
	f := a.flow()
	f.Remote, f.RemoteRTCP = netip.MustParseAddrPort("127.0.0.1:9"), netip.MustParseAddrPort("127.0.0.1:10")
	set(t, la, f) // the same host, another port
	a.say("hello")
	b.expect("hello")
	b.say("answer") // goes where a was heard
	a.expect("answer")
	other := newPhone(t, 0xcccc)
	other.to = la.Local()
	other.say("too late")
	b.quiet()
	// Only signalling moves the stream.
	set(t, la, other.flow())
	other.say("moved")
	b.expect("moved")
	b.say("to the new one")
	other.expect("to the new one")
	if n := la.Stats().Dropped[Foreign]; n != 1 {
		t.Errorf("%d foreign packets, want 1", n)
	}
}

func TestLatchRules(t *testing.T) {
	for _, c := range []struct {
		signalled, from string
		want            bool
	}{
		{"192.0.2.1:4000", "192.0.2.1:4000", true},
		{"192.0.2.1:4000", "192.0.2.1:5000", true},
		{"192.0.2.1:4000", "198.51.100.7:4000", false},
		{"10.0.0.5:4000", "198.51.100.7:31000", true}, // NAT
		{"10.0.0.5:4000", "10.0.0.6:31000", false},    // a neighbour
		{"100.64.1.1:4000", "198.51.100.7:31000", true},
		{"[2001:db8::1]:4000", "[2001:db8::2]:4000", false},
		{"[fd00::1]:4000", "[2001:db8::2]:9000", true},
	} {
		l := latch{}
		l.set(netip.MustParseAddrPort(c.signalled), false)
		from := netip.MustParseAddrPort(c.from)
		if got := l.judge(from) == candidate && l.fits(from); got != c.want {
			t.Errorf("%s for %s: %v, want %v", c.from, c.signalled, got, c.want)
		}
	}
}

func TestReKeyBySetLosesNothing(t *testing.T) {
	for _, suite := range []sdp.Suite{sdp.AES256SHA80, sdp.AES256GCM} {
		e := engine(t, Config{})
		a, b, la, _ := call(t, e, suite, "")
		a.say("old key")
		b.expect("old key")
		late := a.protect(a.packet("under way"))
		f := a.flow()
		f.Out, f.In = testKey(suite, 90), testKey(suite, 91)
		set(t, la, f)
		a.write(late)
		b.expect("under way")
		a.secure(f.Out, f.In)
		a.say("new key")
		b.expect("new key")
		b.say("back")
		a.expect("back")
		if d := la.Stats().Dropped; len(d) != 0 {
			t.Errorf("dropped %v", d)
		}
	}
}

// TestRollOverCounterUnderANewKey: it goes on (RFC 3711 3.3.1, as with rtpengine), or
// begins at 0 again; either is understood, also after the key before is forgotten.
func TestRollOverCounterUnderANewKey(t *testing.T) {
	e := engine(t, Config{})
	for _, suite := range []sdp.Suite{sdp.AES128SHA80, sdp.AES128GCM} {
		for _, goesOn := range []bool{true, false} {
			a, b, la, _ := call(t, e, suite, "")
			a.seq = 65534
			for key := range 4 { // with the second one nothing is sent
				if key > 0 {
					f := a.flow()
					f.Out, f.In = testKey(suite, 1), testKey(suite, byte(40+key))
					a.enc = pion(t, f.In)
					if goesOn {
						a.enc.SetROC(a.ssrc, 1)
					}
					set(t, la, f)
				}
				for i := range 5 {
					if key == 1 {
						break
					}
					a.say(fmt.Sprint(key, i))
					b.expect(fmt.Sprint(key, i))
				}
			}
			if n := la.Stats().Dropped[Unauthentic]; n != 0 {
				t.Errorf("%s, goes on: %v: %d packets could not be opened", suite, goesOn, n)
			}
		}
	}
}

func TestPayloadNumbersAreTranslated(t *testing.T) {
	e := engine(t, Config{})
	a, b, la, lb := call(t, e, "", "")
	f := b.flow()
	f.Formats = formats(8, 8, 101, 96) // b answered events with 96
	set(t, lb, f)
	a.pt = 101
	a.say("digit")
	if h := b.expect("digit"); h.Payload != 96 {
		t.Errorf("event leaves as %d, want 96", h.Payload)
	}
	for _, pt := range []uint8{101, 96} { // by the rules, and by its own number
		b.pt = pt
		b.say("digit")
		if h := a.expect("digit"); h.Payload != 101 {
			t.Errorf("event %d arrives as %d, want 101", pt, h.Payload)
		}
	}
	a.pt = 77
	a.say("what is this")
	a.pt = 8
	a.say("voice")
	b.expect("voice")
	if n := la.Stats().Dropped[Payload]; n != 1 {
		t.Errorf("%d unknown payloads, want 1", n)
	}
}

func TestHeldPeerHearsNothing(t *testing.T) {
	e := engine(t, Config{})
	a, b, la, lb := call(t, e, "", "")
	f := b.flow()
	f.Send = false
	set(t, lb, f)
	a.say("music?")
	b.quiet()
	b.say("still heard")
	a.expect("still heard")
	set(t, lb, b.flow())
	a.say("back")
	b.expect("back")
	if n := la.Stats().Dropped[Held]; n != 1 {
		t.Errorf("%d held, want 1", n)
	}
}

func TestOutgoingStreamStaysContinuous(t *testing.T) {
	e := engine(t, Config{Workers: 2})
	a, b, la, lb := call(t, e, "", sdp.AES128SHA80)
	a.say("1")
	last := b.expect("1")
	next := func(what string) {
		t.Helper()
		h := b.expect(what)
		if h.SSRC != last.SSRC || h.Sequence != last.Sequence+1 || int32(h.Timestamp-last.Timestamp) < 160 || int32(h.Timestamp-last.Timestamp) > 8000*3 {
			t.Fatalf("%s: %+v after %+v", what, h, last)
		}
		last = h
	}
	a.say("2")
	next("2")
	a.ssrc, a.seq, a.ts = 0x1234, 60000, 99 // the phone starts a new source
	a.say("3")
	next("3")
	a.seq = 7 // and restarts its sequence: the second packet proves it
	a.say("lost")
	a.say("4")
	next("4")
	// Transfer: another phone takes the place of a.
	c, lc := newPhone(t, 0xcccc), open(t, e, "lan")
	set(t, lc, c.flow())
	c.to = lc.Local()
	e.Bridge(lc, lb)
	c.say("5")
	next("5")
	b.say("to c")
	c.expect("to c")
	// A tone, then the phone again.
	lb.Play(&once{frames: 2})
	for range 2 {
		h, _ := b.hear()
		if h.SSRC != last.SSRC || h.Sequence != last.Sequence+1 {
			t.Fatalf("tone: %+v after %+v", h, last)
		}
		last = h
	}
	lb.Play(nil)
	c.say("6")
	next("6")
	a.say("nobody listens")
	eventually(t, "unbridged", func() bool { return la.Stats().Dropped[Unbridged] == 1 })
}

// once is a source of a few frames.
type once struct{ frames int }

func (o *once) Next(*[FrameSamples]int16) bool {
	o.frames--
	return o.frames >= 0
}

// TestSequenceWrap sends 70,000 packets over the wrap, in step with the
// receiver so that no buffer overflows.
func TestSequenceWrapKeepsEveryPacket(t *testing.T) {
	e := engine(t, Config{})
	for _, suites := range [][2]sdp.Suite{{sdp.AES128SHA80, sdp.AES128GCM}, {"", sdp.AES128SHA80}} {
		a, b, la, lb := call(t, e, suites[0], suites[1])
		const total, window = 70000, 64
		for i := 0; i < total; i += window {
			n := min(window, total-i)
			for range n {
				a.say("x")
			}
			for range n {
				b.expect("x")
			}
			if i == window*700 { // a re-INVITE in the midst, the same key
				f := b.flow()
				f.Out, f.In = testKey(suites[1], 11), testKey(suites[1], 12)
				set(t, lb, f)
			}
		}
		if st := la.Stats(); st.In.Packets != total || st.In.Lost != 0 || len(st.Dropped) != 0 {
			t.Errorf("%v: %+v", suites, st)
		}
	}
}

func TestPortsRestAndRunOut(t *testing.T) {
	e := engine(t, Config{Rest: time.Hour})
	pid := os.Getpid()                                                                                            // an address of its own: nobody else takes its ports
	side := Side{Addr: netip.AddrFrom4([4]byte{127, 90, byte(pid >> 8), byte(pid) | 1}), Low: 20101, High: 20106} // 20102 and 20104
	x, err := e.Open(side)
	if err != nil {
		t.Fatal(err)
	}
	y, err := e.Open(side)
	if err != nil {
		t.Fatal(err)
	}
	if x.Local().Port()%2 != 0 || x.Local() == y.Local() {
		t.Errorf("ports %s and %s", x.Local(), y.Local())
	}
	if _, err := e.Open(side); !errors.Is(err, ErrNoPorts) {
		t.Errorf("third pair: %v", err)
	}
	x.Close()
	eventually(t, "socket closed", func() bool {
		c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(x.Local()))
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	if _, err := e.Open(side); !errors.Is(err, ErrNoPorts) {
		t.Errorf("resting pair: %v", err)
	}
	if err := x.Set(sdp.Flow{}); !errors.Is(err, ErrClosed) {
		t.Errorf("set after close: %v", err)
	}
	y.Close()
	y.Close()
}
