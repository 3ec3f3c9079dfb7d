package sip

import "testing"

func TestReferTo(t *testing.T) {
	for value, want := range map[string]string{
		"<sip:24@pbx.example>":               "24 ",
		"sip:24@pbx.example":                 "24 ",
		`"Labor" <sip:24@pbx.example>;x=y`:   "24 ",
		"<sip:24@pbx.example;method=INVITE>": "24 ",
		"<sip:24@pbx.example;method=BYE>":    "error",
		"":                                   "error",
		"*":                                  "error",
		"<sip:24@pbx.example":                "error",
		"<sip:24@p?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2>":             "24 a@b;to-tag=1;from-tag=2",
		"<sip:24@p?replaces=a%3Bfrom-tag%3D2%3Bto-tag%3D1%3Bearly-only>":    "24 a;to-tag=1;from-tag=2;early-only",
		"sip:24@p?Replaces=a%3Bto-tag%3D1%3Bfrom-tag%3D2":                   "24 a;to-tag=1;from-tag=2",
		"<sip:24@p?Replaces=a%3Bto-tag%3D1>":                                "error",
		"<sip:24@p?Replaces=%3Bto-tag%3D1%3Bfrom-tag%3D2>":                  "error",
		"<sip:24@p?Replaces=a%3Bto-tag%3D1%3Bto-tag%3D2%3Bfrom-tag%3D2>":    "error",
		"<sip:24@p?Replaces=a%3Bto-tag%3D1%3Bfrom-tag%3D2&Replaces=b>":      "error",
		"<sip:24@p?Replaces=%zz>":                                           "error",
		"<sip:24@p?Subject=x&Replaces=a%3Bto-tag%3D1%3Bfrom-tag%3D2&Via=x>": "24 a;to-tag=1;from-tag=2",
	} {
		req := NewRequest(REFER, URI{Scheme: "sip", Host: "x"})
		if value != "" {
			req.AppendHeader(NewHeader("Refer-To", value))
		}
		to, err := ReferToOf(req)
		got := "error"
		if err == nil {
			got = to.URI.User + " "
			if to.Replaces != nil {
				got += to.Replaces.String()
			}
			if len(to.URI.Headers) > 0 {
				t.Errorf("%s: keeps headers %v", value, to.URI.Headers)
			}
		}
		if got != want {
			t.Errorf("%s: %q (%v), want %q", value, got, err, want)
		}
	}
}

func TestSipfrag(t *testing.T) {
	for body, want := range map[string]int{
		string(Sipfrag(180, "")): 180, "SIP/2.0 603 No\r\nTo: x": 603, "sip/2.0 200 OK": 200,
		"": 0, "SIP/2.0": 0, "SIP/2.0 99 x": 0, "SIP/2.0 700 x": 0, "HTTP/1.1 200 OK": 0, "SIP/2.0 2x0 OK": 0,
	} {
		if got, ok := SipfragCode([]byte(body)); got != want && ok || ok != (want != 0) {
			t.Errorf("%q: %d %v, want %d", body, got, ok, want)
		}
	}
}

// FuzzRefer: what can be read can be written and read again.
func FuzzRefer(f *testing.F) {
	f.Add("<sip:24@p?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2>", "a@b;to-tag=1;from-tag=2;early-only", []byte("SIP/2.0 180 Ringing\r\n"))
	f.Fuzz(func(t *testing.T, refer, replaces string, frag []byte) {
		req := NewRequest(REFER, URI{Scheme: "sip", Host: "x"})
		req.AppendHeader(NewHeader("Refer-To", refer))
		if to, err := ReferToOf(req); err == nil {
			again := NewRequest(REFER, URI{Scheme: "sip", Host: "x"})
			again.AppendHeader(to.Header())
			if back, err := ReferToOf(again); err != nil || back.URI.User != to.URI.User || (back.Replaces == nil) != (to.Replaces == nil) || back.Replaces != nil && *back.Replaces != *to.Replaces {
				t.Errorf("%q came back as %q: %+v %v", refer, to.Header().Value(), back, err)
			}
		}
		if r, err := ParseReplaces(replaces); err == nil {
			if back, err := ParseReplaces(r.String()); err != nil || back != r {
				t.Errorf("%q came back as %+v: %v", replaces, back, err)
			}
		}
		SipfragCode(frag)
	})
}
