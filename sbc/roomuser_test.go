package sbc

import (
	"bytes"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"linekeeper/sbc/call/calltest"
	"linekeeper/sbc/sip"
)

// user is a phone or a server of a room's ladder. What it says is the ladder's; it does
// by itself only what belongs to transactions: it acknowledges refusals, answers CANCEL
// and passes over what is repeated.
type user struct {
	r     *room
	name  string
	zone  string // of the box, where it is
	host  *host
	heard chan arrived
	aside []string // heard, and not yet expected

	mu      sync.Mutex
	seen    map[string]bool
	got     map[sip.Method]arrived // the newest request of the box
	last    *sip.Request           // the newest of its own that the box may challenge
	resp    *sip.Response          // the newest challenge
	dialogs map[string]*dlg        // by Call-ID
	newest  *dlg
	told    map[string]uint32 // number of the newest NOTIFY, by Call-ID
	refused map[string]bool   // branches of INVITEs that it refused
	n       int
	version uint64 // of its newest description
	// pub and temp are the GRUUs that the box gave it.
	pub, temp sip.URI
}

// arrived is a message of the box and the way that it came.
type arrived struct {
	m    sip.Message
	flow sip.Flow
}

// dlg is a dialog, or what may become one.
type dlg struct {
	name    string // the ladder's; most have none
	callID  string
	from    *sip.From // its own end
	to      *sip.To   // the box's
	target  sip.URI
	flow    sip.Flow
	seq     uint32
	invites map[uint32]*sip.Request // its own, by number
	open    *sip.Request            // the newest of them
}

// ext is the extension of a phone: its name without the letter.
func (u *user) ext() string { return strings.TrimRight(u.name, "abc") }

func (u *user) lead() sip.Transport { return u.r.speaks(u.name)[0] }

// Receive hears the box.
func (u *user) Receive(m sip.Message, flow sip.Flow) {
	u.mu.Lock()
	defer u.mu.Unlock()
	raw := string(sip.Bytes(m))
	if u.seen[raw] {
		return // repeated
	}
	u.seen[raw] = true
	news := false
	switch m := m.(type) {
	case *sip.Request:
		news = u.asked(m, flow)
	case *sip.Response:
		news = u.answered(m)
	}
	if news {
		u.heard <- arrived{m, flow}
	}
}

// Lost hears of connections; a ladder tells of them by what comes then.
func (u *user) Lost(sip.Flow, error) {}

// asked learns from a request and does what its transaction must.
func (u *user) asked(req *sip.Request, flow sip.Flow) bool {
	switch req.Method {
	case sip.ACK:
		return !u.refused[sip.Branch(req)]
	case sip.CANCEL:
		u.sendLocked(flow, sip.Respond(req, 200, "", "tag-"+u.name))
		return true
	case sip.NOTIFY:
		u.rises(req)
	}
	u.got[req.Method] = arrived{req, flow}
	id := sip.CallIDOf(req)
	if d := u.dialogs[id]; d != nil {
		d.flow = flow
	}
	if sip.ToTag(req) != "" || req.Method != sip.INVITE && req.Method != sip.SUBSCRIBE {
		return true
	}
	from := &sip.From{Address: req.To().Address}
	from.Params.Add("tag", "tag-"+u.name)
	d := &dlg{callID: id, from: from, to: &sip.To{Address: req.From().Address, Params: req.From().Params.Clone()}, flow: flow, invites: map[uint32]*sip.Request{}}
	if c := req.Contact(); c != nil {
		d.target = c.Address
	}
	u.dialogs[id], u.newest = d, d
	return true
}

// rises checks that numbers and versions of a subscription never go back.
func (u *user) rises(req *sip.Request) {
	id, n := sip.CallIDOf(req), req.CSeq().SeqNo
	if was, before := u.told[id]; before && n <= was {
		u.r.t.Errorf("NOTIFY %d after %d", n, was)
	}
	u.told[id] = n
	found := regexp.MustCompile(`<(?:dialog-info|reginfo) [^>]*version="([0-9]+)"`).FindStringSubmatch(string(req.Body()))
	if found != nil && found[1] != strconv.Itoa(int(n)-1) {
		u.r.t.Errorf("version %s in NOTIFY %d", found[1], n)
	}
}

func (u *user) answered(resp *sip.Response) bool {
	seq, method := sip.Seq(resp)
	if resp.StatusCode == 100 || method == sip.CANCEL {
		return false
	}
	if len(sip.Challenges(resp)) > 0 {
		u.resp = resp
	}
	d := u.dialogs[sip.CallIDOf(resp)]
	if d != nil && resp.StatusCode < 300 && sip.ToTag(resp) != "" {
		d.to = &sip.To{Address: d.to.Address, Params: resp.To().Params.Clone()}
		if c := resp.Contact(); c != nil {
			d.target = c.Address
		}
	}
	if invite := d.invite(seq); method == sip.INVITE && resp.StatusCode >= 300 && invite != nil {
		ack := sip.Draft{Method: sip.ACK, Target: invite.Recipient, From: invite.From(), To: resp.To(), CallID: d.callID, Seq: seq}.Request()
		sip.RemoveHeader(ack, "Via")
		ack.PrependHeader(invite.Via().Clone())
		u.sendLocked(d.flow, ack)
	}
	if method == sip.REGISTER {
		u.learn(resp)
	}
	return true
}

func (d *dlg) invite(seq uint32) *sip.Request {
	if d == nil {
		return nil
	}
	return d.invites[seq]
}

// learn takes the GRUUs of its own contact.
func (u *user) learn(resp *sip.Response) {
	at := u.contact()
	for _, c := range sip.Contacts(resp) {
		if c.Address.Port != at.Port || c.Address.Host != at.Host {
			continue
		}
		pub, err := sip.ParseURI(sip.ParamValue(c.Params, "pub-gruu"))
		temp, err2 := sip.ParseURI(sip.ParamValue(c.Params, "temp-gruu"))
		if err == nil && err2 == nil {
			u.pub, u.temp = pub, temp
		}
	}
}

// expect waits for a line of the box.
func (u *user) expect(l calltest.Line) {
	u.r.t.Helper()
	late := time.NewTimer(30 * time.Second)
	defer late.Stop()
	loose := l.Words[1] == "~>"
	want := strings.Replace(l.Said(), "~>", "->", 1)
	for i := 0; ; i++ {
		if i == len(u.aside) {
			select {
			case a := <-u.heard:
				u.aside = append(u.aside, u.words(a))
			case <-late.C:
				u.r.t.Fatalf("%q: nothing comes but %q", want, u.aside)
			}
		}
		switch {
		case u.aside[i] == want:
			u.aside = slices.Delete(u.aside, i, i+1)
			return
		case !loose:
			u.r.t.Fatalf("the ladder went otherwise:\n want %q\n got  %q", want, u.aside[i])
		}
	}
}

// besides checks that it has heard nothing else.
func (u *user) besides() {
	for {
		select {
		case a := <-u.heard:
			u.aside = append(u.aside, u.words(a))
		default:
			for _, text := range u.aside {
				u.r.t.Errorf("besides: %s", text)
			}
			return
		}
	}
}

// calls is where it says that it is.
func (u *user) calls() netip.AddrPort {
	if u.r.hidden[u.name] {
		return netip.MustParseAddrPort("192.168.77.7:5070")
	}
	return u.host.at("user", u.lead())
}

func (u *user) contact() sip.URI {
	at := u.calls()
	c := sip.URI{Scheme: "sip", User: u.ext(), Host: at.Addr().String(), Port: int(at.Port())}
	if u.lead() != sip.UDP {
		c.UriParams.Add("transport", string(u.lead()))
	}
	return c
}

// way is how it begins something new toward the box.
func (u *user) way() sip.Flow {
	flow, err := u.host.wire.Flow("user", u.lead(), u.r.box.at(u.zone, u.lead()))
	if err != nil {
		u.r.t.Fatal(err)
	}
	return flow
}

func (u *user) sendLocked(flow sip.Flow, m sip.Message) {
	if err := u.host.wire.Send(flow, m); err != nil {
		u.r.t.Errorf("%s cannot speak: %v", u.name, err)
	}
}

// says sends a request, or answers the newest one of a method.
func (u *user) says(what string, words []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	code, err := strconv.Atoi(what)
	switch {
	case err == nil:
		u.answers(code, words)
	case what == "again":
		u.again()
	case what == "twice": // the newest request by another branch
		u.sendLocked(u.way(), u.via(u.last.Clone()))
	default:
		u.asks(sip.Method(what), words)
	}
}

// asks sends a request of its own.
func (u *user) asks(method sip.Method, words []string) {
	within := slices.Contains([]sip.Method{sip.ACK, sip.BYE, sip.CANCEL, sip.REFER, sip.INFO, sip.UPDATE}, method) || slices.Contains(words, "within")
	var d *dlg
	if within {
		d = u.dialog(words)
	} else {
		d = u.begin(method, words)
	}
	seq := d.seq + 1
	if method == sip.ACK || method == sip.CANCEL {
		seq = d.open.CSeq().SeqNo
	}
	d.seq = seq
	contact := u.contact()
	draft := sip.Draft{Method: method, Target: d.target, From: d.from, To: d.to, CallID: d.callID, Seq: seq, Contact: &contact}
	if method == sip.MESSAGE {
		draft.Contact = nil
	}
	req := u.via(draft.Request())
	if method == sip.CANCEL {
		req.Recipient = d.open.Recipient
		sip.SetHeader(req, sip.NewHeader("To", d.open.To().Value()))
		sip.RemoveHeader(req, "Via")
		req.PrependHeader(d.open.Via().Clone())
	}
	u.dress(req, words)
	if octets := spoilt(sip.Bytes(req), words); octets != nil {
		if err := u.host.raw(u.way(), octets); err != nil {
			u.r.t.Fatal(err)
		}
		return
	}
	if method == sip.INVITE {
		d.invites[seq], d.open = req.Clone(), req.Clone()
	}
	if method != sip.ACK && method != sip.CANCEL {
		u.last = req.Clone()
	}
	u.sendLocked(d.flow, req)
}

// dialog is the one that words name ("call=consult"), or the newest.
func (u *user) dialog(words []string) *dlg {
	name, named := calltest.Value(words, "call")
	for _, d := range u.dialogs {
		if named && d.name == name {
			return d
		}
	}
	if named || u.newest == nil {
		u.r.t.Fatalf("%s has no such dialog: %q", u.name, words)
	}
	return u.newest
}

// begin makes what may become a dialog.
func (u *user) begin(method sip.Method, words []string) *dlg {
	u.n++
	id := fmt.Sprintf("%s-%d", u.name, u.n)
	host := u.r.box.at(u.zone, u.lead()).Addr().String()
	target := sip.URI{Scheme: "sip", User: u.ext(), Host: host}
	if v, ok := calltest.Value(words, "to"); ok {
		target.User = v
	}
	if v, ok := calltest.Value(words, "gruu"); ok {
		target = u.r.gruu(v, false)
	}
	if v, ok := calltest.Value(words, "temp"); ok {
		target = u.r.gruu(v, true)
	}
	from := &sip.From{Address: sip.URI{Scheme: "sip", User: u.ext(), Host: host}}
	from.Params.Add("tag", "t"+id)
	d := &dlg{callID: id, from: from, to: &sip.To{Address: target}, target: target, flow: u.way(), invites: map[uint32]*sip.Request{}}
	d.name, _ = calltest.Value(words, "call")
	if method == sip.REGISTER {
		d.target.User = ""
	}
	u.dialogs[id] = d
	if method != sip.REGISTER && method != sip.MESSAGE {
		u.newest = d
	}
	return d
}

// gruu is what the box gave to another user.
func (r *room) gruu(name string, temp bool) sip.URI {
	at := r.gruus(name)[0]
	if temp {
		at = r.gruus(name)[1]
	}
	if at.Host == "" {
		r.t.Fatalf("%s has no GRUU", name)
	}
	return *at
}

// gruus are a user's, the public one first.
func (r *room) gruus(name string) [2]*sip.URI {
	u := r.user(name)
	u.mu.Lock()
	defer u.mu.Unlock()
	pub, temp := u.pub, u.temp
	return [2]*sip.URI{&pub, &temp}
}

// via puts a Via with a new branch on a request.
func (u *user) via(req *sip.Request) *sip.Request {
	u.n++
	at := u.calls()
	sip.RemoveHeader(req, "Via")
	req.PrependHeader(&sip.Via{ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: strings.ToUpper(string(u.lead())), Host: at.Addr().String(), Port: int(at.Port()),
		Params: sip.Params{{K: "branch", V: fmt.Sprintf("%s-%s-%d", sip.MagicCookie, u.name, u.n)}, {K: "rport"}}})
	return req
}

// again repeats its newest request with the credentials that were asked for.
func (u *user) again() {
	cs := sip.Challenges(u.resp)
	if len(cs) == 0 {
		u.r.t.Fatalf("%s was asked for nothing", u.name)
	}
	h, err := sip.Authorize(cs[0], sip.Credentials{User: u.ext(), Password: "secret" + u.ext()}, u.last.Method, sip.URIText(&u.last.Recipient), u.last.Body(), "cnonce", 1)
	if err != nil {
		u.r.t.Fatal(err)
	}
	req := u.last.Clone()
	sip.SetHeader(req, h)
	req.CSeq().SeqNo++
	u.last = u.via(req)
	d := u.dialogs[sip.CallIDOf(req)]
	d.seq = req.CSeq().SeqNo
	if req.Method == sip.INVITE {
		d.invites[d.seq], d.open = req.Clone(), req.Clone()
	}
	u.sendLocked(d.flow, req.Clone())
}

func (u *user) answers(code int, words []string) {
	method := sip.Method(calltest.Method(words))
	a, ok := u.got[method]
	if !ok {
		u.r.t.Fatalf("%s answers what it never got", u.name)
	}
	req := a.m.(*sip.Request)
	resp := sip.Respond(req, code, "", "tag-"+u.name)
	switch {
	case method == sip.REGISTER && code == 200:
		left, ok := calltest.Value(words, "granted")
		if !ok {
			left = "600"
		}
		for _, c := range sip.HeaderValues(req, "Contact") {
			resp.AppendHeader(sip.NewHeader("Contact", c+";expires="+left))
		}
	case (method == sip.INVITE || method == sip.SUBSCRIBE) && code > 100 && code < 300:
		resp.AppendHeader(&sip.Contact{Address: u.contact()})
	case method == sip.INVITE && code >= 300:
		u.refused[sip.Branch(req)] = true
	}
	if name, ok := calltest.Value(words, "call"); ok {
		u.dialogs[sip.CallIDOf(req)].name = name
	}
	u.dress(resp, words)
	u.sendLocked(a.flow, resp)
}

// spoilt are the octets of a request that isn't as it should be; nil where it is.
func spoilt(octets []byte, words []string) []byte {
	wrong := false
	for _, w := range words {
		key, val, _ := strings.Cut(w, "=")
		line := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(val) + `: .*\r\n`)
		switch key {
		case "version":
			octets = bytes.Replace(octets, []byte(" SIP/2.0\r\n"), []byte(" "+val+"\r\n"), 1)
		case "double": // a header field that may be there once
			octets = line.ReplaceAll(octets, []byte("$0$0"))
		case "without":
			octets = line.ReplaceAll(octets, nil)
		case "length": // more than there is
			octets = bytes.Replace(octets, []byte("Content-Length: 0"), []byte("Content-Length: "+val), 1)
		default:
			continue
		}
		wrong = true
	}
	if !wrong {
		return nil
	}
	return octets
}
