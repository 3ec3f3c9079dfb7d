package e2e

import (
	"strings"
	"testing"
	"time"
)

// TestExternalCallsAreHeardAndEncrypted is the main job: plain RTP in the
// building, SRTP over TLS to the cloud, both ways round, with witnesses.
func TestExternalCallsAreHeardAndEncrypted(t *testing.T) {
	town, box, far := office(t, 1, Site{Lines: 1})
	phone := town.Phone(t, 0, hzNear)
	lan, wan := town.Box.Capture(t, "lan0"), town.Box.Capture(t, "wan0")

	talk(t, phone, far, farNumber)
	part(t, phone, far)
	talk(t, far, phone, "+498912345622")
	part(t, far, phone)
	box.AwaitIdle(t)

	inside, outside := lan.Packets(t), wan.Packets(t)
	plainInside(t, inside, phone)
	encryptedOutside(t, outside)
	marked(t, "LAN", inside, boxLAN)
	marked(t, "WAN", outside, boxWAN)
}

// plainInside proves that the LAN leg carried the tones in the clear.
func plainInside(t *testing.T, packets []Packet, phone *Baresip) {
	t.Helper()
	at := phone.account.Addr
	if d := sounds(rtpBetween(packets, at, boxLAN), hzNear); d < time.Second {
		t.Errorf("the phone's tone is heard on the LAN for %v only", d)
	}
	if d := sounds(rtpBetween(packets, boxLAN, at), hzFar); d < time.Second {
		t.Errorf("the far tone is heard on the LAN for %v only", d)
	}
	for f, stream := range streams(packets, boxLAN, at) {
		if n := lost(stream); n != 0 {
			t.Errorf("%d packets are missing between %v and %v", n, f.from, f.to)
		}
	}
}

// encryptedOutside proves that no RTP crossed the WAN unencrypted: there was
// some, each packet carries an authentication tag, and no tone is heard in it.
func encryptedOutside(t *testing.T, packets []Packet) {
	t.Helper()
	there, back := rtpBetween(packets, boxWAN, farAddr), rtpBetween(packets, farAddr, boxWAN)
	if len(there) < 100 || len(back) < 100 {
		t.Errorf("only %d and %d RTP packets on the WAN", len(there), len(back))
	}
	for _, p := range packets {
		if !p.rtp() {
			continue
		}
		// 20 ms of G.711 and a tag of 10 octets (AES_CM_128_HMAC_SHA1_80) or 16 (AES GCM).
		if n := len(p.Payload) - rtpHeader - 160; n != 10 && n != 16 {
			t.Fatalf("RTP from %v to %v on the WAN has %d octets behind the speech: no SRTP", p.From, p.To, n)
		}
	}
	for _, hz := range []float64{hzNear, hzFar, hzDesk} {
		if d := sounds(there, hz) + sounds(back, hz); d > 0 {
			t.Errorf("%v Hz is heard on the WAN for %v", hz, d)
		}
	}
}

// marked proves the DSCP of all that the box sent on a side.
func marked(t *testing.T, side string, packets []Packet, box string) {
	t.Helper()
	const ef, cs5 = 46, 40
	media, signalling := 0, 0
	for _, p := range packets {
		want := 0
		switch {
		case p.From.Addr().String() != box:
			continue
		case p.rtp():
			want = ef
			media++
		case p.signalling():
			want = cs5
			signalling++
		default:
			continue
		}
		if p.DSCP != want {
			t.Errorf("%s: packet from %v to %v (%d octets, %s) has DSCP %d, want %d", side, p.From, p.To, len(p.Payload), p.SIP(), p.DSCP, want)
			return
		}
	}
	if media < 100 || signalling < 5 {
		t.Errorf("%s: only %d media and %d signalling packets from the box", side, media, signalling)
	}
}

// TestPhoneByTLSWithSRTPTalksToPlainPhoneAndToTheWorld covers the encrypted
// LAN: SRTP to SRTP with other keys, and SRTP to RTP in the house.
func TestPhoneByTLSWithSRTPTalksToPlainPhoneAndToTheWorld(t *testing.T) {
	town, box, far := office(t, 2, Site{Lines: 2})
	safe, plain := town.Phone(t, 0, hzNear, encrypted), town.Phone(t, 1, hzDesk)

	lan := town.Box.Capture(t, "lan0")
	talk(t, safe, far, farNumber)
	part(t, far, safe)
	talk(t, far, safe, "+498912345622")
	part(t, safe, far)
	box.AwaitIdle(t)
	if d := sounds(rtpBetween(lan.Packets(t), safe.account.Addr, boxLAN), hzNear); d > 0 {
		t.Errorf("the phone that asked for SRTP is heard in the clear for %v", d)
	}

	talk(t, safe, plain, "23")
	part(t, safe, plain)
	talk(t, plain, safe, "22")
	part(t, plain, safe)
	box.AwaitIdle(t)
}

// TestInternalCallStaysInTheBuilding has one call to a colleague; nothing of
// it may cross the WAN.
func TestInternalCallStaysInTheBuilding(t *testing.T) {
	town, box, _ := office(t, 2, Site{Lines: 2})
	a, b := town.Phone(t, 0, hzNear), town.Phone(t, 1, hzDesk)
	wan := town.Box.Capture(t, "wan0")
	talk(t, a, b, "23")
	if n := box.Status(t).Calls.Active; n != 1 {
		t.Errorf("%d calls are active, want 1", n)
	}
	part(t, b, a)
	box.AwaitIdle(t)
	for _, p := range wan.Packets(t) {
		if p.rtp() {
			t.Fatalf("RTP from %v to %v on the WAN", p.From, p.To)
		}
	}
}

// TestCallerGivesUp cancels while it rings: outbound, inbound and internal.
func TestCallerGivesUp(t *testing.T) {
	town, box, far := office(t, 2, Site{Lines: 2})
	a, b := town.Phone(t, 0, hzNear), town.Phone(t, 1, hzDesk)
	for _, c := range []struct {
		name, number   string
		caller, callee *Baresip
	}{
		{"outbound", farNumber, a, far},
		{"inbound", "+498912345622", far, a},
		{"internal", "23", a, b},
	} {
		t.Run(c.name, func(t *testing.T) {
			begin := time.Now()
			c.caller.Dial(t, c.number)
			c.callee.Await(t, "CALL_INCOMING", 5*time.Second)
			c.caller.Await(t, "CALL_RINGING", 5*time.Second)
			c.caller.Hangup(t)
			c.callee.Await(t, "CALL_CLOSED", 5*time.Second)
			if c.callee.Saw("CALL_ESTABLISHED", begin) {
				t.Error("the cancelled call was established")
			}
			box.AwaitIdle(t)
		})
	}
}

// TestBusyIsToldToTheCaller has the callee refuse: 486 must arrive as such.
func TestBusyIsToldToTheCaller(t *testing.T) {
	town, box, far := office(t, 2, Site{Lines: 2})
	a, b := town.Phone(t, 0, hzNear), town.Phone(t, 1, hzDesk)
	for _, c := range []struct {
		name, number   string
		caller, callee *Baresip
	}{
		{"outbound", farNumber, a, far},
		{"inbound", "+498912345622", far, a},
		{"internal", "23", a, b},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.caller.Dial(t, c.number)
			c.callee.Await(t, "CALL_INCOMING", 5*time.Second)
			c.callee.Hangup(t)
			if e := c.caller.Await(t, "CALL_CLOSED", 5*time.Second); !strings.Contains(e.Param, "486") {
				t.Errorf("the caller's call closed with %q, want 486", e.Param)
			}
			box.AwaitIdle(t)
		})
	}
}

// TestWrongNumbersHaveTheirCodes dials what nobody has.
func TestWrongNumbersHaveTheirCodes(t *testing.T) {
	town, box, _ := office(t, 1, Site{Lines: 2})
	a := town.Phone(t, 0, hzNear)
	for number, code := range map[string]string{
		"77": "404", // no such extension
		"23": "480", // its phone is not registered
	} {
		a.Dial(t, number)
		if e := a.Await(t, "CALL_CLOSED", 10*time.Second); !strings.Contains(e.Param, code) {
			t.Errorf("%s: the call closed with %q, want %s", number, e.Param, code)
		}
	}
	box.AwaitIdle(t)
}

// TestHoldAndResumeOnAnExternalCall holds from either side. This baresip stops
// recording at its first hold, so the witnesses listen: on the LAN to the far
// voice, on the WAN for packets that the far party then finds authentic.
func TestHoldAndResumeOnAnExternalCall(t *testing.T) {
	town, box, far := office(t, 1, Site{Lines: 1})
	a := town.Phone(t, 0, hzNear)
	lan, wan := town.Box.Capture(t, "lan0"), town.Box.Capture(t, "wan0")
	dial(t, a, far, farNumber)
	said := holdAndResume(t, a, far)
	part(t, a, far)
	box.AwaitIdle(t)
	inside, outside := lan.Packets(t), wan.Packets(t)
	for _, s := range said {
		s.check(t, inside, boxLAN, a.account.Addr, hzFar)
		if n := len(s.cut(rtpBetween(outside, boxWAN, farAddr))); s.speech && n < 50 || !s.speech && n > 5 {
			t.Errorf("%s: %d RTP packets from the box to the far party", s.what, n)
		}
	}
	encryptedOutside(t, outside)
	if strings.Contains(far.Text(), "failed to decrypt RTP packet") {
		t.Error("the far party could not decrypt what the box sent")
	}
}

// TestHoldAndResumeOnAnInternalCall does the same between two phones.
func TestHoldAndResumeOnAnInternalCall(t *testing.T) {
	town, box, _ := office(t, 2, Site{Lines: 2})
	a, b := town.Phone(t, 0, hzNear), town.Phone(t, 1, hzDesk)
	lan := town.Box.Capture(t, "lan0")
	dial(t, a, b, "23")
	said := holdAndResume(t, a, b)
	part(t, b, a)
	box.AwaitIdle(t)
	packets := lan.Packets(t)
	for _, s := range said {
		s.check(t, packets, boxLAN, a.account.Addr, hzDesk)
		s.check(t, packets, boxLAN, b.account.Addr, hzNear)
	}
}

// span is a time in a call in which there should be speech, or silence.
type span struct {
	what     string
	speech   bool
	from, to time.Time
}

// listen lets a second and a half go by, once what was in flight has landed.
func listen(what string, speech bool) span {
	pass(500 * time.Millisecond)
	from := time.Now()
	pass(1500 * time.Millisecond)
	return span{what, speech, from, time.Now()}
}

// check compares what was to be heard between two hosts with what was.
func (s span) check(t *testing.T, packets []Packet, from, to string, hz float64) {
	t.Helper()
	within := s.cut(rtpBetween(packets, from, to))
	heard := sounds(within, hz)
	if s.speech && heard < time.Second || !s.speech && heard > 100*time.Millisecond {
		t.Errorf("%s: from %s to %s, %v Hz is heard for %v in %d packets", s.what, from, to, hz, heard, len(within))
	}
}

// cut is the part of a capture that lies in the span.
func (s span) cut(packets []Packet) []Packet {
	var within []Packet
	for _, p := range packets {
		if p.At.After(s.from) && p.At.Before(s.to) {
			within = append(within, p)
		}
	}
	return within
}

// holdAndResume lets each side of a call hold and resume.
func holdAndResume(t *testing.T, caller, callee *Baresip) []span {
	t.Helper()
	said := []span{listen("before", true)}
	for i, holder := range []*Baresip{caller, callee} {
		who := []string{"the caller", "the callee"}[i]
		holder.Hold(t)
		said = append(said, listen(who+" holds", false))
		holder.Resume(t)
		said = append(said, listen(who+" has resumed", true))
	}
	return said
}

// TestSIPpOnEitherSide lets scripts that keep to the letter play phone and
// cloud, over UDP and without SRTP. Their media is an echo: who speaks to
// them hears himself.
func TestSIPpOnEitherSide(t *testing.T) {
	town := newTown(t, 2)
	cloud := town.Cloud.SIPp(t, "cloud", sippAddr+":5060")
	box := town.Linekeeper(t, Site{Lines: 2, Server: "udp://" + sippAddr + ":5060", SRTP: "off"})
	box.AwaitOnline(t, 15*time.Second)
	phone := town.Phone(t, 1, hzDesk)

	t.Run("the phone calls the scripted cloud", func(t *testing.T) {
		phone.Dial(t, farNumber)
		phone.Await(t, "CALL_ESTABLISHED", 5*time.Second)
		hears(t, phone.Listen(t), hzDesk)
		phone.Hangup(t)
		phone.Await(t, "CALL_CLOSED", 5*time.Second)
		box.AwaitIdle(t)
	})
	t.Run("the scripted cloud calls the phone", func(t *testing.T) {
		registrar := contactSeen(t, cloud, "23")
		caller := town.Cloud.SIPp(t, "cloud_calls", sippAddr+":5062", registrar, "-m", "1", "-s", "23", "-key", "caller", "+4989777001", "-mp", "6100")
		phone.Await(t, "CALL_INCOMING", 5*time.Second)
		phone.Answer(t)
		phone.Await(t, "CALL_ESTABLISHED", 5*time.Second)
		hears(t, phone.Listen(t), hzDesk)
		caller.Succeeds(t, 10*time.Second)
		box.AwaitIdle(t)
	})
	t.Run("a scripted phone calls and is called", func(t *testing.T) {
		desk := town.Phones[0]
		at := desk.addr.String() + ":5070"
		registerAll(t, desk, 1, at, boxLAN+":5060")
		caller := desk.SIPp(t, "phone_calls", desk.addr.String()+":5072", boxLAN+":5060", "-m", "1", "-s", "23",
			"-au", "22", "-ap", "phone-secret-22", "-auth_uri", "23@"+boxLAN+":5060", "-key", "caller", "22", "-mp", "6100")
		phone.Await(t, "CALL_INCOMING", 5*time.Second)
		phone.Answer(t)
		phone.Await(t, "CALL_ESTABLISHED", 5*time.Second)
		hears(t, phone.Listen(t), hzDesk)
		caller.Succeeds(t, 10*time.Second)

		callee := desk.SIPp(t, "answers", at, "-m", "1")
		phone.Dial(t, "22")
		phone.Await(t, "CALL_ESTABLISHED", 5*time.Second)
		hears(t, phone.Listen(t), hzDesk)
		phone.Hangup(t)
		callee.Succeeds(t, 5*time.Second)
		box.AwaitIdle(t)
	})
}
