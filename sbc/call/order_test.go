package call

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"linekeeper/sbc/sip"
)

// FuzzOrder lets peers say anything at any time: the bytes choose lines of a ladder.
// Whatever comes, no step panics, what is kept stays bounded, no request gets two
// final answers, and once the call has been hung up it is over and the caller has
// its answer.
func FuzzOrder(f *testing.F) {
	for seed := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, 1))
		b := make([]byte, 20+r.IntN(180))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 600 {
			b = b[:600]
		}
		playAtRandom(t, &dicer{b: b})
	})
}

// dicer draws from bytes; when they run out, zero.
type dicer struct{ b []byte }

func (d *dicer) below(n int) int {
	if len(d.b) == 0 {
		return 0
	}
	v := int(d.b[0])
	d.b = d.b[1:]
	return v % n
}

func (d *dicer) of(words ...string) string { return words[d.below(len(words))] }

func playAtRandom(t *testing.T, d *dicer) {
	r := newRig(t)
	r.segment = netip.MustParsePrefix("192.0.2.0/24")
	finals := map[TxID]int{}
	ports := map[LegID]bool{}
	var played []string
	r.watch = func(e Effect) {
		switch e := e.(type) {
		case Respond:
			if e.Resp.StatusCode >= 200 {
				finals[e.Tx]++
			}
			if a := r.m.a(); e.Tx == a.tx && e.Resp.IsSuccess() && a.stage == gone {
				t.Fatalf("the caller gets %d and is let go of after\n%s", e.Resp.StatusCode, strings.Join(append(played, r.said...), "\n"))
			}
		case Forward: // another call answers it
			finals[e.Tx]++
		case Open:
			ports[e.Leg] = true
		case Adopted:
			if e.Code == 200 {
				ports[e.Leg] = true
			}
		case Close:
			delete(ports, e.Leg)
		case Gone:
			delete(ports, e.Leg)
		case Bridge:
			if !ports[e.A] || !ports[e.B] {
				t.Fatalf("bridge of %s and %s, which have no ports, after\n%s", r.name(e.A), r.name(e.B), strings.Join(append(played, r.said...), "\n"))
			}
		}
	}
	defer func() {
		if v := recover(); v != nil {
			t.Fatalf("%v\nafter\n%s", v, strings.Join(played, "\n"))
		}
	}()
	act := func(line string) {
		line = strings.Replace(line, "NEW", r.name(LegID(len(r.m.legs))), 1)
		f := strings.Fields(line)
		if _, answers := number(f); answers && r.sent[r.ref(f[0], f[4:])] == nil {
			return
		}
		played = append(played, line)
		r.act(f)
		played = append(played, r.said...)
		r.said = nil
		for _, l := range r.m.legs {
			if len(l.talks) > maxForks+1 || len(l.rel.waiting) > maxWaiting || len(l.forks) > maxForks {
				t.Fatalf("leg %d keeps %d dialogs, %d responses, %d forks\nafter\n%s", l.id, len(l.talks), len(l.rel.waiting), len(l.forks), strings.Join(played, "\n"))
			}
		}
	}
	act(d.of("plan B1 line", "plan B1", "plan B1 B2", "plan B1 ring=20s", "srtp"))
	act(d.of("plan B3", "plan B3 line silent=2s", "insist"))
	if d.below(2) == 0 {
		act("replan B4")
	}
	act("A -> box INVITE" + d.of(" sdp", "", " speaks=PCMA,PCMU,G722", " video") + d.of("", " 100rel", " must100rel", " 100rel update") + d.of("", " timer=90,uas", " timer=1800"))
	if d.below(2) == 0 { // half of them begin with two who talk
		act("B1 -> box 200 sdp")
		act("A -> box ACK")
	}
	for len(d.b) > 0 {
		act(line(d))
	}
	act("hangup")
	if r.m.away != nil { // the other call answers at last
		act(fmt.Sprintf("moved %s %s", r.name(r.m.away.move.Leg), d.of("200", "481")))
	}
	act("wait 300s")
	if len(ports) > 0 {
		t.Fatalf("ports are left: %v after\n%s", ports, strings.Join(played, "\n"))
	}
	if !r.m.Done() {
		t.Fatalf("the call is not over after\n%s", strings.Join(played, "\n"))
	}
	for tx, req := range r.reqs {
		if finals[tx] > 1 || finals[tx] == 0 && req == r.m.a().invite { // the owner refuses what is left
			t.Fatalf("%s of %s got %d final answers in\n%s", req.Method, r.name(r.legs[tx]), finals[tx], strings.Join(played, "\n"))
		}
	}
}

// number says whether a line is an answer of an actor.
func number(f []string) (string, bool) {
	if len(f) < 4 || f[1] != "->" {
		return "", false
	}
	return f[3], f[3][0] >= '0' && f[3][0] <= '9'
}

// line is what happens next.
func line(d *dicer) string {
	who := d.of("A", "B1", "B1", "B2", "B3", "B4")
	body := d.of("", " sdp", " sdp=sendonly", " sdp=inactive", " again", " speaks=PCMU", " speaks=PCMA,PCMU", " speaks=opus", " garbage", " text")
	fork := ""
	if who != "A" {
		fork = d.of("", " fork=a", " fork=b", fmt.Sprintf(" fork=f%d", d.below(12)))
	}
	switch d.below(20) {
	case 16:
		return who + " -> box REFER " + d.of("to=sip:24@192.0.2.1", "to=sip:24@192.0.2.1 nosub", "other", "replaces=A") + fork
	case 17:
		return "moved " + who + " " + d.of("200", "200", "481", "491", "403")
	case 18:
		return fmt.Sprintf("adopt NEW for=%s by=%s", d.of("A", "B1", "B2"), d.of("22", "22", "23"))
	case 19:
		return "NEW -> box INVITE" + body + " replaces=" + d.of("A", "B1", "B1", "B2", "B3") + d.of("", "", " stranger", " earlyonly")
	case 0, 1, 2:
		return who + " -> box " + d.of("100", "180", "183", "183", "199") + body + fork + d.of("", " update", fmt.Sprintf(" rel=%d", 1+d.below(4)), fmt.Sprintf(" rel=%d update", 1+d.below(4))) + d.of("", "", " media=inactive", " media=sendrecv")
	case 3:
		return who + " -> box " + d.of("200", "200", "486", "488", "491", "302", "422 minse=120", "407 challenge=n", "407 stale=m", "503", "603") + body + fork + d.of("", " update", " timer=90,uac")
	case 4, 5:
		return who + " -> box " + d.of("200", "407 challenge=n", "481", "488", "491", "500", "504", "405") + body + " for=" + d.of("PRACK", "UPDATE", "BYE", "INFO", "NOTIFY", "MESSAGE")
	case 6, 7:
		return fmt.Sprintf("%s -> box PRACK rack=%d%s%s", who, 1+d.below(3), body, fork)
	case 8, 9:
		return who + " -> box UPDATE" + body + fork
	case 10:
		return who + " -> box INVITE" + body + fork
	case 11:
		return who + " -> box ACK" + body + fork
	case 12:
		return who + " -> box " + d.of("INFO text", "MESSAGE text", "OPTIONS", "BYE", "NOTIFY event=x", "SUBSCRIBE", "PUBLISH", "REFER to=sip:24@192.0.2.1") + fork
	case 13:
		return "wait " + d.of("100ms", "1s", "5s", "40s", "15m")
	case 14:
		return d.of("A -> box CANCEL", "A unacked", "B1 unacked", "A -> box BYE", "B1 -> box BYE")
	}
	return who + " lost for=" + d.of("INVITE", "PRACK", "UPDATE", "BYE", "INFO")
}

// TestEarlyDialogsKeepTheirOwnRoutesTargetsAndNumbers has two forks behind
// different proxies: requests go to each by its own way, with numbers of its own.
func TestEarlyDialogsKeepTheirOwnRoutesTargetsAndNumbers(t *testing.T) {
	r := newRig(t)
	for _, l := range []string{"plan B1", "A -> box INVITE sdp"} {
		r.act(strings.Fields(l))
	}
	sent := map[string][]*sip.Request{}
	r.watch = func(e Effect) {
		switch e := e.(type) {
		case Send:
			sent[sip.ToTag(e.Req)] = append(sent[sip.ToTag(e.Req)], e.Req)
		case Ack:
			sent[sip.ToTag(e.Req)] = append(sent[sip.ToTag(e.Req)], e.Req)
		}
	}
	say := func(code int, tag string, rseq uint32, body string) {
		resp := sip.Respond(r.sent[r.refs["B1 INVITE"]], code, "", tag)
		resp.AppendHeader(&sip.Contact{Address: uri("phone", tag+".example")})
		route := &sip.RecordRoute{Address: uri("", "proxy-"+tag+".example")}
		route.Address.UriParams.Add("lr", "")
		resp.AppendHeader(route)
		if rseq > 0 {
			resp.AppendHeader(sip.NewHeader("Require", "100rel"))
			resp.AppendHeader(sip.RSeqHeader(rseq))
		}
		r.pen.Dress(t, resp, strings.Fields(body))
		r.step(Answer{Leg: 1, Ref: r.refs["B1 INVITE"], Resp: resp})
	}
	say(180, "a", 7, "")
	say(180, "b", 90, "")
	say(183, "a", 8, "sdp")
	say(200, "b", 0, "sdp")
	say(200, "a", 0, "sdp") // too late
	want := map[string][]string{"a": {"PRACK 2", "PRACK 3", "ACK 1", "BYE 4"}, "b": {"PRACK 2", "ACK 1"}}
	for tag, list := range want {
		if len(sent[tag]) != len(list) {
			t.Fatalf("%d requests in dialog %s, want %v", len(sent[tag]), tag, list)
		}
		for i, req := range sent[tag] {
			got := fmt.Sprintf("%s %d", req.Method, req.CSeq().SeqNo)
			route := req.Route()
			if got != list[i] || req.Recipient.Host != tag+".example" || route == nil || route.Address.Host != "proxy-"+tag+".example" {
				t.Errorf("request %d in dialog %s: %s to %s by %v, want %s", i, tag, got, req.Recipient.Host, route, list[i])
			}
		}
	}
	if rack, err := sip.RAckOf(sent["a"][1]); err != nil || rack != (sip.RAck{RSeq: 8, CSeq: 1, Method: sip.INVITE}) {
		t.Errorf("rack %v, %v", rack, err)
	}
}

// TestTheCallerHearsTheNewestFork looks at where the relay sends and listens, fork
// after fork; each has its port.
func TestTheCallerHearsTheNewestFork(t *testing.T) {
	r := newRig(t)
	var at uint16
	r.watch = func(e Effect) {
		if e, ok := e.(Media); ok && e.Leg == 1 {
			at = e.Flow.Remote.Port()
		}
	}
	r.act(strings.Fields("plan B1"))
	r.act(strings.Fields("A -> box INVITE sdp"))
	for _, step := range []struct {
		code int
		tag  string
		port uint16 // in the description; 0: none
		want uint16
	}{
		{180, "a", 0, 0},
		{183, "a", 5000, 5000},
		{183, "b", 6000, 6000},
		{183, "a", 5000, 6000}, // said before
		{180, "a", 0, 6000},
		{183, "a", 5002, 5002}, // new
		{183, "c", 7000, 7000},
		{199, "c", 0, 5002},
		{180, "b", 0, 5002},
		{200, "b", 6000, 6000},
	} {
		resp := sip.Respond(r.sent[r.refs["B1 INVITE"]], step.code, "", step.tag)
		if step.port > 0 {
			sip.SetBody(resp, "application/sdp", fmt.Appendf(nil, "v=0\r\no=- 7 %d IN IP4 192.0.2.50\r\ns=-\r\nc=IN IP4 192.0.2.50\r\nt=0 0\r\nm=audio %d RTP/AVP 8\r\n", step.port, step.port))
		}
		r.step(Answer{Leg: 1, Ref: r.refs["B1 INVITE"], Resp: resp})
		if at != step.want {
			t.Errorf("after %d of %s with port %d the relay is at %d, want %d", step.code, step.tag, step.port, at, step.want)
		}
	}
}

// TestOnlyWhoCanAnswerAnEarlyOfferIsPromised100rel looks at what the box offers a
// callee for each kind of caller.
func TestOnlyWhoCanAnswerAnEarlyOfferIsPromised100rel(t *testing.T) {
	for words, want := range map[string]bool{"sdp": true, "": false, "100rel": true, "must100rel": true, "sdp 100rel": true} {
		r := newRig(t)
		r.act([]string{"plan", "B1"})
		r.act(append([]string{"A", "->", "box", "INVITE"}, strings.Fields(words)...))
		req := r.sent[r.refs["B1 INVITE"]]
		if got := sip.HasToken(req, "Supported", "100rel"); got != want {
			t.Errorf("caller with %q: 100rel offered: %v, want %v", words, got, want)
		}
		if !sip.HasToken(req, "Allow", "PRACK") || !sip.HasToken(req, "Supported", "timer") {
			t.Errorf("caller with %q: Allow %q, Supported %q", words, sip.HeaderValue(req, "Allow"), sip.HeaderValue(req, "Supported"))
		}
	}
}

// TestReliableResponsesBeginAnywhereBelow2To31 draws the first RSeq of many calls.
func TestReliableResponsesBeginAnywhereBelow2To31(t *testing.T) {
	seen := map[uint32]bool{}
	for i := range 200 {
		m := New(Config{Random: func() string { return fmt.Sprint("random", i) }})
		req := sip.NewRequest(sip.INVITE, uri("23", "192.0.2.1"))
		req.AppendHeader(sip.NewHeader("Supported", "100rel"))
		l := &leg{invite: req, talk: &talk{}}
		m.promise(l)
		if n := l.rel.next; n < 1 || n > 1<<31-1 || seen[n] {
			t.Fatalf("call %d begins with %d", i, n)
		}
		seen[l.rel.next] = true
	}
}

// TestPEarlyMediaIsRead reads what RFC 5009 allows.
func TestPEarlyMediaIsRead(t *testing.T) {
	for value, want := range map[string][2]bool{
		"": {false, false}, "supported": {false, false}, "sendrecv": {false, true}, "Sendonly": {false, true},
		"inactive": {true, true}, "recvonly": {true, true}, "inactive, sendrecv": {false, true}, "sendrecv, gated": {false, true}, "inactive,inactive": {true, true},
	} {
		resp := sip.NewResponse(183, "")
		if value != "" {
			resp.AppendHeader(sip.NewHeader("P-Early-Media", value))
		}
		if quiet, said := hushed(resp); quiet != want[0] || said != want[1] {
			t.Errorf("%q: quiet %v, said %v", value, quiet, said)
		}
	}
}
