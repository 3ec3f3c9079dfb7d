package e2e

import (
	"regexp"
	"testing"
	"time"
)

// TestSecondPhoneThatAnswersAForkedCallIsLetGo has a cloud that forks: two of
// its phones answer, each with a tag of its own. The first one talks, the
// second gets ACK and BYE in its own dialog (RFC 3261 13.2.2.4).
func TestSecondPhoneThatAnswersAForkedCallIsLetGo(t *testing.T) {
	s := stage(t, func(s *Script) {
		s.Recv("INVITE")
		s.Reply("180", fork("a"))
		s.Reply("180", fork("b"))
		s.Reply("200", sdp("sendrecv"), fork("a"))
		s.Recv("ACK", has("To", "t[0-9]+a"), says("^ACK sip:deska@"))
		s.ReplyTo("inv", "200", sdp("sendrecv"), fork("b"))
		s.Recv("ACK", has("To", "t[0-9]+b"), says("^ACK sip:deskb@"))
		s.Recv("BYE", has("To", "t[0-9]+b"), says("^BYE sip:deskb@"))
		s.Reply("200")
		s.Recv("BYE", has("To", "t[0-9]+a"))
		s.Reply("200")
	})
	phone := s.Caller(t, 0, func(s *Script) {
		s.Dial("22", farNumber, sdp("sendrecv"))
		s.Recv("180")
		s.Recv("180", optional)
		s.Recv("200")
		s.Ack()
		s.Pause(time.Second)
		s.Ask("BYE")
		s.Recv("200")
	})
	s.Ends(t, 10*time.Second, phone)
	s.Recorded(t, "22 → 089777001 cloud 200 caller")
}

// TestSeveralPhonesRingBeforeOneOfThemAnswers has a cloud that forks: one phone
// rings, another plays an announcement, a third answers, each with a tag of its
// own. The caller sees one phone.
func TestSeveralPhonesRingBeforeOneOfThemAnswers(t *testing.T) {
	s := stage(t, func(s *Script) {
		s.Recv("INVITE")
		s.Reply("180", fork("a"))
		s.Pause(100 * time.Millisecond)
		s.Reply("183", sdp("sendrecv"), fork("b"))
		s.Pause(100 * time.Millisecond)
		s.Reply("183", sdp("sendrecv"), fork("c"))
		s.Pause(100 * time.Millisecond)
		s.Reply("200", sdp("sendrecv"), fork("c"))
		s.Recv("ACK", has("To", "t[0-9]+c"), says("^ACK sip:deskc@"))
		s.Recv("BYE", has("To", "t[0-9]+c"))
		s.Reply("200")
	})
	phone := s.Caller(t, 0, func(s *Script) {
		s.Dial("22", farNumber, sdp("sendrecv"))
		s.Recv("180")
		s.Recv("183", says(describesLAN))
		s.Recv("183", optional)
		s.Recv("200", says(describesLAN))
		s.Ack()
		s.Pause(500 * time.Millisecond)
		s.Ask("BYE")
		s.Recv("200")
	})
	s.Ends(t, 10*time.Second, phone)
	tags := map[string]bool{}
	for _, m := range regexp.MustCompile(`SIP/2.0 (?:18[0-9]|200) (?s:.*?)\nTo:.*;tag=(\S+)`).FindAllStringSubmatch(phone.calls(), -1) {
		tags[m[1]] = true
	}
	if len(tags) != 1 {
		t.Errorf("the caller saw the tags %v, want one", tags)
	}
	s.Recorded(t, "22 → 089777001 cloud 200 caller")
}

// TestPhoneThatForwardsIsFollowed has 22 answer 302 to 23: the cloud's call
// goes on there, and the cloud sees one call.
func TestPhoneThatForwardsIsFollowed(t *testing.T) {
	s := stage(t, nil)
	from := s.Callee(t, 0, func(s *Script) {
		s.Recv("INVITE")
		s.Reply("302 Moved Temporarily", header("Contact: <sip:23@"+boxLAN+">"))
		s.Recv("ACK")
	})
	to := s.Callee(t, 1, func(s *Script) {
		s.Recv("INVITE", has("From", "777001"))
		s.Reply("180")
		s.Reply("200", sdp("sendrecv"))
		s.Recv("ACK")
		s.Recv("BYE")
		s.Reply("200")
	})
	cloud := s.CloudCalls(t, "22", func(s *Script) {
		s.Call("+4989777001", "22", sdp("sendrecv"))
		s.Recv("180")
		s.Recv("200", says(describesWAN))
		s.Ack()
		s.Pause(500 * time.Millisecond)
		s.Ask("BYE")
		s.Recv("200")
	})
	s.Ends(t, 10*time.Second, from, to, cloud)
	s.Recorded(t, "+4989777001 → 22 cloud 200 caller")
}

// TestForwardingByTheCloudIsNotFollowed: a 302 of a provider would send the
// call wherever it likes, on the site's bill.
func TestForwardingByTheCloudIsNotFollowed(t *testing.T) {
	s := stage(t, func(s *Script) {
		s.Recv("INVITE")
		s.Reply("302 Moved Temporarily", header("Contact: <sip:0900123456@"+sippAddr+":5099>"))
		s.Recv("ACK")
	})
	phone := s.Caller(t, 0, func(s *Script) {
		s.Dial("22", farNumber, sdp("sendrecv"))
		s.RecvRefusal("480")
	})
	s.Ends(t, 10*time.Second, phone)
	s.Recorded(t, "22 → 089777001 cloud 480 cloud")
}
