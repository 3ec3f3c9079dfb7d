package sdp

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what happened into the golden files")

// TestVendorOffers shows for typical offers how a plain LAN leg and an
// encrypted cloud leg carry them on, and how we answer them.
func TestVendorOffers(t *testing.T) {
	files, err := filepath.Glob("testdata/vendor/*.sdp")
	if err != nil || len(files) < 7 {
		t.Fatalf("%d offers, %v", len(files), err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var b strings.Builder
		show := func(what string, s *Session, err error) {
			fmt.Fprintf(&b, "== %s\n", what)
			if err != nil {
				fmt.Fprintf(&b, "error: %v\n", err)
				return
			}
			b.WriteString(strings.ReplaceAll(string(s.Bytes()), "\r\n", "\n"))
		}
		off := leg(2, Required, "PCMA", "PCMU", "G722", "opus", "telephone-event")
		out, err := off.Offer(s)
		show("offered to the cloud, SRTP required", out, err)
		off = leg(3, Off)
		out, err = off.Offer(s)
		show("offered to a plain phone", out, err)
		ans := leg(4, Preferred)
		out, err = ans.Answer(s, audio("10.0.0.6", 5000, "RTP/AVP 8 101", "a=rtpmap:101 telephone-event/8000"))
		show("answered after PCMA and events from the other leg, SRTP preferred", out, err)
		if err == nil {
			f, err := ans.Flow(out, s)
			fmt.Fprintf(&b, "== flow\nremote %s rtcp %s mux %v send %v recv %v secure %v ptime %d error %v\n", f.Remote, f.RemoteRTCP, f.Mux, f.Send, f.Recv, f.Out != nil, f.Ptime, err)
			for _, g := range f.Formats {
				fmt.Fprintf(&b, "%s in %d out %d\n", g.Name, g.Number, g.Out)
			}
		}
		golden := strings.TrimSuffix(name, ".sdp") + ".golden"
		if *update {
			if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil || string(want) != b.String() {
			t.Errorf("%s differs (%v); now:\n%s", golden, err, b.String())
		}
	}
}

const head = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n"

func TestMalformedDescriptionsAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"empty":              "",
		"no version":         "o=- 1 1 IN IP4 192.0.2.1\r\n",
		"version 1":          "v=1\r\n",
		"two versions":       "v=0\r\nv=0\r\n",
		"no origin":          "v=0\r\ns=-\r\n",
		"short origin":       "v=0\r\no=- 1 1\r\n",
		"no equals sign":     head + "garbage\r\n",
		"port too large":     head + "m=audio 70000 RTP/AVP 0\r\n",
		"negative port":      head + "m=audio -1 RTP/AVP 0\r\n",
		"no proto":           head + "m=audio 4000\r\n",
		"short connection":   head + "c=IN IP4\r\n",
		"multicast":          head + "c=IN IP4 224.2.1.1/127\r\nm=audio 4000 RTP/AVP 0\r\n",
		"endless line":       head + "a=" + strings.Repeat("x", 5000) + "\r\n",
		"media before v":     "m=audio 4000 RTP/AVP 0\r\n",
		"origin inside":      "v=0\r\nm=audio 4000 RTP/AVP 0\r\no=- 1 1 IN IP4 192.0.2.1\r\n",
		"binary":             "\x00\xff\x01",
		"html":               "<html></html>",
		"lone CR as newline": "v=0\ro=- 1 1 IN IP4 192.0.2.1\r",
	} {
		_, err := Parse([]byte(text))
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || syntax.Line < 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, text := range map[string]string{
		"bytes":   head + strings.Repeat("a=x\r\n", 20000),
		"media":   head + strings.Repeat("m=audio 4000 RTP/AVP 0\r\n", 33),
		"formats": head + "m=audio 4000 RTP/AVP" + strings.Repeat(" 0", 65) + "\r\n",
	} {
		if _, err := Parse([]byte(text)); !errors.Is(err, ErrTooBig) {
			t.Errorf("too many %s: %v", name, err)
		}
	}
}

func TestOddButHarmlessDescriptionsAreRead(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"LF only":                {"v=0\no=- 1 1 IN IP4 1.2.3.4\nc=IN IP4 192.0.2.9\nm=audio 4000 RTP/AVP 0\n", "192.0.2.9:4000 PCMU=0"},
		"no last newline":        {head + "c=IN IP4 192.0.2.9\r\nm=audio 4000 RTP/AVP 0", "192.0.2.9:4000 PCMU=0"},
		"media address only":     {head + "m=audio 4000 RTP/AVP 0\r\nc=IN IP4 192.0.2.9\r\n", "192.0.2.9:4000 PCMU=0"},
		"IPv6":                   {head + "c=IN IP6 2001:db8::1\r\nm=audio 4000 RTP/AVP 0\r\n", "[2001:db8::1]:4000 PCMU=0"},
		"mapped IPv6":            {head + "c=IN IP6 ::ffff:192.0.2.9\r\nm=audio 4000 RTP/AVP 0\r\n", "192.0.2.9:4000 PCMU=0"},
		"host name":              {head + "c=IN IP4 media.example\r\nm=audio 4000 RTP/AVP 0\r\n", "invalid AddrPort PCMU=0"},
		"huge session id":        {"v=0\no=- 99999999999999999999999 x IN IP4 h.example\nc=IN IP4 192.0.2.9\nm=audio 4000 RTP/AVP 0\n", "192.0.2.9:4000 PCMU=0"},
		"dynamic without map":    {head + "c=IN IP4 192.0.2.9\r\nm=audio 4000 RTP/AVP 0 99\r\n", "192.0.2.9:4000 PCMU=0"},
		"number twice":           {head + "c=IN IP4 192.0.2.9\r\nm=audio 4000 RTP/AVP 0 0 8\r\n", "192.0.2.9:4000 PCMU=0 PCMA=8"},
		"static number remapped": {head + "c=IN IP4 192.0.2.9\r\nm=audio 4000 RTP/AVP 18\r\na=rtpmap:18 G729a/8000\r\n", "192.0.2.9:4000 G729a=18"},
		"broken maps":            {head + "c=IN IP4 192.0.2.9\r\nm=audio 4000 RTP/AVP 0 97\r\na=rtpmap:97\r\na=rtpmap:x y/1\r\na=rtpmap:97 opus/0\r\na=fmtp\r\n", "192.0.2.9:4000 PCMU=0"},
		"unknown lines":          {head + "c=IN IP4 192.0.2.9\r\nk=clear:x\r\nz=0 0\r\nx=?\r\nm=audio 4000/2 RTP/AVP 0\r\n", "192.0.2.9:4000 PCMU=0"},
	} {
		s, err := Parse([]byte(c.text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		m := s.Audio()
		got := fmt.Sprintf("invalid AddrPort %s", list(m.Formats))
		if m.Addr.IsValid() {
			got = fmt.Sprintf("%s %s", addrPort(m), list(m.Formats))
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func addrPort(m *Media) string {
	if m.Addr.Is6() {
		return fmt.Sprintf("[%s]:%d", m.Addr, m.Port)
	}
	return fmt.Sprintf("%s:%d", m.Addr, m.Port)
}

func TestHostNamesAreNotResolved(t *testing.T) {
	l := leg(1, Off)
	s, err := Parse([]byte(head + "c=IN IP4 media.example\r\nm=audio 4000 RTP/AVP 0\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	mine := must[*Session](t)(l.Answer(s, nil))
	if _, err := l.Flow(mine, s); !errors.Is(err, ErrAddress) {
		t.Errorf("%v", err)
	}
}

func TestCryptoLines(t *testing.T) {
	const k30 = "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
	for text, want := range map[string]string{
		"1 AES_CM_128_HMAC_SHA1_80 " + k30:                          "1 0 0 1 true",
		"1 AES_CM_128_HMAC_SHA1_80 " + k30 + "|2^20":                "1 1048576 0 1 true",
		"1 AES_CM_128_HMAC_SHA1_80 " + k30 + "|1048576":             "1 1048576 0 1 true",
		"1 AES_CM_128_HMAC_SHA1_80 " + k30 + "|2^20|1:4":            "1 1048576 4 1 true",
		"1 AES_CM_128_HMAC_SHA1_80 " + k30 + "|66051:4":             "1 0 4 1 true",
		"1 aes_cm_128_hmac_sha1_80 " + k30 + " WSH=128":             "1 0 0 1 true",
		"1 AES_CM_128_HMAC_SHA1_80 " + k30 + " -FUTURE=1":           "1 0 0 1 true",
		"1 AES_CM_128_HMAC_SHA1_80 " + k30 + " KDR=1":               "1 0 0 1 false",
		"1 AES_CM_128_HMAC_SHA1_80 " + k30 + " UNENCRYPTED_SRTP":    "1 0 0 1 false",
		"1 AES_CM_128_HMAC_SHA1_80 " + k30 + "|1:1;" + k30 + "|2:1": "1 0 1 2 false",
		"1 AES_CM_128_HMAC_SHA1_80 inline:short":                    "no",
		"1 AES_256_CM_HMAC_SHA1_80 " + k30:                          "no",
		"x AES_CM_128_HMAC_SHA1_80 " + k30:                          "no",
		"1 F8_128_HMAC_SHA1_80 " + k30:                              "no",
		"1 AES_CM_128_HMAC_SHA1_80 " + k30 + "|2^99":                "no",
		"1 AES_CM_128_HMAC_SHA1_80 " + k30 + "|1:999":               "no",
		"1 AES_CM_128_HMAC_SHA1_80 " + k30 + "|257:1":               "no",
	} {
		c, ok := parseCrypto(text)
		got := "no"
		if ok {
			got = fmt.Sprintf("%d %d %d %d %v", c.Tag, c.Key.Lifetime, len(c.Key.MKI), c.Keys, c.usable(allSuites[:]))
		}
		if got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/vendor/*.sdp")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(s.Bytes())
		if err != nil {
			t.Fatalf("we wrote what we cannot read: %v\n%q", err, s.Bytes())
		}
		if len(again.Media) != len(s.Media) {
			t.Fatalf("%d sections became %d", len(s.Media), len(again.Media))
		}
		l := leg(1, Preferred)
		if offer, err := l.Offer(s); err == nil {
			if back, err := Parse(offer.Bytes()); err != nil || back.Live() == nil {
				t.Fatalf("our offer: %v\n%s", err, offer.Bytes())
			}
		}
		l = leg(2, Preferred)
		if answer, err := l.Answer(s, nil); err == nil {
			if len(answer.Media) != len(s.Media) {
				t.Fatal("answer has other sections")
			}
			if _, err := l.Flow(answer, s); err != nil && !errors.Is(err, ErrAddress) {
				t.Fatalf("our own answer: %v", err)
			}
		}
	})
}
