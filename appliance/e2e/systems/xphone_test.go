package systems

import (
	"strings"
	"testing"

	"linekeeper/appliance/lab/cloud"
	"linekeeper/appliance/lab/phone"
	"linekeeper/appliance/lab/ua"
	"linekeeper/appliance/lab/xphone"
)

const (
	softTone  = 700.0 // of a softphone
	xphoneKey = "holunder-3-specht"
)

// server is an XPhone server of a scene.
type server struct {
	*xphone.Server
	s *scene
}

// xphone opens a server whose calls are proved by a password.
func (s *scene) xphone(password string, users ...string) server {
	s.Helper()
	x, err := xphone.Open(xphone.Config{
		Addr: s.addr(serverHost), Box: s.box.Listening("udp"), User: "xphone", Password: password, Users: users, Tone: softTone, Pacer: s.pacer,
	})
	s.must(err, "the XPhone server")
	s.Cleanup(x.Close)
	return server{x, s}
}

// hears wants both ends of a call with the server to hear each other, the
// server's media in its range, and candidates of the box. The server says nothing by
// STUN: then its described address counts.
func (x server) hears(c *ua.Call, other *ua.Call, otherTone float64) {
	x.s.Helper()
	ctx := x.s.within(longest)
	m := x.Of(c)
	x.s.must(m.Heard(ctx, otherTone, heardFor), "the softphone hears")
	x.s.must(other.Heard(ctx, softTone, heardFor), "the softphone is heard")
	if p := m.Local().Port(); p < xphone.FirstPort || p > xphone.LastPort {
		x.s.Errorf("the softphone's media is on port %d", p)
	}
	if text := m.Peer(); !strings.Contains(text, "m=audio") || !strings.Contains(text, "typ host") || !strings.Contains(text, "a=ice-ufrag:") {
		x.s.Errorf("the box describes itself as\n%s", text)
	}
}

// takes lets a phone call an extension whose softphone answers.
func (x server) takes(from *phone.Phone, ext string) {
	x.s.Helper()
	ctx := x.s.within(longest)
	a, err := from.Dial(ctx, ext)
	x.s.must(err, "dial %s", ext)
	b, err := x.Incoming(ctx)
	x.s.must(err, "the softphone of %s rings", ext)
	if b.Called() != ext || b.Peer() != from.Extension() {
		x.s.Errorf("the server is called for %s by %s", b.Called(), b.Peer())
	}
	x.s.must(b.Answer(), "the softphone answers")
	x.s.must(a.WaitState(ctx, ua.Talking), "the caller talks")
	x.hears(b, a, from.Tone())
	x.s.must(a.Hangup(ctx), "hang up")
	x.s.must(b.WaitState(ctx, ua.Ended), "the softphone is told")
}

// refused wants a call of the server to end with a code.
func (x server) refused(user, number string, code int) {
	x.s.Helper()
	ctx := x.s.within(longest)
	c, err := x.Dial(ctx, user, number)
	x.s.must(err, "the server calls %s", number)
	x.s.must(c.WaitState(ctx, ua.Ended), "the call ends")
	if got := c.View().End.Code; got != code {
		x.s.Errorf("%s calls %s: %d, want %d", user, number, got, code)
	}
}

// TestXPhoneConnect: the server stands at a LAN address like a trunk. Its
// extensions ring there as well, it calls in their name and proves itself by
// digest, it is shown candidates, and its refusals do no harm.
func TestXPhoneConnect(t *testing.T) {
	s := newScene(t)
	s.opens(cloud.CallManager, cloud.Config{
		Listen: []cloud.Listen{s.listen(ua.TLS, 5061)}, Domain: "cnt.example",
		Accounts: accounts(munich, "22", "23"), Outside: outside("+49895601"),
	})
	s.starts(site + `  clients: [{name: xphone, profile: xphone-connect, address: SERVER, password: ` + xphoneKey + `, extensions: ["22", "25"]}]
provider: {profile: cnt-callmanager, domain: cnt.example, servers: ["tls://CLOUD:5061"], tls: {ca: CAFILE}, srtp: required}
extensions:
  - {number: "25", name: Softphone, public: "` + munich + `25", class: national}
` + extensions(munich, "national", "22", "23"))
	s.online(2)
	x := s.xphone(xphoneKey, "22", "25")
	phone22, phone23 := s.phone("22", 440), s.phone("23", 523)
	phone22.SetAnswer(phone.Answer{Mode: phone.Ring})

	x.takes(phone23, "25") // the softphone alone
	x.takes(phone23, "22") // the softphone wins, the phone stops
	x.callsOut()
	x.calledFromOutside()
	x.refused("22", "0900123456", 403) // what bars a phone bars the softphone
	x.refused("23", "0895601", 403)    // not one of its users
	x.bars(phone23)

	// Negative: whoever sits at the address must know the password.
	x.Close()
	s.xphone("geraten-4-specht", "22").refused("22", "0895601", 401)
}

func (x server) callsOut() {
	x.s.Helper()
	ctx := x.s.within(longest)
	a, err := x.Dial(ctx, munich+"22", "+49895601")
	x.s.must(err, "the softphone calls outside")
	b, err := x.s.cloud.Arrived(ctx, "+49895601")
	x.s.must(err, "its call reaches the cloud")
	if got := x.s.cloud.Caller(b); got.Number != munich+"22" {
		x.s.Errorf("the called party sees %+v", got)
	}
	x.s.must(a.WaitState(ctx, ua.Talking), "it is answered")
	x.hears(a, b, outsideTone)
	x.s.must(a.Hold(ctx), "hold")
	x.s.must(b.WaitHeld(ctx, true), "held")
	x.s.must(a.Resume(ctx), "resume")
	x.s.must(b.WaitHeld(ctx, false), "taken back")
	x.s.must(a.Hangup(ctx), "hang up")
	x.s.must(b.WaitState(ctx, ua.Ended), "the far end is told")
}

// calledFromOutside shows the softphone a number that it can call back.
func (x server) calledFromOutside() {
	x.s.Helper()
	ctx := x.s.within(longest)
	a, err := x.s.cloud.Call(ctx, "22", "+4989555200", callerTone)
	x.s.must(err, "the cloud calls")
	b, err := x.Incoming(ctx)
	x.s.must(err, "the softphone rings")
	if b.Peer() != "+4989555200" {
		x.s.Errorf("the softphone shows %s", b.Peer())
	}
	x.s.must(b.Answer(), "the softphone answers")
	x.s.must(a.WaitState(ctx, ua.Talking), "the caller talks")
	x.hears(b, a, callerTone)
	x.s.must(b.Hangup(ctx), "the softphone hangs up")
	x.s.must(a.WaitState(ctx, ua.Ended), "the caller is told")
}

// bars is the server with access lists that bar the box or leave no candidate:
// the caller learns the code, the log says what it means, and a phone that rings
// as well goes on.
func (x server) bars(from *phone.Phone) {
	x.s.Helper()
	x.Set(xphone.Lists{Black: true})
	x.s.refused(from, "25", 403)
	x.Set(xphone.Lists{Black: true, White: true}) // the white entry wins
	x.takes(from, "25")
	x.Set(xphone.Lists{Strict: true})
	x.s.refused(from, "25", 488)
	if !strings.Contains(x.s.log.String(), "access lists of the XPhone server removed every ICE candidate") {
		x.s.Error("the log does not say what the 488 means")
	}
	ctx := x.s.within(longest)
	a, err := from.Dial(ctx, "22")
	x.s.must(err, "dial 22")
	x.s.must(a.WaitState(ctx, ua.Ringing), "the phone rings though the server refuses")
	x.s.must(a.Hangup(ctx), "the caller gives up")
}
