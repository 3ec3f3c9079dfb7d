package media

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/stun/v3"

	"linekeeper/sbc/rtp"
	"linekeeper/sbc/sdp"
)

func certified(t testing.TB) *Engine {
	t.Helper()
	cert, err := NewCertificate()
	if err != nil {
		t.Fatal(err)
	}
	return engine(t, Config{Certificate: cert})
}

// TestAnotherCertificateThanSignalledEndsTheHandshake has a peer in either part that
// shows a certificate which is not the one of its description.
func TestAnotherCertificateThanSignalledEndsTheHandshake(t *testing.T) {
	for _, client := range []bool{true, false} {
		e := certified(t)
		p := newPhone(t, 1)
		events := make(chan Event, 8)
		s, err := e.Open(Side{Leg: "wan", Addr: lo, Low: 21000, High: 29999, Notify: func(ev Event) { events <- ev }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		f := p.flow()
		f.Mux = true
		f.DTLS = &sdp.Handshake{Client: client, Peer: []sdp.Fingerprint{sdp.FingerprintOf([]byte("somebody"))}, Suites: []sdp.Suite{sdp.AES128SHA80}}
		set(t, s, f)
		other, err := NewCertificate()
		if err != nil {
			t.Fatal(err)
		}
		own := []dtls.Option{
			dtls.WithCertificates(tls.Certificate{Certificate: [][]byte{other.der}, PrivateKey: other.key}),
			dtls.WithInsecureSkipVerify(true), dtls.WithSRTPProtectionProfiles(dtls.SRTP_AES128_CM_HMAC_SHA1_80),
		}
		box := net.UDPAddrFromAddrPort(s.Local())
		var far *dtls.Conn
		if client {
			var o []dtls.ServerOption
			for _, x := range own {
				o = append(o, x)
			}
			far, err = dtls.ServerWithOptions(p.rtp, box, append(o, dtls.WithClientAuth(dtls.RequireAnyClientCert))...)
		} else {
			var o []dtls.ClientOption
			for _, x := range own {
				o = append(o, x)
			}
			far, err = dtls.ClientWithOptions(p.rtp, box, o...)
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := far.HandshakeContext(t.Context()); err == nil {
			t.Errorf("client %v: the far end believes in the call", client)
		}
		late := time.NewTimer(15 * time.Second)
		select {
		case ev := <-events:
			if ev.Kind != KeysFailed || !errors.Is(ev.Err, errFingerprint) {
				t.Errorf("client %v: told %v, %v", client, ev.Kind, ev.Err)
			}
		case <-late.C:
			t.Fatalf("client %v: nothing is told", client)
		}
		late.Stop()
	}
}

// TestNothingLeavesInTheClearBeforeTheKeys waits for a handshake that never comes.
func TestNothingLeavesInTheClearBeforeTheKeys(t *testing.T) {
	e := certified(t)
	a, b, la, lb := call(t, e, "", "")
	f := b.flow()
	f.DTLS = &sdp.Handshake{Peer: []sdp.Fingerprint{sdp.FingerprintOf([]byte("b"))}, Suites: []sdp.Suite{sdp.AES128SHA80}}
	set(t, lb, f)
	for range 20 {
		a.say("secret")
	}
	eventually(t, "all are held back", func() bool { return la.Stats().Dropped[Held] == 20 })
	// What comes in the clear goes nowhere either, and is kept within bounds.
	for range 3 * maxEarly {
		b.say("forged")
	}
	eventually(t, "all but a few are dropped", func() bool { return lb.Stats().Dropped[Unkeyed] == 2*maxEarly })
	// Records of strangers begin no handshake.
	stranger := newPhone(t, 9)
	stranger.to = lb.Local()
	stranger.write(append([]byte{22}, make([]byte, 60)...))
	eventually(t, "the stranger is not heard", func() bool {
		return lb.Stats().Dropped[Foreign]+lb.Stats().Dropped[Malformed] > 0 || len(e.handshakes) > 0
	})
	a.quiet()
	b.quiet()
}

// TestHandshakesAreBounded begins more of them than may run: none is lost, the rest
// waits, and the end of the engine ends them all.
func TestHandshakesAreBounded(t *testing.T) {
	e := certified(t)
	before := runtime.NumGoroutine()
	for i := range 2 * maxHandshakes {
		s := open(t, e, "wan")
		set(t, s, sdp.Flow{
			Remote: netip.MustParseAddrPort("127.0.0.1:9"), Mux: true, Send: true, Recv: true, Formats: pcma(),
			DTLS: &sdp.Handshake{Client: true, Peer: []sdp.Fingerprint{sdp.FingerprintOf([]byte{byte(i)})}, Suites: []sdp.Suite{sdp.AES128SHA80}},
		})
	}
	eventually(t, "as many run as may", func() bool { return len(e.handshakes) == maxHandshakes })
	if n := runtime.NumGoroutine() - before; n > 12*maxHandshakes {
		t.Errorf("%d goroutines for %d handshakes", n, maxHandshakes)
	}
}

// TestPastTheWrapEveryPacketOpens sends 70,000 packets, past the wrap of the sequence
// numbers and so into another roll-over counter, in every suite, against pion.
func TestPastTheWrapEveryPacketOpens(t *testing.T) {
	const many = 70_000
	for _, suite := range []sdp.Suite{sdp.AES128SHA80, sdp.AES128SHA32, sdp.AES256SHA80, sdp.AES128GCM, sdp.AES256GCM} {
		k := testKey(suite, 3)
		out, in := pion(t, k), pion(t, k)
		ours, err := newProtection(*k)
		if err != nil {
			t.Fatal(err)
		}
		back, err := newProtection(*k)
		if err != nil {
			t.Fatal(err)
		}
		clear := make([]byte, rtp.HeaderLen+8)
		room, sealed, opened := make([]byte, 256), []byte(nil), []byte(nil)
		for i := range many {
			rtp.Header{Payload: 8, SSRC: 7, Sequence: uint16(i + 60000), Timestamp: uint32(160 * i)}.Put(clear)
			got := ours.protectRTP(room[:copy(room, clear)], rtp.HeaderLen)
			if opened, err = in.DecryptRTP(opened[:0], got, nil); err != nil || !bytes.Equal(opened, clear) {
				t.Fatalf("%s: pion can't open our packet %d: %v", suite, i, err)
			}
			if sealed, err = out.EncryptRTP(sealed[:0], clear, nil); err != nil {
				t.Fatal(err)
			}
			if got, err = back.unprotectRTP(room[:copy(room, sealed)], rtp.HeaderLen); err != nil || !bytes.Equal(got, clear) {
				t.Fatalf("%s: we can't open pion's packet %d: %v", suite, i, err)
			}
		}
		if roc := ours.source(7).index >> 16; roc != (60000+many)>>16 {
			t.Errorf("%s: roll-over counter %d", suite, roc)
		}
	}
}

// TestLongCallThroughTheBoxLosesNothing is the same through real sockets: keys by SDES
// on one side and by DTLS on the other, a hold in the middle that changes no key.
func TestLongCallThroughTheBoxLosesNothing(t *testing.T) {
	const many, turn = 70_000, 50
	e := certified(t)
	a, b := newStranger(t, string(sdp.AES128GCM), true, false, 1), newStranger(t, byDTLS, true, false, 2)
	la, lb := newBoxLeg(t, e, "lan", a, sdp.ICEOff), newBoxLeg(t, e, "wan", b, sdp.ICEOff)
	la.offered("sendrecv")
	lb.offers()
	e.Bridge(la.stream, lb.stream)
	lb.ready()
	payload := []byte("........")
	for i := range many / turn {
		for range turn {
			a.say(payload)
		}
		for range turn {
			if !bytes.Equal(b.hear(), payload) {
				t.Fatal("another payload")
			}
		}
		if i == many/turn/2 {
			la.offered("sendonly")
			la.offered("sendrecv")
			lb.offers()
		}
	}
	eventually(t, "all are counted", func() bool { return la.stream.Stats().Relayed == many })
	if n := la.stream.Stats().In.Lost; n != 0 {
		t.Errorf("%d lost", n)
	}
	clean(t, la, lb)
}

// TestLifetimeOfAKeyIsToldBeforeItEnds has a key that may serve a hundred packets.
func TestLifetimeOfAKeyIsToldBeforeItEnds(t *testing.T) {
	e := engine(t, Config{})
	a, b, _, lb := call(t, e, "", "")
	worn := make(chan Event, 8)
	s, err := e.Open(Side{Leg: "lan", Addr: lo, Low: 21000, High: 29999, Notify: func(ev Event) { worn <- ev }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	f := a.flow()
	f.Out, f.In = testKey(sdp.AES128SHA80, 1), testKey(sdp.AES128SHA80, 2)
	f.In.Lifetime = 100
	a.secure(f.Out, f.In)
	set(t, s, f)
	a.to = s.Local()
	e.Bridge(s, lb)
	for i := range 95 {
		if i == 89 && len(worn) != 0 {
			t.Error("told too early")
		}
		a.say("x")
		b.expect("x")
	}
	eventually(t, "told", func() bool { return len(worn) == 1 })
	if ev := <-worn; ev.Kind != KeysWorn {
		t.Errorf("told %v", ev.Kind)
	}
}

// TestPublicAddressIsAskedAheadAndAgain has two servers, of which the first is silent.
func TestPublicAddressIsAskedAheadAndAgain(t *testing.T) {
	server := func(answer func(m *stun.Message, from *net.UDPAddr) []byte) string {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		go func() {
			for b := make([]byte, 1500); ; {
				n, from, err := c.ReadFromUDP(b)
				if err != nil {
					return
				}
				m := &stun.Message{Raw: bytes.Clone(b[:n])}
				if m.Decode() == nil {
					if r := answer(m, from); r != nil {
						_, _ = c.WriteToUDP(r, from)
					}
				}
			}
		}()
		return c.LocalAddr().String()
	}
	closed := server(func(m *stun.Message, _ *net.UDPAddr) []byte {
		return stun.MustBuild(m, stun.BindingError, stun.CodeServerError).Raw
	})
	public := make(chan string, 1)
	public <- "198.51.100.7"
	classic := server(func(m *stun.Message, from *net.UDPAddr) []byte { // RFC 3489: in the clear
		ip := <-public
		public <- ip
		return stun.MustBuild(m, stun.BindingSuccess, &stun.MappedAddress{IP: net.ParseIP(ip), Port: from.Port}).Raw
	})
	p := NewPublic(slog.New(slog.DiscardHandler))
	p.Configure(PublicConfig{Servers: []string{closed, classic}, From: lo})
	ended := make(chan error)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { ended <- p.Run(ctx, nil) }()
	eventually(t, "the address is known", func() bool { return p.Addr() == netip.MustParseAddr("198.51.100.7") })
	<-public
	public <- "203.0.113.9" // the line was cut and came back
	p.Refresh()
	eventually(t, "the new address is known", func() bool { return p.Addr() == netip.MustParseAddr("203.0.113.9") })
	p.Configure(PublicConfig{})
	if p.Addr().IsValid() {
		t.Error("an address though nobody is to be asked")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	seen, local, err := Reflexive(t.Context(), classic, lo)
	if err != nil || seen != netip.AddrPortFrom(netip.MustParseAddr("203.0.113.9"), local.Port()) {
		t.Errorf("seen at %v from %v: %v", seen, local, err)
	}
	if _, _, err := Reflexive(t.Context(), "no port here:x", lo); err == nil {
		t.Error("asked nobody")
	}
}
