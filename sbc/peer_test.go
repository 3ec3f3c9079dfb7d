package sbc

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"linekeeper/sbc/sip"
)

// peer is a phone or a cloud server, played by the test.
type peer struct {
	w    *world
	t    *testing.T
	name string
	flow sip.Flow // as the box sees it
	in   chan sip.Message
	gone bool // its connection is refused
	n    int  // numbers branches and calls
}

// phone makes a telephone of an extension at 192.0.2.<host>.
func (w *world) phone(ext string, host int) *peer {
	return w.join(ext, sip.Flow{
		Zone: LAN, Transport: sip.UDP, Local: netip.MustParseAddrPort("192.0.2.1:5060"),
		Remote: netip.MustParseAddrPort(fmt.Sprintf("192.0.2.%d:5060", host)),
	})
}

// cloud makes a server of the provider at 203.0.113.<host>.
func (w *world) cloud(host int) *peer {
	return w.join("cloud", sip.Flow{
		Zone: trunk, Transport: sip.UDP, Local: netip.MustParseAddrPort("198.51.100.1:5060"),
		Remote: netip.MustParseAddrPort(fmt.Sprintf("203.0.113.%d:5060", host)),
	})
}

func (w *world) join(name string, flow sip.Flow) *peer {
	p := &peer{w: w, t: w.t, name: name, flow: flow, in: make(chan sip.Message, 4096)}
	w.mu.Lock()
	w.peers[flow.Remote] = p
	w.mu.Unlock()
	return p
}

func (p *peer) target() Target { return Target{p.flow.Transport, p.flow.Remote} }

// request makes a request to the box; words are "Header: value" lines, and
// "sdp" for an offer.
func (p *peer) request(method sip.Method, user string, words ...string) *sip.Request {
	p.n++
	from := &sip.From{Address: sip.URI{Scheme: "sip", User: p.name, Host: "pbx.example"}}
	from.Params.Add("tag", fmt.Sprintf("tag%d", p.n))
	to := sip.URI{Scheme: "sip", User: user, Host: "192.0.2.1"}
	if method == sip.REGISTER {
		to.User = p.name
	}
	d := sip.Draft{Method: method, Target: sip.URI{Scheme: "sip", User: user, Host: "192.0.2.1"}, From: from, To: &sip.To{Address: to},
		CallID: fmt.Sprintf("%s-%s-%d", p.name, p.flow.Remote, p.n), Seq: 1}
	if method == sip.INVITE {
		c := p.contact()
		d.Contact = &c
	}
	req := d.Request()
	for _, h := range words {
		name, value, ok := strings.Cut(h, ": ")
		if !ok {
			sip.SetBody(req, "application/sdp", p.describe(1))
			continue
		}
		req.AppendHeader(sip.NewHeader(name, value))
	}
	return p.via(req)
}

func (p *peer) contact() sip.URI {
	return sip.URI{Scheme: "sip", User: p.name, Host: p.flow.Remote.Addr().String(), Port: int(p.flow.Remote.Port())}
}

// via puts a Via with a new branch on a request.
func (p *peer) via(req *sip.Request) *sip.Request {
	p.n++
	sip.RemoveHeader(req, "Via")
	req.PrependHeader(&sip.Via{ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: strings.ToUpper(string(p.flow.Transport)),
		Host: p.flow.Remote.Addr().String(), Port: int(p.flow.Remote.Port()),
		Params: sip.Params{{K: "branch", V: fmt.Sprintf("%s-%s-%d", sip.MagicCookie, p.name, p.n)}}})
	return req
}

func (p *peer) describe(version int) []byte {
	ip := p.flow.Remote.Addr()
	return fmt.Appendf(nil, "v=0\r\no=- 7 %d IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n", version, ip, ip)
}

// send gives a message to the box as the wire would.
func (p *peer) send(m sip.Message) {
	p.t.Helper()
	copied, err := sip.Parse(sip.Bytes(m))
	if err != nil || copied == nil {
		p.t.Fatalf("%s sends what cannot be read: %v\n%s", p.name, err, sip.Bytes(m))
	}
	if req, ok := copied.(*sip.Request); ok {
		if r := sip.Validate(req); r != nil {
			p.t.Fatalf("%s sends what is not valid: %v", p.name, r)
		}
	}
	p.w.x.Receive(copied, p.flow)
}

// patience is how long a peer waits for what must come, in the bubble's time.
const patience = 2 * time.Minute

// next is the next message for the peer, 100s left out.
func (p *peer) next() sip.Message {
	p.t.Helper()
	for {
		select {
		case m := <-p.in:
			if resp, ok := m.(*sip.Response); ok && resp.StatusCode == 100 {
				continue
			}
			return m
		case <-time.After(patience):
			p.t.Fatalf("%s waits in vain", p.name)
		}
	}
}

// gets is the next request, which must be of that method.
func (p *peer) gets(method sip.Method) *sip.Request {
	p.t.Helper()
	m := p.next()
	req, ok := m.(*sip.Request)
	if !ok || req.Method != method {
		p.t.Fatalf("%s waits for %s and gets\n%s", p.name, method, sip.Bytes(m))
	}
	return req
}

// hears is the next response, which must have that code.
func (p *peer) hears(code int) *sip.Response {
	p.t.Helper()
	m := p.next()
	resp, ok := m.(*sip.Response)
	if !ok || resp.StatusCode != code {
		p.t.Fatalf("%s waits for %d and gets\n%s", p.name, code, sip.Bytes(m))
	}
	return resp
}

// quiet checks that nothing lies there for the peer.
func (p *peer) quiet() {
	p.t.Helper()
	synctest.Wait()
	select {
	case m := <-p.in:
		p.t.Errorf("%s gets unexpectedly\n%s", p.name, sip.Bytes(m))
	default:
	}
}

// answers responds to a request of the box; "sdp" brings a description.
func (p *peer) answers(req *sip.Request, code int, words ...string) {
	p.t.Helper()
	resp := sip.Respond(req, code, "", "tag-"+p.name+p.flow.Remote.Addr().String())
	if req.Method == sip.INVITE && code > 100 && code < 300 {
		resp.AppendHeader(&sip.Contact{Address: p.contact()})
	}
	for _, h := range words {
		if name, value, ok := strings.Cut(h, ": "); ok {
			resp.AppendHeader(sip.NewHeader(name, value))
		} else {
			sip.SetBody(resp, "application/sdp", p.describe(1))
		}
	}
	p.send(resp)
}

// prove answers the challenge of a 401 with the i-th algorithm offered.
func (p *peer) prove(req *sip.Request, resp *sip.Response, user, password string, i int) *sip.Request {
	p.t.Helper()
	cs := sip.Challenges(resp)
	if len(cs) <= i {
		p.t.Fatalf("no challenge %d in\n%s", i, sip.Bytes(resp))
	}
	h, err := sip.Authorize(cs[i], sip.Credentials{User: user, Password: password}, req.Method, sip.URIText(&req.Recipient), req.Body(), "cnonce", 1)
	if err != nil {
		p.t.Fatal(err)
	}
	again := req.Clone()
	sip.SetHeader(again, h)
	again.CSeq().SeqNo++
	return p.via(again)
}

// asks sends a request, proves who it is when challenged, and yields the final answer.
func (p *peer) asks(req *sip.Request) *sip.Response {
	p.t.Helper()
	p.send(req)
	resp := p.hears(401)
	if req.Method == sip.INVITE {
		p.acks(req, resp)
	}
	p.send(p.prove(req, resp, p.name, "secret"+p.name, 0))
	m := p.next()
	for req, other := m.(*sip.Request); other; req, other = m.(*sip.Request) { // a NOTIFY may overtake the answer
		m = p.next()
		p.in <- req
	}
	return m.(*sip.Response)
}

// registers makes the phone reachable.
func (p *peer) registers(words ...string) *sip.Response {
	p.t.Helper()
	if len(words) == 0 {
		c := p.contact()
		words = []string{"Contact: <" + sip.URIText(&c) + ">", "Expires: 600"}
	}
	resp := p.asks(p.request(sip.REGISTER, "", words...))
	if resp.StatusCode != 200 {
		p.t.Fatalf("%s could not register: %d", p.name, resp.StatusCode)
	}
	return resp
}

// acks acknowledges a final response to an INVITE.
func (p *peer) acks(invite *sip.Request, resp *sip.Response) {
	p.t.Helper()
	ack := p.within(invite, resp, sip.ACK)
	if !resp.IsSuccess() {
		sip.RemoveHeader(ack, "Via")
		ack.PrependHeader(invite.Via().Clone())
	}
	p.send(ack)
}

// within makes a request of the dialog that a response to an INVITE of the peer made.
func (p *peer) within(invite *sip.Request, resp *sip.Response, method sip.Method) *sip.Request {
	seq := invite.CSeq().SeqNo
	if method != sip.ACK {
		p.n++
		seq += uint32(p.n)
	}
	target := invite.Recipient
	if c := resp.Contact(); c != nil {
		target = c.Address
	}
	req := sip.Draft{Method: method, Target: target, From: invite.From(), To: resp.To(), CallID: sip.CallIDOf(invite), Seq: seq}.Request()
	return p.via(req)
}

// hangsUp ends the dialog of an INVITE that the peer has accepted.
func (p *peer) hangsUp(invite *sip.Request) {
	p.t.Helper()
	p.n++
	from := &sip.From{Address: invite.To().Address}
	from.Params.Add("tag", "tag-"+p.name+p.flow.Remote.Addr().String())
	p.send(p.via(sip.Draft{Method: sip.BYE, Target: invite.Contact().Address, From: from,
		To: &sip.To{Address: invite.From().Address, Params: invite.From().Params}, CallID: sip.CallIDOf(invite), Seq: uint32(p.n)}.Request()))
	p.hears(200)
}

// dials starts a call and passes the challenge; the INVITE that counts is returned.
func (p *peer) dials(user string, words ...string) *sip.Request {
	p.t.Helper()
	req := p.request(sip.INVITE, user, append([]string{"sdp"}, words...)...)
	p.send(req)
	resp := p.hears(401)
	p.acks(req, resp)
	again := p.prove(req, resp, p.name, "secret"+p.name, 0)
	p.send(again)
	return again
}

// talk is an answered call.
type talk struct {
	a, b         *peer
	invite, rung *sip.Request
	ok           *sip.Response
}

// connects plays a call from p to number that b answers.
func (p *peer) connects(user string, b *peer) talk {
	p.t.Helper()
	invite := p.dials(user)
	rung := b.gets(sip.INVITE)
	b.answers(rung, 180)
	p.hears(180)
	b.answers(rung, 200, "sdp")
	b.gets(sip.ACK)
	ok := p.hears(200)
	p.acks(invite, ok)
	synctest.Wait()
	return talk{p, b, invite, rung, ok}
}

// end lets the caller hang up.
func (c talk) end() {
	c.a.t.Helper()
	c.a.send(c.a.within(c.invite, c.ok, sip.BYE))
	c.a.hears(200)
	c.b.answers(c.b.gets(sip.BYE), 200)
	synctest.Wait()
}

func (p *peer) cancels(invite *sip.Request) {
	p.t.Helper()
	req := sip.Draft{Method: sip.CANCEL, Target: invite.Recipient, From: invite.From(), To: invite.To(), CallID: sip.CallIDOf(invite), Seq: invite.CSeq().SeqNo}.Request()
	req.PrependHeader(invite.Via().Clone())
	p.send(req)
}

func headerSeconds(t *testing.T, m sip.Message, name string) time.Duration {
	t.Helper()
	n, err := strconv.Atoi(sip.HeaderValue(m, name))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return time.Duration(n) * time.Second
}
