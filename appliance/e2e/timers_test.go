package e2e

import (
	"testing"
	"time"
)

// Session timers (RFC 4028) with the smallest interval that there is, 90 s.
const (
	supportsTimer = "Supported: timer"
	byCaller      = "Session-Expires: 90;refresher=uac"
	byCallee      = "Session-Expires: 90;refresher=uas"
	knowsUPDATE   = "Allow: INVITE, ACK, CANCEL, BYE, UPDATE"
)

// TestIntervalBelowNinetySecondsIsRefusedWith422 asks for 60 s, is told the
// least, and asks for that.
func TestIntervalBelowNinetySecondsIsRefusedWith422(t *testing.T) {
	s := stage(t, nil)
	phone := s.Caller(t, 0, func(s *Script) {
		s.Dial("22", farNumber, sdp("sendrecv"), header(supportsTimer), header("Session-Expires: 60"))
		s.RecvRefusal("422", has("Min-SE", "90"))
	})
	s.Ends(t, 10*time.Second, phone)
	s.Recorded(t, "22 → 089777001 cloud 422 caller")
}

// TestCloudThatWantsALongerIntervalGetsIt has the cloud refuse the box's
// interval: the box asks again with what it was told, the phone waits.
func TestCloudThatWantsALongerIntervalGetsIt(t *testing.T) {
	s := stage(t, func(s *Script) {
		s.Recv("INVITE", has("Session-Expires", "1800"))
		s.Reply("422 Session Interval Too Small", header("Min-SE: 4000"))
		s.Recv("ACK")
		s.Recv("INVITE", as("inv"), has("Session-Expires", "4000"), has("Min-SE", "4000"))
		s.Reply("200", sdp("sendrecv"), header("Session-Expires: 4000;refresher=uac"), header("Require: timer"))
		s.Recv("ACK")
		s.Recv("BYE")
		s.Reply("200")
	})
	phone := s.Caller(t, 0, func(s *Script) {
		s.Dial("22", farNumber, sdp("sendrecv"))
		s.Recv("200")
		s.Ack()
		s.Pause(300 * time.Millisecond)
		s.Ask("BYE")
		s.Recv("200")
	})
	s.Ends(t, 10*time.Second, phone)
	s.Recorded(t, "22 → 089777001 cloud 200 caller")
}

// TestBoxRefreshesBothSidesWhenTheyLeaveItToIt makes the box the refresher on
// either leg: after half the interval the cloud, which knows UPDATE, gets one,
// and the phone, which does not, a re-INVITE that changes nothing.
func TestBoxRefreshesBothSidesWhenTheyLeaveItToIt(t *testing.T) {
	s := stage(t, func(s *Script) {
		s.Recv("INVITE", has("Supported", "timer"))
		s.Reply("200", sdp("sendrecv"), header(byCaller), header(knowsUPDATE), header("Require: timer"))
		s.Recv("ACK")
		s.Recv("UPDATE", has("Session-Expires", "90;refresher=uac"), lacks(noOffer))
		s.Reply("200", header(byCaller), header("Require: timer"))
		s.Recv("BYE")
		s.Reply("200")
	})
	phone := s.Caller(t, 0, func(s *Script) {
		s.Dial("22", farNumber, sdp("sendrecv"), header(supportsTimer), header(byCallee))
		s.Recv("200", has("Session-Expires", "90;refresher=uas"))
		s.Ack()
		s.Recv("INVITE", has("Session-Expires", "90;refresher=uac"), says(describesLAN))
		s.Reply("200", sdp("sendrecv"), header(byCaller), header("Require: timer"))
		s.Recv("ACK")
		s.Pause(5 * time.Second)
		s.Ask("BYE")
		s.Recv("200")
	})
	s.Ends(t, 70*time.Second, phone)
	s.Recorded(t, "22 → 089777001 cloud 200 caller")
}

// TestCallLivesOnWhileBothSidesRefresh lets phone and cloud be refreshers: the
// box answers by itself, and the call outlives its first interval.
func TestCallLivesOnWhileBothSidesRefresh(t *testing.T) {
	s := stage(t, func(s *Script) {
		s.Recv("INVITE")
		s.Reply("200", sdp("sendrecv"), header(byCallee), header("Require: timer"))
		s.Recv("ACK")
		s.Pause(42 * time.Second)
		s.Ask("UPDATE", header(byCaller), header(supportsTimer))
		s.Recv("200", has("Session-Expires", "90;refresher=uac"))
		s.Recv("BYE")
		s.Reply("200")
	})
	phone := s.Caller(t, 0, func(s *Script) {
		s.Dial("22", farNumber, sdp("sendrecv"), header(supportsTimer), header(byCaller))
		s.Recv("200", has("Session-Expires", "90;refresher=uac"), has("Require", "timer"))
		s.Ack()
		s.Pause(45 * time.Second)
		s.Ask("UPDATE", header(byCaller), header(supportsTimer))
		s.Recv("200", has("Session-Expires", "90;refresher=uac"), has("Require", "timer"))
		s.Pause(25 * time.Second) // without the refresh the end was at 60 s
		s.Ask("BYE")
		s.Recv("200")
	})
	s.Ends(t, 90*time.Second, phone)
	s.Recorded(t, "22 → 089777001 cloud 200 caller")
}

// TestPhoneThatStopsRefreshingLosesItsCall promised to refresh and does not:
// a third of the interval before its end (RFC 4028 10) both sides get a BYE.
func TestPhoneThatStopsRefreshingLosesItsCall(t *testing.T) {
	s := stage(t, func(s *Script) {
		s.Recv("INVITE")
		s.Reply("200", sdp("sendrecv"))
		s.Recv("ACK")
		s.Recv("BYE", has("Reason", "408"))
		s.Reply("200")
	})
	phone := s.Caller(t, 0, func(s *Script) {
		s.Dial("22", farNumber, sdp("sendrecv"), header(supportsTimer), header(byCaller))
		s.Recv("200", has("Session-Expires", "90;refresher=uac"))
		s.Ack()
		s.Recv("BYE", has("Reason", "408"))
		s.Reply("200")
	})
	s.Ends(t, 80*time.Second, phone)
	s.Recorded(t, "22 → 089777001 cloud 408 unknown")
}
