package exchange

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"linekeeper/sbc/sip"
)

// TestAStormOfEverythingAtOnceLeavesNothing lets several goroutines do anything
// to the same few transactions; with -race it looks for holes in the locking.
func TestAStormOfEverythingAtOnceLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, w, o := start(t, 0)
		o.request = func(tx *Server, req *sip.Request) {
			tx.OnCancel(func(*sip.Request) { tx.Respond(sip.Respond(req, 487, "", "t")) })
			tx.OnAcked(func(*sip.Request) {})
			tx.OnUnacked(func() {})
		}
		w.tap = func(m sip.Message) { w.mu.Lock(); w.lines = w.lines[:0]; w.mu.Unlock() }
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() { storm(t, x, o, rand.New(rand.NewPCG(uint64(g), 7))) })
		}
		wg.Wait()
		time.Sleep(time.Minute)
		o.mu.Lock()
		txs, reqs := o.txs, o.reqs
		o.mu.Unlock()
		for i, tx := range txs { // settle what rings
			tx.Respond(sip.Respond(reqs[i], 500, "", "t"))
		}
		time.Sleep(2 * time.Minute)
		empty(t, x)
	})
}

func storm(t *testing.T, x *Exchange, o *owner, r *rand.Rand) {
	t.Helper()
	transport := sip.UDP
	for range 400 {
		if r.IntN(8) == 0 {
			transport = []sip.Transport{sip.UDP, sip.TCP}[r.IntN(2)]
		}
		flow, n := flowOf(transport), r.IntN(20)
		switch r.IntN(8) {
		case 0, 1:
			x.Receive(request(sip.INVITE, n), flow)
		case 2:
			x.Receive(request(sip.CANCEL, n), flow)
		case 3:
			x.Receive(request(sip.ACK, n), flow)
			x.Receive(ackOf(n), flow)
		case 4:
			o.mu.Lock()
			var tx *Server
			var req *sip.Request
			if len(o.txs) > 0 {
				i := r.IntN(len(o.txs))
				tx, req = o.txs[i], o.reqs[i]
			}
			o.mu.Unlock()
			if tx != nil {
				tx.Respond(sip.Respond(req, []int{180, 200, 486}[r.IntN(3)], "", "t"))
			}
		case 5:
			req := draft(sip.INVITE, n).Request()
			c := x.Do(req, flow, func(ClientEvent) {})
			via := sip.Respond(req, 200, "", "t") // what the peer would say
			var wg sync.WaitGroup
			for _, code := range []int{180, 200, 486} {
				wg.Go(func() {
					resp := sip.NewResponse(code, "")
					for _, h := range via.Headers() {
						resp.AppendHeader(h)
					}
					x.Receive(resp, flow)
				})
			}
			wg.Go(func() { c.Cancel() })
			wg.Go(func() { c.Release() })
			wg.Wait()
		case 6:
			x.Lost(flow, errors.New("gone"))
		case 7:
			time.Sleep(time.Duration(r.IntN(700)) * time.Millisecond)
		}
	}
}
