package sbc

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"linekeeper/appliance/loop/looptest"
	"linekeeper/sbc/call"
	"linekeeper/sbc/call/calltest"
	"linekeeper/sbc/dialog"
	"linekeeper/sbc/event"
	"linekeeper/sbc/exchange"
	"linekeeper/sbc/location"
	"linekeeper/sbc/sdp"
	"linekeeper/sbc/sip"
	"linekeeper/sbc/txn"
	"linekeeper/sbc/wire"
)

// exception is what the switchboard does otherwise than the call alone.
type exception struct {
	why string
	// until begins the line before which the ladder leaves this stage; empty: it is
	// played to its end.
	until string
	// mute passes over the box's own lines; what the actors hear is checked.
	mute bool
}

// exceptions are all there are. Each is asserted: a ladder that no longer comes to its
// line, or does the same as everywhere, fails.
func exceptions() map[string]exception {
	two := "a second call is needed, which the ladder doesn't show: room/attended-transfer and its like have both"
	return map[string]exception{
		"too-many-hops":                   {why: "the switchboard refuses it before there is a call", mute: true},
		"transfer-attended":               {why: two, until: "box : move"},
		"transfer-attended-later":         {why: two, until: "box : move"},
		"transfer-attended-there":         {why: two, until: "adopt"},
		"transfer-while-it-rings":         {why: two, until: "adopt"},
		"transfer-while-it-rings-in-vain": {why: two, until: "adopt"},
	}
}

// TestLaddersOverSockets plays the ladders of sbc/call against a switchboard whose
// actors are on sockets of their own. The box's lines are checked in order for each
// actor, and those about the box itself; what is said to different actors at a time
// may come in any order. Calls live by a clock that the ladder's waits move.
func TestLaddersOverSockets(t *testing.T) {
	odd := exceptions()
	for name := range odd {
		if _, err := os.Stat("../testdata/ladders/" + name + ".ladder"); err != nil {
			t.Errorf("an exception for nothing: %v", err)
		}
	}
	calltest.Play(t, "../testdata/ladders", func(t *testing.T, file string, lines []calltest.Line) {
		t.Parallel()
		x := odd[strings.TrimSuffix(filepath.Base(file), ".ladder")]
		st := newStage(t, lines, x.mute)
		for _, line := range lines {
			if x.until != "" && strings.HasPrefix(line.Text, x.until) {
				st.x.Stop()
				return
			}
			st.line(line)
		}
		if x.until != "" {
			t.Errorf("it is played to its end: no exception any more")
		}
		st.end()
	})
}

// stage is the world around one call.
type stage struct {
	t      *testing.T
	s      *Switch
	x      *exchange.Exchange
	w      *wire.Wire
	clock  *looptest.Clock
	pen    calltest.Pen
	show   []string
	mute   bool // pass over the box's own lines
	direct bool // phones may do without the box
	plan   call.Plan
	again  *call.Plan
	actors map[string]*actor
	tcp    map[string]bool
	held   map[string]calltest.Line // CANCELs that wait for a sign (RFC 3261 9.1)
	within time.Duration

	sent, received, lost atomic.Int64
	stir                 chan struct{} // something has come

	mu     sync.Mutex
	routed int
	// legs is the highest number of a leg in a plan, replanned says that the second
	// plan has been used.
	legs      int
	replanned bool
	own       []news
	ports     map[*recorded]string // whose media
	opened    uint16
}

// news is something that the box did by itself.
type news struct {
	texts   []string // any of these; %s is for the streams' names
	streams []*recorded
	state   call.State
}

func newStage(t *testing.T, lines []calltest.Line, mute bool) *stage {
	st := &stage{t: t, mute: mute, clock: looptest.New(time.Now()), actors: map[string]*actor{}, tcp: map[string]bool{}, held: map[string]calltest.Line{},
		stir: make(chan struct{}, 1), ports: map[*recorded]string{}, within: 10 * time.Second}
	timers := txn.Defaults()
	for _, l := range lines {
		if len(l.Words) > 1 && l.Words[1] == "lost" {
			st.tcp[l.Words[0]] = true
		}
		if len(l.Words) > 1 && l.Words[1] == "unacked" { // it takes 64*T1
			timers.T1 = 80 * time.Millisecond
		}
	}
	log := slog.New(slog.DiscardHandler)
	zone := wire.Zone{Name: LAN}
	for _, lead := range []sip.Transport{sip.UDP, sip.TCP} {
		zone.Listen = append(zone.Listen, wire.Listen{Transport: lead, Addr: netip.MustParseAddrPort("127.0.0.1:0")})
	}
	st.w = wire.New(wire.Deps{Zones: []wire.Zone{zone}, Log: log, Guard: wire.NewGuard(wire.Rules{})})
	x, err := exchange.New(exchange.Deps{Sender: st.w, Log: log, Rand: rand.Reader, Timers: timers})
	if err != nil {
		t.Fatal(err)
	}
	st.x = x
	st.w.Handle(st)
	st.s = New(Deps{
		Log: log, Exchange: x, Flows: st.w, Pings: st, Media: st, Location: location.New(nil), Guard: st, Evidence: st, Watch: st,
		Brain:       func() call.Router { return routerFunc(st.route) },
		Memory:      &memory{refused: map[string]int{}},
		Certificate: func(error) bool { return false }, Survival: routerFunc(st.replan), Clock: st.clock,
		Subscriptions: &shelf[Subscription]{}, Mailboxes: &shelf[event.Counts]{},
	})
	cfg := site(t)
	cfg.Lines = nil
	cfg.Clients = []Client{{Name: "actors", Address: netip.MustParseAddr("127.0.0.1"), Extensions: []string{"22", "23", "24"}}}
	for name, side := range cfg.Sides {
		for _, l := range lines {
			switch strings.Join(l.Words, " ") {
			case "srtp":
				side.SRTP = sdp.Preferred
			case "srtp required":
				side.SRTP = sdp.Required
			case "ice":
				side.ICE = sdp.ICERequired
			case "convert":
				side.Transcode = true
			}
		}
		cfg.Sides[name] = side
	}
	if slices.ContainsFunc(lines, func(l calltest.Line) bool { return slices.Equal(l.Words, []string{"segment"}) }) {
		side := cfg.Sides[LAN]
		side.Direct = true
		cfg.Sides[LAN] = side
		st.direct, st.pen.Addr = true, "127.0.0.1"
	}
	cfg.Sides[cfg.Clients[0].Side()] = cfg.Sides[LAN]
	st.s.Configure(cfg)
	st.pen.Dialog = st.dialog
	st.run(st.s.Run)
	st.run(st.w.Run)
	st.cast(lines)
	return st
}

// run lets a room live until the test ends.
func (st *stage) run(room func(context.Context, func()) error) {
	ctx, end := context.WithCancel(context.Background())
	ready, gone := make(chan struct{}), make(chan error, 1)
	go func() { gone <- room(ctx, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-gone:
		st.t.Fatal(err)
	}
	st.t.Cleanup(func() {
		end()
		if err := <-gone; err != nil {
			st.t.Error(err)
		}
	})
}

// line plays one line of the ladder.
func (st *stage) line(l calltest.Line) {
	f := l.Words
	switch {
	case len(f) == 0:
	case l.Box():
		st.expect(l)
	case slices.Contains([]string{"plan", "replan", "reject", "insist"}, f[0]):
		st.plans(f)
	case f[0] == "show":
		st.show = f[1:]
	case f[0] == "srtp", f[0] == "ice", f[0] == "convert", f[0] == "segment": // the configuration has it
	case f[0] == "digit":
		id, _ := strconv.Atoi(strings.TrimPrefix(f[1], "B"))
		for _, o := range st.owners() {
			_ = o.post(call.Digit{Leg: call.LegID(id), Key: f[2][0], Length: 120 * time.Millisecond})
		}
		st.settle()
	case f[0] == "rekey":
		id, _ := strconv.Atoi(strings.TrimPrefix(f[1], "B"))
		for _, o := range st.owners() {
			_ = o.post(call.Rekey{Leg: call.LegID(id), Keys: []byte("another seed of 32 random octets")})
		}
		st.settle()
	case f[0] == "wait":
		d, err := time.ParseDuration(f[1])
		if err != nil {
			st.t.Fatal(err)
		}
		st.clock.Advance(d)
	case f[0] == "hangup":
		for _, o := range st.owners() {
			_ = o.post(call.Hangup{End: call.End{Blame: call.ByUs, Code: 503, Reason: "shutdown"}})
		}
		st.settle()
	case f[0] == "over":
		st.until("the call is over", func() bool { return len(st.owners()) == 0 })
	case f[0] == "moved" && f[2] == "481": // so the switchboard says by itself: there is no other call
		st.settle()
	case len(f) == 1:
		st.t.Fatalf("cannot read %q", l.Text)
	case f[1] == "unacked": // the ACK never comes
	case f[1] == "lost":
		n := st.lost.Load()
		st.actors[f[0]].lose()
		st.until("the loss is known", func() bool { return st.lost.Load() > n })
		st.settle()
	case f[1] == "->":
		st.says(st.actors[f[0]], f[3], f[4:])
	default:
		st.t.Fatalf("cannot read %q", l.Text)
	}
}

func (st *stage) says(a *actor, what string, words []string) {
	if code, err := strconv.Atoi(what); err == nil {
		a.respond(&st.pen, code, words)
		st.settle()
		if l, ok := st.held[a.name]; ok && code > 100 {
			delete(st.held, a.name)
			if code < 200 {
				st.expect(l)
			}
		}
		return
	}
	a.ask(&st.pen, sip.Method(what), words)
	st.settle()
}

// plans takes what the routers will say.
func (st *stage) plans(f []string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	switch f[0] {
	case "plan":
		st.plan.Steps = append(st.plan.Steps, st.stepLocked(f[1:]))
	case "replan":
		if st.again == nil {
			st.again = &call.Plan{}
		}
		st.again.Steps = append(st.again.Steps, st.stepLocked(f[1:]))
	case "reject":
		code, _ := strconv.Atoi(f[1])
		st.plan.Reject = &sip.Reject{Code: code, Phrase: strings.Join(f[2:], " ")}
	case "insist":
		st.plan.Insist = true
	}
}

func (st *stage) stepLocked(f []string) call.Step {
	var s call.Step
	for _, w := range f {
		key, val, _ := strings.Cut(w, "=")
		last := func() *call.Target { return &s.Targets[len(s.Targets)-1] }
		switch key {
		case "ring":
			s.Ring, _ = time.ParseDuration(val)
		case "silent":
			s.Silent, _ = time.ParseDuration(val)
		case "line":
			last().Line = last().Name
			last().Credentials = &sip.Credentials{User: "22", Password: "secret"}
		case "through":
			last().Line, last().Through = last().Name, true
		case "flow": // another way to the same phone is another leg
			st.legs++
			last().Flows = append(last().Flows, st.target(fmt.Sprint("B", st.legs)))
		default:
			n, _ := strconv.Atoi(strings.TrimPrefix(key, "B"))
			st.legs = max(st.legs, n)
			s.Targets = append(s.Targets, st.target(key))
		}
	}
	return s
}

func (st *stage) target(name string) call.Target {
	a := st.actors[name]
	flow, err := st.w.Flow(LAN, a.lead, a.at())
	if err != nil {
		st.t.Fatal(err)
	}
	box := sip.URI{Scheme: "sip", User: "23", Host: "127.0.0.1"}
	caller := sip.URI{Scheme: "sip", User: "22", Host: "127.0.0.1"}
	side := call.Side{Name: LAN, Addr: flow.Local.Addr()}
	if st.direct {
		side.Segment = segment(flow.Remote.Addr())
	}
	return call.Target{Name: name, Extension: "23", Flow: flow, URI: a.contact(), From: dialog.Address{URI: caller}, To: dialog.Address{URI: box},
		Contact: contactURI("23", flow), Side: side}
}

// cast brings in every actor of the ladder.
func (st *stage) cast(lines []calltest.Line) {
	listening := st.w.Listening(LAN)
	names := regexp.MustCompile(`^(A|B[0-9]+)$`)
	for _, l := range lines {
		for _, name := range l.Words {
			if !names.MatchString(name) || st.actors[name] != nil {
				continue
			}
			lead := sip.UDP
			if st.tcp[name] {
				lead = sip.TCP
			}
			i := slices.IndexFunc(listening, func(l wire.Listen) bool { return l.Transport == lead })
			st.actors[name] = newActor(st.t, name, lead, listening[i].Addr, func() { st.sent.Add(1) })
		}
	}
}

func (st *stage) dialog(name string) (callID, tag string) {
	a := st.actors[name]
	if a == nil {
		return "cid-" + name, "nobody-1"
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.callID, a.theirs
}

// settle waits until the box has heard what was said and its calls rest.
func (st *stage) settle() {
	st.t.Helper()
	st.until("the box hears", func() bool { return st.received.Load() >= st.sent.Load() })
	for _, o := range st.owners() {
		for {
			st.clock.Settle()
			if o.loop.Waiting() == 0 {
				break
			}
		}
	}
	st.clock.Settle()
}

func (st *stage) owners() (list []*owner) {
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	for _, o := range st.s.calls {
		list = append(list, o)
	}
	return list
}

// until waits for something that will happen by itself.
func (st *stage) until(what string, ok func() bool) {
	st.t.Helper()
	late := time.After(st.within)
	for !ok() {
		look := time.NewTimer(5 * time.Millisecond)
		select {
		case <-st.stir:
		case <-look.C:
		case <-late:
			st.t.Fatalf("never: %s", what)
		}
	}
}

func (st *stage) expect(l calltest.Line) {
	st.t.Helper()
	switch {
	case l.Said() == "box : over":
		st.until("the call is over", func() bool { return len(st.owners()) == 0 })
	case l.Own() && (st.mute || l.Words[2] == "move"): // moving shows by what comes of it
	case l.Own():
		st.did(l)
	default:
		st.hears(st.actors[l.To()], l)
	}
}

// hears checks what an actor gets next.
func (st *stage) hears(a *actor, l calltest.Line) {
	st.t.Helper()
	a.mu.Lock()
	signs := a.signs
	a.mu.Unlock()
	if l.Words[3] == "CANCEL" && !signs {
		st.held[a.name] = l
		return
	}
	m, ok := a.next(time.After(st.within))
	if !ok {
		st.t.Fatalf("%q: nothing comes; the box did %v", l.Said(), st.undone())
	}
	if got := st.words(a, m); got != l.Said() {
		st.t.Fatalf("the ladder went otherwise:\n want %q\n got  %q\n%s", l.Said(), got, sip.Bytes(m))
	}
}

// words is a message of the box as the line of a ladder.
func (st *stage) words(a *actor, m sip.Message) string {
	text := fmt.Sprintf("box -> %s ", a.name)
	switch m := m.(type) {
	case *sip.Request:
		text += string(m.Method)
		if m.Method == sip.CANCEL {
			return text + calltest.Withdrawal(sip.HeaderValue(m, "Reason"), st.show)
		}
	case *sip.Response:
		text += strconv.Itoa(m.StatusCode)
	}
	return text + st.pen.Shape(m, st.show)
}

// did checks what the box did next by itself.
func (st *stage) did(l calltest.Line) {
	st.t.Helper()
	st.until(l.Said(), func() bool {
		st.mu.Lock()
		defer st.mu.Unlock()
		return len(st.own) > 0
	})
	st.mu.Lock()
	defer st.mu.Unlock()
	n := st.own[0]
	st.own = st.own[1:]
	want := strings.TrimPrefix(l.Said(), "box : ")
	if !st.fits(n, want) {
		st.t.Fatalf("the ladder went otherwise:\n want %q\n got  %q", want, st.textLocked(n))
	}
}

// fits compares. A call that ends and is over in the same moment is told as over.
func (st *stage) fits(n news, want string) bool {
	if n.state != "" {
		return string(n.state) == want || n.state == call.Over && want == string(call.Ending)
	}
	words := strings.Fields(want)
	for i, s := range n.streams { // media that no actor was told of yet
		if st.nameLocked(s) == "" && len(words) > i+1 {
			st.ports[s] = words[i+1]
		}
	}
	return slices.Contains(st.textLocked(n), want)
}

func (st *stage) textLocked(n news) (out []string) {
	if n.state != "" {
		return []string{string(n.state)}
	}
	names := make([]any, len(n.streams))
	for i, s := range n.streams {
		names[i] = st.nameLocked(s)
	}
	for _, text := range n.texts {
		out = append(out, fmt.Sprintf(text, names...))
	}
	return out
}

func (st *stage) undone() (list []string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, n := range st.own {
		list = append(list, st.textLocked(n)...)
	}
	return list
}

// nameLocked is whose media a stream is: that of the actor that was told of its port.
func (st *stage) nameLocked(s *recorded) string {
	for name, a := range st.actors {
		a.mu.Lock()
		port := a.port
		a.mu.Unlock()
		if port == s.at.Port() {
			st.ports[s] = name
		}
	}
	return st.ports[s]
}

// end checks that nothing is left over.
func (st *stage) end() {
	for name, a := range st.actors {
		for _, m := range a.rest() {
			st.t.Errorf("besides: %s", st.words(a, m))
		}
		if l, ok := st.held[name]; ok && a.signs {
			st.t.Errorf("never came: %s", l.Text)
		}
	}
	if left := st.undone(); len(left) > 0 {
		st.t.Errorf("besides, the box did %q", left)
	}
	st.x.Stop()
}
