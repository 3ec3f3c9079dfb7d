package media

import (
	"fmt"
	"testing"

	"linekeeper/sbc/rtp"
	"linekeeper/sbc/sdp"
)

// TestFloodOnAPortCostsNoCallAPacket lets a stranger loose on the port of a call: not a
// packet of it is heard by anybody, and none of this call or of another is lost.
func TestFloodOnAPortCostsNoCallAPacket(t *testing.T) {
	steered := engine(t, Config{})
	for _, c := range []struct {
		e      *Engine
		floods []int
	}{
		{engine(t, Config{Plain: true}), []int{60, 300}},
		{steered, []int{300, 20000}},
	} {
		if c.e == steered && c.e.steer == nil {
			c.floods = []int{300} // the port's own buffer is all there is
		}
		for _, flood := range c.floods {
			for _, suite := range []sdp.Suite{"", sdp.AES128SHA80} {
				floodCall(t, c.e, suite, flood)
			}
		}
	}
}

func floodCall(t *testing.T, e *Engine, suite sdp.Suite, flood int) {
	t.Helper()
	a, b, la, lb := call(t, e, suite, "")
	c, d, lc, _ := call(t, e, "", suite)
	stranger := newPhone(t, 0xdead)
	said := 0
	both := func() {
		said++
		a.say(fmt.Sprint("a ", said))
		b.say(fmt.Sprint("b ", said))
		c.say(fmt.Sprint("c ", said))
		b.expect(fmt.Sprint("a ", said))
		a.expect(fmt.Sprint("b ", said))
		d.expect(fmt.Sprint("c ", said))
	}
	both()
	for i := range flood {
		stranger.to = la.Local()
		if i%2 == 1 {
			stranger.to = lb.Local()
		}
		stranger.say("evil")
		if i%(flood/20) == 0 {
			both()
		}
	}
	for range 20 {
		both()
	}
	n := uint64(said)
	eventually(t, "all counted", func() bool { return la.Stats().Relayed == n && lb.Stats().Relayed == n && lc.Stats().Relayed == n })
	for _, s := range []*Stream{la, lb, lc} {
		st := s.Stats()
		foreign := st.Dropped[Foreign]
		delete(st.Dropped, Foreign)
		if st.In.Lost != 0 || len(st.Dropped) != 0 || s == lc && foreign != 0 {
			t.Errorf("flood of %d, %s: %+v, %d foreign", flood, suite, st, foreign)
		}
	}
}

// TestFloodOfSourcesAndReplaysGrowsNothing: the peer itself, or who can send in its
// name, changes its SSRC with each packet and says old packets again.
func TestFloodOfSourcesAndReplaysGrowsNothing(t *testing.T) {
	for _, suite := range []sdp.Suite{"", sdp.AES128SHA80} {
		r := newBare(t, suite, false)
		if !r.one() {
			t.Fatal("nothing relayed")
		}
		ssrc := uint32(10)
		if n := testing.AllocsPerRun(5000, func() {
			ssrc++
			rtp.Header{Payload: 8, Sequence: uint16(ssrc), SSRC: ssrc / 2}.Put(r.packet) // by twos: fresh, double
			if !send(r.out, r.packet, &r.boxRTP) {
				t.Fatal("not sent")
			}
			r.relay()
			for receive(r.in, r.buf[:], &r.from) > 0 {
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations per packet", suite, n)
		}
		if n := len(r.w.agenda); n > 4 {
			t.Errorf("%s: %d reports to come for two streams", suite, n)
		}
	}
}
