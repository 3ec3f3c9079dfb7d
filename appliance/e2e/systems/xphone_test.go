package systems

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/emiago/sipgo/sip"

	"linekeeper/appliance/lab/cloud"
	"linekeeper/appliance/lab/phone"
	"linekeeper/appliance/lab/ua"
	"linekeeper/appliance/lab/voice"
)

// softTone is what an XPhone softphone sends.
const softTone = 700.0

// xphone is a C4B XPhone Connect server at a LAN address: a trunk without
// registration whose descriptions carry ICE candidates, with media ports 30000
// to 33000 and access lists. It is an agent of the lab on another SIP stack.
type xphone struct {
	s     *scene
	agent *ua.Agent
	in    chan *ua.Call

	mu    sync.Mutex
	users []string                 // whose softphones are signed in
	ends  map[*ua.Call]*candidates // media of calls
	black bool                     // the box's network is black-listed
	white bool                     // and white-listed, which wins
	ice   bool                     // a description without candidates is refused
}

func newXPhone(s *scene, users ...string) *xphone {
	s.Helper()
	x := &xphone{s: s, in: make(chan *ua.Call, 16), users: users, ends: map[*ua.Call]*candidates{}}
	a, err := ua.Open(ua.Config{Transport: ua.UDP, Local: netip.AddrPortFrom(s.addr(serverHost), 5060), Name: "XPhone", Log: slog.New(slog.DiscardHandler), Handler: x})
	s.must(err, "xphone")
	s.Cleanup(a.Close)
	x.agent = a
	return x
}

// set changes what the server's administrator has set.
func (x *xphone) set(f func(*xphone)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	f(x)
}

// Admit goes by the access lists.
func (x *xphone) Admit(_ context.Context, a *ua.Agent, req *sip.Request, tx *sip.ServerTx) bool {
	x.mu.Lock()
	barred := x.black && !x.white
	x.mu.Unlock()
	if barred && req.Method == sip.INVITE {
		a.Respond(tx, req, 403, "Forbidden")
		return false
	}
	return true
}

// Asked answers OPTIONS.
func (x *xphone) Asked(_ context.Context, a *ua.Agent, req *sip.Request, tx *sip.ServerTx) {
	a.Respond(tx, req, 200, "OK")
}

// Invited rings a softphone, which the test answers.
func (x *xphone) Invited(_ context.Context, c *ua.Call) {
	x.mu.Lock()
	known := slices.Contains(x.users, c.Called())
	strict := x.ice && !bytes.Contains(c.Invite().Body(), []byte("a=candidate:"))
	x.mu.Unlock()
	switch {
	case !known:
		_ = c.Reject(404, "Not Found") // a call that ended meanwhile is no harm
	case strict:
		_ = c.Reject(488, "Not Acceptable Here")
	default:
		_ = c.Ring(false)
		x.in <- c
	}
}

// Media makes the softphone's end with its candidates.
func (x *xphone) Media(c *ua.Call) (ua.Media, error) {
	e, err := voice.Open(voice.Config{Addr: x.s.addr(serverHost), Low: 30000, High: 33000, Tone: softTone}, x.s.pacer)
	if err != nil {
		return nil, err
	}
	m := &candidates{End: e}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.ends[c] = m
	return m, nil
}

// candidates is media whose descriptions carry a host and a server-reflexive
// candidate (RFC 8839).
type candidates struct {
	*voice.End

	mu  sync.Mutex
	got []byte // the peer's last description
}

func (m *candidates) dress(text []byte) []byte {
	at := m.Local()
	return fmt.Appendf(text, "a=ice-ufrag:F7gI\r\na=ice-pwd:x9cml/YzichV2+XlhiMu8g\r\n"+
		"a=candidate:1 1 udp 2130706431 %[1]s %[2]d typ host\r\na=candidate:2 1 udp 1694498815 203.0.113.7 %[2]d typ srflx raddr %[1]s rport %[2]d\r\n",
		at.Addr(), at.Port())
}

func (m *candidates) keep(text []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.got = slices.Clone(text)
}

// Offer is the end's offer with candidates.
func (m *candidates) Offer() []byte { return m.dress(m.End.Offer()) }

// Answer is the end's answer with candidates.
func (m *candidates) Answer(offer []byte) ([]byte, error) {
	m.keep(offer)
	text, err := m.End.Answer(offer)
	if err != nil {
		return nil, err
	}
	return m.dress(text), nil
}

// Accept takes the peer's answer.
func (m *candidates) Accept(answer []byte) error {
	m.keep(answer)
	return m.End.Accept(answer)
}

// end is a call's media.
func (x *xphone) end(c *ua.Call) *candidates {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.ends[c]
}

// hears wants both ends of a call with the server to hear each other, the
// server's media in its range, and no candidate of the box that it cannot keep.
func (x *xphone) hears(c *ua.Call, other *ua.Call, otherTone float64) {
	x.s.Helper()
	ctx := x.s.within(longest)
	m := x.end(c)
	x.s.must(m.Heard(ctx, otherTone, heardFor), "the softphone hears")
	x.s.must(other.Heard(ctx, softTone, heardFor), "the softphone is heard")
	if p := m.Local().Port(); p < 30000 || p > 33000 {
		x.s.Errorf("the softphone's media is on port %d", p)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if bytes.Contains(m.got, []byte("a=candidate")) || bytes.Contains(m.got, []byte("a=ice-")) {
		x.s.Errorf("the box speaks of ICE, which it does not do:\n%s", m.got)
	}
}

// takes lets a phone call an extension whose softphone answers.
func (x *xphone) takes(from *phone.Phone, ext string) {
	x.s.Helper()
	ctx := x.s.within(longest)
	a, err := from.Dial(ctx, ext)
	x.s.must(err, "dial %s", ext)
	b := x.next(ctx)
	if b.Called() != ext || b.Peer() != from.Extension() {
		x.s.Errorf("the server is called for %s by %s", b.Called(), b.Peer())
	}
	x.s.must(b.Answer(), "the softphone answers")
	x.s.must(a.WaitState(ctx, ua.Talking), "the caller talks")
	x.hears(b, a, from.Tone())
	x.s.must(a.Hangup(ctx), "hang up")
	x.s.must(b.WaitState(ctx, ua.Ended), "the softphone is told")
}

func (x *xphone) next(ctx context.Context) *ua.Call {
	x.s.Helper()
	select {
	case c := <-x.in:
		return c
	case <-ctx.Done():
		x.s.Fatal("the server is not called")
		return nil
	}
}

// dials places a call in a user's name.
func (x *xphone) dials(user, number, password string) *ua.Call {
	x.s.Helper()
	box := x.s.box.Listening("udp")
	uri := func(user, host string) sip.Uri { return sip.Uri{Scheme: "sip", User: user, Host: host} }
	c, err := x.agent.Call(x.s.within(longest), ua.Invitation{
		To: uri(number, box.Addr().String()), From: uri(user, x.s.addr(serverHost).String()), Dest: box.String(),
		Credentials: ua.Credentials{User: "xphone", Password: password},
	})
	x.s.must(err, "the server calls")
	return c
}

// refuses wants a call of the server to end with a code.
func (x *xphone) refuses(user, number, password string, code int) {
	x.s.Helper()
	c := x.dials(user, number, password)
	x.s.must(c.WaitState(x.s.within(longest), ua.Ended), "the call ends")
	if got := c.View().End.Code; got != code {
		x.s.Errorf("%s calls %s: %d, want %d", user, number, got, code)
	}
}

// TestXPhoneConnect: the server stands at a LAN address like a trunk. Its
// extensions ring there as well, it calls in their name and proves itself by
// digest, its candidates are read over, and its refusals do no harm.
func TestXPhoneConnect(t *testing.T) {
	const secret = "holunder-3-specht"
	s := newScene(t)
	s.opens(cloud.CallManager, cloud.Config{
		Listen: []cloud.Listen{s.listen(ua.TLS, 5061)}, Domain: "cnt.example",
		Accounts: accounts(munich, "22", "23"), Outside: outside("+49895601"),
	})
	s.starts(site + `  clients: [{name: xphone, profile: xphone-connect, address: SERVER, password: ` + secret + `, extensions: ["22", "25"]}]
provider: {profile: cnt-callmanager, domain: cnt.example, servers: ["tls://CLOUD:5061"], tls: {ca: CAFILE}, srtp: required}
extensions:
  - {number: "25", name: Softphone, public: "` + munich + `25", class: national}
` + extensions(munich, "national", "22", "23"))
	s.online(2)
	x := newXPhone(s, "22", "25")
	phone22, phone23 := s.phone("22", 440), s.phone("23", 523)
	phone22.SetAnswer(phone.Answer{Mode: phone.Ring})

	x.takes(phone23, "25") // the softphone alone
	x.takes(phone23, "22") // the softphone wins, the phone stops
	s.xphoneCallsOut(x, secret)

	// From outside to the softphone, which is shown the number to call back.
	ctx := s.within(longest)
	a, err := s.cloud.Call(ctx, "22", "+4989555200", callerTone)
	s.must(err, "the cloud calls")
	b := x.next(ctx)
	if b.Peer() != "+4989555200" {
		t.Errorf("the softphone shows %s", b.Peer())
	}
	s.must(b.Answer(), "the softphone answers")
	s.must(a.WaitState(ctx, ua.Talking), "the caller talks")
	x.hears(b, a, callerTone)
	s.must(b.Hangup(ctx), "the softphone hangs up")
	s.must(a.WaitState(ctx, ua.Ended), "the caller is told")

	x.refuses("22", "0900123456", secret, 403)          // what bars a phone bars the softphone
	x.refuses("23", "0895601", secret, 403)             // not one of its users
	x.refuses("22", "0895601", "geraten-4-specht", 401) // not the server's password

	s.xphoneRefuses(x, phone23)
}

func (s *scene) xphoneCallsOut(x *xphone, secret string) {
	s.Helper()
	ctx := s.within(longest)
	a := x.dials(munich+"22", "+49895601", secret)
	b, err := s.cloud.Arrived(ctx, "+49895601")
	s.must(err, "the softphone's call reaches the cloud")
	if got := s.cloud.Caller(b); got.Number != munich+"22" {
		s.Errorf("the called party sees %+v", got)
	}
	s.must(a.WaitState(ctx, ua.Talking), "it is answered")
	s.must(x.end(a).Heard(ctx, outsideTone, heardFor), "the softphone hears")
	s.must(b.Heard(ctx, softTone, heardFor), "the softphone is heard")
	s.must(a.Hold(ctx), "hold")
	s.must(b.WaitHeld(ctx, true), "held")
	s.must(a.Resume(ctx), "resume")
	s.must(b.WaitHeld(ctx, false), "taken back")
	s.must(a.Hangup(ctx), "hang up")
	s.must(b.WaitState(ctx, ua.Ended), "the far end is told")
}

// xphoneRefuses is the server with access lists that bar the box or leave no
// candidate: the caller learns the code, a phone that rings as well goes on.
func (s *scene) xphoneRefuses(x *xphone, from *phone.Phone) {
	s.Helper()
	x.set(func(x *xphone) { x.black = true })
	s.refused(from, "25", 403)
	x.set(func(x *xphone) { x.white = true }) // the white entry wins
	x.takes(from, "25")
	x.set(func(x *xphone) { x.black, x.white, x.ice = false, false, true })
	s.refused(from, "25", 488)
	if !strings.Contains(s.log.String(), "access lists of the XPhone server removed every ICE candidate") {
		s.Error("the log does not say what the 488 means")
	}
	ctx := s.within(longest)
	a, err := from.Dial(ctx, "22")
	s.must(err, "dial 22")
	s.must(a.WaitState(ctx, ua.Ringing), "the phone rings though the server refuses")
	s.must(a.Hangup(ctx), "the caller gives up")
}
