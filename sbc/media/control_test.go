package media

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"linekeeper/sbc/sdp"
)

// report sends a compound packet to the RTCP port, or with mux to the RTP port.
func (p *phone) report(mux bool, packets ...rtcp.Packet) {
	p.t.Helper()
	b, err := rtcp.Marshal(packets)
	if err != nil {
		p.t.Fatal(err)
	}
	if p.enc != nil {
		if b, err = p.enc.EncryptRTCP(nil, b, nil); err != nil {
			p.t.Fatal(err)
		}
	}
	to := p.to
	if mux {
		_, err = p.rtp.WriteToUDPAddrPort(b, to)
	} else {
		_, err = p.rtcp.WriteToUDPAddrPort(b, addPort(to))
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// reported reads the next compound packet.
func (p *phone) reported(mux bool) []rtcp.Packet {
	p.t.Helper()
	c := p.rtcp
	if mux {
		c = p.rtp
	}
	b := make([]byte, 2048)
	_ = c.SetReadDeadline(time.Now().Add(3 * time.Second))
	n, err := c.Read(b)
	if err != nil {
		p.t.Fatalf("no report: %v", err)
	}
	b = b[:n]
	if p.dec != nil {
		if b, err = p.dec.DecryptRTCP(nil, b, nil); err != nil {
			p.t.Fatal(err)
		}
	}
	list, err := rtcp.Unmarshal(b)
	if err != nil {
		p.t.Fatal(err)
	}
	return list
}

func TestReportsPassInStep(t *testing.T) {
	for _, suite := range []sdp.Suite{"", sdp.AES128SHA80, sdp.AES256GCM} {
		for _, mux := range []bool{false, true} { // on the side of b only
			e := engine(t, Config{})
			a, b, _, lb := call(t, e, "", suite)
			f := b.flow()
			if suite != "" {
				f.Out, f.In = testKey(suite, 11), testKey(suite, 12)
			}
			if f.Mux = mux; mux {
				f.RemoteRTCP = f.Remote
			}
			set(t, lb, f)
			a.say("1")
			toB := b.expect("1")
			b.say("2")
			a.expect("2")
			a.report(false, &rtcp.SenderReport{SSRC: a.ssrc, NTPTime: 0x1122334455667788, RTPTime: 0, PacketCount: 1},
				&rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{Source: a.ssrc, Items: []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: "secret@10.0.0.5"}}}}})
			got := b.reported(mux)
			sr, ok := got[0].(*rtcp.SenderReport)
			if !ok || sr.SSRC != toB.SSRC || sr.NTPTime != 0x1122334455667788 || sr.RTPTime != toB.Timestamp {
				t.Fatalf("%s: sender report %+v, want time %d of %x", suite, got[0], toB.Timestamp, toB.SSRC)
			}
			if name := got[1].(*rtcp.SourceDescription).Chunks[0].Items[0].Text; name == "secret@10.0.0.5" {
				t.Error("the name of one side shows on the other")
			}
			b.report(mux, &rtcp.ReceiverReport{SSRC: b.ssrc, Reports: []rtcp.ReceptionReport{{SSRC: toB.SSRC, TotalLost: 3, LastSequenceNumber: uint32(toB.Sequence), LastSenderReport: 0x33445566}}})
			rr, ok := a.reported(false)[0].(*rtcp.ReceiverReport)
			if !ok || len(rr.Reports) != 1 || rr.Reports[0].SSRC != a.ssrc || uint16(rr.Reports[0].LastSequenceNumber) != a.seq-1 || rr.Reports[0].TotalLost != 3 {
				t.Fatalf("%s: receiver report %+v", suite, rr)
			}
			eventually(t, "round trip", func() bool { return lb.Stats().RoundTrip > 0 && lb.Stats().Out.Lost == 3 })
		}
	}
}

func TestManyStreamsLeaveNothingBehind(t *testing.T) {
	e := engine(t, Config{Workers: 2})
	count := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	fds, routines := count(), runtime.NumGoroutine()
	for range 5 {
		var all []*Stream
		for range 100 { // 1000 streams in all
			a, err := e.Open(Side{Leg: "lan", Addr: lo, Low: 30000, High: 31999})
			if err != nil {
				t.Fatal(err)
			}
			b, err := e.Open(Side{Leg: "wan", Addr: lo, Low: 30000, High: 31999})
			if err != nil {
				t.Fatal(err)
			}
			set(t, a, sdp.Flow{In: testKey(sdp.AES128SHA80, 1), Out: testKey(sdp.AES128SHA80, 2)})
			e.Bridge(a, b)
			b.Play(RingBack())
			all = append(all, a, b)
		}
		for _, s := range all {
			s.Close()
		}
	}
	eventually(t, "all sockets closed", func() bool { return count() <= fds && e.Totals().Streams == 0 })
	eventually(t, "all goroutines gone", func() bool { return runtime.NumGoroutine() <= routines })
}

func TestSilenceIsReported(t *testing.T) {
	e := engine(t, Config{})
	s := open(t, e, "lan")
	if s.Stats().Silent {
		t.Error("silent at once")
	}
	s.count.voice.Add(-int64(silentAfter))
	if st := s.Stats(); !st.Silent || st.Silence < silentAfter {
		t.Errorf("%+v", st)
	}
}

func TestRingBackIsHeardAtItsPace(t *testing.T) {
	e := engine(t, Config{})
	p, s := newPhone(t, 1), open(t, e, "lan")
	set(t, s, p.flow())
	s.Play(RingBack())
	first, text := p.hear()
	start := time.Now()
	var power float64
	for range 10 {
		_, text = p.hear()
		for i := range len(text) {
			v := float64(decodeALaw(text[i]))
			power += v * v / float64(10*len(text))
		}
	}
	if d := time.Since(start); d < 150*time.Millisecond || d > 400*time.Millisecond {
		t.Errorf("ten frames took %v", d)
	}
	if first.Payload != 8 || !first.Marker || len(text) != FrameSamples {
		t.Errorf("first frame %+v, %d bytes", first, len(text))
	}
	if want := float64(toneVolume) * toneVolume / 2; power < 0.9*want || power > 1.1*want {
		t.Errorf("power %.0f, want %.0f", power, want)
	}
}

// hold binds one port of every pair but the last of ten, by turns the RTP and the RTCP
// port; nil if that or the last pair can't be had.
func hold(low uint16) (held []*net.UDPConn) {
	for i := range uint16(20) {
		c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(lo, low+i)))
		switch {
		case err != nil:
			for _, c := range held {
				_ = c.Close()
			}
			return nil
		case i < 18 && i/2%2 == i%2:
			held = append(held, c)
		default:
			_ = c.Close()
		}
	}
	return held
}

func TestPortsThatSomebodyElseHoldsAreLeftBehindWithoutATrace(t *testing.T) {
	e := engine(t, Config{})
	low := uint16(31000)
	foreign := hold(low)
	for ; foreign == nil; foreign = hold(low) { // somebody else has one
		if low += 20; low > 31980 {
			t.Fatal("no twenty ports are free")
		}
	}
	defer func() {
		for _, c := range foreign {
			_ = c.Close()
		}
	}()
	count := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	before := count()
	side := Side{Leg: "lan", Addr: lo, Low: low, High: low + 19}
	s, err := e.Open(side)
	if err != nil || s.Local().Port() != low+18 {
		t.Fatalf("the only free pair was not found: %v", err)
	}
	for range 3 {
		if _, err := e.Open(side); !errors.Is(err, ErrNoPorts) {
			t.Errorf("a stream where no port is free: %v", err)
		}
	}
	if n := count(); n != before+2 {
		t.Errorf("%d descriptors are open for one stream", n-before)
	}
	s.Close()
	eventually(t, "its ports are closed", func() bool { return count() == before })
}
