package e2e

import (
	"testing"
	"time"
)

// challenge is a digest challenge of the cloud.
func challenge(nonce string) Option {
	return header(`Proxy-Authenticate: Digest realm="cloud.example", nonce="` + nonce + `", algorithm=MD5, qop="auth"`)
}

// answers wants the box's answer to a challenge.
func credentials(nonce string) Option {
	return has("Proxy-Authorization", `username="22".*nonce="`+nonce+`"`)
}

// TestCloudThatChallengesEveryRequestGetsItsAnswers challenges the INVITE, the
// re-INVITE of a hold, and the BYE: each is said again with credentials, and
// the phone notices nothing (RFC 3261 22.2).
func TestCloudThatChallengesEveryRequestGetsItsAnswers(t *testing.T) {
	const refuse = "407 Proxy Authentication Required"
	s := stage(t, func(s *Script) {
		s.Recv("INVITE", lacks("Proxy-Authorization"))
		s.Reply(refuse, challenge("n1"))
		s.Recv("ACK")
		s.Recv("INVITE", as("inv"), credentials("n1"))
		s.Reply("200", sdp("sendrecv"))
		s.Recv("ACK")
		s.Recv("INVITE", says("a=sendonly"))
		s.Reply(refuse, challenge("n2"))
		s.Recv("ACK")
		s.Recv("INVITE", says("a=sendonly"), credentials("n2"))
		s.Reply("200", sdp("recvonly"))
		s.Recv("ACK")
		s.Recv("BYE")
		s.Reply(refuse, challenge("n3"))
		s.Recv("BYE", credentials("n3"))
		s.Reply("200")
	})
	phone := s.Caller(t, 0, func(s *Script) {
		s.Dial("22", farNumber, sdp("sendrecv"))
		s.Recv("200")
		s.Ack()
		s.Ask("INVITE", sdp("sendonly"))
		s.Recv("200", says("a=recvonly"))
		s.Ack()
		s.Pause(300 * time.Millisecond)
		s.Ask("BYE")
		s.Recv("200")
	})
	s.Ends(t, 10*time.Second, phone)
	s.Recorded(t, "22 → 089777001 cloud 200 caller")
}
