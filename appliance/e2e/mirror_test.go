package e2e

import (
	"testing"
	"time"
)

// The races and refusals of crossings_test, updates_test and timers_test seen
// from the other side: what there the phone does, here the cloud does.

// TestHoldByUPDATEOfAPhoneReachesACloudThatOnlyKnowsReINVITE (RFC 3311).
func TestHoldByUPDATEOfAPhoneReachesACloudThatOnlyKnowsReINVITE(t *testing.T) {
	s := stage(t, func(s *Script) {
		s.Recv("INVITE")
		s.Reply("200", sdp("sendrecv"))
		s.Recv("ACK")
		s.Recv("INVITE", says(describesWAN), says("a=sendonly"))
		s.Reply("200", sdp("recvonly"))
		s.Recv("ACK")
		s.Recv("BYE")
		s.Reply("200")
	})
	phone := s.Caller(t, 0, func(s *Script) {
		s.Dial("22", farNumber, sdp("sendrecv"), header(knowsUPDATE))
		s.Recv("200", has("Allow", "UPDATE"))
		s.Ack()
		s.Pause(200 * time.Millisecond)
		s.Ask("UPDATE", sdp("sendonly"))
		s.Recv("200", has("CSeq", "UPDATE"), says(describesLAN), says("a=recvonly"))
		s.Ask("BYE")
		s.Recv("200")
	})
	s.Ends(t, 10*time.Second, phone)
	s.Recorded(t, "22 → 089777001 cloud 200 caller")
}

// TestPhoneThatAnswersWhileTheCloudGivesUpIsHungUp: the cloud is done with 487,
// the phone gets its ACK and a BYE (RFC 3261 9.1, 15).
func TestPhoneThatAnswersWhileTheCloudGivesUpIsHungUp(t *testing.T) {
	s := stage(t, nil)
	phone := s.Callee(t, 0, func(s *Script) {
		s.Recv("INVITE")
		s.Reply("180")
		s.Recv("CANCEL", as("cancel"))
		s.ReplyTo("cancel", "200")
		s.ReplyTo("inv", "200", sdp("sendrecv"))
		s.Recv("ACK")
		s.Recv("BYE")
		s.Reply("200")
	})
	cloud := s.CloudCalls(t, "22", func(s *Script) {
		s.Call("+4989777001", "22", sdp("sendrecv"))
		s.Recv("180")
		s.Cancel()
		s.Recv("200", has("CSeq", "CANCEL"))
		s.RecvRefusal("487")
	})
	s.Ends(t, 10*time.Second, phone, cloud)
	s.Recorded(t, "+4989777001 → 22 cloud 487 caller")
}

// TestTwoPhonesOfAnExtensionAnswerAtOnce: the first one talks, the second,
// whose answer crosses the CANCEL, gets ACK and BYE.
func TestTwoPhonesOfAnExtensionAnswerAtOnce(t *testing.T) {
	s := stage(t, nil)
	registerOne(t, s.Phones[0], 23, s.Phones[0].addr.String()+":5074", boxLAN+":5060")
	first := s.Callee(t, 1, func(s *Script) {
		s.Recv("INVITE")
		s.Reply("180")
		s.Pause(300 * time.Millisecond) // until the other rings too
		s.Reply("200", sdp("sendrecv"))
		s.Recv("ACK")
		s.Recv("BYE")
		s.Reply("200")
	})
	second := s.Phones[0].Play(t, "second", s.Phones[0].addr.String()+":5074", "", false, func(s *Script) {
		s.Recv("INVITE")
		s.Reply("180")
		s.Recv("CANCEL", has("Reason", "200"), as("cancel"))
		s.ReplyTo("cancel", "200")
		s.ReplyTo("inv", "200", sdp("sendrecv"))
		s.Recv("ACK")
		s.Recv("BYE")
		s.Reply("200")
	})
	cloud := s.CloudCalls(t, "23", func(s *Script) {
		s.Call("+4989777001", "23", sdp("sendrecv"))
		s.Recv("180")
		s.Recv("180", optional)
		s.Recv("200")
		s.Ack()
		s.Pause(time.Second)
		s.Ask("BYE")
		s.Recv("200")
	})
	s.Ends(t, 15*time.Second, first, second, cloud)
	s.Recorded(t, "+4989777001 → 23 cloud 200 caller")
}

// TestCloudThatStopsRefreshingLosesItsCall promised to refresh and does not
// (RFC 4028 10).
func TestCloudThatStopsRefreshingLosesItsCall(t *testing.T) {
	s := stage(t, func(s *Script) {
		s.Recv("INVITE")
		s.Reply("200", sdp("sendrecv"), header(byCallee), header("Require: timer"))
		s.Recv("ACK")
		s.Recv("BYE", has("Reason", "408"))
		s.Reply("200")
	})
	phone := s.Caller(t, 0, func(s *Script) {
		s.Dial("22", farNumber, sdp("sendrecv"))
		s.Recv("200")
		s.Ack()
		s.Recv("BYE", has("Reason", "408"))
		s.Reply("200")
	})
	s.Ends(t, 80*time.Second, phone)
	s.Recorded(t, "22 → 089777001 cloud 408 unknown")
}

// TestIntervalOfTheCloudBelowNinetySecondsIsRefusedWith422 is told the least.
func TestIntervalOfTheCloudBelowNinetySecondsIsRefusedWith422(t *testing.T) {
	s := stage(t, nil)
	cloud := s.CloudCalls(t, "22", func(s *Script) {
		s.Call("+4989777001", "22", sdp("sendrecv"), header(supportsTimer), header("Session-Expires: 60"))
		s.RecvRefusal("422", has("Min-SE", "90"))
	})
	s.Ends(t, 10*time.Second, cloud)
	s.Recorded(t, "+4989777001 → 22 cloud 422 caller")
}

// TestCloudThatNeverAcknowledgesLosesItsCall: after 64*T1 both sides get a BYE
// (RFC 3261 13.3.1.4).
func TestCloudThatNeverAcknowledgesLosesItsCall(t *testing.T) {
	s := stage(t, nil)
	phone := s.Callee(t, 0, func(s *Script) {
		s.Recv("INVITE")
		s.Reply("200", sdp("sendrecv"))
		s.Recv("ACK")
		s.Recv("BYE", has("Reason", "408"))
		s.Reply("200")
	})
	cloud := s.CloudCalls(t, "22", func(s *Script) {
		s.Call("+4989777001", "22", sdp("sendrecv"))
		s.Recv("200")
		s.Recv("BYE", has("Reason", "408"))
		s.Reply("200")
	})
	s.Ends(t, 45*time.Second, phone, cloud)
	s.Recorded(t, "+4989777001 → 22 cloud 408 unknown")
}

// TestACKOfTheBoxToAPhoneIsSentAgain has the phone repeat its 200 as if the
// box's ACK had not come.
func TestACKOfTheBoxToAPhoneIsSentAgain(t *testing.T) {
	s := stage(t, nil)
	phone := s.Callee(t, 0, func(s *Script) {
		s.literal = true // see TestLostACKOfTheBoxIsSentAgain
		s.Recv("INVITE")
		s.Reply("200", sdp("sendrecv"))
		s.Recv("ACK")
		s.ReplyTo("inv", "200", sdp("sendrecv"))
		s.Recv("ACK")
		s.Recv("BYE")
		s.Reply("200")
	})
	cloud := s.CloudCalls(t, "22", func(s *Script) {
		s.Call("+4989777001", "22", sdp("sendrecv"))
		s.Recv("200")
		s.Ack()
		s.Pause(500 * time.Millisecond)
		s.Ask("BYE")
		s.Recv("200")
	})
	s.Ends(t, 10*time.Second, phone, cloud)
	s.Recorded(t, "+4989777001 → 22 cloud 200 caller")
}
