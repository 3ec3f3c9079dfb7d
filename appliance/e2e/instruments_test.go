package e2e

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"linekeeper/appliance/lab/tone"
)

// TestWitnessSeesMarksLossAndPlainSpeech proves the capture: a stream that we
// send ourselves, marked, with a packet left out, and speech in the clear.
func TestWitnessSeesMarksLossAndPlainSpeech(t *testing.T) {
	town := newTown(t, 1)
	capture := town.Box.Capture(t, "lan0")
	phone := town.Phones[0]
	phone.Inside(t, func() error {
		// Not connected: nobody listens there, and ICMP errors would fail our writes.
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: phone.addr.AsSlice()})
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := setTOS(conn, 46<<2); err != nil {
			return err
		}
		to := netip.MustParseAddrPort(boxLAN + ":20000")
		// The first asks for the box's hardware address; a burst would overrun that.
		if _, err := conn.WriteToUDPAddrPort([]byte{0}, to); err != nil {
			return err
		}
		pass(100 * time.Millisecond)
		voice := tone.NewGenerator(hzNear, tone.DefaultLevel)
		for seq := range uint16(100) {
			packet := make([]byte, rtpHeader+tone.Frame)
			packet[0], packet[1] = 0x80, byte(tone.A)
			binary.BigEndian.PutUint16(packet[2:], seq+65500) // runs over the end of the numbers
			voice.Read(tone.A, packet[rtpHeader:])
			if seq == 50 {
				continue
			}
			if _, err := conn.WriteToUDPAddrPort(packet, to); err != nil {
				return err
			}
		}
		return nil
	})
	heard := rtpBetween(capture.Packets(t), phone.addr.String(), boxLAN)
	if len(heard) != 99 || lost(heard) != 1 {
		t.Errorf("%d packets, %d lost; want 99 and 1", len(heard), lost(heard))
	}
	if sounds(heard, hzNear) < time.Second || sounds(heard, hzFar) != 0 {
		t.Errorf("the tone was heard for %v, another for %v", sounds(heard, hzNear), sounds(heard, hzFar))
	}
	for _, p := range heard {
		if p.DSCP != 46 || p.From.Addr() != phone.addr || p.To != netip.MustParseAddrPort(boxLAN+":20000") {
			t.Fatalf("packet %v → %v with DSCP %d", p.From, p.To, p.DSCP)
		}
	}
}

// TestSIPpSpeaksWithoutTheBox proves the scenarios: registration with digest,
// a call with authentication that is answered, and the simple cloud.
func TestSIPpSpeaksWithoutTheBox(t *testing.T) {
	town := newTown(t, 1)
	pbx := pbxAddr + ":5060"
	town.Kamailio(t, newAuthority(t),
		Subscriber{Account: "22", Password: "phone-secret-22", Number: "498912345622"},
		Subscriber{Account: "23", Password: "phone-secret-23", Number: "498912345623"})
	registerAll(t, town.Cloud, 2, sippAddr+":5070", pbx)
	callee := town.Cloud.SIPp(t, "answers", sippAddr+":5070", "-m", "1")
	caller := town.Other.SIPp(t, "phone_calls", farAddr+":5071", pbx,
		"-m", "1", "-s", "089123456"+"22", "-au", "23", "-ap", "phone-secret-23", "-key", "caller", "23", "-mp", "6100")
	caller.Succeeds(t, 15*time.Second)
	callee.Succeeds(t, 5*time.Second)

	town.Cloud.SIPp(t, "cloud", sippAddr+":5080")
	phone := town.Other.Baresip(t, Account{User: "22", Password: "-", Registrar: sippAddr + ":5080", Transport: "udp", Hz: hzNear})
	phone.Dial(t, "089777001")
	phone.Await(t, "CALL_ESTABLISHED", 5*time.Second)
	hears(t, phone.Listen(t), hzNear) // itself, from the echo
	phone.Hangup(t)
	phone.Await(t, "CALL_CLOSED", 5*time.Second)

	callee = town.Cloud.SIPp(t, "answers", sippAddr+":5070", "-m", "1", "-mp", "6200")
	caller = town.Cloud.SIPp(t, "cloud_calls", pbxAddr+":5090", sippAddr+":5070", "-m", "1", "-s", "22", "-key", "caller", "far", "-mp", "6300")
	caller.Succeeds(t, 15*time.Second)
	callee.Succeeds(t, 5*time.Second)
}

// TestScriptFailsWhenItHearsSomethingElse proves the scripts: one that wants a
// header that is not there, or another answer, does not succeed.
func TestScriptFailsWhenItHearsSomethingElse(t *testing.T) {
	t.Parallel()
	town := newTown(t, 0)
	at := sippAddr + ":5060"
	play := func(name, from string, callee, caller func(*Script)) (heard, said *SIPp) {
		heard = town.Cloud.Play(t, name+"-callee", at, "", false, callee)
		return heard, town.Other.Play(t, name+"-caller", from, at, false, caller)
	}
	call := func(s *Script) {
		s.Call("far", "22", sdp("sendrecv"))
		s.Recv("486", has("Reason", "17"))
		s.refused()
	}
	good, caller := play("good", farAddr+":5070", func(s *Script) {
		s.Recv("INVITE", says("a=sendrecv"), lacks("Diversion"))
		s.Reply("486", header("Reason: Q.850;cause=17"))
		s.Recv("ACK")
	}, call)
	caller.Succeeds(t, 5*time.Second)
	good.Succeeds(t, 5*time.Second)
	for what, wrong := range map[string]func(*Script){
		"another answer": func(s *Script) {
			s.Recv("INVITE")
			s.Reply("603", header("Reason: Q.850;cause=17"))
			s.Recv("ACK")
		},
		"another header": func(s *Script) {
			s.Recv("INVITE")
			s.Reply("486", header("Reason: Q.850;cause=18"))
			s.Recv("ACK")
		},
		"no such text": func(s *Script) {
			s.Recv("INVITE", says("a=sendonly"))
			s.Reply("486", header("Reason: Q.850;cause=17"))
			s.Recv("ACK")
		},
		"forbidden text": func(s *Script) {
			s.Recv("INVITE", lacks("a=sendrecv"))
			s.Reply("486", header("Reason: Q.850;cause=17"))
			s.Recv("ACK")
		},
	} {
		callee, caller := play("wrong", farAddr+":5070", wrong, call)
		if caller.Wait(t, 10*time.Second) == nil && callee.Wait(t, 10*time.Second) == nil {
			t.Errorf("%s: both scripts succeeded", what)
		}
	}
}
