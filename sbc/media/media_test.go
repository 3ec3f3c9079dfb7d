package media

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/pion/srtp/v3"

	"linekeeper/sbc/rtp"
	"linekeeper/sbc/sdp"
)

var lo = netip.MustParseAddr("127.0.0.1")

// engine runs an engine for the test and checks that it ends.
func engine(t testing.TB, conf Config) *Engine {
	t.Helper()
	if conf.Rest == 0 {
		conf.Rest = -1
	}
	e, err := New(conf)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	up := make(chan struct{})
	go func() { ended <- e.Run(ctx, func() { close(up) }) }()
	<-up
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return e
}

func open(t testing.TB, e *Engine, leg string) *Stream {
	t.Helper()
	s, err := e.Open(Side{Leg: leg, Addr: lo, Low: 21000, High: 29999})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// phone is a peer on real sockets; its crypto is pion's, a stranger to ours.
type phone struct {
	t         testing.TB
	rtp, rtcp *net.UDPConn
	enc, dec  *srtp.Context
	ssrc      uint32
	seq       uint16
	ts        uint32
	pt        uint8
	to        netip.AddrPort
}

func newPhone(t testing.TB, ssrc uint32) *phone {
	t.Helper()
	p := &phone{t: t, ssrc: ssrc, pt: 8, seq: 1000}
	for p.rtp == nil {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		r, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: c.LocalAddr().(*net.UDPAddr).Port + 1})
		if err != nil {
			_ = c.Close()
			continue
		}
		p.rtp, p.rtcp = c, r
	}
	_ = p.rtp.SetReadBuffer(1 << 20)
	t.Cleanup(func() { _ = p.rtp.Close(); _ = p.rtcp.Close() })
	return p
}

func (p *phone) addr() netip.AddrPort {
	return p.rtp.LocalAddr().(*net.UDPAddr).AddrPort()
}

func profile(s sdp.Suite) srtp.ProtectionProfile {
	return map[sdp.Suite]srtp.ProtectionProfile{
		sdp.AES128SHA80: srtp.ProtectionProfileAes128CmHmacSha1_80,
		sdp.AES128SHA32: srtp.ProtectionProfileAes128CmHmacSha1_32,
		sdp.AES256SHA80: srtp.ProtectionProfileAes256CmHmacSha1_80,
		sdp.AES128GCM:   srtp.ProtectionProfileAeadAes128Gcm,
		sdp.AES256GCM:   srtp.ProtectionProfileAeadAes256Gcm,
	}[s]
}

func pion(t testing.TB, k *sdp.Key) *srtp.Context {
	t.Helper()
	n := k.Suite.KeyLen()
	c, err := srtp.CreateContext(k.Material[:n], k.Material[n:], profile(k.Suite), srtp.SRTPReplayProtection(64), srtp.SRTCPReplayProtection(64))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func testKey(s sdp.Suite, seed byte) *sdp.Key {
	k := &sdp.Key{Suite: s, Material: make([]byte, s.KeyLen()+s.SaltLen())}
	for i := range k.Material {
		k.Material[i] = byte(i)*7 + seed
	}
	return k
}

// secure gives the phone its keys: out is what the box sends with.
func (p *phone) secure(out, in *sdp.Key) {
	p.dec, p.enc = pion(p.t, out), pion(p.t, in)
}

func pcma() []sdp.FlowFormat { return formats(8, 8, 101, 101) }

// formats is PCMA and telephone-event with the numbers that arrive and leave.
func formats(a, aOut, e, eOut uint8) []sdp.FlowFormat {
	return []sdp.FlowFormat{
		{Format: sdp.Format{Number: a, Name: "PCMA", Clock: 8000, Channels: 1}, Out: aOut},
		{Format: sdp.Format{Number: e, Name: "telephone-event", Clock: 8000, Channels: 1}, Out: eOut},
	}
}

// flow is the plain flow toward a phone.
func (p *phone) flow() sdp.Flow {
	a := p.addr()
	return sdp.Flow{Remote: a, RemoteRTCP: netip.AddrPortFrom(a.Addr(), a.Port()+1), Send: true, Recv: true, Formats: pcma()}
}

func set(t testing.TB, s *Stream, f sdp.Flow) {
	t.Helper()
	if err := s.Set(f); err != nil {
		t.Fatal(err)
	}
}

// packet makes the next RTP packet, in the clear.
func (p *phone) packet(payload string) []byte {
	h := rtp.Header{Payload: p.pt, Sequence: p.seq, Timestamp: p.ts, SSRC: p.ssrc}
	b := make([]byte, rtp.HeaderLen, 512)
	h.Put(b)
	p.seq++
	p.ts += 160
	return append(b, payload...)
}

func (p *phone) protect(b []byte) []byte {
	if p.enc == nil {
		return b
	}
	out, err := p.enc.EncryptRTP(nil, b, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

func (p *phone) write(b []byte) {
	p.t.Helper()
	if _, err := p.rtp.WriteToUDPAddrPort(b, p.to); err != nil {
		p.t.Fatal(err)
	}
}

func (p *phone) say(payload string) {
	p.t.Helper()
	p.write(p.protect(p.packet(payload)))
}

// hear reads the next packet, decrypted.
func (p *phone) hear() (rtp.Header, string) {
	p.t.Helper()
	b := make([]byte, 2048)
	_ = p.rtp.SetReadDeadline(time.Now().Add(15 * time.Second))
	n, err := p.rtp.Read(b)
	if err != nil {
		p.t.Fatalf("nothing heard: %v", err)
	}
	b = b[:n]
	if p.dec != nil {
		if b, err = p.dec.DecryptRTP(nil, b, nil); err != nil {
			p.t.Fatalf("undecryptable: %v", err)
		}
	}
	h, ok := rtp.Parse(b)
	if !ok {
		p.t.Fatalf("no RTP: %x", b)
	}
	return h, string(b[h.Len:])
}

func (p *phone) expect(want string) rtp.Header {
	p.t.Helper()
	h, got := p.hear()
	if got != want {
		p.t.Fatalf("heard %q, want %q", got, want)
	}
	return h
}

// silent checks that nothing came: a marker packet sent afterwards would be next.
func (p *phone) quiet() {
	p.t.Helper()
	b := make([]byte, 2048)
	_ = p.rtp.SetReadDeadline(time.Now().Add(40 * time.Millisecond))
	if n, err := p.rtp.Read(b); err == nil {
		p.t.Fatalf("heard %d bytes, want silence", n)
	} else if !os.IsTimeout(err) {
		p.t.Fatal(err)
	}
}

// eventually polls, since the worker runs on its own.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
		wait := time.NewTimer(2 * time.Millisecond)
		<-wait.C
	}
}

// call is two phones bridged through the box; suite "" is plain RTP.
func call(t testing.TB, e *Engine, sa, sb sdp.Suite) (a, b *phone, la, lb *Stream) {
	t.Helper()
	a, b = newPhone(t, 0xaaaa), newPhone(t, 0xbbbb)
	la, lb = open(t, e, "lan"), open(t, e, "wan")
	for i, x := range []struct {
		p *phone
		s *Stream
		u sdp.Suite
	}{{a, la, sa}, {b, lb, sb}} {
		f := x.p.flow()
		if x.u != "" {
			f.Out, f.In = testKey(x.u, byte(10*i+1)), testKey(x.u, byte(10*i+2))
			x.p.secure(f.Out, f.In)
		}
		set(t, x.s, f)
		x.p.to = x.s.Local()
	}
	e.Bridge(la, lb)
	return a, b, la, lb
}

func TestEverySuiteRelaysBothWays(t *testing.T) {
	suites := []sdp.Suite{"", sdp.AES128SHA80, sdp.AES128SHA32, sdp.AES256SHA80, sdp.AES128GCM, sdp.AES256GCM}
	e := engine(t, Config{Workers: 2})
	for _, sa := range suites {
		for _, sb := range suites {
			t.Run(fmt.Sprintf("%s to %s", sa, sb), func(t *testing.T) {
				a, b, la, _ := call(t, e, sa, sb)
				for i := range 20 {
					a.say(fmt.Sprint("from a ", i))
					h := b.expect(fmt.Sprint("from a ", i))
					b.say(fmt.Sprint("from b ", i))
					if g := a.expect(fmt.Sprint("from b ", i)); g.SSRC == h.SSRC || h.SSRC == 0xaaaa {
						t.Fatal("sources are not the box's own")
					}
				}
				eventually(t, "counted", func() bool { return la.Stats().Relayed == 20 && la.Stats().Out.Packets == 20 })
			})
		}
	}
}
