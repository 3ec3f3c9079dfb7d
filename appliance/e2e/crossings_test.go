package e2e

import (
	"testing"
	"time"
)

// TestGlareIsRefusedWith491AndTriedAgain lets both sides change the session at
// once: the box stands between two open offers, refuses the second, and hands
// on the cloud's own refusal of the first (RFC 3261 14.1).
func TestGlareIsRefusedWith491AndTriedAgain(t *testing.T) {
	s := stage(t, func(s *Script) {
		s.Recv("INVITE")
		s.Reply("200", sdp("sendrecv"))
		s.Recv("ACK")
		s.Recv("INVITE", as("hold"), says("a=sendonly"))
		s.Ask("INVITE", sdp("sendonly"))
		s.RecvRefusal("491")
		s.ReplyTo("hold", "491 Request Pending")
		s.Recv("ACK")
		s.Recv("INVITE", says("a=sendonly"))
		s.Reply("200", sdp("recvonly"))
		s.Recv("ACK")
		s.Recv("BYE")
		s.Reply("200")
	})
	phone := s.Caller(t, 0, func(s *Script) {
		s.Dial("22", farNumber, sdp("sendrecv"))
		s.Recv("200")
		s.Ack()
		s.Pause(200 * time.Millisecond)
		s.Ask("INVITE", sdp("sendonly"))
		s.RecvRefusal("491")
		s.Pause(2100 * time.Millisecond) // owner of the Call-ID: 2.1 to 4 s
		s.Ask("INVITE", sdp("sendonly"))
		s.Recv("200", says("a=recvonly"))
		s.Ack()
		s.Ask("BYE")
		s.Recv("200")
	})
	s.Ends(t, 15*time.Second, phone)
	s.Recorded(t, "22 → 089777001 cloud 200 caller")
}

// TestAnswerThatCrossesTheCANCELIsAcknowledgedAndHungUp has the cloud answer
// in the moment in which the caller gives up: the phone is done with 487, the
// cloud gets its ACK and a BYE (RFC 3261 9.1, 15).
func TestAnswerThatCrossesTheCANCELIsAcknowledgedAndHungUp(t *testing.T) {
	s := stage(t, func(s *Script) {
		s.Recv("INVITE")
		s.Reply("180")
		s.Recv("CANCEL", as("cancel"))
		s.ReplyTo("cancel", "200")
		s.ReplyTo("inv", "200", sdp("sendrecv"))
		s.Recv("ACK")
		s.Recv("BYE")
		s.Reply("200")
	})
	phone := s.Caller(t, 0, func(s *Script) {
		s.Dial("22", farNumber, sdp("sendrecv"))
		s.Recv("180")
		s.Cancel()
		s.Recv("200", has("CSeq", "CANCEL"))
		s.RecvRefusal("487")
	})
	s.Ends(t, 10*time.Second, phone)
	s.Recorded(t, "22 → 089777001 cloud 487 caller")
}

// TestCANCELThatComesAfterTheAnswerEndsNothing is the same race seen from the
// caller: its CANCEL finds the call answered; it has to say BYE.
func TestCANCELThatComesAfterTheAnswerEndsNothing(t *testing.T) {
	s := stage(t, func(s *Script) {
		s.Recv("INVITE")
		s.Reply("180")
		s.Reply("200", sdp("sendrecv"))
		s.Recv("ACK")
		s.Recv("BYE")
		s.Reply("200")
	})
	phone := s.Caller(t, 0, func(s *Script) {
		s.Dial("22", farNumber, sdp("sendrecv"))
		s.Recv("180")
		s.Recv("200", as("answer"))
		s.Cancel()
		s.Recv("200", has("CSeq", "CANCEL"))
		s.Ack()
		s.Pause(500 * time.Millisecond)
		s.Ask("BYE")
		s.Recv("200", has("CSeq", "BYE"))
	})
	s.Ends(t, 10*time.Second, phone)
	s.Recorded(t, "22 → 089777001 cloud 200 caller")
}

// TestLostACKMakesTheBoxRepeatItsAnswer loses the first ACKs of the phone: the
// box says 200 again until one comes, and the call is as good as any.
func TestLostACKMakesTheBoxRepeatItsAnswer(t *testing.T) {
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
		s.Pause(1700 * time.Millisecond) // T1 + 2*T1 + …
		s.Ack()
		s.Pause(2 * time.Second)
		s.Ask("BYE")
		s.Recv("200", has("CSeq", "BYE"))
	})
	s.Ends(t, 15*time.Second, phone)
	if n := phone.heard("SIP/2.0 200 OK", "INVITE"); n != 3 {
		t.Errorf("the box said 200 %d times, want three: at once, after 0.5 s and 1.5 s, and none after the ACK", n)
	}
	s.Recorded(t, "22 → 089777001 cloud 200 caller")
}

// TestAnswerThatIsNeverAcknowledgedEndsTheCallOnBothSides has a phone that
// never sends ACK: after 64*T1 both sides get a BYE (RFC 3261 13.3.1.4).
func TestAnswerThatIsNeverAcknowledgedEndsTheCallOnBothSides(t *testing.T) {
	s := stage(t, func(s *Script) {
		s.Recv("INVITE")
		s.Reply("200", sdp("sendrecv"))
		s.Recv("ACK")
		s.Recv("BYE", has("Reason", "408"))
		s.Reply("200")
	})
	phone := s.Caller(t, 0, func(s *Script) {
		s.Dial("22", farNumber, sdp("sendrecv"))
		s.Recv("200")
		s.Recv("BYE", has("Reason", "408"))
		s.Reply("200")
	})
	s.Ends(t, 45*time.Second, phone)
	s.Recorded(t, "22 → 089777001 cloud 408 unknown")
}

// TestLostACKOfTheBoxIsSentAgain has the cloud repeat its 200 as if the box's
// ACK had not come: each time there is another.
func TestLostACKOfTheBoxIsSentAgain(t *testing.T) {
	s := stage(t, func(s *Script) {
		s.literal = true // else SIPp takes the second ACK for the first and repeats its 200 for ever
		s.Recv("INVITE")
		s.Reply("200", sdp("sendrecv"))
		s.Recv("ACK")
		s.ReplyTo("inv", "200", sdp("sendrecv"))
		s.Recv("ACK")
		s.Recv("BYE")
		s.Reply("200")
	})
	phone := s.Caller(t, 0, func(s *Script) {
		s.Dial("22", farNumber, sdp("sendrecv"))
		s.Recv("200")
		s.Ack()
		s.Pause(time.Second)
		s.Ask("BYE")
		s.Recv("200")
	})
	s.Ends(t, 10*time.Second, phone)
	s.Recorded(t, "22 → 089777001 cloud 200 caller")
}
