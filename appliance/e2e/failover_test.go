package e2e

import (
	"testing"
	"time"
)

// TestProviderWithTwoServersIsReachedWhileOneOfThemLives names the provider's
// servers by SRV (RFC 3263). The first is dead at the start: the second takes
// lines and calls. Both are dead: survival. The first comes back: it has the
// lines and the calls.
func TestProviderWithTwoServersIsReachedWhileOneOfThemLives(t *testing.T) {
	t.Parallel()
	town := newTown(t, 1)
	town.Box.Names(t,
		"--srv-host=_sip._udp.cloud.example,one.cloud.example,5060,10,1", "--host-record=one.cloud.example,"+sippAddr,
		"--srv-host=_sip._udp.cloud.example,two.cloud.example,5060,20,1", "--host-record=two.cloud.example,"+farAddr)
	answers := func(s *Script) {
		s.Recv("INVITE")
		s.Reply("180")
		s.Reply("200", sdp("sendrecv"))
		s.Recv("ACK")
		s.Recv("BYE")
		s.Reply("200")
	}
	calls := func() {
		t.Helper()
		desk := town.Phones[0]
		desk.Play(t, "caller", desk.addr.String()+":5072", boxLAN+":5060", false, func(s *Script) {
			s.Dial("22", farNumber, sdp("sendrecv"))
			s.Recv("180")
			s.Recv("200")
			s.Ack()
			s.Pause(200 * time.Millisecond)
			s.Ask("BYE")
			s.Recv("200")
		}).Succeeds(t, 15*time.Second)
	}
	one := town.Cloud.Play(t, "one", sippAddr+":5060", "", true, answers)
	two := town.Other.Play(t, "two", farAddr+":5060", "", true, answers)
	had := func(one_, two_ int) {
		t.Helper()
		if a, b := one.heard("INVITE ", "INVITE"), two.heard("INVITE ", "INVITE"); a != one_ || b != two_ {
			t.Errorf("the first server had %d calls, the second %d; want %d and %d", a, b, one_, two_)
		}
	}

	town.Cloud.Unplug(t, sippAddr, "pbx0")
	box := town.Linekeeper(t, Site{Lines: 1, Named: true, SRTP: "off"})
	reached := func(s Status) bool { return s.Mode == "degraded" && s.Lines.Registered == 1 && s.Cause != "" }
	t.Logf("registered at the second server after %v", box.AwaitStatus(t, 45*time.Second, "some servers answer", reached))
	calls()
	had(0, 1)

	cut := time.Now()
	town.Other.Unplug(t, farAddr, "eth0")
	t.Logf("survival %v after the second server died too", box.AwaitSurvival(t, cut, 35*time.Second))

	town.Cloud.Plug(t, sippAddr, "pbx0")
	t.Logf("registered at the first server %v after it came back", box.AwaitStatus(t, 45*time.Second, "some servers answer", reached))
	calls()
	had(1, 1)
	box.AwaitIdle(t)

	town.Other.Plug(t, farAddr, "eth0")
	t.Logf("both live after %v", box.AwaitOnline(t, 30*time.Second))
}
