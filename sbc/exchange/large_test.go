package exchange

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"linekeeper/sbc/sip"
)

// streamed is what a Sender says of a request too large for a datagram.
type streamed struct {
	flow   sip.Flow
	anyway func() error
}

func (s streamed) Error() string  { return "too large" }
func (s streamed) Over() sip.Flow { return s.flow }
func (s streamed) Anyway() error  { return s.anyway() }

// narrow refuses INVITEs as datagrams while a stream may be had.
type narrow struct {
	*wire
	none bool
}

func (n *narrow) Send(flow sip.Flow, m sip.Message) error {
	anyway := func() error {
		if v := m.Via(); v != nil {
			n.mu.Lock()
			n.lines = append(n.lines, "by "+string(flow.Transport)+" via "+v.Transport)
			n.mu.Unlock()
		}
		return n.wire.Send(flow, m)
	}
	if req, ok := m.(*sip.Request); ok && req.Method == sip.INVITE && flow.Transport == sip.UDP && !n.none {
		over := flowOf(sip.TCP)
		over.Conn = 7
		return streamed{over, anyway}
	}
	return anyway()
}

func startNarrow(t *testing.T) (*Exchange, *narrow, *owner) {
	x, w, o := start(t, 0)
	n := &narrow{wire: w}
	x.sender = n
	return x, n, o
}

func TestLargeRequestGoesOverAStreamWithoutRepetition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, n, o := startNarrow(t)
		c := x.Do(draft(sip.INVITE, 1).Request(), flowOf(sip.UDP), o.on)
		time.Sleep(10 * time.Second)
		want(t, "wire", n.log(), "by tcp via TCP, 0s INVITE")
		if c.Flow().Transport != sip.TCP {
			t.Errorf("flow %+v", c.Flow())
		}
		x.Receive(n.reply(t, "INVITE", 486), c.Flow())
		want(t, "acknowledged on the same way", n.log(), "by tcp via TCP, 10s ACK")
		want(t, "owner", o.log(), "486")
		time.Sleep(time.Minute)
		empty(t, x)
	})
}

func TestLargeRequestIsADatagramThoughTheSenderOffersTheFailedStreamAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, n, o := startNarrow(t)
		c := x.Do(draft(sip.INVITE, 1).Request(), flowOf(sip.UDP), o.on)
		x.Lost(c.Flow(), errors.New("connection reset"))
		time.Sleep(600 * time.Millisecond)
		want(t, "wire", n.log(), "by tcp via TCP, 0s INVITE, by udp via UDP, 0s INVITE, by udp via UDP, 500ms INVITE")
		x.Receive(n.reply(t, "INVITE", 486), flowOf(sip.UDP))
		want(t, "owner", o.log(), "486")
		time.Sleep(time.Minute)
		empty(t, x)
	})
}

func TestLargeRequestIsADatagramAfterAllWhereTheStreamFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, n, o := startNarrow(t)
		c := x.Do(draft(sip.INVITE, 1).Request(), flowOf(sip.UDP), o.on)
		n.none = true
		time.Sleep(500 * time.Millisecond)
		x.Lost(c.Flow(), errors.New("connection refused"))
		time.Sleep(600 * time.Millisecond)
		want(t, "wire", n.log(), "by tcp via TCP, 0s INVITE, by udp via UDP, 500ms INVITE, by udp via UDP, 1s INVITE")
		x.Receive(n.reply(t, "INVITE", 200), flowOf(sip.UDP))
		want(t, "owner", o.log(), "200")
		x.Lost(flowOf(sip.TCP), errors.New("gone")) // no concern of it any more
		want(t, "owner", o.log(), "")
		time.Sleep(time.Minute)
		empty(t, x)
	})
}

func TestStreamLostAfterASignIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, n, o := startNarrow(t)
		c := x.Do(draft(sip.INVITE, 1).Request(), flowOf(sip.UDP), o.on)
		x.Receive(n.reply(t, "INVITE", 180), c.Flow())
		x.Lost(c.Flow(), errors.New("reset"))
		if log := o.log(); !strings.HasPrefix(log, "180, way to the peer lost") {
			t.Error(log)
		}
		time.Sleep(time.Minute)
		empty(t, x)
	})
}

func TestCancelOutlivesTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, n, o := startNarrow(t)
		c := x.Do(draft(sip.INVITE, 1).Request(), flowOf(sip.UDP), o.on)
		c.Cancel()
		n.none = true
		x.Lost(c.Flow(), errors.New("connection refused"))
		x.Receive(n.reply(t, "INVITE", 100), flowOf(sip.UDP))
		want(t, "wire", n.log(), "by tcp via TCP, 0s INVITE, by udp via UDP, 0s INVITE, by udp via UDP, 0s CANCEL")
		x.Stop()
	})
}
