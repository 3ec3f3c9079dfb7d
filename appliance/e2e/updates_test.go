package e2e

import (
	"testing"
	"time"
)

// TestHoldByUPDATEReachesAPhoneThatOnlyKnowsReINVITE has the cloud hold with
// UPDATE (RFC 3311): each leg is asked in the way that its peer knows.
func TestHoldByUPDATEReachesAPhoneThatOnlyKnowsReINVITE(t *testing.T) {
	s := stage(t, func(s *Script) {
		s.Recv("INVITE")
		s.Reply("200", sdp("sendrecv"), header(knowsUPDATE))
		s.Recv("ACK")
		s.Pause(200 * time.Millisecond)
		s.Ask("UPDATE", sdp("sendonly"))
		s.Recv("200", has("CSeq", "UPDATE"), says(describesWAN), says("a=recvonly"))
		s.Recv("BYE")
		s.Reply("200")
	})
	phone := s.Caller(t, 0, func(s *Script) {
		s.Dial("22", farNumber, sdp("sendrecv"))
		s.Recv("200")
		s.Ack()
		s.Recv("INVITE", says(describesLAN), says("a=sendonly"))
		s.Reply("200", sdp("recvonly"))
		s.Recv("ACK")
		s.Pause(300 * time.Millisecond)
		s.Ask("BYE")
		s.Recv("200")
	})
	s.Ends(t, 10*time.Second, phone)
	s.Recorded(t, "22 → 089777001 cloud 200 caller")
}
