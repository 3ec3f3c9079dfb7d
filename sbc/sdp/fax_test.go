package sdp

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

const faxOffer = "v=0\r\no=- 1 2 IN IP4 192.0.2.50\r\ns=-\r\nc=IN IP4 192.0.2.50\r\nt=0 0\r\n" +
	"m=audio 0 RTP/AVP 8\r\nm=image 4002 udptl t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\na=T38FaxFillBitRemoval\r\n" +
	"a=T38FaxRateManagement:transferredTCF\r\na=T38FaxMaxBuffer:1024\r\na=T38FaxMaxDatagram:238\r\na=T38FaxUdpEC:t38UDPFEC\r\na=X-secret:10.0.0.5\r\n"

func end(port uint16, policy Policy) *Local {
	return &Local{Addr: netip.MustParseAddr("198.51.100.1"), Port: port, SessionID: 9, Version: 1, SRTP: policy, Keys: make(Secret, 32)}
}

func parsed(t *testing.T, text string) *Session {
	t.Helper()
	s, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// speech agrees on audio toward a leg, as each fax begins.
func speech(t *testing.T, l *Local) {
	t.Helper()
	if _, err := l.Offer(nil); err != nil {
		t.Fatal(err)
	}
}

// TestFaxIsCarriedAcrossWithOurAddress: the far leg has one section, that of the
// audio, which becomes the image; the near one has both, and gets both back.
func TestFaxIsCarriedAcrossWithOurAddress(t *testing.T) {
	near, far := end(10000, Off), end(20000, Preferred)
	speech(t, far)
	offer := parsed(t, faxOffer)
	out, err := far.Offer(offer)
	if err != nil {
		t.Fatal(err)
	}
	text := string(out.Bytes())
	want := "m=image 20000 udptl t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\na=T38FaxFillBitRemoval\r\na=T38FaxRateManagement:transferredTCF\r\n" +
		"a=T38FaxMaxBuffer:1024\r\na=T38FaxMaxDatagram:238\r\na=T38FaxUdpEC:t38UDPFEC\r\n"
	if !strings.HasSuffix(text, want) || strings.Contains(text, "m=audio") || strings.Contains(text, "192.0.2.50") {
		t.Errorf("far side is offered\n%s", text)
	}
	answer := parsed(t, "v=0\r\no=- 5 6 IN IP4 203.0.113.7\r\ns=-\r\nc=IN IP4 203.0.113.7\r\nt=0 0\r\nm=image 5004 udptl t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:9600\r\na=T38FaxUdpEC:t38UDPRedundancy\r\n")
	flow, err := far.Flow(out, answer)
	if err != nil || !flow.UDPTL || flow.Remote != netip.MustParseAddrPort("203.0.113.7:5004") || flow.Out != nil {
		t.Errorf("%+v %v", flow, err)
	}
	back, err := near.Answer(offer, answer)
	if err != nil {
		t.Fatal(err)
	}
	text = string(back.Bytes())
	if !strings.HasSuffix(text, "m=audio 0 RTP/AVP 8\r\nm=image 10000 udptl t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:9600\r\na=T38FaxUdpEC:t38UDPRedundancy\r\n") {
		t.Errorf("near side is answered\n%s", text)
	}
	if flow, err = near.Flow(back, offer); err != nil || !flow.UDPTL || flow.Remote != netip.MustParseAddrPort("192.0.2.50:4002") {
		t.Errorf("%+v %v", flow, err)
	}
	// Back to speech: each leg takes the section that it had for it.
	for l, place := range map[*Local]int{near: 0, far: 0} {
		s, err := l.Offer(parsed(t, "v=0\r\no=- 1 3 IN IP4 192.0.2.50\r\ns=-\r\nc=IN IP4 192.0.2.50\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"))
		if err != nil || s.Media[place].Kind != "audio" || s.Media[place].Port == 0 || s.Image() != nil {
			t.Errorf("%v\n%s", err, s.Bytes())
		}
	}
}

func TestFaxInTheClearIsRefusedWhereSRTPIsRequired(t *testing.T) {
	l := end(10000, Required)
	speech(t, l)
	if _, err := l.Offer(parsed(t, faxOffer)); !errors.Is(err, ErrSRTP) {
		t.Errorf("offered: %v", err)
	}
	if _, err := l.Answer(parsed(t, faxOffer), parsed(t, faxOffer)); !errors.Is(err, ErrSRTP) {
		t.Errorf("answered: %v", err)
	}
}

func TestWithdrawnFaxLeavesTheLegAsItWas(t *testing.T) {
	l := end(10000, Off)
	speech(t, l)
	was := *l
	if _, err := l.Offer(parsed(t, faxOffer)); err != nil {
		t.Fatal(err)
	}
	version := l.Version
	l.Withdraw(was)
	l.NoFax = true
	s, err := l.Offer(nil)
	if err != nil || len(s.Media) != 1 || s.Media[0].Kind != "audio" || s.Origin.Version <= version {
		t.Fatalf("%v\n%s", err, s.Bytes())
	}
	if got := s.Media[0].Carried; !slices.Equal(got, []string{"silenceSupp:off - - - -", "ecan:fb off -"}) {
		t.Errorf("carried %q", got)
	}
}

func TestWishForAClearChannelIsCarriedOnce(t *testing.T) {
	l := end(10000, Off)
	l.NoFax = true
	s, err := l.Offer(parsed(t, "v=0\r\no=- 1 3 IN IP4 192.0.2.50\r\ns=-\r\nc=IN IP4 192.0.2.50\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\na=silenceSupp:off fax - - -\r\n"))
	if err != nil || !slices.Equal(s.Media[0].Carried, []string{"silenceSupp:off fax - - -", "ecan:fb off -"}) {
		t.Errorf("%v %q", err, s.Media[0].Carried)
	}
	again := parsed(t, string(s.Bytes()))
	if !slices.Equal(again.Media[0].Carried, s.Media[0].Carried) {
		t.Errorf("read back as %q", again.Media[0].Carried)
	}
}

func TestExtendedReportsAreAnsweredWhereOffered(t *testing.T) {
	l := end(10000, Off)
	offer := parsed(t, "v=0\r\no=- 1 3 IN IP4 192.0.2.50\r\ns=-\r\nc=IN IP4 192.0.2.50\r\nt=0 0\r\na=rtcp-xr:voip-metrics\r\n"+
		"m=audio 4000 RTP/AVP 8\r\na=rtcp-xr:rcvr-rtt=all:10 stat-summary=loss,dup,jitt voip-metrics\r\n")
	s, err := l.Answer(offer, nil)
	if err != nil || !strings.Contains(string(s.Bytes()), "a=rtcp-xr:voip-metrics stat-summary=loss,dup\r\n") {
		t.Fatalf("%v\n%s", err, s.Bytes())
	}
	if f, err := l.Flow(s, offer); err != nil || f.XR != (XR{VoIP: true, Summary: true}) {
		t.Errorf("%+v %v", f.XR, err)
	}
}
