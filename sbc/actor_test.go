package sbc

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"linekeeper/sbc/call/calltest"
	"linekeeper/sbc/sdp"
	"linekeeper/sbc/sip"
)

// actor is one side of a ladder on a socket of its own. What it says is the ladder's;
// it does by itself only what belongs to transactions: it acknowledges refusals,
// answers CANCEL and passes over what is repeated.
type actor struct {
	t    *testing.T
	name string
	lead sip.Transport
	box  netip.AddrPort
	sent func() // counts what leaves

	datagrams *net.UDPConn
	listener  net.Listener
	heard     chan sip.Message
	done      sync.WaitGroup

	mu      sync.Mutex
	stream  net.Conn
	seen    map[string]bool
	got     map[sip.Method]*sip.Request // the newest request of the box
	refused map[string]bool             // branches of INVITEs that it refused
	open    []*sip.Request              // its own INVITEs without a final answer
	invite  *sip.Request                // the newest that was accepted
	seq     uint32
	branch  int
	callID  string
	theirs  string  // the box's tag
	target  sip.URI // the box's contact
	port    uint16  // of the box's media
	signs   bool    // it has answered the INVITE in some way
}

// newActor opens the socket; one that will be lost has a connection.
func newActor(t *testing.T, name string, lead sip.Transport, box netip.AddrPort, sent func()) *actor {
	a := &actor{t: t, name: name, lead: lead, box: box, sent: sent, heard: make(chan sip.Message, 256),
		seen: map[string]bool{}, got: map[sip.Method]*sip.Request{}, refused: map[string]bool{}, callID: "cid-" + name}
	a.target = sip.URI{Scheme: "sip", User: "23", Host: box.Addr().String(), Port: int(box.Port())}
	var err error
	switch {
	case lead == sip.UDP:
		if a.datagrams, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err == nil {
			a.done.Go(a.readDatagrams)
		}
	case name == "A":
		if a.stream, err = net.Dial("tcp4", box.String()); err == nil {
			a.done.Go(func() { a.readStream(a.stream) })
		}
	default:
		if a.listener, err = net.Listen("tcp4", "127.0.0.1:0"); err == nil {
			a.done.Go(a.accept)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.close)
	return a
}

// at is where the box finds it.
func (a *actor) at() netip.AddrPort {
	var addr net.Addr
	switch {
	case a.datagrams != nil:
		addr = a.datagrams.LocalAddr()
	case a.listener != nil:
		addr = a.listener.Addr()
	default:
		a.mu.Lock()
		defer a.mu.Unlock()
		addr = a.stream.LocalAddr()
	}
	return netip.MustParseAddrPort(addr.String())
}

func (a *actor) contact() sip.URI {
	at := a.at()
	u := sip.URI{Scheme: "sip", User: a.name, Host: at.Addr().String(), Port: int(at.Port())}
	if a.lead != sip.UDP {
		u.UriParams.Add("transport", string(a.lead))
	}
	return u
}

// lose breaks its connection.
func (a *actor) lose() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stream == nil {
		a.t.Fatalf("%s has no connection to lose", a.name)
	}
	_ = a.stream.Close()
	a.stream = nil
}

// close ends it.
func (a *actor) close() {
	if a.datagrams != nil {
		_ = a.datagrams.Close()
	}
	if a.listener != nil {
		_ = a.listener.Close()
	}
	a.mu.Lock()
	if a.stream != nil {
		_ = a.stream.Close()
	}
	a.mu.Unlock()
	a.done.Wait()
}

// last is a datagram after which a reader stops: all that came before has been heard.
const last = "that is all"

func (a *actor) readDatagrams() {
	defer close(a.heard)
	b := make([]byte, 65536)
	for {
		n, err := a.datagrams.Read(b)
		if err != nil || string(b[:n]) == last {
			return
		}
		m, err := sip.Parse(b[:n])
		if err != nil || m == nil {
			a.t.Errorf("the box sent %s what cannot be read: %v\n%s", a.name, err, b[:n])
			continue
		}
		a.hear(m)
	}
}

func (a *actor) accept() {
	for {
		c, err := a.listener.Accept()
		if err != nil {
			return
		}
		a.mu.Lock()
		a.stream = c
		a.mu.Unlock()
		a.readStream(c) // until it is lost; the box may come again
	}
}

func (a *actor) readStream(c net.Conn) {
	var s sip.Stream
	b := make([]byte, 65536)
	for {
		n, err := c.Read(b)
		if err != nil {
			return
		}
		ms, err := s.Feed(b[:n])
		if err != nil {
			a.t.Errorf("the box sent %s what cannot be read: %v", a.name, err)
			return
		}
		for _, m := range ms {
			a.hear(m)
		}
	}
}

// hear takes a message of the box, and lets the ladder see it if it is news.
func (a *actor) hear(m sip.Message) {
	a.mu.Lock()
	defer a.mu.Unlock()
	raw := string(sip.Bytes(m))
	req, asks := m.(*sip.Request)
	resp, _ := m.(*sip.Response)
	if a.seen[raw] && (asks && req.Method != sip.ACK || !asks && resp.StatusCode >= 200) {
		return // repeated by a transaction; what the call repeats is the ladder's
	}
	a.seen[raw] = true
	if s, err := sdp.Parse(m.Body()); err == nil && len(m.Body()) > 0 {
		a.port = s.Media[0].Port
	}
	news := false
	if asks {
		news = a.asked(req)
	} else {
		news = a.answered(resp)
	}
	if news {
		a.heard <- m
	}
}

// asked learns from a request and does what its transaction must.
func (a *actor) asked(req *sip.Request) bool {
	switch {
	case req.Method == sip.ACK && a.refused[sip.Branch(req)]:
		return false
	case req.Method == sip.CANCEL:
		a.writeLocked(sip.Respond(req, 200, "", calltest.Tag(a.name)))
	case req.Method != sip.ACK:
		a.got[req.Method] = req
		if a.theirs == "" {
			a.callID = sip.CallIDOf(req)
		}
		a.theirs = sip.FromTag(req)
		if c := req.Contact(); c != nil {
			a.target = c.Address
		}
	}
	return true
}

func (a *actor) answered(resp *sip.Response) bool {
	_, method := sip.Seq(resp)
	if resp.StatusCode == 100 || method == sip.CANCEL {
		return false
	}
	if method == sip.INVITE && resp.StatusCode < 300 {
		a.theirs = sip.ToTag(resp)
	}
	if c := resp.Contact(); c != nil && resp.StatusCode < 300 {
		a.target = c.Address
	}
	if method == sip.INVITE && resp.StatusCode >= 200 {
		a.closed(resp)
	}
	return true
}

// closed is told of the final answer to an INVITE.
func (a *actor) closed(resp *sip.Response) {
	seq, _ := sip.Seq(resp)
	i := slices.IndexFunc(a.open, func(r *sip.Request) bool { return r.CSeq().SeqNo == seq })
	if i < 0 {
		return
	}
	invite := a.open[i]
	a.open = slices.Delete(a.open, i, i+1)
	if resp.IsSuccess() {
		a.invite = invite // the ladder acknowledges it
		return
	}
	ack := sip.Draft{Method: sip.ACK, Target: invite.Recipient, From: invite.From(), To: resp.To(), CallID: sip.CallIDOf(resp), Seq: seq}.Request()
	ack.PrependHeader(resp.Via().Clone())
	a.writeLocked(ack)
}

func (a *actor) write(m sip.Message) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.writeLocked(m)
}

func (a *actor) writeLocked(m sip.Message) {
	a.sent()
	var err error
	switch {
	case a.datagrams != nil:
		_, err = a.datagrams.WriteToUDPAddrPort(sip.Bytes(m), a.box)
	case a.stream != nil:
		_, err = a.stream.Write(sip.Bytes(m))
	default:
		err = errors.New("the box has no connection to it")
	}
	if err != nil {
		a.t.Errorf("%s cannot speak: %v", a.name, err)
	}
}

// next is what the box sends it next.
func (a *actor) next(within <-chan time.Time) (sip.Message, bool) {
	select {
	case m, ok := <-a.heard:
		return m, ok
	case <-within:
		return nil, false
	}
}

// rest is what came besides, once nothing more can come.
func (a *actor) rest() (list []sip.Message) {
	if a.datagrams == nil {
		return nil
	}
	if _, err := a.datagrams.WriteToUDPAddrPort([]byte(last), a.at()); err != nil {
		a.t.Error(err)
	}
	for m := range a.heard {
		list = append(list, m)
	}
	return list
}

// respond answers the newest request of the box by a method.
func (a *actor) respond(pen *calltest.Pen, code int, words []string) {
	a.mu.Lock()
	method := sip.Method(calltest.Method(words))
	req := a.got[method]
	a.mu.Unlock()
	if req == nil {
		a.t.Fatalf("%s answers what it never got", a.name)
	}
	resp := sip.Respond(req, code, "", calltest.Tag(a.name))
	if code < 400 && code > 100 {
		resp.AppendHeader(&sip.Contact{Address: a.contact()})
	}
	pen.Dress(a.t, resp, words)
	a.mu.Lock()
	a.signs = a.signs || method == sip.INVITE
	if code >= 300 && method == sip.INVITE {
		a.refused[sip.Branch(req)] = true
	}
	a.mu.Unlock()
	a.write(resp)
}

// ask sends a request of the actor's.
func (a *actor) ask(pen *calltest.Pen, method sip.Method, words []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	user := "22"
	if of, ok := calltest.Value(words, "replaces"); ok && a.name != "A" {
		if user = "23"; of == "A" {
			user = "22"
		}
	}
	for _, w := range words {
		if w == "stranger" {
			user = "24"
		}
	}
	from := &sip.From{Address: sip.URI{Scheme: "sip", User: user, Host: "127.0.0.1"}}
	from.Params.Add("tag", calltest.Tag(a.name))
	to := &sip.To{Address: sip.URI{Scheme: "sip", User: "23", Host: "127.0.0.1"}}
	if a.theirs != "" {
		to.Params.Add("tag", a.theirs)
	}
	seq := a.seq + 1
	var invite *sip.Request // to be cancelled
	switch {
	case method == sip.ACK && a.invite != nil:
		seq = a.invite.CSeq().SeqNo
	case method == sip.CANCEL && len(a.open) > 0:
		invite = a.open[len(a.open)-1]
		seq, to = invite.CSeq().SeqNo, invite.To()
	default:
		a.seq = seq
	}
	if v, ok := calltest.Value(words, "seq"); ok {
		n, _ := strconv.Atoi(v)
		seq = uint32(n)
	}
	contact := a.contactLocked()
	req := sip.Draft{Method: method, Target: a.target, From: from, To: to, CallID: a.callID, Seq: seq, Contact: &contact}.Request()
	req.PrependHeader(a.via())
	a.mu.Unlock()
	pen.Dress(a.t, req, words) // may look at the dialog
	a.mu.Lock()
	if method == sip.INVITE {
		a.open = append(a.open, req)
	}
	if invite != nil {
		req.Recipient = invite.Recipient
		sip.RemoveHeader(req, "Via")
		req.PrependHeader(invite.Via().Clone())
	}
	a.writeLocked(req)
}

func (a *actor) contactLocked() sip.URI {
	a.mu.Unlock()
	defer a.mu.Lock()
	return a.contact()
}

func (a *actor) via() *sip.Via {
	a.branch++
	c := a.contactLocked()
	return &sip.Via{ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: strings.ToUpper(string(a.lead)), Host: c.Host, Port: c.Port,
		Params: sip.Params{{K: "branch", V: fmt.Sprintf("%s-%s-%d", sip.MagicCookie, a.name, a.branch)}, {K: "rport"}}}
}
