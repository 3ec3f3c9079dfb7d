package wiretest

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"linekeeper/sbc/sip"
	"linekeeper/sbc/wire"
)

// Wire is what the real wire and the fabric have in common.
type Wire interface {
	Send(flow sip.Flow, m sip.Message) error
	Flow(zone string, t sip.Transport, remote netip.AddrPort) (sip.Flow, error)
	Ping(flow sip.Flow) error
	RemoveZone(name string)
}

// Open makes a wire with one zone, which is reached over the transport at the
// address returned, and closes it when the test ends. All wires of one test
// reach each other.
type Open func(t *testing.T, h wire.Handler, zone string, listen sip.Transport) (Wire, netip.AddrPort)

// Contract is what every wire must keep. open is called for each test anew.
func Contract(t *testing.T, open Open) {
	for _, transport := range []sip.Transport{sip.UDP, sip.TCP, sip.TLS} {
		t.Run(string(transport), func(t *testing.T) {
			each := func(name string, f func(t *testing.T, p *pair)) {
				t.Run(name, func(t *testing.T) { f(t, newPair(t, open, transport)) })
			}
			each("messages arrive in order and answers come back on the flow", inOrder)
			each("an empty sent-by is filled in and the source is stamped", stamped)
			each("the receiver owns its message", owned)
			each("a flow is the same each time", sameFlow)
			each("a flow without a connection finds its way", anyConnection)
			each("keep-alives are not heard", silentPing)
			each("bad requests are answered and not handed up", badRequest)
			each("a zone that does not exist is an error", noZone)
			each("a zone that goes takes its flows along", goneZone)
			if transport == sip.UDP {
				each("a request too large for a datagram is for a stream, where the peer has none it is sent all the same", large)
			} else {
				each("a connection that cannot be made is lost once", refused)
			}
		})
	}
}

// Arrival is one call of a handler.
type Arrival struct {
	Message sip.Message // nil for Lost
	Flow    sip.Flow
	Err     error
}

// Inbox is a handler that keeps what it gets, for tests.
type Inbox chan Arrival

// Receive keeps a message.
func (i Inbox) Receive(m sip.Message, flow sip.Flow) { i <- Arrival{Message: m, Flow: flow} }

// Lost keeps an end.
func (i Inbox) Lost(flow sip.Flow, err error) { i <- Arrival{Flow: flow, Err: err} }

// Next waits for the next arrival, ten seconds at most.
func (i Inbox) Next(t *testing.T) Arrival {
	t.Helper()
	late := time.NewTimer(10 * time.Second)
	defer late.Stop()
	select {
	case a := <-i:
		return a
	case <-late.C:
		t.Fatal("nothing came within ten seconds")
		return Arrival{}
	}
}

type pair struct {
	transport   sip.Transport
	box, phone  Wire
	heard, back Inbox
	at          netip.AddrPort
}

func newPair(t *testing.T, open Open, transport sip.Transport) *pair {
	p := &pair{transport: transport, heard: make(Inbox, 256), back: make(Inbox, 256)}
	p.box, p.at = open(t, p.heard, "lan", transport)
	p.phone, _ = open(t, p.back, "wan", transport)
	return p
}

func (p *pair) flow(t *testing.T) sip.Flow {
	t.Helper()
	flow, err := p.phone.Flow("wan", p.transport, p.at)
	if err != nil {
		t.Fatal(err)
	}
	return flow
}

// ask sends a request and returns how it was heard.
func (p *pair) ask(t *testing.T, flow sip.Flow, id string) Arrival {
	t.Helper()
	if err := p.phone.Send(flow, Request(t, id)); err != nil {
		t.Fatal(err)
	}
	a := p.heard.Next(t)
	if a.Message == nil || sip.CallIDOf(a.Message) != id {
		t.Fatalf("heard %v %v, want %s", a.Message, a.Err, id)
	}
	return a
}

// Request is an OPTIONS with an open sent-by.
func Request(t *testing.T, id string) *sip.Request {
	t.Helper()
	m, err := sip.Parse([]byte("OPTIONS sip:box.example SIP/2.0\r\nVia: SIP/2.0/UDP x;rport;branch=z9hG4bK" + id +
		"\r\nMax-Forwards: 70\r\nFrom: <sip:a@example>;tag=1\r\nTo: <sip:b@example>\r\nCall-ID: " + id +
		"\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	req := m.(*sip.Request)
	req.Via().Host, req.Via().Transport = "", ""
	return req
}

func inOrder(t *testing.T, p *pair) {
	flow := p.flow(t)
	for i := range 40 {
		if err := p.phone.Send(flow, Request(t, fmt.Sprint("id", i))); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 40 {
		a := p.heard.Next(t)
		if a.Message == nil || sip.CallIDOf(a.Message) != fmt.Sprint("id", i) {
			t.Fatalf("message %d: %v %v", i, a.Message, a.Err)
		}
		if f := a.Flow; f.Zone != "lan" || f.Transport != p.transport || f.Local != p.at || f.Remote != flow.Local || (f.Conn == 0) != (p.transport == sip.UDP) {
			t.Fatalf("heard on %v, sent on %v", f, flow)
		}
		if err := p.box.Send(a.Flow, sip.Respond(a.Message.(*sip.Request), 200, "", "x")); err != nil {
			t.Fatal(err)
		}
		if b := p.back.Next(t); b.Message == nil || sip.CallIDOf(b.Message) != fmt.Sprint("id", i) || b.Flow != flow {
			t.Fatalf("answer %v %v on %v, want %v", b.Message, b.Err, b.Flow, flow)
		}
	}
}

func stamped(t *testing.T, p *pair) {
	flow := p.flow(t)
	req := Request(t, "s")
	if err := p.phone.Send(flow, req); err != nil {
		t.Fatal(err)
	}
	if v := req.Via(); v.Host != flow.Local.Addr().String() || v.Port != int(flow.Local.Port()) {
		t.Errorf("sent-by %s:%d, flow %v", v.Host, v.Port, flow)
	}
	v := p.heard.Next(t).Message.(*sip.Request).Via()
	if port, _ := v.Params.Get("rport"); port != fmt.Sprint(flow.Local.Port()) {
		t.Errorf("rport is %q, flow %v", port, flow)
	}
	if from, _ := v.Params.Get("received"); from != flow.Local.Addr().String() {
		t.Errorf("received is %q, flow %v", from, flow)
	}
}

func owned(t *testing.T, p *pair) {
	flow, req := p.flow(t), Request(t, "o")
	if err := p.phone.Send(flow, req); err != nil {
		t.Fatal(err)
	}
	sip.SetHeader(req, sip.NewHeader("Subject", "changed"))
	got := p.heard.Next(t).Message
	if sip.HeaderValue(got, "Subject") != "" {
		t.Error("a change after Send went along")
	}
}

func sameFlow(t *testing.T, p *pair) {
	first := p.flow(t)
	p.ask(t, first, "f")
	if again := p.flow(t); again != first {
		t.Errorf("%v, then %v", first, again)
	}
}

func anyConnection(t *testing.T, p *pair) {
	open := sip.Flow{Zone: "wan", Transport: p.transport, Remote: p.at}
	first, second := p.ask(t, open, "a"), p.ask(t, open, "b")
	if first.Flow != second.Flow {
		t.Errorf("%v, then %v", first.Flow, second.Flow)
	}
}

func silentPing(t *testing.T, p *pair) {
	flow := p.flow(t)
	p.ask(t, flow, "before")
	if err := p.phone.Ping(flow); err != nil {
		t.Fatal(err)
	}
	p.ask(t, flow, "after")
	if p.transport == sip.UDP {
		return
	}
	nobody := flow
	nobody.Conn += 1000
	if err := p.phone.Ping(nobody); !errors.Is(err, wire.ErrGone) {
		t.Errorf("ping over no connection: %v", err)
	}
}

func badRequest(t *testing.T, p *pair) {
	flow, req := p.flow(t), Request(t, "bad")
	req.CSeq().MethodName = sip.INVITE
	if err := p.phone.Send(flow, req); err != nil {
		t.Fatal(err)
	}
	if resp, ok := p.back.Next(t).Message.(*sip.Response); !ok || resp.StatusCode != 400 || sip.ToTag(resp) == "" {
		t.Errorf("answered with %v", resp)
	}
	p.ask(t, flow, "good") // heard first
}

func large(t *testing.T, p *pair) {
	flow, req := p.flow(t), Request(t, "large")
	sip.SetBody(req, "text/plain", bytes.Repeat([]byte("x"), 2000))
	var l interface {
		Over() sip.Flow
		Anyway() error
	}
	if err := p.phone.Send(flow, req); !errors.As(err, &l) || l.Over().Transport != sip.TCP || l.Over().Remote != p.at {
		t.Fatalf("send: %v", err)
	}
	if a := p.back.Next(t); a.Flow != l.Over() || a.Err == nil { // nobody listens there
		t.Fatalf("told %v of %v, want the end of %v", a.Err, a.Flow, l.Over())
	}
	for name, send := range map[string]func() error{"again": func() error { return p.phone.Send(flow, req) }, "anyway": l.Anyway} {
		if err := send(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if a := p.heard.Next(t); a.Message == nil || sip.CallIDOf(a.Message) != "large" || a.Flow.Transport != sip.UDP {
			t.Fatalf("%s: heard %v %v on %v", name, a.Message, a.Err, a.Flow)
		}
	}
}

func noZone(t *testing.T, p *pair) {
	if _, err := p.phone.Flow("none", p.transport, p.at); !errors.Is(err, wire.ErrNoZone) {
		t.Errorf("flow: %v", err)
	}
	flow := sip.Flow{Zone: "none", Transport: p.transport, Remote: p.at}
	if err := p.phone.Send(flow, Request(t, "n")); !errors.Is(err, wire.ErrNoZone) {
		t.Errorf("send: %v", err)
	}
	if err := p.phone.Ping(flow); !errors.Is(err, wire.ErrNoZone) {
		t.Errorf("ping: %v", err)
	}
}

func goneZone(t *testing.T, p *pair) {
	flow := p.flow(t)
	heard := p.ask(t, flow, "g")
	p.phone.RemoveZone("wan")
	if err := p.phone.Send(flow, Request(t, "h")); !errors.Is(err, wire.ErrNoZone) {
		t.Errorf("send: %v", err)
	}
	if p.transport == sip.UDP {
		return
	}
	if a := p.back.Next(t); a.Flow != flow || !errors.Is(a.Err, wire.ErrNoZone) {
		t.Errorf("own side was told %v of %v", a.Err, a.Flow)
	}
	if a := p.heard.Next(t); a.Flow != heard.Flow || a.Err == nil {
		t.Errorf("other side was told %v of %v", a.Err, a.Flow)
	}
	if err := p.box.Send(heard.Flow, Request(t, "i")); !errors.Is(err, wire.ErrGone) {
		t.Errorf("send over it: %v", err)
	}
}

func refused(t *testing.T, p *pair) {
	p.box.RemoveZone("lan")
	flow := p.flow(t)
	if a := p.back.Next(t); a.Flow != flow || a.Err == nil || errors.Is(a.Err, wire.ErrNoZone) {
		t.Fatalf("told %v of %v, want the end of %v", a.Err, a.Flow, flow)
	}
	if err := p.phone.Send(flow, Request(t, "r")); !errors.Is(err, wire.ErrGone) {
		t.Errorf("send: %v", err)
	}
	if err := p.phone.Ping(flow); !errors.Is(err, wire.ErrGone) {
		t.Errorf("ping: %v", err)
	}
	again := p.flow(t) // tries anew, and is told again: the first end was told once
	if a := p.back.Next(t); a.Flow != again || again == flow {
		t.Errorf("told of %v, want %v", a.Flow, again)
	}
}
