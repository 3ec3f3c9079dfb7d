package exchange

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"linekeeper/sbc/sip"
)

// estate is what a call holds on to: its messages, its media.
type estate struct {
	_     [64 << 10]byte
	heard int
}

// hold makes transactions whose callbacks hold an estate, and settles them.
func hold(t *testing.T, x *Exchange, w *wire, o *owner) weak.Pointer[estate] {
	e := &estate{}
	c := x.Do(draft(sip.INVITE, 1).Request(), flowOf(sip.UDP), func(ClientEvent) { e.heard++ })
	x.Receive(w.reply(t, "INVITE", 200), flowOf(sip.UDP))
	c.Release()
	for n, method := range map[int]sip.Method{2: sip.INVITE, 3: sip.BYE, 4: sip.INVITE} {
		code := 200
		if n == 4 {
			code = 486
		}
		o.request = func(tx *Server, req *sip.Request) {
			tx.OnUnacked(func() { e.heard++ })
			tx.OnAcked(func(*sip.Request) { e.heard++ })
			tx.OnCancel(func(*sip.Request) { e.heard++ })
			tx.Respond(sip.Respond(req, code, "", "t"))
		}
		x.Receive(request(method, n), flowOf(sip.UDP))
	}
	x.Receive(ackOf(2), flowOf(sip.UDP))
	o.request, o.txs, o.reqs = nil, nil, nil
	if e.heard != 2 {
		t.Errorf("owner was told %d times: a 200 and an ACK were due", e.heard)
	}
	return weak.Make(e)
}

func TestSettledTransactionsLetTheirOwnerGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, w, o := start(t, 0)
		e := hold(t, x, w, o)
		runtime.GC()
		if e.Value() != nil {
			t.Error("what a call held is alive though the call is over")
		}
		if s := x.Stats(); s.Clients+s.Servers != 4 {
			t.Errorf("%d transactions linger, want 4", s.Clients+s.Servers)
		}
		time.Sleep(time.Minute)
		empty(t, x)
	})
}
