package exchange

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"linekeeper/sbc/sip"
)

// link carries bytes from one exchange to another, late and not always.
type link struct {
	mu    sync.Mutex
	rand  *rand.Rand
	loss  float64
	flow  sip.Flow
	to    *Exchange
	carry int
}

func (l *link) Send(_ sip.Flow, m sip.Message) error {
	data := sip.Bytes(m)
	l.mu.Lock()
	lost := l.rand.Float64() < l.loss
	delay := time.Duration(1+l.rand.IntN(60)) * time.Millisecond
	l.carry++
	l.mu.Unlock()
	if lost {
		return nil
	}
	time.AfterFunc(delay, func() {
		got, err := sip.Parse(data)
		if err != nil {
			panic(err)
		}
		if req, ok := got.(*sip.Request); ok {
			if r := sip.Validate(req); r != nil {
				panic(r)
			}
		} else if err := sip.ValidateResponse(got.(*sip.Response)); err != nil {
			panic(err)
		}
		l.to.Receive(got, l.flow)
	})
	return nil
}

// callee answers every third call, refuses every third, and lets the others
// ring until they are cancelled.
type callee struct {
	mu                        sync.Mutex
	acked, unacked, cancelled int
}

func (c *callee) count(n *int) {
	c.mu.Lock()
	*n++
	c.mu.Unlock()
}

func (c *callee) Request(tx *Server, req *sip.Request, _ sip.Flow) {
	tag := "callee"
	tx.Respond(sip.Respond(req, 180, "", tag))
	tx.OnAcked(func(*sip.Request) { c.count(&c.acked) })
	tx.OnUnacked(func() { c.count(&c.unacked) })
	switch user := req.Recipient.User; user {
	case "answers":
		time.AfterFunc(time.Second, func() { tx.Respond(sip.Respond(req, 200, "", tag)) })
	case "refuses":
		tx.Respond(sip.Respond(req, 486, "", tag))
	case "rings":
		tx.OnCancel(func(*sip.Request) {
			c.count(&c.cancelled)
			tx.Respond(sip.Respond(req, 487, "", tag))
		})
	}
}
func (*callee) Ack(*sip.Request, sip.Flow)    {}
func (*callee) Stray(*sip.Response, sip.Flow) {}

func TestCallsSurviveALossyNetwork(t *testing.T) {
	for _, loss := range []float64{0, 0.15, 0.3} {
		synctest.Test(t, func(t *testing.T) { lossy(t, loss) })
	}
}

func lossy(t *testing.T, loss float64) {
	const calls = 300
	log := slog.New(slog.DiscardHandler)
	there := &link{rand: rand.New(rand.NewPCG(1, 2)), loss: loss, flow: flowOf(sip.UDP)}
	back := &link{rand: rand.New(rand.NewPCG(3, 4)), loss: loss, flow: flowOf(sip.UDP)}
	a, err := New(Deps{Sender: there, Log: log, Rand: zeros{}})
	if err != nil {
		t.Fatal(err)
	}
	b, err := New(Deps{Sender: back, Log: log, Rand: zeros{}})
	if err != nil {
		t.Fatal(err)
	}
	there.to, back.to = b, a
	end := &callee{}
	a.Handle(&owner{})
	b.Handle(end)

	var mu sync.Mutex
	finals := map[string]map[int]int{"answers": {}, "refuses": {}, "rings": {}}
	for i := range calls {
		user := []string{"answers", "refuses", "rings"}[i%3]
		d := draft(sip.INVITE, i)
		d.Target.User = user
		first := true
		c := a.Do(d.Request(), flowOf(sip.UDP), func(ev ClientEvent) {
			code := 408
			if ev.Err == nil {
				code = ev.Response.StatusCode
			} else if !errors.Is(ev.Err, ErrTimeout) {
				t.Error(ev.Err)
			}
			if code < 200 {
				return
			}
			if code < 300 {
				ack := draft(sip.ACK, i)
				ack.Contact, ack.To.Params = nil, sip.Params{{K: "tag", V: "callee"}}
				if err := a.Send(ack.Request(), flowOf(sip.UDP)); err != nil {
					t.Error(err)
				}
			}
			mu.Lock()
			if first {
				finals[user][code]++
			}
			first = false
			mu.Unlock()
		})
		if user == "rings" {
			time.AfterFunc(10*time.Second, func() { c.Cancel() })
		}
	}
	time.Sleep(3 * time.Minute)
	synctest.Wait()
	t.Logf("loss %v: finals %v, callee %d acked, %d unacked, %d cancelled, %d messages", loss, finals, end.acked, end.unacked, end.cancelled, there.carry+back.carry)
	for user, code := range map[string]int{"answers": 200, "refuses": 486, "rings": 487} {
		total := 0
		for c, n := range finals[user] {
			total += n
			if c != code && c != 408 {
				t.Errorf("%s: %d calls ended with %d", user, n, c)
			}
		}
		if total != calls/3 || finals[user][code] < total*9/10 {
			t.Errorf("loss %v, %s: %v", loss, user, finals[user])
		}
	}
	if end.acked+end.unacked < finals["answers"][200] || end.unacked > 5 {
		t.Errorf("loss %v: %d acknowledged, %d not, of %d answered", loss, end.acked, end.unacked, finals["answers"][200])
	}
	empty(t, a)
	// A callee that rings for ever keeps its transaction when the CANCEL never
	// comes through: that is its owner's to end.
	if left := b.Stats().Servers; left > finals["rings"][408] {
		t.Errorf("loss %v: %d left with the callee, want at most %d", loss, left, finals["rings"][408])
	}
	b.Stop()
	empty(t, b)
}
