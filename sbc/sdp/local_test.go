package sdp

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func leg(n int, policy Policy, codecs ...string) *Local {
	return &Local{
		Addr: netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}), Port: uint16(20000 + 2*n), SessionID: uint64(n), Version: 1,
		SRTP: policy, Keys: Secret(strings.Repeat(fmt.Sprint(n), 32)), Codecs: codecs,
	}
}

func audio(addr string, port int, lines ...string) *Session {
	text := "v=0\r\no=- 1 1 IN IP4 " + addr + "\r\ns=-\r\nc=IN IP4 " + addr + "\r\nt=0 0\r\n" + fmt.Sprintf("m=audio %d ", port) + strings.Join(lines, "\r\n") + "\r\n"
	s, err := Parse([]byte(text))
	if err != nil {
		panic(err)
	}
	return s
}

// wire is what the peer reads of our description.
func wire(t *testing.T, s *Session) *Session {
	t.Helper()
	out, err := Parse(s.Bytes())
	if err != nil {
		t.Fatalf("our own description: %v\n%s", err, s.Bytes())
	}
	return out
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func list(f []Format) string {
	var out []string
	for _, g := range f {
		out = append(out, fmt.Sprintf("%s=%d", g.Name, g.Number))
	}
	return strings.Join(out, " ")
}

func TestPlainPhoneTalksToEncryptedCloud(t *testing.T) {
	a, b := leg(1, Off), leg(2, Required)
	offer := audio("10.0.0.5", 4000, "RTP/AVP 8 0 101", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15", "a=ptime:20")
	toCloud := must[*Session](t)(b.Offer(offer))
	m := wire(t, toCloud).Media[0]
	if m.Proto != "RTP/SAVP" || len(m.Crypto) != mostSuites || list(m.Formats) != "PCMA=8 PCMU=0 telephone-event=101" {
		t.Fatalf("offer to the cloud:\n%s", toCloud.Bytes())
	}
	// The cloud takes the second suite and has its own number for events.
	cloud := leg(3, Required)
	cloud.Suites = []Suite{AES128GCM}
	answer := wire(t, must[*Session](t)(cloud.Answer(wire(t, toCloud), nil)))
	answer.Media[0].Formats[2].Number = 96
	toPhone := must[*Session](t)(a.Answer(offer, answer))
	if got := list(toPhone.Media[0].Formats); got != "PCMA=8 PCMU=0 telephone-event=101" {
		t.Errorf("answer to the phone has %s", got)
	}
	fb := must[Flow](t)(b.Flow(toCloud, answer))
	if fb.Out == nil || fb.In == nil || fb.Out.Suite != AES128GCM || fb.Out.Equal(fb.In) || !fb.Send || !fb.Recv {
		t.Errorf("flow toward the cloud: %+v", fb)
	}
	if e := fb.Formats[2]; e.Number != 101 || e.Out != 96 {
		t.Errorf("events arrive as %d and leave as %d, want 101 and 96", e.Number, e.Out)
	}
	fa := must[Flow](t)(a.Flow(toPhone, offer))
	if fa.Out != nil || fa.Remote.String() != "10.0.0.5:4000" || fa.RemoteRTCP.Port() != 4001 || fa.Ptime != 20 {
		t.Errorf("flow toward the phone: %+v", fa)
	}
	// The cloud's own view has the same keys the other way round.
	fc := must[Flow](t)(cloud.Flow(answer, wire(t, toCloud)))
	if !fc.In.Equal(fb.Out) || !fc.Out.Equal(fb.In) {
		t.Error("the sides disagree about the keys")
	}
}

func TestHoldTravelsInEveryForm(t *testing.T) {
	for _, c := range []struct{ offer, toB, answerB, toA string }{
		{"a=sendonly", "sendonly", "a=recvonly", "recvonly"},
		{"a=sendonly", "sendonly", "a=sendrecv", "recvonly"}, // a B side that does not follow the rules
		{"a=inactive", "inactive", "a=inactive", "inactive"},
		{"a=recvonly", "recvonly", "a=sendonly", "sendonly"},
		{"c=IN IP4 0.0.0.0", "sendonly", "a=recvonly", "recvonly"},
		{"a=sendrecv", "sendrecv", "a=sendrecv", "sendrecv"},
		{"a=sendrecv", "sendrecv", "c=IN IP4 0.0.0.0", "sendonly"},
	} {
		a, b := leg(1, Off), leg(2, Off)
		offer := audio("10.0.0.5", 4000, "RTP/AVP 8", c.offer)
		toB := must[*Session](t)(b.Offer(offer))
		if got := toB.Media[0].Direction.String(); got != c.toB {
			t.Errorf("%s goes on as %s, want %s", c.offer, got, c.toB)
		}
		toA := must[*Session](t)(a.Answer(offer, audio("10.0.0.6", 5000, "RTP/AVP 8", c.answerB)))
		if got := toA.Media[0].Direction.String(); got != c.toA {
			t.Errorf("%s answered %s comes back as %s, want %s", c.offer, c.answerB, got, c.toA)
		}
		f := must[Flow](t)(a.Flow(toA, offer))
		held := strings.Contains(c.offer, "sendonly") || strings.Contains(c.offer, "inactive") || strings.Contains(c.offer, "0.0.0.0")
		if f.Send == held {
			t.Errorf("%s: send=%v", c.offer, f.Send)
		}
		if offer.Held() != held {
			t.Errorf("%s: Held()=%v", c.offer, offer.Held())
		}
	}
}

func TestVersionRisesOnlyWithTheText(t *testing.T) {
	b := leg(2, Required)
	offer := audio("10.0.0.5", 4000, "RTP/AVP 8 0")
	first := must[*Session](t)(b.Offer(offer))
	again := must[*Session](t)(b.Offer(offer))
	if string(first.Bytes()) != string(again.Bytes()) {
		t.Errorf("a refresh changed the text:\n%s\n%s", first.Bytes(), again.Bytes())
	}
	held := must[*Session](t)(b.Offer(audio("10.0.0.5", 4000, "RTP/AVP 8 0", "a=sendonly")))
	if held.Origin.Version != first.Origin.Version+1 {
		t.Errorf("hold has version %d after %d", held.Origin.Version, first.Origin.Version)
	}
	if !held.Media[0].Crypto[0].Key.Equal(&first.Media[0].Crypto[0].Key) {
		t.Error("hold changed the key")
	}
	b.Port += 2
	moved := must[*Session](t)(b.Offer(offer))
	if moved.Media[0].Crypto[0].Key.Equal(&first.Media[0].Crypto[0].Key) {
		t.Error("a new address kept the old key")
	}
}

func TestPolicyMatrix(t *testing.T) {
	const k = " AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
	offers := map[string][]string{
		"avp":        {"RTP/AVP 8"},
		"avp+crypto": {"RTP/AVP 8", "a=crypto:1" + k},
		"savp":       {"RTP/SAVP 8", "a=crypto:7" + k + "|2^20|1:4"},
		"savp-none":  {"RTP/SAVP 8", "a=crypto:1 F8_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"},
		"dtls":       {"UDP/TLS/RTP/SAVPF 8", "a=fingerprint:sha-256 AA", "a=setup:actpass"},
		"savp|avp":   {"RTP/SAVP 8", "a=crypto:1" + k, "m=audio 4000 RTP/AVP 8"},
		"avp|savp":   {"RTP/AVP 8", "m=audio 4002 RTP/SAVP 8", "a=crypto:1" + k},
	}
	want := map[string][3]string{ // off, preferred, required
		"avp":        {"RTP/AVP", "RTP/AVP", "no"},
		"avp+crypto": {"RTP/AVP", "RTP/AVP+key", "RTP/AVP+key"},
		"savp":       {"no", "RTP/SAVP+key", "RTP/SAVP+key"},
		"savp-none":  {"no", "no", "no"},
		"dtls":       {"no", "no", "no"},
		"savp|avp":   {"0 RTP/AVP", "RTP/SAVP+key 0", "RTP/SAVP+key 0"},
		"avp|savp":   {"RTP/AVP 0", "RTP/AVP 0", "0 RTP/SAVP+key"},
	}
	for name, lines := range offers {
		for p := Off; p <= Required; p++ {
			offer := audio("10.0.0.5", 4000, lines...)
			l := leg(1, p)
			got, err := l.Answer(offer, audio("10.0.0.6", 5000, "RTP/AVP 8"))
			if err != nil {
				if want[name][p] != "no" || !errors.Is(err, ErrSRTP) {
					t.Errorf("%s at policy %d: %v", name, p, err)
				}
				continue
			}
			var sum []string
			for _, m := range got.Media {
				switch {
				case m.Port == 0:
					sum = append(sum, "0")
				case len(m.Crypto) == 1:
					sum = append(sum, m.Proto+"+key")
				default:
					sum = append(sum, m.Proto)
				}
			}
			if strings.Join(sum, " ") != want[name][p] {
				t.Errorf("%s at policy %d: %v, want %s", name, p, sum, want[name][p])
			}
			f := must[Flow](t)(l.Flow(got, offer))
			if keyed := strings.Contains(want[name][p], "+key"); keyed != (f.In != nil) || keyed != (f.Out != nil) {
				t.Errorf("%s at policy %d: keys %v", name, p, f.In)
			}
		}
	}
}

func TestBestEffortOfferTakesEitherAnswer(t *testing.T) {
	l := leg(1, Preferred)
	offer := must[*Session](t)(l.Offer(nil))
	if m := offer.Media[0]; m.Proto != "RTP/AVP" || len(m.Crypto) == 0 || list(m.Formats) != "PCMA=8 PCMU=0 G722=9 telephone-event=101" {
		t.Fatalf("offer:\n%s", offer.Bytes())
	}
	f := must[Flow](t)(l.Flow(offer, audio("10.0.0.5", 4000, "RTP/AVP 8")))
	if f.Out != nil {
		t.Error("a plain answer must mean plain RTP")
	}
	l.SRTP = Required
	if _, err := l.Flow(offer, audio("10.0.0.5", 4000, "RTP/AVP 8")); !errors.Is(err, ErrSRTP) {
		t.Errorf("plain answer where SRTP is required: %v", err)
	}
	if _, err := l.Flow(offer, audio("10.0.0.5", 4000, "RTP/SAVP 8", "a=crypto:9 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz")); !errors.Is(err, ErrSRTP) {
		t.Errorf("answer with a tag that was not offered: %v", err)
	}
}

func TestCodecsAreFilteredAndOrdered(t *testing.T) {
	b := leg(2, Off, "pcmu", "PCMA", "telephone-event")
	offer := audio("10.0.0.5", 4000, "RTP/AVP 96 9 8 0 13 101 102", "a=rtpmap:96 opus/48000/2", "a=rtpmap:101 telephone-event/8000", "a=rtpmap:102 telephone-event/48000")
	got := must[*Session](t)(b.Offer(offer))
	if l := list(got.Media[0].Formats); l != "PCMU=0 PCMA=8 telephone-event=101" {
		t.Errorf("offered %s", l)
	}
	if _, err := leg(3, Off, "G729").Offer(offer); !errors.Is(err, ErrNoCodec) {
		t.Errorf("nothing in common: %v", err)
	}
	if _, err := leg(3, Off).Answer(offer, audio("10.0.0.6", 5000, "RTP/AVP 18 101", "a=rtpmap:101 telephone-event/8000")); !errors.Is(err, ErrNoCodec) {
		t.Errorf("only events in common: %v", err)
	}
}

func TestPayloadNumbersNeverChangeTheirMeaningOnALeg(t *testing.T) {
	a := leg(1, Off)
	first := audio("10.0.0.5", 4000, "RTP/AVP 8 101", "a=rtpmap:101 telephone-event/8000")
	must[*Session](t)(a.Answer(first, audio("10.0.0.6", 5000, "RTP/AVP 8 101", "a=rtpmap:101 telephone-event/8000")))
	// The other leg re-offers with 101 as opus and 96 as events.
	again := must[*Session](t)(a.Offer(audio("10.0.0.6", 5000, "RTP/AVP 101 8 96", "a=rtpmap:101 opus/48000/2", "a=rtpmap:96 telephone-event/8000")))
	if l := list(again.Media[0].Formats); l != "opus=96 PCMA=8 telephone-event=101" {
		t.Errorf("re-offer has %s", l)
	}
}

func TestSectionsKeepTheirPlace(t *testing.T) {
	a := leg(1, Off)
	offer := audio("10.0.0.5", 4000, "RTP/AVP 8", "m=video 4002 RTP/AVP 99", "a=rtpmap:99 H264/90000", "m=image 0 udptl t38")
	offer.Media[0], offer.Media[1] = offer.Media[1], offer.Media[0]
	got := must[*Session](t)(a.Answer(offer, audio("10.0.0.6", 5000, "RTP/AVP 8")))
	text := string(got.Bytes())
	if len(got.Media) != 3 || !strings.Contains(text, "m=video 0 RTP/AVP 99\r\nm=audio 20002 RTP/AVP 8") || !strings.Contains(text, "m=image 0 udptl t38") {
		t.Fatalf("answer:\n%s", text)
	}
	again := must[*Session](t)(a.Offer(audio("10.0.0.6", 5000, "RTP/AVP 8", "a=sendonly")))
	if len(again.Media) != 3 || again.Media[1].Port == 0 || again.Media[0].Port != 0 {
		t.Fatalf("re-offer:\n%s", again.Bytes())
	}
}

func TestEachSuiteAddressAndSeedHasItsOwnKey(t *testing.T) {
	l := leg(1, Required)
	l.Suites = allSuites[:]
	seen := map[string]bool{}
	keys := func() (all []string) {
		for _, c := range must[*Session](t)(l.Offer(nil)).Media[0].Crypto {
			if len(c.Key.Material) != c.Key.Suite.KeyLen()+c.Key.Suite.SaltLen() {
				t.Errorf("%s has %d octets", c.Key.Suite, len(c.Key.Material))
			}
			all = append(all, string(c.Key.Material[:c.Key.Suite.KeyLen()]))
		}
		return all
	}
	for _, change := range []func(){func() {}, func() { l.Port += 2 }, func() { l.Addr = l.Addr.Next() }, func() { l.Keys = append(Secret("x"), l.Keys...) }} {
		change()
		all := keys()
		if len(all) != len(allSuites) || !slices.Equal(keys(), all) {
			t.Errorf("%d keys, or others when asked again", len(all))
		}
		for _, k := range all {
			if seen[k] {
				t.Error("one key twice")
			}
			seen[k] = true
		}
	}
	if _, err := keyOf(make(Secret, allKeys()), "AES_CM_64"); err == nil {
		t.Error("a suite that nobody knows has a key")
	}
}

func TestKeysNeverPrint(t *testing.T) {
	l := leg(1, Required)
	s := must[*Session](t)(l.Offer(nil))
	k := s.Media[0].Crypto[0].Key
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
		for _, v := range []any{k, &k, k.Material, s.Media, l} {
			text := fmt.Sprintf(verb, v)
			if strings.Contains(text, string(k.Material)) || strings.Contains(text, fmt.Sprintf("%x", []byte(k.Material))) || strings.Contains(text, fmt.Sprint([]byte(k.Material[:4]))[1:8]) {
				t.Errorf("%s of %T prints the key: %s", verb, v, text)
			}
		}
	}
}
