package sdp

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// dtlsLeg is a leg with a certificate.
func dtlsLeg(n int, policy Policy, byDTLS bool) *Local {
	l := leg(n, policy)
	l.Certificate, l.DTLS = FingerprintOf([]byte{byte(n)}), byDTLS
	return l
}

// TestCryptoLinesOfRFC4568 are the examples of the document, and what else its
// grammar allows.
func TestCryptoLinesOfRFC4568(t *testing.T) {
	for _, c := range []struct {
		line, want string
	}{
		// 4 and 5.1.1
		{"1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4 FEC_ORDER=FEC_SRTP", "life 1048576 mki 00000001 keys 1 not usable"},
		{"1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR|2^20|1:32", "life 1048576 mki " + strings.Repeat("00", 31) + "01 keys 1 usable"},
		{"2 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:32", "life 1048576 mki " + strings.Repeat("00", 31) + "01 keys 1 usable"},
		{"1 AES_CM_128_HMAC_SHA1_32 inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj|2^20|1:32", "life 1048576 mki " + strings.Repeat("00", 31) + "01 keys 1 usable"},
		// 6.1: two keys with their identifiers
		{"1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:4;inline:YUJDZGVmZ2hpSktMbW9QUXJzVHVWd3l6MTIzNDU2|2^20|2:4", "life 1048576 mki 00000001 keys 2 not usable"},
		// 6.3: what would change the packets, and what is a hint
		{"1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj UNENCRYPTED_SRTP", "life 0 mki  keys 1 not usable"},
		{"1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj UNENCRYPTED_SRTCP", "life 0 mki  keys 1 not usable"},
		{"1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj UNAUTHENTICATED_SRTP", "life 0 mki  keys 1 not usable"},
		{"1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj KDR=1", "life 0 mki  keys 1 not usable"},
		{"1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj KDR=0 WSH=128 -KDR=3", "life 0 mki  keys 1 usable"},
		{"1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|1:4", "life 0 mki 00000001 keys 1 usable"},
		{"1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|1048576", "life 1048576 mki  keys 1 usable"},
		{"1 F8_128_HMAC_SHA1_80 inline:MTIzNDU2Nzg5QUJDREUwMTIzNDU2Nzg5QUJjZGVm|2^20|1:4", "none"}, // nobody has it
		{"1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSo", "none"},       // too short
		{"1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^49", "none"},
		{"1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|256:1", "none"}, // does not fit
	} {
		got := "none"
		if k, ok := parseCrypto(c.line); ok {
			got = fmt.Sprintf("life %d mki %x keys %d ", k.Key.Lifetime, k.Key.MKI, k.Keys)
			if !k.usable(allSuites[:]) {
				got += "not "
			}
			got += "usable"
		}
		if got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.line, got, c.want)
		}
	}
}

// TestAnotherLineIsTakenWhereOneAsksTooMuch answers the first line that we can do,
// with its tag, and refuses where there is none.
func TestAnotherLineIsTakenWhereOneAsksTooMuch(t *testing.T) {
	const key = "inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"
	l := leg(1, Required)
	offer := audio("10.0.0.5", 4000, "RTP/SAVP 8", "a=crypto:3 AES_CM_128_HMAC_SHA1_80 "+key+" UNENCRYPTED_SRTP",
		"a=crypto:4 AES_CM_128_HMAC_SHA1_80 "+key+";"+key, "a=crypto:9 AES_CM_128_HMAC_SHA1_32 "+key+"|2^20|7:2")
	mine := must[*Session](t)(l.Answer(offer, nil))
	if c := mine.Media[0].Crypto; len(c) != 1 || c[0].Tag != 9 || c[0].Key.Suite != AES128SHA32 {
		t.Fatalf("answered\n%s", mine.Bytes())
	}
	f := must[Flow](t)(l.Flow(mine, offer))
	if string(f.In.MKI) != "\x00\x07" || len(f.Out.MKI) != 0 {
		t.Errorf("identifiers %x in, %x out", f.In.MKI, f.Out.MKI)
	}
	offer.Media[0].Crypto = offer.Media[0].Crypto[:2]
	if _, err := l.Answer(offer, nil); !errors.Is(err, ErrSRTP) {
		t.Errorf("took what it can't do: %v", err)
	}
	// An answer that wants what was not offered.
	o := must[*Session](t)(l.Offer(nil))
	a := audio("10.0.0.5", 4000, "RTP/SAVP 8", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 "+key+" UNENCRYPTED_SRTP")
	if _, err := l.Flow(o, a); !errors.Is(err, ErrSRTP) {
		t.Errorf("agreed to bare packets: %v", err)
	}
}

func TestRolesOfTheHandshakeFitTogether(t *testing.T) {
	for _, c := range []struct {
		theirs Setup // in their offer, or their answer to ours
		ours   Setup // in our answer
		client bool
		asked  bool // they offered
	}{
		{ActPass, Active, true, true},
		{Active, Passive, false, true},
		{Passive, Active, true, true},
		{"", Active, true, true},
		{Active, ActPass, false, false},
		{Passive, ActPass, true, false},
		{"", ActPass, false, false}, // RFC 4145 4.1: who says nothing is active
	} {
		l := dtlsLeg(1, Required, true)
		theirs := audio("10.0.0.5", 4000, "UDP/TLS/RTP/SAVP 8", "a=rtcp-mux", "a=fingerprint:sha-256 "+FingerprintOf([]byte("peer")).Value)
		theirs.Media[0].Setup = c.theirs
		var mine *Session
		if c.asked {
			mine = must[*Session](t)(l.Answer(theirs, nil))
		} else {
			mine = must[*Session](t)(l.Offer(nil))
		}
		m := wire(t, mine).Media[0]
		if m.Setup != c.ours || m.Proto != "UDP/TLS/RTP/SAVP" || len(m.Crypto) != 0 || !m.Mux || m.Fingerprints[0] != l.Certificate {
			t.Errorf("%+v:\n%s", c, mine.Bytes())
		}
		f := must[Flow](t)(l.Flow(mine, theirs))
		if f.DTLS == nil || f.DTLS.Client != c.client || !f.Secure() || !f.DTLS.Peer[0].Matches([]byte("peer")) {
			t.Errorf("%+v: %+v", c, f.DTLS)
		}
		// Whatever is offered later, the part stays as it is (RFC 8842 5.3).
		theirs.Media[0].Setup = ActPass
		mine = must[*Session](t)(l.Answer(theirs, nil))
		if g := must[Flow](t)(l.Flow(mine, theirs)); g.DTLS.Client != c.client {
			t.Errorf("%+v: the part changed in a later offer", c)
		}
	}
}

// TestKeysFitThePolicyOrTheOfferIsRefused is keys × policy.
func TestKeysFitThePolicyOrTheOfferIsRefused(t *testing.T) {
	const (
		sdes  = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"
		print = "a=fingerprint:sha-256 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB:4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF"
	)
	for _, c := range []struct {
		proto  string
		lines  []string
		policy Policy
		dtls   bool
		want   string
	}{
		{"RTP/AVP", nil, Off, false, "clear"},
		{"RTP/AVP", nil, Preferred, true, "clear"},
		{"RTP/AVP", nil, Required, true, "refused"},
		{"RTP/AVP", []string{sdes, print}, Preferred, false, "sdes"},
		{"RTP/AVP", []string{sdes, print}, Preferred, true, "dtls"},
		{"RTP/AVP", []string{print}, Preferred, false, "dtls"},
		{"RTP/AVP", []string{sdes, print}, Off, true, "clear"},
		{"RTP/SAVP", []string{sdes}, Required, true, "sdes"},
		{"RTP/SAVP", []string{print}, Required, false, "dtls"},
		{"RTP/SAVP", []string{sdes}, Off, false, "refused"},
		{"UDP/TLS/RTP/SAVPF", []string{print}, Preferred, false, "dtls"},
		{"UDP/TLS/RTP/SAVP", []string{print}, Off, true, "refused"},
		{"UDP/TLS/RTP/SAVP", nil, Required, true, "refused"},
		{"UDP/TLS/RTP/SAVP", []string{strings.Replace(print, "sha-256", "md5", 1)}, Required, true, "refused"},
	} {
		l := dtlsLeg(1, c.policy, c.dtls)
		offer := audio("10.0.0.5", 4000, append([]string{c.proto + " 8"}, c.lines...)...)
		got := "refused"
		mine, err := l.Answer(offer, nil)
		if err == nil {
			f := must[Flow](t)(l.Flow(mine, offer))
			switch got = "clear"; {
			case f.DTLS != nil:
				got = "dtls"
			case f.Out != nil:
				got = "sdes"
			}
			if mine.Media[0].Proto != c.proto {
				t.Errorf("%+v: answered as %s", c, mine.Media[0].Proto)
			}
		} else if !errors.Is(err, ErrSRTP) {
			t.Errorf("%+v: %v", c, err)
		}
		if got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

func TestCandidatesAreOfferedAnsweredAndRestarted(t *testing.T) {
	l := leg(1, Off)
	l.ICE, l.Public = ICEFull, netip.MustParseAddr("198.51.100.7")
	offer := must[*Session](t)(l.Offer(nil))
	m := wire(t, offer).Media[0]
	var got []string
	for _, c := range m.ICE.Candidates {
		got = append(got, c.text())
	}
	want := []string{
		"1 1 UDP 2130706431 192.0.2.1 20002 typ host", "2 1 UDP 1694498815 198.51.100.7 20002 typ srflx raddr 192.0.2.1 rport 20002",
		"1 2 UDP 2130706430 192.0.2.1 20003 typ host", "2 2 UDP 1694498814 198.51.100.7 20003 typ srflx raddr 192.0.2.1 rport 20003",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") || len(m.ICE.Ufrag) < minUfrag || len(m.ICE.Pwd) < minICEPassword || m.ICE.Lite {
		t.Errorf("offered\n%s", offer.Bytes())
	}
	// A lite agent answers it with its own address alone, and is controlled.
	lite := leg(2, Off)
	lite.ICE = ICELite
	answer := must[*Session](t)(lite.Answer(wire(t, offer), nil))
	if text := string(answer.Bytes()); strings.Count(text, "a=candidate") != 1 || strings.Count(text, "a=ice-lite\r\n") != 1 {
		t.Errorf("answered\n%s", text)
	}
	fl := must[Flow](t)(lite.Flow(answer, wire(t, offer)))
	f := must[Flow](t)(l.Flow(offer, wire(t, answer)))
	if fl.ICE == nil || fl.ICE.Controlling || f.ICE == nil || !f.ICE.Controlling {
		t.Errorf("full %+v, lite %+v", f.ICE, fl.ICE)
	}
	// The same again is the same session, another fragment a new one.
	again := must[*Session](t)(lite.Answer(wire(t, must[*Session](t)(l.Offer(nil))), nil))
	if g := must[Flow](t)(lite.Flow(again, wire(t, offer))); !g.ICE.Equal(fl.ICE) {
		t.Error("a repeated offer began a new session")
	}
	fresh := wire(t, offer)
	fresh.Media[0].ICE.Ufrag += "x"
	again = must[*Session](t)(lite.Answer(fresh, nil))
	if g := must[Flow](t)(lite.Flow(again, fresh)); g.ICE.Local.Ufrag == fl.ICE.Local.Ufrag {
		t.Error("a restart is answered with the old credentials")
	}
}

func TestNoCandidatesWhereICEWouldGoWrong(t *testing.T) {
	const host = "a=candidate:1 1 UDP 2130706431 10.0.0.5 4000 typ host"
	with := func(lines ...string) []string {
		return append([]string{"RTP/AVP 8", "a=ice-ufrag:abcd", "a=ice-pwd:0123456789012345678901"}, lines...)
	}
	for what, c := range map[string]struct {
		lines  []string
		policy ICEPolicy
		want   bool
	}{
		"as it should be":                    {with(host), ICEFull, true},
		"the policy is off":                  {with(host), ICEOff, false},
		"an ALG changed c= only":             {with(strings.Replace(host, "10.0.0.5", "10.0.0.9", 1)), ICEFull, false},
		"a name instead of an address":       {with("a=candidate:1 1 UDP 2130706431 4fa7.local 4000 typ host"), ICEFull, true},
		"none yet":                           {with(), ICEFull, true},
		"the password is too short":          {[]string{"RTP/AVP 8", "a=ice-ufrag:abcd", "a=ice-pwd:0123", host}, ICEFull, false},
		"malformed candidates are passed by": {with(host, "a=candidate:1 1 UDP x 10.0.0.5 4000 typ host", "a=candidate:"), ICELite, true},
	} {
		l := leg(1, Off)
		l.ICE = c.policy
		offer := audio("10.0.0.5", 4000, c.lines...)
		mine := must[*Session](t)(l.Answer(offer, nil))
		f := must[Flow](t)(l.Flow(mine, offer))
		if (f.ICE != nil) != c.want || strings.Contains(string(mine.Bytes()), "a=candidate") != c.want {
			t.Errorf("%s: %+v\n%s", what, f.ICE, mine.Bytes())
		}
	}
}

// TestSecretsOfADescriptionArePrintedByNobody guards the passwords of ICE.
func TestSecretsOfADescriptionArePrintedByNobody(t *testing.T) {
	l := leg(1, Off)
	l.ICE = ICEFull
	s := must[*Session](t)(l.Offer(nil))
	pwd := string([]byte(s.Media[0].ICE.Pwd))
	if text := fmt.Sprintf("%v %+v %#v", s, s.Media[0], s.Media[0].ICE); strings.Contains(text, pwd) {
		t.Error("the password of ICE is printed")
	}
	if !strings.Contains(string(s.Bytes()), "a=ice-pwd:"+pwd) {
		t.Error("the password of ICE is not in the description")
	}
}
