package e2e

import (
	"strings"
	"testing"
	"time"
)

// Tones of the parties, each its own, so that nobody hears himself.
const (
	hzNear = 440
	hzFar  = 620
	hzDesk = 850
)

// TestStrangersHearEachOtherWithoutTheBox proves the lab itself: two baresips
// talk through Kamailio over TLS with SRTP. If this fails, no other test here
// says anything about the box.
func TestStrangersHearEachOtherWithoutTheBox(t *testing.T) {
	town := newTown(t, 0)
	ca := newAuthority(t)
	town.Kamailio(t, ca,
		Subscriber{Account: "100", Password: "p100", Number: "4989100"},
		Subscriber{Account: "200", Password: "p200", Number: "4989200"})
	party := func(h *Host, user string, hz float64, addr string) *Baresip {
		return h.Baresip(t, Account{
			User: user, Password: "p" + user, Registrar: pbxAddr + ":5061", Transport: "tls",
			MediaEnc: "srtp-mand", CAFile: ca.File, Hz: hz, Addr: addr,
		})
	}
	a, b := party(town.Cloud, "100", hzNear, sippAddr), party(town.Other, "200", hzFar, farAddr)
	ear := a.Listen(t)
	talk(t, a, b, "089200")
	if own := ear.Heard(t, hzNear); own > 0 {
		t.Errorf("a hears itself for %v: the ear cannot tell tones apart", own)
	}
	part(t, a, b)

	a.Dial(t, "089200")
	b.Await(t, "CALL_INCOMING", 5*time.Second)
	b.Hangup(t)
	if e := a.Await(t, "CALL_CLOSED", 5*time.Second); !strings.Contains(e.Param, "486") {
		t.Errorf("a refused call closed with %q, want 486", e.Param)
	}
}

// TestStrangersHoldWithoutTheBox proves what the witness makes of hold and
// resume: one phone of the LAN calls another directly.
func TestStrangersHoldWithoutTheBox(t *testing.T) {
	town := newTown(t, 2)
	a, b := town.Phones[0], town.Phones[1]
	caller := a.StartBaresip(t, Account{User: "a", Registrar: b.addr.String() + ":5060", Transport: "udp", Hz: hzNear})
	callee := b.StartBaresip(t, Account{User: "b", Registrar: a.addr.String() + ":5060", Transport: "udp", Hz: hzDesk, Port: 5060})
	lan := town.Phones[0].Capture(t, "eth0")
	dial(t, caller, callee, "b")
	said := holdAndResume(t, caller, callee)
	part(t, caller, callee)
	packets := lan.Packets(t)
	for _, s := range said {
		s.check(t, packets, b.addr.String(), a.addr.String(), hzDesk)
		s.check(t, packets, a.addr.String(), b.addr.String(), hzNear)
	}
}
