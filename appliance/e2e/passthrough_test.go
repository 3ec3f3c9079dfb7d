package e2e

import (
	"strings"
	"testing"
	"time"
)

// TestPhonesWithTheCloudsOwnCredentials lets baresips register at Kamailio
// through the box: Kamailio challenges them, REGISTER and INVITE alike, and never
// the box. In an outage those that proved themselves go on, and nobody else.
func TestPhonesWithTheCloudsOwnCredentials(t *testing.T) {
	through := []Subscriber{{Account: "alice", Password: "alice-secret", Number: "4989777011"}, {Account: "bob", Password: "bob-secret", Number: "4989777012"}}
	town, box, far := office(t, 4, Site{Lines: 1, Through: through})
	wan := town.Box.Capture(t, "wan0")
	phone := func(n int, s Subscriber, hz float64) *Baresip {
		return town.Phones[n].Baresip(t, Account{User: s.Account, Password: s.Password, Registrar: "cloud.example", Outbound: boxLAN + ":5060", Transport: "udp", Hz: hz})
	}
	own := town.Phone(t, 0, 1100)
	alice, bob := phone(1, through[0], hzNear), phone(2, through[1], hzDesk)

	talk(t, alice, far, farNumber)
	part(t, alice, far)
	talk(t, far, alice, "+4989777011")
	part(t, far, alice)
	talk(t, alice, bob, "bob")
	part(t, alice, bob)
	talk(t, own, bob, "089777012") // the box knows nothing of that number: by way of the cloud
	part(t, own, bob)
	box.AwaitIdle(t)
	for _, p := range wan.Packets(t) {
		if p.SIP() != "" && strings.Contains(p.SIP(), "linekeeper") {
			t.Fatalf("the box's own realm went to the cloud: %s", p.SIP())
		}
	}

	cut := time.Now()
	town.CutLine()
	t.Logf("survival %v after the cut", box.AwaitSurvival(t, cut, 20*time.Second))
	talk(t, alice, bob, "bob")
	part(t, alice, bob)
	talk(t, own, alice, "alice")
	part(t, own, alice)
	thief := town.Phones[3].StartBaresip(t, Account{User: "alice", Password: "alice-secret", Registrar: "cloud.example", Outbound: boxLAN + ":5060", Transport: "udp", Hz: 1300})
	thief.Proc.Await(t, "503 Service Unavailable", 10*time.Second)

	town.MendLine()
	box.AwaitOnline(t, 15*time.Second)
	talk(t, bob, far, farNumber)
	part(t, bob, far)
	box.AwaitIdle(t)
}
