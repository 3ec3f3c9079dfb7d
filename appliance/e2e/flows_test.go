package e2e

import (
	"testing"
	"time"
)

const (
	deviceOne = "urn:uuid:00000000-0000-1000-8000-0004f2123456"
	deviceTwo = "urn:uuid:00000000-0000-1000-8000-0004f2654321"
)

// device registers extension 22 from a port of its desk as one device, with what
// else is said of the contact, and wants the answer to match.
func (s *Stage) device(t *testing.T, port, instance, params string, answer ...Option) {
	t.Helper()
	desk := s.Phones[0]
	p := desk.Play(t, "register"+port, desk.addr.String()+":"+port, boxLAN+":5060", false, func(s *Script) {
		s.Begin("REGISTER", "22", "22", contact("<sip:22@[local_ip]:[local_port]>;+sip.instance=\"<"+instance+">\""+params),
			header("Supported: path, outbound, gruu"), header("Expires: 600"))
		s.Recv("200", answer...)
	})
	p.Succeeds(t, 20*time.Second)
}

// answers plays a phone at a port of the desk that takes one call.
func (s *Stage) answers(t *testing.T, port string, checks ...Option) *SIPp {
	t.Helper()
	desk := s.Phones[0]
	p := desk.Play(t, "device"+port, desk.addr.String()+":"+port, "", false, func(s *Script) {
		s.Recv("INVITE", checks...)
		s.Reply("180")
		s.Reply("200", sdp("sendrecv"))
		s.Recv("ACK")
		s.Recv("BYE")
		s.Reply("200")
	})
	p.hears(t, desk.addr.String()+":"+port)
	return p
}

// callsDevice lets 23 call 22 and hang up.
func (s *Stage) callsDevice(t *testing.T, options ...Option) *SIPp {
	t.Helper()
	return s.Caller(t, 1, func(s *Script) {
		s.Dial("23", "22", append(options, sdp("sendrecv"))...)
		s.Recv("180", optional)
		s.Recv("200")
		s.Ack()
		s.Pause(300 * time.Millisecond)
		s.Ask("BYE")
		s.Recv("200")
	})
}

// TestOneDeviceOfSeveralIsCalledByItsGRUU has two devices of one extension: who
// calls the GRUU of one reaches that one, as it registered, and nobody else
// (RFC 5627). The other has a port at which the call would fail.
func TestOneDeviceOfSeveralIsCalledByItsGRUU(t *testing.T) {
	s := stage(t, nil)
	s.device(t, "5074", deviceOne, "", has("Contact", "pub-gruu=\"sip:22@[^\"]*;gr="+deviceOne+"\""), says("temp-gruu=\"sip:tgruu"))
	s.device(t, "5076", deviceTwo, "")
	one := s.answers(t, "5074", says("^INVITE sip:22@[0-9.]+:5074 "), lacks("gr=urn"))
	two := s.answers(t, "5076")
	s.Ends(t, 15*time.Second, s.callsDevice(t, aim(";gr="+deviceOne)), one)
	if n := two.heard("INVITE ", "INVITE"); n != 0 {
		t.Errorf("the other device heard %d INVITEs", n)
	}
	s.Recorded(t, "23 → 22 internal 200 caller")
}

// TestTheNextFlowOfADeviceIsTriedWhereOneIsDead has a device with two flows. The
// one that it made last leads nowhere: the call comes by the other, once
// (RFC 5626).
func TestTheNextFlowOfADeviceIsTriedWhereOneIsDead(t *testing.T) {
	s := stage(t, nil)
	s.device(t, "5074", deviceOne, ";reg-id=1", has("Require", "outbound"), has("Flow-Timer", "[0-9]+"))
	s.device(t, "5076", deviceOne, ";reg-id=2", has("Require", "outbound"), says("reg-id=1(.|\n)*reg-id=2|reg-id=2(.|\n)*reg-id=1"))
	one := s.answers(t, "5074")
	s.Ends(t, 25*time.Second, s.callsDevice(t), one)
	if n := one.heard("INVITE ", "INVITE"); n != 1 {
		t.Errorf("the flow that lives heard %d INVITEs", n)
	}
	s.Recorded(t, "23 → 22 internal 200 caller")
}

// TestPhoneBehindAProxyIsCalledByItsPath has a proxy between a phone and the box:
// the call goes to the proxy, with the proxy as its route and the phone as its
// target (RFC 3327).
func TestPhoneBehindAProxyIsCalledByItsPath(t *testing.T) {
	s := stage(t, nil)
	desk := s.Phones[0]
	desk.Play(t, "proxy", desk.addr.String()+":5078", boxLAN+":5060", false, func(s *Script) {
		s.Begin("REGISTER", "22", "22", contact("<sip:22@10.99.0.7:5060>"), header("Path: <sip:[local_ip]:[local_port];lr>"),
			header("Supported: path"), header("Expires: 600"))
		s.Recv("200", has("Path", "<sip:[0-9.]+:5078;lr>"))
	}).Succeeds(t, 20*time.Second)
	proxy := s.answers(t, "5078", says("^INVITE sip:22@10.99.0.7:5060 "), has("Route", "<sip:[0-9.]+:5078;lr>"))
	s.Ends(t, 15*time.Second, s.callsDevice(t), proxy)
	s.Recorded(t, "23 → 22 internal 200 caller")
}
