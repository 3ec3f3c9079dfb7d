package media

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"linekeeper/sbc/sdp"
	"linekeeper/sbc/sound"
)

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
			b.Play(sound.TonesOf("DE").RingBack())
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
	s.Play(sound.TonesOf("DE").RingBack())
	first, text := p.hear()
	start := time.Now()
	var power float64
	for range 10 {
		_, text = p.hear()
		for i := range len(text) {
			v := float64(sound.DecodeALaw(text[i]))
			power += v * v / float64(10*len(text))
		}
	}
	if d := time.Since(start); d < 150*time.Millisecond { // slower is the machine's
		t.Errorf("ten frames took %v", d)
	}
	if first.Payload != 8 || !first.Marker || len(text) != FrameSamples {
		t.Errorf("first frame %+v, %d bytes", first, len(text))
	}
	if want := float64(5800) * 5800 / 2; power < 0.9*want || power > 1.1*want {
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
