package sip

import (
	"strings"
	"testing"
)

func TestResponsesThatCannotBeOursAreDropped(t *testing.T) {
	const good = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\n" +
		"Call-ID: 1\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
	for _, c := range []struct{ old, new string }{
		{"", ""}, {"z9hG4bK1", "z9hG4bK"}, {";tag=2", ""}, {"Call-ID: 1\r\n", ""}, {"CSeq: 1 INVITE", "CSeq: 1 IN VITE"},
		{"200 OK", "99 OK"}, {"Via", "X-Via"}, {"From", "X-From"}, {"SIP/2.0 200", "SIP/3.0 200"},
	} {
		m, err := Parse([]byte(strings.Replace(good, c.old, c.new, 1)))
		if err == nil {
			err = ValidateResponse(m.(*Response))
		}
		if (err == nil) != (c.old == "") {
			t.Errorf("%q for %q: %v", c.new, c.old, err)
		}
	}
}

func TestHandMadeRequestsAreValidatedToo(t *testing.T) {
	for name, spoil := range map[string]func(*Request){
		"nothing":        func(*Request) {},
		"method":         func(r *Request) { r.Method = "BAD METHOD" },
		"cseq":           func(r *Request) { r.CSeq().SeqNo = 1 << 31 },
		"from tag":       func(r *Request) { r.From().Params = nil },
		"via host":       func(r *Request) { r.Via().Host = "" },
		"via protocol":   func(r *Request) { r.Via().ProtocolVersion = "3.0" },
		"long branch":    func(r *Request) { r.Via().Params.Add("branch", MagicCookie+strings.Repeat("x", 300)) },
		"long call-id":   func(r *Request) { *r.CallID() = CallID(strings.Repeat("x", 600)) },
		"no contact":     func(r *Request) { RemoveHeader(r, "Contact") },
		"no type":        func(r *Request) { RemoveHeader(r, "Content-Type") },
		"no to":          func(r *Request) { RemoveHeader(r, "To") },
		"wildcard":       func(r *Request) { r.Recipient = URI{Scheme: "sip", Host: "*", Wildcard: true} },
		"unknown scheme": func(r *Request) { r.Recipient.Scheme = "http" },
	} {
		req := invite(t)
		spoil(req)
		if r := Validate(req); (r == nil) != (name == "nothing") {
			t.Errorf("%s: %v", name, r)
		}
	}
}
