package e2e

import (
	"testing"
	"time"
)

// TestLampOfAColleagueFollowsTheColleaguesCall lets 22 watch 23 (RFC 4235): the
// lamp is off, blinks while it rings, is on while they talk, and off again, in
// documents whose versions rise by one.
func TestLampOfAColleagueFollowsTheColleaguesCall(t *testing.T) {
	s := stage(t, nil)
	colleague := s.Callee(t, 1, func(s *Script) {
		s.Recv("INVITE")
		s.Reply("180")
		s.Pause(1500 * time.Millisecond)
		s.Reply("200", sdp("sendrecv"))
		s.Recv("ACK")
		s.Recv("BYE")
		s.Reply("200")
	})
	watcher := s.Phones[0].Play(t, "watcher", s.Phones[0].addr.String()+":5074", boxLAN+":5060", false, func(s *Script) {
		s.Begin("SUBSCRIBE", "22", "23", header("Event: dialog"), header("Accept: application/dialog-info+xml"), header("Expires: 300"))
		s.Recv("200", has("Expires", "[0-9]+"))
		s.Recv("NOTIFY", has("Event", "dialog"), has("Subscription-State", "active;"), says(`version="0"`), says(`entity="sip:23@`), lacks("<dialog "))
		s.Reply("200")
		s.Recv("NOTIFY", says(`version="1"`), says(`direction="recipient"`), says("<state>trying</state>"))
		s.Reply("200")
		s.Recv("NOTIFY", says(`version="2"`), says(`direction="recipient"`), says("<state>early</state>"))
		s.Reply("200")
		s.Recv("NOTIFY", says(`version="3"`), says("<state>confirmed</state>"))
		s.Reply("200")
		s.Recv("NOTIFY", says(`version="4"`), lacks("confirmed|early"))
		s.Reply("200")
		s.Ask("SUBSCRIBE", header("Event: dialog"), header("Expires: 0"))
		s.Recv("401", auth)
		s.Ask("SUBSCRIBE", header("Event: dialog"), header("Expires: 0"), proven("22"))
		s.Recv("200")
		s.Recv("NOTIFY", has("Subscription-State", "terminated"))
		s.Reply("200")
	})
	eventually(t, 10*time.Second, "the watcher knows that the lamp is off", func() (string, bool) {
		return watcher.Messages(), watcher.heard("NOTIFY ", "NOTIFY") == 1
	})
	caller := s.CloudCalls(t, "23", func(s *Script) {
		s.Call("+4989777001", "23", sdp("sendrecv"))
		s.Recv("180")
		s.Recv("200")
		s.Ack()
		s.Pause(1500 * time.Millisecond)
		s.Ask("BYE")
		s.Recv("200")
	})
	s.Ends(t, 15*time.Second, caller, colleague, watcher)
	s.Recorded(t, "+4989777001 → 23 cloud 200 caller")
}
