package e2e

import (
	"testing"
	"time"
)

// TestRequestsWithinACallFindTheirWay sends through a call what phones and
// clouds send: a key press as INFO and a MESSAGE are carried across with their
// bodies, whether the other side is there (OPTIONS) is answered by the box, and
// what nobody knows is refused without harm.
func TestRequestsWithinACallFindTheirWay(t *testing.T) {
	s := stage(t, func(s *Script) {
		s.Recv("INVITE")
		s.Reply("200", sdp("sendrecv"))
		s.Recv("ACK")
		s.Recv("INFO", has("Content-Type", "application/dtmf-relay"), says("Signal=5"))
		s.Reply("200")
		s.Recv("MESSAGE", has("Content-Type", "text/plain"), says("Besuch ist da"))
		s.Reply("488 Not Acceptable Here")
		s.Ask("OPTIONS")
		s.Recv("200", has("Allow", "INVITE"))
		s.Recv("BYE")
		s.Reply("200")
	})
	phone := s.Caller(t, 0, func(s *Script) {
		s.Dial("22", farNumber, sdp("sendrecv"))
		s.Recv("200")
		s.Ack()
		s.Ask("INFO", carries("application/dtmf-relay", "Signal=5", "Duration=160"))
		s.Recv("200", has("CSeq", "INFO"))
		s.Ask("MESSAGE", carries("text/plain", "Besuch ist da"))
		s.Recv("488", has("CSeq", "MESSAGE"))
		s.Ask("PUBLISH")
		s.Recv("405", has("Allow", "INVITE"))
		s.Pause(300 * time.Millisecond)
		s.Ask("BYE")
		s.Recv("200")
	})
	s.Ends(t, 10*time.Second, phone)
	s.Recorded(t, "22 → 089777001 cloud 200 caller")
}

// TestBYEThatOvertakesItsACKEndsTheCall hangs up before the ACK has come, as
// happens where each takes a way of its own.
func TestBYEThatOvertakesItsACKEndsTheCall(t *testing.T) {
	s := stage(t, func(s *Script) {
		s.Recv("INVITE")
		s.Reply("200", sdp("sendrecv"))
		s.Recv("ACK")
		s.Recv("BYE")
		s.Reply("200")
	})
	phone := s.Caller(t, 0, func(s *Script) {
		s.Dial("22", farNumber, sdp("sendrecv"))
		s.Recv("200")
		s.Ask("BYE")
		s.Recv("200", has("CSeq", "BYE"))
		s.Ack()
		s.Pause(time.Second) // and nothing more comes
	})
	s.Ends(t, 10*time.Second, phone)
	if n := phone.heard("SIP/2.0 200 OK", "INVITE"); n != 1 {
		t.Errorf("the box said 200 to the INVITE %d times", n)
	}
	s.Recorded(t, "22 → 089777001 cloud 200 caller")
}
