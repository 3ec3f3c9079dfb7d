package dialog

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"linekeeper/sbc/sip"
)

func uri(t *testing.T, s string) sip.URI {
	t.Helper()
	u, err := sip.ParseURI(s)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return u
}

func uris(t *testing.T, all ...string) (out []sip.URI) {
	t.Helper()
	for _, s := range all {
		out = append(out, uri(t, s))
	}
	return out
}

func texts(all []sip.URI) (out []string) {
	for i := range all {
		out = append(out, sip.URIText(&all[i]))
	}
	return out
}

// message parses a message whose lines are given; the usual headers are added.
func message(t *testing.T, first string, more ...string) sip.Message {
	t.Helper()
	lines := append([]string{first, "Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK1"}, more...)
	text := strings.Join(lines, "\r\n") + "\r\nContent-Length: 0\r\n\r\n"
	m, err := sip.Parse([]byte(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return m
}

// invite is an INVITE from bob, with more headers.
func invite(t *testing.T, more ...string) *sip.Request {
	t.Helper()
	return message(t, "INVITE sip:22@192.0.2.1 SIP/2.0", append([]string{
		`From: "Bob" <sip:23@box.example>;tag=bob`, `To: "Empfang" <sip:22@box.example>`, "Call-ID: c1", "CSeq: 7 INVITE", "Max-Forwards: 70",
	}, more...)...).(*sip.Request)
}

// answer is a response to what calling sends.
func answer(t *testing.T, code int, tag string, more ...string) *sip.Response {
	t.Helper()
	to := "To: <sip:23@box.example>"
	if tag != "" {
		to += ";tag=" + tag
	}
	return message(t, fmt.Sprintf("SIP/2.0 %d Word", code), append([]string{
		"From: <sip:22@box.example>;tag=me", to, "Call-ID: c1", "CSeq: 1 INVITE",
	}, more...)...).(*sip.Response)
}

func calling(t *testing.T, routes ...string) *Dialog {
	t.Helper()
	return Calling("c1", "me", Address{"Empfang", uri(t, "sip:22@box.example")}, Address{"", uri(t, "sip:23@box.example")},
		uri(t, "sip:23@192.0.2.23:5062"), uri(t, "sip:22@192.0.2.1:5060"), uris(t, routes...))
}

func TestAnsweringTakesItsStateFromTheRequest(t *testing.T) {
	d, err := Answering(invite(t, "Contact: <sip:23@192.0.2.23:5062>",
		"Record-Route: <sip:p2.example;lr>", "Record-Route: <sip:p1.example;lr>"), "me", uri(t, "sip:22@192.0.2.1"))
	if err != nil {
		t.Fatal(err)
	}
	if d.CallID != "c1" || d.LocalTag != "me" || d.RemoteTag != "bob" || d.Remote.Display != "Bob" || d.Local.Display != "Empfang" {
		t.Errorf("dialog %+v", d)
	}
	if got := sip.URIText(&d.Target); got != "sip:23@192.0.2.23:5062" {
		t.Errorf("target %s", got)
	}
	// RFC 3261 12.1.1: in the order of the request.
	if got := texts(d.Routes); !slices.Equal(got, []string{"sip:p2.example;lr", "sip:p1.example;lr"}) {
		t.Errorf("routes %v", got)
	}
	req := d.Draft(sip.BYE).Request()
	if sip.FromTag(req) != "me" || sip.ToTag(req) != "bob" || req.CSeq().SeqNo != 1 {
		t.Errorf("first request of the answerer:\n%s", sip.Bytes(req))
	}
}

func TestPeerWithoutContactIsReachedAtItsAddress(t *testing.T) {
	d, err := Answering(invite(t), "me", uri(t, "sip:22@192.0.2.1"))
	if err != nil {
		t.Fatal(err)
	}
	if got := sip.URIText(&d.Target); got != "sip:23@box.example" {
		t.Errorf("target %s", got)
	}
}

func TestAnsweringNeedsTheNamesOfADialog(t *testing.T) {
	for _, header := range []string{"From", "To", "Call-ID", "CSeq"} {
		req := invite(t)
		sip.RemoveHeader(req, header)
		if _, err := Answering(req, "me", sip.URI{}); err == nil {
			t.Errorf("a dialog without %s", header)
		}
	}
}

func TestRouteSetIsBounded(t *testing.T) {
	var many []string
	for i := range maxRoutes + 1 {
		many = append(many, fmt.Sprintf("Record-Route: <sip:p%d.example;lr>", i))
	}
	if _, err := Answering(invite(t, many...), "me", sip.URI{}); err == nil {
		t.Error("a request made us carry more routes than we want")
	}
	d := calling(t)
	if err := d.Learn(answer(t, 200, "bob", many...)); err == nil {
		t.Error("a response made us carry more routes than we want")
	}
	if d.RemoteTag != "" {
		t.Error("a refused response has changed the dialog")
	}
	if err := d.Learn(answer(t, 200, "bob", many[1:]...)); err != nil {
		t.Errorf("the most that is allowed: %v", err)
	}
}

func TestRequestsFollowTheRouteSet(t *testing.T) {
	const target = "sip:23@192.0.2.23:5062"
	cases := []struct {
		name    string
		routes  []string
		request string
		want    []string
	}{
		{"no proxy", nil, target, nil},
		{"loose routers", []string{"sip:p1.example;lr", "sip:p2.example;lr"}, target, []string{"sip:p1.example;lr", "sip:p2.example;lr"}},
		// RFC 3261 16.12.1.1 and 12.2.1.1: the strict router is the request URI, the target goes last.
		{"strict router first", []string{"sip:p1.example", "sip:p2.example;lr"}, "sip:p1.example", []string{"sip:p2.example;lr", target}},
		{"strict router alone", []string{"sip:p1.example"}, "sip:p1.example", []string{target}},
		{"strict router later", []string{"sip:p1.example;lr", "sip:p2.example"}, target, []string{"sip:p1.example;lr", "sip:p2.example"}},
		{"lr with a value", []string{"sip:p1.example;lr=on"}, target, []string{"sip:p1.example;lr=on"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d := calling(t, c.routes...)
			for _, draft := range []sip.Draft{d.Draft(sip.INVITE), d.Ack(1), d.Draft(sip.BYE)} {
				req := draft.Request()
				if got := sip.URIText(&req.Recipient); got != c.request {
					t.Errorf("%s goes to %s, want %s", req.Method, got, c.request)
				}
				if got := texts(sip.Routes(req)); !slices.Equal(got, c.want) {
					t.Errorf("%s routes %v, want %v", req.Method, got, c.want)
				}
			}
			if got := d.RequestURI(); got != c.request {
				t.Errorf("digest would cover %s, want %s", got, c.request)
			}
			if got := texts(d.Routes); !slices.Equal(got, c.routes) {
				t.Errorf("making requests changed the route set to %v", got)
			}
		})
	}
}

func TestCallerLearnsFromResponses(t *testing.T) {
	rr := []string{"Record-Route: <sip:near.example;lr>", "Record-Route: <sip:far.example;lr>"}
	cases := []struct {
		name    string
		resps   []*sip.Response
		tag     string
		target  string
		routes  []string
		preload []string
	}{
		{"an early response names the dialog", []*sip.Response{answer(t, 180, "bob", "Contact: <sip:23@192.0.2.50>")}, "bob", "sip:23@192.0.2.50", nil, nil},
		{"without a tag nothing is named", []*sip.Response{answer(t, 100, "")}, "", "sip:23@192.0.2.23:5062", nil, nil},
		// RFC 3261 12.1.2: in reverse order.
		{"the route set is turned round", []*sip.Response{answer(t, 200, "bob", rr...)}, "bob", "sip:23@192.0.2.23:5062", []string{"sip:far.example;lr", "sip:near.example;lr"}, nil},
		{"the 2xx replaces what an early response said", []*sip.Response{answer(t, 183, "bob", rr...), answer(t, 200, "bob", "Contact: <sip:23@192.0.2.51>")}, "bob", "sip:23@192.0.2.51", nil, nil},
		{"an early response without routes leaves the preloaded ones", []*sip.Response{answer(t, 180, "bob")}, "bob", "sip:23@192.0.2.23:5062", []string{"sip:out.example;lr"}, []string{"sip:out.example;lr"}},
		{"a 2xx without routes ends the preloaded ones", []*sip.Response{answer(t, 200, "bob")}, "bob", "sip:23@192.0.2.23:5062", nil, []string{"sip:out.example;lr"}},
		{"another answerer wins", []*sip.Response{answer(t, 180, "bob"), answer(t, 200, "eve", "Contact: <sip:23@192.0.2.66>")}, "eve", "sip:23@192.0.2.66", nil, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d := calling(t, c.preload...)
			for _, r := range c.resps {
				if err := d.Learn(r); err != nil {
					t.Fatal(err)
				}
			}
			if d.RemoteTag != c.tag {
				t.Errorf("tag %q, want %q", d.RemoteTag, c.tag)
			}
			if got := sip.URIText(&d.Target); got != c.target {
				t.Errorf("target %s, want %s", got, c.target)
			}
			if got := texts(d.Routes); !slices.Equal(got, c.routes) {
				t.Errorf("routes %v, want %v", got, c.routes)
			}
		})
	}
}

func TestTargetRefreshMovesThePeerAndNotTheRoutes(t *testing.T) {
	d := calling(t, "sip:p1.example;lr")
	d.Refresh(invite(t, "Contact: <sip:23@198.51.100.7:5090>", "Record-Route: <sip:evil.example;lr>"))
	if got := sip.URIText(&d.Target); got != "sip:23@198.51.100.7:5090" {
		t.Errorf("target %s", got)
	}
	d.Refresh(answer(t, 200, "bob", "Contact: <sip:23@198.51.100.8>"))
	if got := sip.URIText(&d.Target); got != "sip:23@198.51.100.8" {
		t.Errorf("target %s", got)
	}
	d.Refresh(answer(t, 200, "bob"))
	if got := sip.URIText(&d.Target); got != "sip:23@198.51.100.8" {
		t.Errorf("a message without Contact moved the target to %s", got)
	}
	if got := texts(d.Routes); !slices.Equal(got, []string{"sip:p1.example;lr"}) {
		t.Errorf("a refresh changed the route set: %v", got)
	}
}

func TestLaterChangesOfAMessageDoNotReachTheDialog(t *testing.T) {
	req := invite(t, "Contact: <sip:23@192.0.2.23>")
	d, err := Answering(req, "me", sip.URI{})
	if err != nil {
		t.Fatal(err)
	}
	req.Contact().Address.Host = "203.0.113.1"
	req.From().Address.User = "eve"
	if d.Target.Host != "192.0.2.23" || d.Remote.URI.User != "23" {
		t.Errorf("dialog %+v", d)
	}
}

func TestOldRequestsAreOutOfOrder(t *testing.T) {
	d, err := Answering(invite(t), "me", sip.URI{}) // CSeq 7
	if err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		method string
		seq    int
		want   error
	}{
		{"BYE", 6, ErrOrder}, {"ACK", 7, nil}, {"INFO", 8, nil}, {"INFO", 8, nil}, {"UPDATE", 12, nil}, // gaps are no fault (12.2.2)
		{"INFO", 11, ErrOrder}, {"ACK", 7, nil}, {"CANCEL", 7, nil}, {"BYE", 13, nil},
	}
	for _, s := range steps {
		req := message(t, s.method+" sip:22@192.0.2.1 SIP/2.0", "From: <sip:23@box.example>;tag=bob", "To: <sip:22@box.example>;tag=me",
			"Call-ID: c1", fmt.Sprintf("CSeq: %d %s", s.seq, s.method), "Max-Forwards: 70").(*sip.Request)
		if err := d.Receive(req); !errors.Is(err, s.want) {
			t.Errorf("%s %d: %v, want %v", s.method, s.seq, err, s.want)
		}
	}
}

func TestFirstRequestOfThePeerMayHaveAnyNumber(t *testing.T) {
	d := calling(t)
	bye := message(t, "BYE sip:22@192.0.2.1 SIP/2.0", "From: <sip:23@box.example>;tag=bob", "To: <sip:22@box.example>;tag=me",
		"Call-ID: c1", "CSeq: 0 BYE", "Max-Forwards: 70").(*sip.Request)
	if err := d.Receive(bye); err != nil {
		t.Error(err)
	}
}

func TestNumbersRiseAndAckRepeatsItsInvite(t *testing.T) {
	d := calling(t)
	first := d.Draft(sip.INVITE)
	again := d.Draft(sip.INVITE) // after a challenge say
	ack := d.Ack(again.Seq)
	bye := d.Draft(sip.BYE)
	if first.Seq != 1 || again.Seq != 2 || ack.Seq != 2 || bye.Seq != 3 {
		t.Errorf("CSeq %d %d ACK %d BYE %d", first.Seq, again.Seq, ack.Seq, bye.Seq)
	}
	if first.Contact == nil || ack.Contact != nil || bye.Contact != nil {
		t.Error("an INVITE carries our Contact, ACK and BYE don't")
	}
	if got := ack.Request().CSeq(); got.MethodName != sip.ACK || got.SeqNo != 2 {
		t.Errorf("ACK has CSeq %v", got)
	}
}

func TestForkIsADialogOfItsOwn(t *testing.T) {
	d := calling(t)
	d.Draft(sip.INVITE)
	second := d.Fork()
	if err := d.Learn(answer(t, 200, "bob", "Contact: <sip:23@192.0.2.50>")); err != nil {
		t.Fatal(err)
	}
	if err := second.Learn(answer(t, 200, "eve", "Contact: <sip:23@192.0.2.66>", "Record-Route: <sip:p.example;lr>")); err != nil {
		t.Fatal(err)
	}
	if d.RemoteTag != "bob" || d.Target.Host != "192.0.2.50" || len(d.Routes) != 0 {
		t.Errorf("the second answer reached the first dialog: %+v", d)
	}
	ack, bye := second.Ack(1), second.Draft(sip.BYE)
	if req := bye.Request(); sip.ToTag(req) != "eve" || ack.Seq != 1 || bye.Seq != 2 {
		t.Errorf("the second dialog is ended with\n%s", sip.Bytes(req))
	}
}

func TestDialogGoesOnAfterARestart(t *testing.T) {
	d, err := Answering(invite(t, "Contact: <sip:23@192.0.2.9:5070;transport=tcp>", "Record-Route: <sip:p1;lr>, <sip:p2;lr>"), "box", uri(t, "sip:22@192.0.2.1"))
	if err != nil {
		t.Fatal(err)
	}
	_ = d.Draft(sip.NOTIFY)
	s := d.Save()
	s.LocalSeq += 1000
	again, err := Restore(s)
	if err != nil {
		t.Fatal(err)
	}
	was, is := d.Draft(sip.NOTIFY), again.Draft(sip.NOTIFY)
	if was.Seq != 2 || is.Seq != 1002 {
		t.Errorf("numbers %d and %d", was.Seq, is.Seq)
	}
	is.Seq = was.Seq
	a, b := was.Request(), is.Request()
	for _, r := range []*sip.Request{a, b} {
		r.From().DisplayName, r.To().DisplayName = "", ""
	}
	if string(sip.Bytes(a)) != string(sip.Bytes(b)) {
		t.Errorf("was\n%s\nis\n%s", sip.Bytes(a), sip.Bytes(b))
	}
	if err := again.Receive(invite(t)); err != nil { // the same number is in order, a lower one isn't
		t.Error(err)
	}
	s.RemoteSeq = 100
	if again, _ = Restore(s); !errors.Is(again.Receive(invite(t)), ErrOrder) {
		t.Error("it has forgotten the peer's number")
	}
	s.Target = "nonsense"
	if _, err := Restore(s); err == nil {
		t.Error("a dialog without a target is taken")
	}
}
