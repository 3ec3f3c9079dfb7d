package e2e

import (
	"fmt"
	"testing"
	"time"
)

// TestPhonesOfOneSegmentSpeakPastTheBox lets two phones find each other's media
// address: their speech leaves the box alone until one of them holds, and again once it
// has resumed.
func TestPhonesOfOneSegmentSpeakPastTheBox(t *testing.T) {
	town, box, _ := office(t, 2, Site{Lines: 2, Direct: true})
	a, b := town.Phone(t, 0, hzNear), town.Phone(t, 1, hzDesk)
	lan := town.Box.Capture(t, "lan0") // a bridge: what goes from phone to phone is seen too
	dial(t, a, b, "23")
	var said []span
	told := "(?s)"
	for i, on := range []bool{true, false, true} {
		switch {
		case i == 0:
		case on:
			a.Resume(t)
		default:
			a.Hold(t)
		}
		told += fmt.Sprintf("past_the_box=%v.*", on)
		box.Await(t, told, 15*time.Second)
		if on {
			said = append(said, listen("past the box", true))
		}
	}
	part(t, b, a)
	box.AwaitIdle(t)
	packets := lan.Packets(t)
	for _, s := range said {
		s.check(t, packets, a.account.Addr, b.account.Addr, hzNear)
		s.check(t, packets, b.account.Addr, a.account.Addr, hzDesk)
		for _, phone := range []*Baresip{a, b} {
			if n := len(s.cut(rtpBetween(packets, phone.account.Addr, boxLAN))); n > 0 {
				t.Errorf("%d packets of %s went to the box meanwhile", n, phone.name)
			}
		}
	}
}
