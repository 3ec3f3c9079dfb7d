package e2e

import (
	"net/url"
	"regexp"
	"testing"
	"time"
)

// dialogOf names a dialog of the box as a Refer-To does: by its Call-ID and tags,
// the box's own first (RFC 3891 3).
func dialogOf(callID, ours, theirs string) string {
	return "?Replaces=" + url.QueryEscape(callID+";to-tag="+ours+";from-tag="+theirs)
}

// answeredDialog finds in what a peer has seen the answer to its last INVITE.
func answeredDialog(t *testing.T, seen string) (callID, from, to string) {
	t.Helper()
	all := regexp.MustCompile(`(?s)SIP/2\.0 200 [^\r\n]*\r?\n.*?\n\r?\n`).FindAllString(seen+"\n\n", -1)
	for i := len(all) - 1; i >= 0; i-- {
		field := func(pattern string) string {
			if m := regexp.MustCompile(pattern).FindStringSubmatch(all[i]); m != nil {
				return m[1]
			}
			return ""
		}
		if field(`(?mi)^CSeq: *\d+ (INVITE)`) == "" {
			continue
		}
		return field(`(?mi)^Call-ID: *(\S+)`), field(`(?mi)^From:.*;tag=([^;\s]+)`), field(`(?mi)^To:.*;tag=([^;\s]+)`)
	}
	t.Fatalf("no answered INVITE in:\n%s", ends(seen, 4000))
	return "", "", ""
}

// TestPhoneTransfersTheCallerAfterConsultation is the attended transfer of a
// person: the far party calls 22, who asks 23 and connects the two. They hear each
// other, by the keys of both sides. Nobody is held: baresip records no further
// then. The scripted phone below holds.
func TestPhoneTransfersTheCallerAfterConsultation(t *testing.T) {
	town, box, far := office(t, 2, Site{Lines: 2})
	a, b := town.Phone(t, 0, hzNear), town.Phone(t, 1, hzDesk)
	lan := town.Box.Capture(t, "lan0")
	talk(t, far, a, "+498912345622")
	a.Dial(t, "23")
	b.Await(t, "CALL_INCOMING", 5*time.Second)
	b.Answer(t)
	a.Await(t, "CALL_ESTABLISHED", 5*time.Second)

	var seen string
	for _, p := range lan.Packets(t) {
		if p.From.Addr().String() == a.account.Addr && p.SIP() != "" {
			seen += string(p.Payload) + "\r\n"
		}
	}
	callID, boxTag, phoneTag := answeredDialog(t, seen) // the box called, the phone answered
	a.do(t, "transfer", "sip:23@"+boxLAN+dialogOf(callID, boxTag, phoneTag))
	bothHear(t, far, b)
	box.AwaitStatus(t, 10*time.Second, "one call is left", func(s Status) bool { return s.Calls.Active == 1 })
	part(t, far, b)
	box.AwaitIdle(t)
}

// TestPhoneTransfersTheCallerBlindly sends the caller on without asking first.
func TestPhoneTransfersTheCallerBlindly(t *testing.T) {
	town, box, far := office(t, 2, Site{Lines: 2})
	a, b := town.Phone(t, 0, hzNear), town.Phone(t, 1, hzDesk)
	talk(t, far, a, "+498912345622")
	a.do(t, "transfer", "sip:23@"+boxLAN)
	b.Await(t, "CALL_INCOMING", 5*time.Second)
	b.Answer(t)
	bothHear(t, far, b)
	part(t, b, far)
	box.AwaitIdle(t)
}

// TestPhoneThatTransfersInVainIsCalledBack: 22 sends the caller on and hangs up, 23
// declines: 22 rings again and talks with the caller.
func TestPhoneThatTransfersInVainIsCalledBack(t *testing.T) {
	town, box, far := office(t, 2, Site{Lines: 2})
	a, b := town.Phone(t, 0, hzNear), town.Phone(t, 1, hzDesk)
	talk(t, far, a, "+498912345622")
	a.do(t, "transfer", "sip:23@"+boxLAN)
	b.Await(t, "CALL_INCOMING", 5*time.Second)
	a.Hangup(t)
	a.Await(t, "CALL_CLOSED", 5*time.Second)
	b.Hangup(t)
	a.Await(t, "CALL_INCOMING", 5*time.Second)
	a.Answer(t)
	bothHear(t, far, a)
	part(t, a, far)
	box.AwaitIdle(t)
}

// TestScriptedPhoneTransfersWithReplaces has SIPp consult and transfer: the
// cloud's call and the colleague's become one, by re-INVITE on both sides.
func TestScriptedPhoneTransfersWithReplaces(t *testing.T) {
	s := stage(t, func(s *Script) {
		s.Recv("INVITE")
		s.Reply("200", sdp("sendrecv"))
		s.Recv("ACK")
		s.Recv("INVITE", says("a=sendonly"))
		s.Reply("200", sdp("recvonly"))
		s.Recv("ACK")
		s.Recv("INVITE", says(describesWAN), says("a=sendrecv"), lacks("10.77.1."))
		s.Reply("200", sdp("sendrecv"))
		s.Recv("ACK")
		s.Pause(300 * time.Millisecond)
		s.Ask("BYE")
		s.Recv("200")
	})
	first := s.Caller(t, 0, func(s *Script) {
		s.Dial("22", farNumber, sdp("sendrecv"))
		s.Recv("200")
		s.Ack()
		s.Pause(200 * time.Millisecond)
		s.Ask("INVITE", sdp("sendonly"))
		s.Recv("200")
		s.Ack()
		s.Recv("BYE") // its place is taken
		s.Reply("200")
	})
	held := regexp.MustCompile(`(?m)^CSeq: *3 ACK`)
	eventually(t, 10*time.Second, "the first call is on hold", func() (string, bool) {
		return first.Messages(), held.MatchString(first.calls())
	})
	colleague := s.Callee(t, 1, func(s *Script) {
		s.Recv("INVITE", has("From", "sip:22@"))
		s.Reply("200", sdp("sendrecv"))
		s.Recv("ACK")
		s.Recv("INVITE", has("P-Asserted-Identity", "777001"), says(describesLAN))
		s.Reply("200", sdp("sendrecv"))
		s.Recv("ACK")
		s.Recv("BYE")
		s.Reply("200")
	})
	callID, phoneTag, boxTag := answeredDialog(t, first.calls())
	second := s.Phones[0].Play(t, "second22", s.Phones[0].addr.String()+":5076", boxLAN+":5060", false, func(s *Script) {
		s.Dial("22", "23", sdp("sendrecv"))
		s.Recv("200")
		s.Ack()
		s.Pause(200 * time.Millisecond)
		s.Ask("REFER", header("Refer-To: <sip:23@"+boxLAN+dialogOf(callID, boxTag, phoneTag)+">"))
		s.Recv("202", has("Contact", "sip:"))
		s.Recv("NOTIFY", has("Event", "refer"), has("Subscription-State", "active"), says("SIP/2.0 100"))
		s.Reply("200")
		s.Recv("NOTIFY", has("Subscription-State", "terminated"), says("SIP/2.0 200"))
		s.Reply("200")
		s.Ask("BYE")
		s.Recv("200")
	})
	s.Ends(t, 15*time.Second, first, second, colleague)
}

// TestScriptedCloudTransfersThePhoneItTalksWith: a REFER from the cloud goes by
// the rights of the phone.
func TestScriptedCloudTransfersThePhoneItTalksWith(t *testing.T) {
	s := stage(t, func(s *Script) {
		s.Recv("INVITE")
		s.Reply("200", sdp("sendrecv"))
		s.Recv("ACK")
		s.Pause(200 * time.Millisecond)
		s.Ask("REFER", header("Refer-To: <sip:23@cloud.example>"))
		s.Recv("202")
		s.Recv("NOTIFY", says("SIP/2.0 100"))
		s.Reply("200")
		s.Recv("NOTIFY", says("SIP/2.0 180"))
		s.Reply("200")
		s.Recv("NOTIFY", says("SIP/2.0 200"))
		s.Reply("200")
		s.Ask("BYE")
		s.Recv("200")
	})
	colleague := s.Callee(t, 1, func(s *Script) {
		s.Recv("INVITE", has("From", "sip:22@"))
		s.Reply("180")
		s.Pause(200 * time.Millisecond)
		s.Reply("200", sdp("sendrecv"))
		s.Recv("ACK")
		s.Pause(500 * time.Millisecond)
		s.Ask("BYE")
		s.Recv("200")
	})
	phone := s.Caller(t, 0, func(s *Script) {
		s.Dial("22", farNumber, sdp("sendrecv"))
		s.Recv("200")
		s.Ack()
		s.Recv("INVITE", has("P-Asserted-Identity", "sip:23@"))
		s.Reply("200", sdp("sendrecv"))
		s.Recv("ACK")
		s.Recv("BYE")
		s.Reply("200")
	})
	s.Ends(t, 15*time.Second, phone, colleague)
}
