package e2e

import (
	"regexp"
	"slices"
	"testing"
	"time"
)

const (
	knows100rel = "Supported: 100rel"
	reliable    = "Require: 100rel"
)

// sessionsOfBox are the origins of the box's descriptions, with id and version.
var sessionsOfBox = regexp.MustCompile(`o=\S+ \d+ \d+ IN IP4 10\.77\.1\.1\b`)

// rseq makes a response one that wants a PRACK.
func rseq(n string) Option {
	return func(m *message) { m.headers = append(m.headers, reliable, "RSeq: "+n) }
}

// TestCallerThatKnows100relAcknowledgesWhatItHears has a phone with 100rel and a
// cloud without: the announcement goes to the phone reliably, again until its PRACK
// comes, and the 200 waits for that (RFC 3262 3).
func TestCallerThatKnows100relAcknowledgesWhatItHears(t *testing.T) {
	s := stage(t, func(s *Script) {
		s.Recv("INVITE", has("Supported", "100rel"))
		s.Reply("183", sdp("sendrecv"))
		s.Pause(300 * time.Millisecond)
		s.Reply("200", sdp("sendrecv"))
		s.Recv("ACK")
		s.Recv("BYE")
		s.Reply("200")
	})
	phone := s.Caller(t, 0, func(s *Script) {
		s.Dial("22", farNumber, sdp("sendrecv"), header(knows100rel))
		s.Recv("183", wantsPRACK, says(describesLAN))
		s.Pause(700 * time.Millisecond)
		s.Prack()
		s.Recv("200", has("CSeq", "PRACK"))
		s.Recv("200", has("CSeq", "INVITE"), lacks(noOffer)) // said and acknowledged before
		s.Ack()
		s.Pause(300 * time.Millisecond)
		s.Ask("BYE")
		s.Recv("200")
	})
	s.Ends(t, 15*time.Second, phone)
	if n := phone.heard("SIP/2.0 183 ", "INVITE"); n < 2 {
		t.Errorf("the box said 183 %d times before its PRACK, want it again after T1", n)
	}
	s.Recorded(t, "22 → 089777001 cloud 200 caller")
}

// TestCloudThatWantsItsRingingAcknowledgedGetsPRACK is the other way round: two
// forks of the cloud want a PRACK each, the phone knows nothing of it.
func TestCloudThatWantsItsRingingAcknowledgedGetsPRACK(t *testing.T) {
	s := stage(t, func(s *Script) {
		s.Recv("INVITE")
		s.Reply("180", rseq("71"), fork("a"))
		s.Recv("PRACK", has("RAck", "71 1 INVITE"), has("To", "t[0-9]+a"), says("^PRACK sip:deska@"))
		s.Reply("200")
		s.ReplyTo("inv", "183", rseq("5"), sdp("sendrecv"), fork("b"))
		s.Recv("PRACK", has("RAck", "5 1 INVITE"), has("To", "t[0-9]+b"), says("^PRACK sip:deskb@"))
		s.Reply("200")
		s.ReplyTo("inv", "200", fork("b"))
		s.Recv("ACK", has("To", "t[0-9]+b"))
		s.Recv("BYE", has("To", "t[0-9]+b"))
		s.Reply("200")
	})
	phone := s.Caller(t, 0, func(s *Script) {
		s.Dial("22", farNumber, sdp("sendrecv"))
		s.Recv("180", lacks("RSeq"))
		s.Recv("183", says(describesLAN), lacks("RSeq"))
		s.Recv("200", says(describesLAN))
		s.Ack()
		s.Pause(300 * time.Millisecond)
		s.Ask("BYE")
		s.Recv("200")
	})
	s.Ends(t, 10*time.Second, phone)
	s.Recorded(t, "22 → 089777001 cloud 200 caller")
}

// TestBothSidesAcknowledgeEachItsOwn has 100rel required by the phone and spoken by
// the cloud, and a change by UPDATE before the answer: a new address of the cloud is
// the box's own matter, hold goes across (RFC 3311).
func TestBothSidesAcknowledgeEachItsOwn(t *testing.T) {
	s := stage(t, func(s *Script) {
		s.Recv("INVITE")
		s.Reply("183", rseq("900"), sdp("sendrecv"), header(knowsUPDATE))
		s.Recv("PRACK", has("RAck", "900 1 INVITE"))
		s.Reply("200")
		s.Recv("INFO", as("ready")) // the phone has acknowledged its 183
		s.ReplyTo("ready", "200")
		s.Ask("UPDATE", sdp("sendrecv"))
		s.Recv("200", has("CSeq", "UPDATE"), says(describesWAN), says("a=sendrecv"))
		s.Ask("UPDATE", sdp("sendonly"))
		s.Recv("200", has("CSeq", "UPDATE"), says(describesWAN), says("a=recvonly"))
		s.ReplyTo("inv", "200")
		s.Recv("ACK")
		s.Recv("BYE")
		s.Reply("200")
	})
	phone := s.Caller(t, 0, func(s *Script) {
		s.Dial("22", farNumber, sdp("sendrecv"), header(reliable), header(knowsUPDATE))
		s.Recv("183", wantsPRACK, says(describesLAN))
		s.Prack()
		s.Recv("200", has("CSeq", "PRACK"))
		s.Ask("INFO", carries("application/dtmf-relay", "Signal=5", "Duration=160"))
		s.Recv("200", has("CSeq", "INFO"))
		s.Recv("UPDATE", says(describesLAN), says("a=sendonly"))
		s.Reply("200", sdp("recvonly"))
		s.Recv("200", has("CSeq", "INVITE"), lacks(noOffer))
		s.Ack()
		s.Pause(300 * time.Millisecond)
		s.Ask("BYE")
		s.Recv("200")
	})
	s.Ends(t, 10*time.Second, phone)
	s.Recorded(t, "22 → 089777001 cloud 200 caller")
}

// TestLateOfferIsAnsweredInPRACK has the cloud call without an offer and with
// 100rel, as some call managers always do: the phone's 183 makes the offer, and the
// answer goes from PRACK to PRACK.
func TestLateOfferIsAnsweredInPRACK(t *testing.T) {
	s := stage(t, nil)
	phone := s.Callee(t, 0, func(s *Script) {
		s.Recv("INVITE", has("Supported", "100rel"), lacks(noOffer))
		s.Reply("183", rseq("1"), sdp("sendrecv"))
		s.Recv("PRACK", has("RAck", "1 1 INVITE"), says(describesLAN))
		s.Reply("200")
		s.ReplyTo("inv", "200")
		s.Recv("ACK", lacks(noOffer))
		s.Recv("BYE")
		s.Reply("200")
	})
	cloud := s.CloudCalls(t, "22", func(s *Script) {
		s.Call("+4989777001", "22", header(knows100rel))
		s.Recv("183", wantsPRACK, says(describesWAN))
		s.Prack(sdp("sendrecv"))
		s.Recv("200", has("CSeq", "PRACK"))
		s.Recv("200", has("CSeq", "INVITE"), lacks(noOffer))
		s.Ack()
		s.Pause(300 * time.Millisecond)
		s.Ask("BYE")
		s.Recv("200")
	})
	s.Ends(t, 10*time.Second, cloud, phone)
	s.Recorded(t, "+4989777001 → 22 cloud 200 caller")
}

// TestCallerHearsTheForkThatTalksLast has two forks play announcements and the
// first one answer: the phone was told of one session and is told no other.
func TestCallerHearsTheForkThatTalksLast(t *testing.T) {
	s := stage(t, func(s *Script) {
		s.Recv("INVITE")
		s.Reply("183", sdp("sendrecv"), fork("a"))
		s.Pause(100 * time.Millisecond)
		s.Reply("183", sdp("sendrecv"), fork("b"))
		s.Pause(100 * time.Millisecond)
		s.Reply("199", fork("b"))
		s.Pause(100 * time.Millisecond)
		s.Reply("200", sdp("sendrecv"), fork("a"))
		s.Recv("ACK", has("To", "t[0-9]+a"), says("^ACK sip:deska@"))
		s.Recv("BYE", has("To", "t[0-9]+a"))
		s.Reply("200")
	})
	phone := s.Caller(t, 0, func(s *Script) {
		s.Dial("22", farNumber, sdp("sendrecv"))
		s.Recv("183", says(describesLAN))
		s.Recv("183", optional) // SIPp may take the others, much alike, for repetitions
		s.Recv("183", optional)
		s.Recv("200", says(describesLAN))
		s.Ack()
		s.Pause(300 * time.Millisecond)
		s.Ask("BYE")
		s.Recv("200")
	})
	s.Ends(t, 10*time.Second, phone)
	if told := sessionsOfBox.FindAllString(phone.calls(), -1); len(told) < 4 {
		t.Errorf("the phone was told %d times of its session, want four: by each fork in turn, by the first again, in the answer", len(told))
	} else if len(slices.Compact(told)) != 1 {
		t.Errorf("the phone was told of the sessions %v, want one", told)
	}
	s.Recorded(t, "22 → 089777001 cloud 200 caller")
}
