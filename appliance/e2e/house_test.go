package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Two of the five systems once more, with Kamailio by the system's rules as the
// cloud and baresip on every phone. All five, with every rule, are in
// appliance/e2e/systems.

// obeyed wants Kamailio to have refused nothing, and to have seen these lines.
func (pbx *PBX) obeyed(t *testing.T, seen ...string) {
	t.Helper()
	text := pbx.Text()
	if _, rest, broken := strings.Cut(text, "breach: "); broken {
		t.Errorf("a rule of the house was broken: %s", rest[:min(len(rest), 300)])
	}
	for _, s := range seen {
		if !strings.Contains(text, s) {
			t.Errorf("Kamailio did not see %q", s)
		}
	}
}

// withheldPrefix is how a phone withholds its number for one call.
const withheldPrefix = "*31%23"

// TestMNetCloudComOnKamailio: TLS 5061 with its server name, SRTP in every
// offer, E.164.
func TestMNetCloudComOnKamailio(t *testing.T) {
	town := newTown(t, 2)
	ca := newAuthority(t)
	site := Site{Profile: "mnet-cloudcom", Lines: 3, CAFile: ca.File}
	pbx := town.KamailioOf(t, &House{
		Transport: "tls", Spacing: 200, Offer: "a=crypto:", Numbers: `^[+][1-9][0-9]+$`, Codes: "^none$", Caller: "+4989777001",
	}, ca, site.Subscribers()...)
	box := town.Linekeeper(t, site)
	far := town.Far(t, ca)
	box.AwaitOnline(t, 15*time.Second)
	a, b := town.Phone(t, 0, hzNear), town.Phone(t, 1, hzDesk)
	lan, wan := town.Box.Capture(t, "lan0"), town.Box.Capture(t, "wan0")

	after := holds(t, a, far, farNumber)
	dial(t, a, far, withheldPrefix+farNumber)
	part(t, a, far)
	incoming(t, far, a, "+498912345622", "089777001")
	encryptedOutside(t, wan.Packets(t))
	after.check(t, lan.Packets(t), boxLAN, a.account.Addr, hzFar)
	talk(t, a, b, "23")
	part(t, b, a)
	box.AwaitIdle(t)
	pbx.obeyed(t, "number +4989777001 of 22 as <sip:+498912345622@cloud.example> <null>", "as <sip:+498912345622@cloud.example> id", "paced 24")
}

// holds calls the far party, holds it and takes it back; the time after that is
// for a witness to judge.
func holds(t *testing.T, phone, far *Baresip, number string) span {
	t.Helper()
	dial(t, phone, far, number)
	phone.Hold(t)
	phone.Resume(t)
	after := listen("after hold and resume", true)
	part(t, phone, far)
	return after
}

// incoming lets the far party call a phone, which must show who calls.
func incoming(t *testing.T, far, phone *Baresip, number, shown string) {
	t.Helper()
	far.Dial(t, number)
	if e := phone.Await(t, "CALL_INCOMING", 5*time.Second); !strings.Contains(e.Peer, "sip:"+shown+"@") {
		t.Errorf("the phone shows %s, want %s", e.Peer, shown)
	}
	phone.Answer(t)
	far.Await(t, "CALL_ESTABLISHED", 5*time.Second)
	bothHear(t, far, phone)
	part(t, far, phone)
}

// TestHFOCrownCentrexOnKamailio: UDP alone, registrations 300 ms apart, one
// contact for an account, A-law before µ-law, the area code always, star codes
// passed on; estos' UCServer beside the phones, with many lines at one address.
func TestHFOCrownCentrexOnKamailio(t *testing.T) {
	town := newTown(t, 2)
	ca := newAuthority(t)
	server := town.Phones[1]
	site := Site{
		Profile: "hfo-centrex", Lines: 8, Server: "udp://" + pbxAddr + ":5060",
		Clients: fmt.Sprintf("{name: procall, profile: estos-ucserver, address: %s}", server.addr),
	}
	pbx := town.KamailioOf(t, &House{
		Transport: "udp", Spacing: 200, Exclusive: true, Offer: `m=audio [0-9]+ RTP/AVP 8 0`, Numbers: `^0[1-9][0-9]+$`,
		Codes: `^[*](31|32|72[*](0[0-9]+([*][0-9]+)?)?|73|7[6-9]|80|8[0-9]+|99|990|991)$`, Caller: "089777001",
	}, ca, site.Subscribers()...)
	box := town.Linekeeper(t, site)
	far := town.Other.Baresip(t, Account{User: "far", Password: "far-secret", Registrar: pbxAddr + ":5060", Transport: "udp", Hz: hzFar})
	box.AwaitOnline(t, 15*time.Second)
	phone := town.Phone(t, 0, hzNear)
	lan, wan := town.Box.Capture(t, "lan0"), town.Box.Capture(t, "wan0")

	after := holds(t, phone, far, "777001") // the area code is left out by the user only
	incoming(t, far, phone, "08912345622", "089777001")
	for _, code := range []string{"*72*777001", "*99", "*823"} {
		dial(t, phone, far, code)
		part(t, phone, far)
	}

	// The UC server: all lines at one address, then a call to one of them.
	at := server.addr.String() + ":5070"
	registerAll(t, server, site.Lines, at, boxLAN+":5060")
	box.AwaitStatus(t, 5*time.Second, "all lines of the server", func(s Status) bool { return s.Extensions.Registered == site.Lines })
	callee := server.SIPp(t, "answers", at, "-m", "1")
	phone.Dial(t, "27")
	phone.Await(t, "CALL_ESTABLISHED", 5*time.Second)
	hears(t, phone.Listen(t), hzNear) // the server's line is an echo
	phone.Hangup(t)
	callee.Succeeds(t, 5*time.Second)
	after.check(t, wan.Packets(t), boxWAN, farAddr, hzNear)
	inside := lan.Packets(t)
	after.check(t, inside, boxLAN, phone.account.Addr, hzFar)
	for _, p := range inside {
		if p.To.Addr() == server.addr && strings.HasPrefix(p.SIP(), "INVITE sip:") && !strings.HasPrefix(p.SIP(), "INVITE sip:27@") {
			t.Errorf("a call for 27 reached the server as %q", p.SIP())
		}
	}
	box.AwaitIdle(t)
	pbx.obeyed(t, "number 089777001 of 22 as <sip:08912345622@cloud.example>", "code *72*089777001 of 22", "code *99 of 22", "code *823 of 22", "paced 29")
}
