package call

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"linekeeper/sbc/dialog"
	"linekeeper/sbc/policy"
	"linekeeper/sbc/sdp"
	"linekeeper/sbc/sip"
)

var update = flag.Bool("update", false, "rewrite the box's lines of the ladders with what happened")

// TestLadders plays every ladder: lines of other actors are done to the call,
// lines of the box are what it must do, in order.
func TestLadders(t *testing.T) {
	files, err := filepath.Glob("../../testdata/ladders/*.ladder")
	if err != nil || len(files) == 0 {
		t.Fatalf("no ladders found: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".ladder"), func(t *testing.T) { play(t, file) })
	}
}

func play(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t)
	var got []string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		f := strings.Fields(strings.SplitN(line, "#", 2)[0])
		switch {
		case len(f) > 0 && f[0] == "box":
			continue
		case len(f) == 0:
			got = append(got, line)
			continue
		}
		got = append(got, line)
		r.act(f)
		got = append(got, r.said...)
		r.said = nil
	}
	result := strings.Join(got, "\n") + "\n"
	if *update {
		if err := os.WriteFile(file, []byte(result), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if result != string(text) {
		t.Errorf("the ladder went otherwise:\n%s", firstDifference(string(text), result))
	}
	if r.over != r.m.Done() {
		t.Errorf("call over: %v, ladder says %v", r.m.Done(), r.over)
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return fmt.Sprintf("line %d\n want %q\n got  %q\nin all:\n%s", i+1, w[i], g[i], got)
		}
	}
	return got
}

// rig is the world around one call: clock, timers, peers.
type rig struct {
	t      *testing.T
	m      *Machine
	now    time.Time
	due    map[string]time.Time
	plan   Plan
	again  *Plan
	said   []string
	reqs   map[TxID]*sip.Request
	legs   map[TxID]LegID
	lastTx TxID
	sent   map[Ref]*sip.Request
	refs   map[string]Ref // actor+method → newest request
	seqs   map[LegID]uint32
	names  map[LegID]string
	over   bool
	ver    uint64
	srtp   sdp.Policy
	// invites are the transactions of incoming legs.
	invites map[LegID]TxID
	show    []string // header fields that the ladder looks at
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, now: time.Unix(1_800_000_000, 0), due: map[string]time.Time{}, reqs: map[TxID]*sip.Request{}, legs: map[TxID]LegID{},
		sent: map[Ref]*sip.Request{}, refs: map[string]Ref{}, seqs: map[LegID]uint32{}, names: map[LegID]string{0: "A"}, invites: map[LegID]TxID{}}
	r.m = New(Config{Invite: Invite{Token: "tok", Caller: Party{Extension: "22"}, Dialled: "23", Zone: "lan"},
		Random: func() string { return "cnonce" }, Agent: "Linekeeper", Session: DefaultSession, Patience: DefaultPatience})
	return r
}

func (r *rig) act(f []string) {
	switch {
	case f[0] == "plan":
		r.plan.Steps = append(r.plan.Steps, r.parseStep(f[1:]))
	case f[0] == "reject":
		code, _ := strconv.Atoi(f[1])
		r.plan.Reject = &sip.Reject{Code: code, Phrase: strings.Join(f[2:], " ")}
	case f[0] == "replan":
		if r.again == nil {
			r.again = &Plan{}
		}
		r.again.Steps = append(r.again.Steps, r.parseStep(f[1:]))
	case f[0] == "insist":
		r.plan.Insist = true
	case f[0] == "srtp":
		r.srtp = sdp.Preferred
	case f[0] == "wait":
		r.wait(f[1])
	case f[0] == "show":
		r.show = f[1:]
	case f[0] == "over":
		r.over = true
	case f[0] == "hangup":
		r.step(Hangup{End{ByUs, 503, "shutdown"}})
	case f[0] == "moved":
		code, _ := strconv.Atoi(f[2])
		r.step(Moved{Leg: legNumber(f[1]), Code: code})
	case f[0] == "adopt":
		r.adopt(f[1], f[2:])
	case len(f) > 1 && f[1] == "lost":
		r.step(Failed{Leg: r.leg(f[0]), Ref: r.ref(f[0], f[2:]), Err: errors.New("connection lost")})
	case len(f) > 1 && f[1] == "unacked":
		r.step(Unacked{Leg: r.leg(f[0])})
	case len(f) > 3 && f[1] == "->":
		r.message(f[0], f[3], f[4:])
	default:
		r.t.Fatalf("cannot read %q", strings.Join(f, " "))
	}
}

func (r *rig) parseStep(f []string) Step {
	var s Step
	for _, w := range f {
		key, val, _ := strings.Cut(w, "=")
		switch key {
		case "ring":
			s.Ring, _ = time.ParseDuration(val)
		case "silent":
			s.Silent, _ = time.ParseDuration(val)
		case "line":
			s.Targets[len(s.Targets)-1].Line = "22"
			s.Targets[len(s.Targets)-1].Credentials = &sip.Credentials{User: "22", Password: "secret"}
		case "through":
			s.Targets[len(s.Targets)-1].Line, s.Targets[len(s.Targets)-1].Through = "22", true
		default:
			s.Targets = append(s.Targets, Target{Name: key, Extension: "23", Flow: sip.Flow{Zone: "lan", Transport: sip.UDP, Local: addr("192.0.2.1:5060"), Remote: addr("192.0.2.9:5060")},
				URI: uri("23", "192.0.2.9"), From: dialog.Address{URI: uri("22", "192.0.2.1")}, To: dialog.Address{URI: uri("23", "192.0.2.1")}, Contact: uri("23", "192.0.2.1")})
		}
	}
	return s
}

func addr(s string) netip.AddrPort   { return netip.MustParseAddrPort(s) }
func uri(user, host string) sip.URI  { return sip.URI{Scheme: "sip", User: user, Host: host} }
func (r *rig) leg(name string) LegID { return legNumber(name) }

// adopt offers the call a leg that another call has made.
func (r *rig) adopt(name string, words []string) {
	in := Adopt{Cargo: name, By: Party{Extension: "22"}}
	for _, w := range words {
		key, val, _ := strings.Cut(w, "=")
		switch key {
		case "for":
			in.Leg = legNumber(val)
			in.Replaces = sip.Replaces{CallID: Tag("tok", in.Leg), ToTag: Tag("tok", in.Leg), FromTag: "peer-" + val}
			if val == "A" {
				in.Replaces.CallID = "cid-A"
			}
		case "by":
			in.By.Extension = val
		}
	}
	id := legNumber(name)
	theirs, err := sdp.Parse([]byte(describe("sendonly", 77, "PCMA")))
	if err != nil {
		r.t.Fatal(err)
	}
	l := &leg{stage: confirmed, theirs: theirs, local: sdp.Local{Addr: netip.MustParseAddr("192.0.2.1"), Port: 30000, SessionID: 9, Version: 1, Keys: make([]byte, 32)}, open: true}
	l.dlg = dialog.Calling(Tag("tok", id), Tag("tok", id), dialog.Address{URI: uri("22", "192.0.2.1")}, dialog.Address{URI: uri("24", "192.0.2.1")}, uri("24", "192.0.2.9"), uri("box", "192.0.2.1"), nil)
	l.dlg.RemoteTag = "peer-" + name
	if l.mine, err = l.local.Answer(theirs, nil); err != nil {
		r.t.Fatal(err)
	}
	in.Held = Held{l, Party{Extension: "24", Number: "24"}}
	r.step(in)
}

func legNumber(name string) LegID {
	if name == "A" {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimPrefix(name, "B"))
	return LegID(n)
}

func (r *rig) ref(actor string, words []string) Ref {
	method := "INVITE"
	for _, w := range words {
		if v, ok := strings.CutPrefix(w, "for="); ok {
			method = v
		}
	}
	return r.refs[actor+" "+method]
}

// message is something that a peer sends: a request or a response.
func (r *rig) message(actor, what string, words []string) {
	leg := legNumber(actor)
	if code, err := strconv.Atoi(what); err == nil {
		ref := r.ref(actor, words)
		req := r.sent[ref]
		if req == nil {
			r.t.Fatalf("%s answers what it never got", actor)
		}
		resp := sip.Respond(req, code, "", "peer-"+actor)
		if code < 400 && code > 100 {
			u := uri(actor, "192.0.2.50")
			resp.AppendHeader(&sip.Contact{Address: u})
		}
		r.dress(resp, words)
		r.step(Answer{Leg: leg, Ref: ref, Resp: resp})
		return
	}
	switch what {
	case "CANCEL":
		cancel := r.request(leg, sip.CANCEL, words)
		r.step(Cancelled{Tx: r.invites[leg], Req: cancel})
		return
	case "ACK":
		r.step(Acked{Leg: leg, Req: r.request(leg, sip.ACK, words)})
		return
	}
	req := r.request(leg, sip.Method(what), words)
	r.lastTx++
	r.reqs[r.lastTx], r.legs[r.lastTx] = req, leg
	if what == "INVITE" && r.m.leg(leg) == nil {
		r.invites[leg] = r.lastTx
	}
	if rep, ok, _ := sip.ReplacesOf(req); ok {
		_, of, _ := Owner(rep.ToTag)
		r.step(Join{Tx: r.lastTx, Req: req, Flow: sip.Flow{Zone: "lan", Transport: sip.UDP}, Contact: uri("box", "192.0.2.1"), Who: Party{Extension: "24", Number: "24"},
			Leg: of, Replaces: rep, May: func(Party, bool) bool { return !strings.Contains(strings.Join(words, " "), "stranger") }})
		return
	}
	if what == "INVITE" && leg == 0 && len(r.m.legs) == 0 {
		r.step(Arrived{Tx: r.lastTx, Req: req, Flow: sip.Flow{Zone: "lan", Transport: sip.UDP}, Contact: uri("box", "192.0.2.1"), Plan: r.plan})
		return
	}
	r.step(Request{Leg: leg, Tx: r.lastTx, Req: req})
}

func (r *rig) request(leg LegID, method sip.Method, words []string) *sip.Request {
	actor := "A"
	if leg > 0 {
		actor = "B" + strconv.Itoa(int(leg))
	}
	if method != sip.ACK {
		r.seqs[leg]++
	}
	from := &sip.From{Address: uri("22", "192.0.2.1")}
	from.Params.Add("tag", "peer-"+actor)
	to := &sip.To{Address: uri("23", "192.0.2.1")}
	if len(r.m.legs) > 0 {
		to.Params.Add("tag", Tag("tok", leg))
	}
	seq := r.seqs[leg]
	for _, w := range words {
		if v, ok := strings.CutPrefix(w, "seq="); ok {
			n, _ := strconv.Atoi(v)
			seq = uint32(n)
		}
	}
	contact := uri(actor, "192.0.2.50")
	callID := "cid-A"
	if leg > 0 {
		callID = Tag("tok", leg)
	}
	req := sip.Draft{Method: method, Target: uri("23", "192.0.2.1"), From: from, To: to, CallID: callID, Seq: seq, Contact: &contact}.Request()
	r.dress(req, words)
	return req
}

// dress puts on a message what the ladder's words say.
func (r *rig) dress(m sip.Message, words []string) {
	for _, w := range words {
		key, val, _ := strings.Cut(w, "=")
		switch key {
		case "sdp":
			r.ver++
			sip.SetBody(m, "application/sdp", []byte(describe(val, r.ver, "PCMA")))
		case "again": // the same description once more
			sip.SetBody(m, "application/sdp", []byte(describe(val, r.ver, "PCMA")))
		case "opus":
			sip.SetBody(m, "application/sdp", []byte(describe("", r.ver, "opus")))
		case "savp":
			sip.SetBody(m, "application/sdp", []byte(strings.Replace(describe("", r.ver, "PCMA"), "RTP/AVP", "RTP/SAVP", 1)+
				"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5\r\n"))
		case "video":
			sip.SetBody(m, "application/sdp", []byte("v=0\r\no=- 1 1 IN IP4 192.0.2.50\r\ns=-\r\nc=IN IP4 192.0.2.50\r\nt=0 0\r\nm=video 5000 RTP/AVP 97\r\n"))
		case "garbage":
			sip.SetBody(m, "application/sdp", []byte("v=0\r\nm=nonsense\r\n"))
		case "text":
			sip.SetBody(m, "text/plain", []byte("hello"))
		case "timer":
			m.AppendHeader(sip.NewHeader("Supported", "timer"))
			if val != "" {
				m.AppendHeader(sip.NewHeader("Session-Expires", strings.ReplaceAll(val, ",", ";refresher=")))
			}
		case "minse":
			m.AppendHeader(sip.NewHeader("Min-SE", val))
		case "reason": // protocol,cause
			protocol, cause, _ := strings.Cut(val, ",")
			m.AppendHeader(sip.NewHeader("Reason", protocol+";cause="+cause))
		case "elsewhere":
			m.AppendHeader(sip.NewHeader("Reason", `SIP;cause=200;text="Call completed elsewhere"`))
		case "session":
			m.AppendHeader(policy.Session{Local: strings.Repeat(val, 32), Remote: policy.NilUUID}.Header())
		case "to":
			if resp, ok := m.(*sip.Response); ok {
				resp.Contact().Address.User = val
				continue
			}
			m.AppendHeader(sip.NewHeader("Refer-To", "<"+strings.Replace(val, "tel:", "sip:", 1)+">"))
		case "other": // a dialog of another call
			sip.SetHeader(m, sip.NewHeader("Refer-To", "<sip:24@192.0.2.1?Replaces=cid-other%3Bto-tag%3Dother-0%3Bfrom-tag%3Dpeer-other>"))
		case "replaces", "stranger":
			if key == "stranger" {
				continue
			}
			id, tag := "cid-A", "peer-"+val
			if val != "A" {
				id = Tag("tok", legNumber(val))
			}
			rep := sip.Replaces{CallID: id, ToTag: Tag("tok", legNumber(val)), FromTag: tag}
			if req, ok := m.(*sip.Request); ok && req.Method == sip.REFER {
				m.AppendHeader(sip.ReferTo{URI: uri("24", "192.0.2.1"), Replaces: &rep}.Header())
				continue
			}
			m.AppendHeader(rep.Header())
		case "earlyonly":
			sip.SetHeader(m, sip.NewHeader("Replaces", sip.HeaderValue(m, "Replaces")+";early-only"))
		case "nosub":
			m.AppendHeader(sip.NewHeader("Refer-Sub", "false"))
		case "event":
			m.AppendHeader(sip.NewHeader("Event", val))
			m.AppendHeader(sip.NewHeader("Subscription-State", "active"))
		case "expires":
			m.AppendHeader(sip.NewHeader("Expires", val))
		case "hops":
			n, _ := strconv.Atoi(val)
			*m.(*sip.Request).MaxForwards() = sip.MaxForwards(n)
		case "challenge":
			m.AppendHeader(sip.NewHeader("Proxy-Authenticate", `Digest realm="cloud", nonce="`+val+`", algorithm=MD5, qop="auth"`))
		case "stale":
			m.AppendHeader(sip.NewHeader("Proxy-Authenticate", `Digest realm="cloud", nonce="`+val+`", algorithm=MD5, qop="auth", stale=true`))
		case "update":
			m.AppendHeader(sip.NewHeader("Allow", "INVITE, ACK, UPDATE"))
		case "fork": // the same peer by another of its dialogs
			if req, ok := m.(*sip.Request); ok {
				req.From().Params.Add("tag", val)
				continue
			}
			m.To().Params.Add("tag", val)
		case "for", "seq":
		default:
			r.t.Fatalf("unknown word %q", w)
		}
	}
}

func describe(dir string, ver uint64, codec string) string {
	if dir == "" {
		dir = "sendrecv"
	}
	rtpmap := "8 PCMA/8000"
	if codec == "opus" {
		rtpmap = "111 opus/48000/2"
	}
	n, _, _ := strings.Cut(rtpmap, " ")
	return fmt.Sprintf("v=0\r\no=- 7 %d IN IP4 192.0.2.50\r\ns=-\r\nc=IN IP4 192.0.2.50\r\nt=0 0\r\nm=audio 4000 RTP/AVP %s\r\na=rtpmap:%s\r\na=%s\r\n", ver, n, rtpmap, dir)
}

func (r *rig) wait(text string) {
	d, err := time.ParseDuration(text)
	if err != nil {
		r.t.Fatal(err)
	}
	until := r.now.Add(d)
	for {
		key, at := "", until
		for k, v := range r.due {
			if !v.After(at) && (key == "" || v.Before(at) || k < key) {
				key, at = k, v
			}
		}
		if key == "" {
			break
		}
		delete(r.due, key)
		r.now = at
		r.step(Due{key})
	}
	r.now = until
}

// step does one input and writes down what the call does.
func (r *rig) step(in Input) {
	queue := []Input{in}
	for len(queue) > 0 {
		var more []Input
		for _, e := range r.m.Step(r.now, queue[0]) {
			more = append(more, r.perform(e)...)
		}
		queue = append(queue[1:], more...)
	}
}

func (r *rig) name(leg LegID) string {
	if leg == 0 {
		return "A"
	}
	return "B" + strconv.Itoa(int(leg))
}

func (r *rig) say(format string, args ...any) { r.said = append(r.said, fmt.Sprintf(format, args...)) }

func (r *rig) perform(e Effect) []Input {
	switch e := e.(type) {
	case Respond:
		r.say("box -> %s %d%s", r.name(r.legs[e.Tx]), e.Resp.StatusCode, r.shape(e.Resp))
	case Send:
		name := r.name(e.Leg)
		r.sent[e.Ref], r.refs[name+" "+string(e.Req.Method)] = e.Req, e.Ref
		r.say("box -> %s %s%s", name, e.Req.Method, r.shape(e.Req))
	case Cancel:
		to := r.sent[e.Ref]
		_, leg, _ := Owner(sip.FromTag(to))
		word := ""
		if strings.Contains(e.Reason, "elsewhere") {
			word = " elsewhere"
		}
		if len(r.show) > 0 && e.Reason != "" {
			word += " reason=" + squeeze(e.Reason)
		}
		r.say("box -> %s CANCEL%s", r.name(leg), word)
	case Ack:
		_, leg, _ := Owner(sip.FromTag(e.Req))
		r.say("box -> %s ACK%s", r.name(leg), r.shape(e.Req))
	case Open:
		seed := make([]byte, 32)
		seed[0] = byte(e.Leg)
		return []Input{MediaOpened{e.Leg, sdp.Local{SRTP: r.srtp, Addr: netip.MustParseAddr("192.0.2.1"), Port: 20000 + 2*uint16(e.Leg), SessionID: 1, Version: 1, Keys: seed}}}
	case Media:
		r.say("box : media %s send=%v recv=%v", r.name(e.Leg), e.Flow.Send, e.Flow.Recv)
	case Bridge:
		r.say("box : bridge %s %s", r.name(e.A), r.name(e.B))
	case Close:
		r.say("box : close %s", r.name(e.Leg))
	case Arm:
		r.due[e.Key] = r.now.Add(e.D)
	case Disarm:
		delete(r.due, e.Key)
	case Replan:
		r.say("box : replan")
		if r.again == nil {
			return []Input{Planned{Plan{Reject: &sip.Reject{Code: 503, Phrase: "Service Unavailable"}}}}
		}
		return []Input{Planned{*r.again}}
	case Redirect:
		r.say("box : redirect to=%s rights=%s", e.Invite.Dialled, e.Invite.Caller.Extension)
		if r.again == nil {
			return []Input{Planned{Plan{Reject: &sip.Reject{Code: 403, Phrase: "Forbidden"}}}}
		}
		return []Input{Planned{*r.again}}
	case Transfer:
		r.say("box : transfer to=%s rights=%s shown=%s", e.To.User, e.Invite.Caller.Extension, e.Invite.Shown().Number)
		if r.again == nil {
			return []Input{Planned{Plan{Reject: &sip.Reject{Code: 403, Phrase: "Forbidden"}}}}
		}
		return []Input{Planned{*r.again}}
	case Move:
		r.say("box : move %s in place of %s", r.name(e.Leg), e.Replaces.CallID)
	case Adopted:
		r.say("box : adopted %s %d", r.name(e.Leg), e.Code)
	case Gone:
		r.say("box : gone %s", r.name(e.Leg))
	case Forward:
		r.say("box : forward %s", r.reqs[e.Tx].Method)
	case Silent:
		r.say("box : silent %s", e.Target.Name)
	case Became:
		r.say("box : %s", e.State)
	case Ended:
		r.say("box : ended by=%s code=%d %s", e.End.Blame, e.End.Code, e.End.Reason)
	}
	return nil
}

// shape names what matters of a message's content.
func (r *rig) shape(m sip.Message) string {
	var b strings.Builder
	if s, err := sdp.Parse(m.Body()); err == nil && len(m.Body()) > 0 {
		b.WriteString(" sdp=" + s.Media[0].Direction.String())
		if s.Media[0].Proto != "RTP/AVP" || len(s.Media[0].Crypto) > 0 {
			b.WriteString(" " + s.Media[0].Proto)
		}
	} else if code, ok := sip.SipfragCode(m.Body()); ok {
		state, _, _ := strings.Cut(sip.HeaderValue(m, "Subscription-State"), ";")
		b.WriteString(" sipfrag=" + strconv.Itoa(code) + " " + state)
	} else if len(m.Body()) > 0 {
		b.WriteString(" body")
	}
	if to, err := sip.ReferToOf(m); err == nil {
		b.WriteString(" to=" + to.URI.User)
		if to.Replaces != nil {
			b.WriteString(" replaces=" + to.Replaces.CallID)
		}
	}
	if rep, ok, _ := sip.ReplacesOf(m); ok {
		b.WriteString(" replaces=" + rep.CallID)
	}
	if sip.HeaderValue(m, "Proxy-Authorization") != "" || sip.HeaderValue(m, "Authorization") != "" {
		b.WriteString(" auth")
	}
	if v := sip.HeaderValue(m, "Session-Expires"); v != "" {
		b.WriteString(" timer=" + strings.ReplaceAll(v, ";refresher=", ","))
	}
	for _, name := range []string{"Min-SE", "Retry-After"} {
		if v := sip.HeaderValue(m, name); v != "" && !strings.Contains(b.String(), " timer") {
			b.WriteString(" " + strings.ToLower(name) + "=" + v)
		}
	}
	if req, ok := m.(*sip.Request); ok && req.MaxForwards() != nil && req.MaxForwards().Val() != 70 && req.Method == sip.INVITE {
		b.WriteString(" hops=" + strconv.Itoa(int(req.MaxForwards().Val())))
	}
	for _, name := range r.show {
		if vs := sip.HeaderValues(m, name); len(vs) > 0 {
			b.WriteString(" " + strings.ToLower(name) + "=" + squeeze(strings.Join(vs, ",")))
		}
	}
	return b.String()
}

// squeeze makes one word of a header's value: UUIDs that are one digit over and
// over by that digit, those that the box made as made.
func squeeze(v string) string {
	words := strings.FieldsFunc(v, func(r rune) bool { return r == ';' || r == ',' })
	for i, w := range words {
		name, id, ok := strings.Cut(w, "=")
		if !ok {
			name, id = "", w
		} else {
			name += "="
		}
		switch {
		case len(id) != 32:
		case strings.Count(id, id[:1]) == 32:
			words[i] = name + id[:1]
		default:
			words[i] = name + "made"
		}
	}
	return strings.ReplaceAll(strings.Join(words, ";"), " ", "_")
}
