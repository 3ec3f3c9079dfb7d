package e2e

import (
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
	party := func(user string, hz float64, addr string) *Baresip {
		return town.Cloud.Baresip(t, Account{
			User: user, Password: "p" + user, Registrar: pbxAddr + ":5061", Transport: "tls",
			MediaEnc: "srtp-mand", CAFile: ca.File, Hz: hz, Addr: addr,
		})
	}
	a, b := party("100", hzNear, farAddr), party("200", hzFar, sippAddr)
	a.Dial(t, "089200")
	b.Await(t, "CALL_INCOMING", 5*time.Second)
	b.Answer(t)
	a.Await(t, "CALL_ESTABLISHED", 5*time.Second)
	ear := a.Listen(t)
	bothHear(t, a, b)
	if own := ear.Heard(t, hzNear); own > 0 {
		t.Errorf("a hears itself for %v: the ear cannot tell tones apart", own)
	}
	a.Hangup(t)
	b.Await(t, "CALL_CLOSED", 5*time.Second)
}
