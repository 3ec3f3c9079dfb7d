package sip

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

func invite(t *testing.T, extra ...string) *Request {
	t.Helper()
	text := strings.Replace(bigInvite, "Max-Forwards", strings.Join(append(extra, "Max-Forwards"), "\r\n"), 1)
	m, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return m.(*Request)
}

func TestTimesAreReadAsTheRFCsSay(t *testing.T) {
	req := invite(t, "Expires: 60", "Retry-After: 18000 (in a meeting);duration=3600", "Min-SE: 90;x=y", "RAck: 776656 1 INVITE", "RSeq: 988789")
	if s, ok := SessionOf(req); !ok || s.Interval != 30*time.Minute || s.Refresher != "" {
		t.Errorf("session %+v %v", s, ok)
	}
	SetHeader(req, Session{Interval: 90*time.Second + 1, Refresher: "uas"}.Header())
	if s, _ := SessionOf(req); s.Interval != 91*time.Second || s.Refresher != "uas" {
		t.Errorf("session %+v", s)
	}
	if d, ok := RetryAfterOf(req); !ok || d != 5*time.Hour {
		t.Errorf("retry after %v", d)
	}
	if d, ok := MinSE(req); !ok || d != 90*time.Second {
		t.Errorf("min-se %v", d)
	}
	if r, err := RAckOf(req); err != nil || (r != RAck{776656, 1, INVITE}) || r.Header().Value() != "776656 1 INVITE" {
		t.Errorf("rack %+v %v", r, err)
	}
	if n, ok := RSeqOf(req); !ok || n != 988789 {
		t.Errorf("rseq %d", n)
	}
	for text, want := range map[string]time.Duration{
		"<sip:a@b>": time.Minute, "<sip:a@b>;expires=7": 7 * time.Second, "<sip:a@b>;expires=soon": time.Hour,
		"<sip:a@b>;expires=99999999999999999999": (1<<31 - 1) * time.Second,
	} {
		c, err := ParseContact(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := ContactExpires(req, c, 0); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

func TestHeadersAreFoundByEitherName(t *testing.T) {
	req := invite(t, "k: path", "Require: 100rel,timer", "RECORD-ROUTE: <sip:p1;lr>, <sip:p2;lr>;x=y", "p-asserted-identity: \"A, B\" <sip:1@x>, <tel:+1>")
	if !HasToken(req, "Supported", "PATH") || len(Tokens(req, "Supported")) != 4 || len(Tokens(req, "Require")) != 2 {
		t.Errorf("supported %q", Tokens(req, "Supported"))
	}
	if rr := RecordRoutes(req); len(rr) != 2 || rr[1].Host != "p2" {
		t.Errorf("record-route %v", rr)
	}
	if ids := Identities(req, "P-Asserted-Identity"); len(ids) != 2 || URIText(&ids[1]) != "tel:+1" {
		t.Errorf("identities %v", ids)
	}
	RemoveHeader(req, "supported")
	if HeaderValue(req, "k") != "" || HeaderValue(req, "Supported") != "" {
		t.Error("supported is still there")
	}
	resp := Respond(req, 200, "", "tt")
	if len(RecordRoutes(resp)) != 2 || ToTag(resp) != "tt" || ToTag(req) != "" || len(RecordRoutes(Respond(req, 404, "", "x"))) != 0 {
		t.Errorf("response\n%s", Bytes(resp))
	}
}

func TestViaIsStampedWithTheTrueSource(t *testing.T) {
	req := invite(t)
	from := netip.MustParseAddrPort("192.0.2.9:4711")
	Stamp(req, from)
	Stamp(req, from)
	if v := req.Via(); len(v.Params) != 3 || v.Params.GetOr("received", "") != "192.0.2.9" || v.Params.GetOr("rport", "") != "4711" {
		t.Errorf("%v", v.Params)
	}
}

func TestASenderCannotSendTheAnswerElsewhere(t *testing.T) {
	req := invite(t)
	req.Via().Params = Params{{K: "branch", V: "z9hG4bK1"}, {K: "received", V: "203.0.113.1"}}
	Stamp(req, netip.MustParseAddrPort("10.0.100.31:5060"))
	if req.Via().Params.Has("received") {
		t.Errorf("%v", req.Via().Params)
	}
}

func TestNothingPutInAHeaderStartsAnother(t *testing.T) {
	d := Draft{
		Method: INVITE, Target: URI{User: "a\r\nX: y", Host: "b"}, From: &From{DisplayName: `a" <sip:evil>` + "\r\nVia: x", Address: URI{Host: "c"}},
		To: &To{Address: URI{Host: "d"}}, CallID: "1", Seq: 1, Headers: []Header{NewHeader("Subject", "x\r\nContact: <sip:evil>\r\n\r\nbody")},
	}
	out := string(Bytes(d.Request()))
	for _, evil := range []string{"\nX:", "\nVia:", "\nContact:", "\r\n\r\nbody"} {
		if strings.Contains(out, evil) {
			t.Errorf("%q in\n%s", evil, out)
		}
	}
	if !strings.Contains(out, `"a\" <sip:evil>  Via: x" <sip:c>`) {
		t.Errorf("display name not escaped:\n%s", out)
	}
}

func TestRejectsCarryWhatTheirCodeWants(t *testing.T) {
	req := invite(t, "Require: foo, timer", "Proxy-Require: bar")
	r := Validate(req)
	if r == nil || r.Code != 420 || HeaderValue(r.Response(req, "t"), "Unsupported") != "foo, bar" {
		t.Fatalf("%+v", r)
	}
	busy := Reject{Code: 503, After: 1500 * time.Millisecond}
	if got := HeaderValue(busy.Response(req, "t"), "Retry-After"); got != "2" {
		t.Errorf("retry after %q", got)
	}
	if (&Reject{}).Response(req, "t") != nil {
		t.Error("silence has an answer")
	}
}
