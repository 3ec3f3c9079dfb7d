package call

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"linekeeper/sbc/call/calltest"
	"linekeeper/sbc/dialog"
	"linekeeper/sbc/sdp"
	"linekeeper/sbc/sip"
)

var update = flag.Bool("update", false, "rewrite the box's lines of the ladders with what happened")

// TestLadders plays every ladder: lines of other actors are done to the call,
// lines of the box are what it must do, in order.
func TestLadders(t *testing.T) { calltest.Play(t, "../../testdata/ladders", play) }

func play(t *testing.T, file string, lines []calltest.Line) {
	r := newRig(t)
	var want, got []string
	for _, line := range lines {
		want = append(want, line.Text)
		if line.Box() {
			continue
		}
		got = append(got, line.Text)
		if len(line.Words) == 0 {
			continue
		}
		r.act(line.Words)
		got = append(got, r.said...)
		r.said = nil
	}
	text, result := strings.Join(want, "\n")+"\n", strings.Join(got, "\n")+"\n"
	if *update {
		if err := os.WriteFile(file, []byte(result), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if result != text {
		t.Errorf("the ladder went otherwise:\n%s", calltest.FirstDifference(text, result))
	}
	if r.over != r.m.Done() {
		t.Errorf("call over: %v, ladder says %v", r.m.Done(), r.over)
	}
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
	pen    calltest.Pen
	srtp   sdp.Policy
	ice    sdp.ICEPolicy
	// convert says that the relay can make codecs of each other.
	convert bool
	// segment is that of all phones; invalid: their media goes through the box.
	segment netip.Prefix
	// invites are the transactions of incoming legs.
	invites map[LegID]TxID
	show    []string // header fields that the ladder looks at
	watch   func(Effect)
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, now: time.Unix(1_800_000_000, 0), due: map[string]time.Time{}, reqs: map[TxID]*sip.Request{}, legs: map[TxID]LegID{},
		sent: map[Ref]*sip.Request{}, refs: map[string]Ref{}, seqs: map[LegID]uint32{}, names: map[LegID]string{0: "A"}, invites: map[LegID]TxID{}}
	r.pen.Dialog = func(actor string) (callID, tag string) {
		if callID = "cid-A"; actor != "A" {
			callID = Tag("tok", legNumber(actor))
		}
		return callID, Tag("tok", legNumber(actor))
	}
	r.m = New(Config{Invite: Invite{Token: "tok", Caller: Party{Extension: "22", Number: "22"}, Dialled: "23", Zone: "lan"},
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
		if r.srtp = sdp.Preferred; len(f) > 1 && f[1] == "required" {
			r.srtp = sdp.Required
		}
	case f[0] == "ice":
		r.ice = sdp.ICERequired
	case f[0] == "convert":
		r.convert = true
	case f[0] == "segment":
		r.segment = netip.MustParsePrefix("192.0.2.0/24")
	case f[0] == "digit":
		r.step(Digit{Leg: r.leg(f[1]), Key: f[2][0], Length: 120 * time.Millisecond})
	case f[0] == "rekey":
		r.step(Rekey{Leg: r.leg(f[1]), Keys: []byte("another seed of 32 random octets")})
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
		case "flow": // another way to the same phone
			t := &s.Targets[len(s.Targets)-1]
			other := *t
			other.Name, other.Flows = val, nil
			t.Flows = append(t.Flows, other)
		case "line":
			s.Targets[len(s.Targets)-1].Line = "22"
			s.Targets[len(s.Targets)-1].Credentials = &sip.Credentials{User: "22", Password: "secret"}
		case "through":
			s.Targets[len(s.Targets)-1].Line, s.Targets[len(s.Targets)-1].Through = "22", true
		default:
			s.Targets = append(s.Targets, Target{Name: key, Extension: "23", Flow: sip.Flow{Zone: "lan", Transport: sip.UDP, Local: addr("192.0.2.1:5060"), Remote: addr("192.0.2.50:5060")}, Side: Side{Segment: r.segment},
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
	theirs, err := sdp.Parse([]byte(calltest.Describe("sendonly", 77, "PCMA")))
	if err != nil {
		r.t.Fatal(err)
	}
	l := &leg{stage: confirmed, open: true, talk: &talk{theirs: theirs, local: sdp.Local{Addr: netip.MustParseAddr("192.0.2.1"), Port: 30000, SessionID: 9, Version: 1, Keys: make([]byte, 32)}}}
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
	return r.refs[actor+" "+calltest.Method(words)]
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
		r.pen.Dress(r.t, resp, words)
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
		r.step(Join{Tx: r.lastTx, Req: req, Flow: sip.Flow{Zone: "lan", Transport: sip.UDP, Remote: addr("192.0.2.50:5060")}, Side: Side{Segment: r.segment}, Contact: uri("box", "192.0.2.1"), Who: Party{Extension: "24", Number: "24"},
			Leg: of, Replaces: rep, May: func(Party, bool) bool { return !strings.Contains(strings.Join(words, " "), "stranger") }})
		return
	}
	if what == "INVITE" && leg == 0 && len(r.m.legs) == 0 {
		r.step(Arrived{Tx: r.lastTx, Req: req, Flow: sip.Flow{Zone: "lan", Transport: sip.UDP, Remote: addr("192.0.2.50:5060")}, Side: Side{Segment: r.segment}, Contact: uri("box", "192.0.2.1"), Plan: r.plan})
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
	if v, ok := calltest.Value(words, "seq"); ok {
		n, _ := strconv.Atoi(v)
		seq = uint32(n)
	}
	contact := uri(actor, "192.0.2.50")
	callID := "cid-A"
	if leg > 0 {
		callID = Tag("tok", leg)
	}
	req := sip.Draft{Method: method, Target: uri("23", "192.0.2.1"), From: from, To: to, CallID: callID, Seq: seq, Contact: &contact}.Request()
	r.pen.Dress(r.t, req, words)
	return req
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
	if r.watch != nil {
		r.watch(e)
	}
	switch e := e.(type) {
	case Respond:
		r.say("box -> %s %d%s", r.name(r.legs[e.Tx]), e.Resp.StatusCode, r.pen.Shape(e.Resp, r.show))
	case Send:
		name := r.name(e.Leg)
		r.sent[e.Ref], r.refs[name+" "+string(e.Req.Method)] = e.Req, e.Ref
		r.say("box -> %s %s%s", name, e.Req.Method, r.pen.Shape(e.Req, r.show))
	case Cancel:
		to := r.sent[e.Ref]
		_, leg, _ := Owner(sip.FromTag(to))
		r.say("box -> %s CANCEL%s", r.name(leg), calltest.Withdrawal(e.Reason, r.show))
	case Ack:
		_, leg, _ := Owner(sip.FromTag(e.Req))
		r.say("box -> %s ACK%s", r.name(leg), r.pen.Shape(e.Req, r.show))
	case Open:
		seed := make([]byte, 32)
		seed[0] = byte(e.Leg)
		return []Input{MediaOpened{e.Leg, sdp.Local{SRTP: r.srtp, ICE: r.ice, Convert: r.convert, Addr: netip.MustParseAddr("192.0.2.1"), Port: 20000 + 2*uint16(e.Leg), SessionID: 1, Version: 1, Keys: seed}}}
	case Media:
		kind := ""
		if e.Flow.UDPTL {
			kind = " fax"
		}
		r.say("box : media %s send=%v recv=%v%s", r.name(e.Leg), e.Flow.Send, e.Flow.Recv, kind)
	case Bridge:
		r.say("box : bridge %s %s", r.name(e.A), r.name(e.B))
	case Play:
		if r.say("box : quiet %s", r.name(e.Leg)); e.RingBack {
			r.said[len(r.said)-1] = fmt.Sprintf("box : ring-back %s", r.name(e.Leg))
		}
	case Press:
		r.say("box : press %s %c %v", r.name(e.Leg), e.Key, e.Length)
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
