package e2e

import (
	"testing"
	"time"
)

// fax puts a description of T.38 into a message (ITU-T T.38 Annex D).
func fax(rate string) Option {
	return func(m *message) {
		m.body = "v=0\n      o=- [pid] %d IN IP4 [local_ip]\n      s=-\n      c=IN IP4 [media_ip]\n      t=0 0\n" +
			"      m=image [media_port] udptl t38\n      a=T38FaxVersion:0\n      a=T38MaxBitRate:" + rate + "\n      a=T38FaxRateManagement:transferredTCF\n" +
			"      a=T38FaxMaxDatagram:238\n      a=T38FaxUdpEC:t38UDPRedundancy"
	}
}

// TestFaxSwitchesToT38AndBack has the cloud send a fax: each side is told of our
// address and of the other's parameters, and speech comes back afterwards.
func TestFaxSwitchesToT38AndBack(t *testing.T) {
	s := stage(t, func(s *Script) {
		s.Recv("INVITE")
		s.Reply("200", sdp("sendrecv"))
		s.Recv("ACK")
		s.Pause(200 * time.Millisecond)
		s.Ask("INVITE", fax("14400"))
		s.Recv("200", says(describesWAN), says("m=image [0-9]+ udptl t38"), says("a=T38MaxBitRate:9600"), says("a=T38FaxUdpEC:t38UDPRedundancy"), lacks("m=audio"))
		s.Ack()
		s.Pause(200 * time.Millisecond)
		s.Ask("INVITE", sdp("sendrecv"))
		s.Recv("200", says(describesWAN), says("m=audio [0-9]+ RTP/AVP 8"))
		s.Ack()
		s.Recv("BYE")
		s.Reply("200")
	})
	phone := s.Caller(t, 0, func(s *Script) {
		s.Dial("22", farNumber, sdp("sendrecv"))
		s.Recv("200")
		s.Ack()
		s.Recv("INVITE", says(describesLAN), says("m=image [0-9]+ udptl t38"), says("a=T38MaxBitRate:14400"), says("a=T38FaxMaxDatagram:238"), lacks("m=audio"))
		s.Reply("200", fax("9600"))
		s.Recv("ACK")
		s.Recv("INVITE", says(describesLAN), says("m=audio [0-9]+ RTP/AVP 8"))
		s.Reply("200", sdp("sendrecv"))
		s.Recv("ACK")
		s.Pause(300 * time.Millisecond)
		s.Ask("BYE")
		s.Recv("200")
	})
	s.Ends(t, 10*time.Second, phone)
	s.Recorded(t, "22 → 089777001 cloud 200 caller")
}

// TestFaxThatIsRefusedGoesOnAsSpeech has a phone that knows no T.38: the cloud learns
// it, offers speech again, and both are asked for a channel that a fax gets through.
func TestFaxThatIsRefusedGoesOnAsSpeech(t *testing.T) {
	s := stage(t, func(s *Script) {
		s.Recv("INVITE")
		s.Reply("200", sdp("sendrecv"))
		s.Recv("ACK")
		s.Pause(200 * time.Millisecond)
		s.Ask("INVITE", fax("14400"))
		s.RecvRefusal("488")
		s.Ask("INVITE", sdp("sendrecv"))
		s.Recv("200", says(describesWAN), says("m=audio [0-9]+ RTP/AVP 8"), says("a=silenceSupp:off"), says("a=ecan:fb off"))
		s.Ack()
		s.Recv("BYE")
		s.Reply("200")
	})
	phone := s.Caller(t, 0, func(s *Script) {
		s.Dial("22", farNumber, sdp("sendrecv"))
		s.Recv("200")
		s.Ack()
		s.Recv("INVITE", says("m=image [0-9]+ udptl t38"))
		s.Reply("488")
		s.Recv("ACK")
		s.Recv("INVITE", says(describesLAN), says("a=silenceSupp:off"), says("a=ecan:fb off"))
		s.Reply("200", sdp("sendrecv"))
		s.Recv("ACK")
		s.Pause(300 * time.Millisecond)
		s.Ask("BYE")
		s.Recv("200")
	})
	s.Ends(t, 10*time.Second, phone)
	s.Recorded(t, "22 → 089777001 cloud 200 caller")
}
