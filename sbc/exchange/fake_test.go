package exchange

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"linekeeper/sbc/sip"
	"linekeeper/sbc/txn"
)

// wire is a Sender that writes down what leaves and when.
type wire struct {
	mu    sync.Mutex
	start time.Time
	lines []string
	sent  []sip.Message
	fail  error
	tap   func(sip.Message)
}

func (w *wire) Send(_ sip.Flow, m sip.Message) error {
	w.mu.Lock()
	if w.fail != nil {
		defer w.mu.Unlock()
		return w.fail
	}
	w.lines = append(w.lines, fmt.Sprintf("%v %s", time.Since(w.start), short(m)))
	w.sent = append(w.sent, m)
	tap := w.tap
	w.mu.Unlock()
	if tap != nil {
		tap(m)
	}
	return nil
}

func short(m sip.Message) string {
	_, method := sip.Seq(m)
	switch m := m.(type) {
	case *sip.Request:
		return string(m.Method)
	case *sip.Response:
		return fmt.Sprintf("%d/%s", m.StatusCode, method)
	}
	return "?"
}

// log tells what left and forgets it.
func (w *wire) log() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := strings.Join(w.lines, ", ")
	w.lines = nil
	return s
}

func (w *wire) first(method string) sip.Message {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.sent {
		if short(m) == method {
			return m
		}
	}
	return nil
}

// owner is a Handler that writes down what it is told.
type owner struct {
	mu      sync.Mutex
	lines   []string
	txs     []*Server
	reqs    []*sip.Request
	request func(tx *Server, req *sip.Request)
}

func (o *owner) note(format string, args ...any) {
	o.mu.Lock()
	o.lines = append(o.lines, fmt.Sprintf(format, args...))
	o.mu.Unlock()
}

func (o *owner) log() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := strings.Join(o.lines, ", ")
	o.lines = nil
	return s
}

func (o *owner) Request(tx *Server, req *sip.Request, _ sip.Flow) {
	o.note("%s", req.Method)
	o.mu.Lock()
	o.txs, o.reqs = append(o.txs, tx), append(o.reqs, req)
	f := o.request
	o.mu.Unlock()
	if f != nil {
		f(tx, req)
	}
}
func (o *owner) Ack(*sip.Request, sip.Flow)           { o.note("ack") }
func (o *owner) Stray(resp *sip.Response, _ sip.Flow) { o.note("stray %d", resp.StatusCode) }

// on writes client events down.
func (o *owner) on(ev ClientEvent) {
	if ev.Err != nil {
		o.note("%v", ev.Err)
		return
	}
	o.note("%d", ev.Response.StatusCode)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func start(t testing.TB, most int) (*Exchange, *wire, *owner) {
	t.Helper()
	w, o := &wire{start: time.Now()}, &owner{}
	x, err := New(Deps{Sender: w, Log: slog.New(slog.DiscardHandler), Timers: txn.Timers{}, Rand: zeros{}, Max: most})
	if err != nil {
		t.Fatal(err)
	}
	x.Handle(o)
	return x, w, o
}

func flowOf(tr sip.Transport) sip.Flow {
	return sip.Flow{
		Zone: "lan", Transport: tr, Local: netip.MustParseAddrPort("127.0.0.1:5060"),
		Remote: netip.MustParseAddrPort("127.0.0.2:5060"),
	}
}

// request is a peer's request; n makes call and branch.
func request(method sip.Method, n int) *sip.Request {
	req := draft(method, n).Request()
	req.PrependHeader(&sip.Via{
		ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: "UDP", Host: "127.0.0.2", Port: 5060,
		Params: sip.Params{{K: "branch", V: fmt.Sprintf("%s%d", sip.MagicCookie, n)}},
	})
	return req
}

func draft(method sip.Method, n int) sip.Draft {
	contact := sip.URI{Scheme: "sip", Host: "127.0.0.2"}
	return sip.Draft{
		Method: method, Target: sip.URI{Scheme: "sip", User: "202", Host: "127.0.0.1"},
		From:   &sip.From{Address: sip.URI{Scheme: "sip", User: "201", Host: "127.0.0.1"}, Params: sip.Params{{K: "tag", V: "f"}}},
		To:     &sip.To{Address: sip.URI{Scheme: "sip", User: "202", Host: "127.0.0.1"}},
		CallID: fmt.Sprintf("call-%d", n), Seq: 1, Contact: &contact,
	}
}

// ackOf is the peer's ACK of a 2xx.
func ackOf(n int) *sip.Request {
	ack := request(sip.ACK, n)
	ack.Via().Params.Add("branch", sip.MagicCookie+"ack")
	sip.SetToTag(ack, "t")
	return ack
}

// reply is the peer's response to what left first as method.
func (w *wire) reply(t testing.TB, method string, code int) *sip.Response {
	t.Helper()
	req, ok := w.first(method).(*sip.Request)
	if !ok {
		t.Fatalf("no %s has left", method)
	}
	return sip.Respond(req, code, "", "t")
}

func want(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\ngot  %s\nwant %s", what, got, want)
	}
}

func empty(t *testing.T, x *Exchange) {
	t.Helper()
	s := x.Stats()
	left := len(x.clients.all(func(*Client) bool { return true })) + len(x.servers.all(func(*Server) bool { return true })) +
		len(x.unacked.all(func(*Server) bool { return true }))
	if s.Clients != 0 || s.Servers != 0 || left != 0 {
		t.Errorf("%d clients, %d servers, %d entries are left", s.Clients, s.Servers, left)
	}
}
