package e2e

import (
	"testing"
	"time"
)

const (
	describesLAN = `c=IN IP4 10\.77\.1\.1`
	describesWAN = `c=IN IP4 10\.77\.2\.1`
	noOffer      = "m=audio"
)

// TestPhoneThatDialsWithoutAnOfferAnswersInItsACK is the late offer outward:
// the cloud's 200 makes the offer, the phone's ACK answers it (RFC 3264 5).
func TestPhoneThatDialsWithoutAnOfferAnswersInItsACK(t *testing.T) {
	s := stage(t, func(s *Script) {
		s.Recv("INVITE", lacks(noOffer))
		s.Reply("180")
		s.Reply("200", sdp("sendrecv"))
		s.Recv("ACK", says(describesWAN), says("m=audio [0-9]+ RTP/AVP 8"))
		s.Ask("BYE")
		s.Recv("200")
	})
	phone := s.Caller(t, 0, func(s *Script) {
		s.Dial("22", farNumber)
		s.Recv("180")
		s.Recv("200", says(describesLAN))
		s.Ack(sdp("sendrecv"))
		s.Recv("BYE")
		s.Reply("200")
	})
	s.Ends(t, 10*time.Second, phone)
	s.Recorded(t, "22 → 089777001 cloud 200 callee")
}

// TestCloudThatCallsWithoutAnOfferAnswersInItsACK is the late offer inward.
func TestCloudThatCallsWithoutAnOfferAnswersInItsACK(t *testing.T) {
	s := stage(t, nil)
	phone := s.Callee(t, 0, func(s *Script) {
		s.Recv("INVITE", lacks(noOffer))
		s.Reply("180")
		s.Reply("200", sdp("sendrecv"))
		s.Recv("ACK", says(describesLAN))
		s.Recv("BYE")
		s.Reply("200")
	})
	cloud := s.CloudCalls(t, "22", func(s *Script) {
		s.Call("+4989777001", "22")
		s.Recv("180")
		s.Recv("200", says(describesWAN))
		s.Ack(sdp("sendrecv"))
		s.Ask("BYE")
		s.Recv("200")
	})
	s.Ends(t, 10*time.Second, cloud, phone)
	s.Recorded(t, "+4989777001 → 22 cloud 200 caller")
}

// TestOfferlessReINVITEOfTheCloudIsCarriedToThePhone is how many clouds ask a
// phone to resume: the phone's 200 makes the offer, the cloud's ACK answers it.
func TestOfferlessReINVITEOfTheCloudIsCarriedToThePhone(t *testing.T) {
	s := stage(t, func(s *Script) {
		s.Recv("INVITE", says(describesWAN))
		s.Reply("200", sdp("sendrecv"))
		s.Recv("ACK")
		s.Pause(200 * time.Millisecond) // until the phone's ACK has come too; before it the box says 491
		s.Ask("INVITE")
		s.Recv("200", says(describesWAN), says("a=sendonly"))
		s.Ack(sdp("recvonly"))
		s.Pause(300 * time.Millisecond)
		s.Ask("BYE")
		s.Recv("200")
	})
	phone := s.Caller(t, 0, func(s *Script) {
		s.Dial("22", farNumber, sdp("sendrecv"))
		s.Recv("200", says(describesLAN))
		s.Ack()
		s.Recv("INVITE", lacks(noOffer))
		s.Reply("200", sdp("sendonly"))
		s.Recv("ACK", says(describesLAN), says("a=recvonly"))
		s.Recv("BYE")
		s.Reply("200")
	})
	s.Ends(t, 10*time.Second, phone)
	s.Recorded(t, "22 → 089777001 cloud 200 callee")
}
