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
	// An offer of the lite agent, a hold say, goes on with it; where there is none it brings none.
	hold := must[*Session](t)(lite.Offer(nil))
	if i := wire(t, hold).Media[0].ICE; !i.Lite || i.Ufrag != fl.ICE.Local.Ufrag {
		t.Errorf("offered by the lite agent\n%s", hold.Bytes())
	}
	answered := must[*Session](t)(l.Answer(wire(t, hold), nil))
	if g := must[Flow](t)(lite.Flow(hold, wire(t, answered))); !g.ICE.Equal(fl.ICE) {
		t.Error("an offer of the lite agent ended the session")
	}
	none := leg(4, Off)
	none.ICE = ICELite
	if text := string(must[*Session](t)(none.Offer(nil)).Bytes()); strings.Contains(text, "a=ice") {
		t.Errorf("a lite agent alone offers\n%s", text)
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

// TestNoAddressYetIsNoHold has a browser that offers before it has found a candidate
// (RFC 8840 4.1.1), and a phone that holds in the old way though it knows ICE.
func TestNoAddressYetIsNoHold(t *testing.T) {
	for port, want := range map[int]bool{9: true, 4000: false} {
		l := leg(1, Off)
		l.ICE = ICELite
		offer := audio("0.0.0.0", port, "RTP/AVP 8", "a=ice-ufrag:abcd", "a=ice-pwd:0123456789012345678901")
		mine := must[*Session](t)(l.Answer(offer, nil))
		f := must[Flow](t)(l.Flow(mine, offer))
		if f.Send != want || !f.Recv || f.ICE == nil {
			t.Errorf("port %d: %+v\n%s", port, f, mine.Bytes())
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

// TestKeysComeInNoOtherWayThanTheSideWants answers every kind of offer under each wish.
func TestKeysComeInNoOtherWayThanTheSideWants(t *testing.T) {
	const line = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5"
	cert := FingerprintOf([]byte("peer"))
	hash := "a=fingerprint:" + cert.Hash + " " + cert.Value
	offers := map[string][]string{
		"sdes": {"RTP/SAVP 8", line}, "dtls": {"UDP/TLS/RTP/SAVP 8", hash, "a=setup:actpass"},
		"both": {"RTP/AVP 8", line, hash, "a=setup:actpass"}, "plain": {"RTP/AVP 8"},
	}
	for _, c := range []struct {
		policy     Policy
		dtls, sole bool
		want       map[string]string
		offered    string
	}{
		{Required, false, false, map[string]string{"sdes": "sdes", "dtls": "dtls", "both": "sdes", "plain": "refused"}, "RTP/SAVP sdes"},
		{Required, false, true, map[string]string{"sdes": "sdes", "dtls": "refused", "both": "sdes", "plain": "refused"}, "RTP/SAVP sdes"},
		{Required, true, false, map[string]string{"sdes": "sdes", "dtls": "dtls", "both": "dtls", "plain": "refused"}, "UDP/TLS/RTP/SAVP dtls"},
		{Required, true, true, map[string]string{"sdes": "refused", "dtls": "dtls", "both": "dtls", "plain": "refused"}, "UDP/TLS/RTP/SAVP dtls"},
		{Preferred, false, true, map[string]string{"sdes": "sdes", "dtls": "refused", "both": "sdes", "plain": "plain"}, "RTP/AVP sdes"},
		{Preferred, true, true, map[string]string{"sdes": "refused", "dtls": "dtls", "both": "dtls", "plain": "plain"}, "RTP/AVP dtls"},
		{Off, true, true, map[string]string{"sdes": "refused", "dtls": "refused", "both": "plain", "plain": "plain"}, "RTP/AVP plain"},
	} {
		at := fmt.Sprintf("policy %d, dtls %v, sole %v", c.policy, c.dtls, c.sole)
		for name, want := range c.want {
			l := dtlsLeg(1, c.policy, c.dtls)
			l.Sole = c.sole
			offer := audio("10.0.0.5", 4000, offers[name]...)
			refusal := l.Refuses(offer)
			mine, err := l.Answer(offer, nil)
			if got := kindOf(mine, err); got != want || (refusal != nil) != (want == "refused") || refusal != nil && !errors.Is(refusal, ErrSRTP) {
				t.Errorf("%s: %s gets %s (%v), refused beforehand: %v", at, name, got, err, refusal)
			}
		}
		l := dtlsLeg(1, c.policy, c.dtls)
		l.Sole = c.sole
		offer := must[*Session](t)(l.Offer(nil))
		if got := offer.Media[0].Proto + " " + kindOf(offer, nil); got != c.offered {
			t.Errorf("%s: offers %s", at, got)
		}
	}
}

// kindOf says how a description of ours agrees on keys.
func kindOf(s *Session, err error) string {
	switch {
	case err != nil:
		return "refused"
	case len(s.Media[0].Crypto) > 0 && len(s.Media[0].Fingerprints) == 0:
		return "sdes"
	case len(s.Media[0].Fingerprints) > 0 && len(s.Media[0].Crypto) == 0:
		return "dtls"
	case len(s.Media[0].Fingerprints) > 0:
		return "both"
	}
	return "plain"
}

// TestPeersWithoutCandidatesAreRefusedWhereICEIsRequired looks at both directions, and
// at a fax, which goes without ICE.
func TestPeersWithoutCandidatesAreRefusedWhereICEIsRequired(t *testing.T) {
	const host = "a=candidate:1 1 UDP 2130706431 10.0.0.5 4000 typ host"
	ice := []string{"RTP/AVP 8", "a=ice-ufrag:abcd", "a=ice-pwd:0123456789012345678901"}
	fax := wire(t, &Session{Origin: Origin{User: "-", Addr: netip.MustParseAddr("10.0.0.5")}, Name: "-", Time: "0 0",
		Media: []Media{{Kind: "image", Proto: "udptl", List: []string{"t38"}, Port: 4000, Addr: netip.MustParseAddr("10.0.0.5")}}})
	if !fax.Fax() {
		t.Fatal("the fax is none")
	}
	for what, c := range map[string]struct {
		peer    *Session
		refused bool
	}{
		"candidates":                 {audio("10.0.0.5", 4000, append(ice, host)...), false},
		"candidates that come later": {audio("10.0.0.5", 4000, ice...), false},
		"none":                       {audio("10.0.0.5", 4000, "RTP/AVP 8"), true},
		"an ALG that changed c=":     {audio("10.0.0.9", 4000, append(ice, host)...), true},
		"a lite agent":               {audio("10.0.0.5", 4000, append(ice, host, "a=ice-lite")...), false},
		"a fax":                      {fax, true},
	} {
		l := leg(1, Off)
		l.ICE = ICERequired
		if err := l.Refuses(c.peer); (err != nil) != c.refused || err != nil && !errors.Is(err, ErrICE) {
			t.Errorf("%s: refuses with %v", what, err)
		}
		if _, err := l.Answer(c.peer, c.peer); (err != nil) != c.refused || err != nil && !errors.Is(err, ErrICE) {
			t.Errorf("%s: answers %v", what, err)
		}
		from := c.peer
		if c.peer.Fax() { // which leaves the box only where it is no longer required
			l.ICE = ICEFull
		}
		mine := must[*Session](t)(l.Offer(from))
		l.ICE = ICERequired
		if _, err := l.Flow(mine, c.peer); (err != nil) != c.refused || err != nil && !errors.Is(err, ErrICE) {
			t.Errorf("%s: as an answer %v", what, err)
		}
	}
	for err, want := range map[error]int{fmt.Errorf("a: %w", ErrICE): 399, ErrSRTP: 302, ErrNoCodec: 305, ErrAddress: 0} {
		if code, text := Warning(err); code != want || (text == "") != (want == 0) {
			t.Errorf("%v warns %d %q", err, code, text)
		}
	}
}

// TestKeyPressesAreOfferedWithoutTranscoding lets a side add telephone-event where it
// may not add codecs.
func TestKeyPressesAreOfferedWithoutTranscoding(t *testing.T) {
	names := func(s *Session) (out string) {
		for _, f := range s.Audio().Formats {
			out += f.Name + " "
		}
		return out
	}
	from := audio("10.0.0.5", 4000, "RTP/AVP 9")
	for _, c := range []struct {
		convert, presses bool
		want             string
	}{{false, false, "G722 "}, {false, true, "G722 telephone-event "}, {true, false, "G722 PCMA PCMU telephone-event "}} {
		l := leg(1, Off)
		l.Convert, l.Presses = c.convert, c.presses
		if got := names(must[*Session](t)(l.Offer(from))); got != c.want {
			t.Errorf("%+v offers %s", c, got)
		}
	}
	l := leg(1, Off)
	l.Presses = true
	offer := audio("10.0.0.5", 4000, "RTP/AVP 8 101", "a=rtpmap:101 telephone-event/8000")
	if got := names(must[*Session](t)(l.Answer(offer, audio("10.0.0.6", 4000, "RTP/AVP 8")))); got != "PCMA telephone-event " {
		t.Errorf("answers %s", got)
	}
	if _, err := l.Answer(offer, audio("10.0.0.6", 4000, "RTP/AVP 0")); !errors.Is(err, ErrNoCodec) {
		t.Errorf("transcodes without being told: %v", err)
	}
}
