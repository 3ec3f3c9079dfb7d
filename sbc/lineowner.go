package sbc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"linekeeper/appliance/loop"
	"linekeeper/sbc/exchange"
	"linekeeper/sbc/line"
	"linekeeper/sbc/sip"
)

// lineConfig is what one line is made of; comparable, so that a change is seen.
type lineConfig struct {
	line  Line
	trunk Trunk
	agent string
}

// path is the way a bound line has to the cloud.
type path struct {
	flow   sip.Flow
	routes []sip.URI // Service-Route (RFC 3608)
}

// registerPatience is how long a server may keep silent before the next one is
// asked (RFC 3263 4.3), where there is a next one; timer F alone would take 32 s.
const registerPatience = 8 * time.Second

// lineOwner keeps one account's machine.
type lineOwner struct {
	s    *Switch
	log  *slog.Logger
	loop *loop.Loop[lineEvent, line.Effect]
	m    *line.Machine
	stop context.CancelFunc // set by wake
	lamp *lamp              // nil where the cloud isn't asked about the mailbox
	cfg  atomic.Pointer[lineConfig]
	view atomic.Pointer[LineView]
	way  atomic.Pointer[path]     // nil unless bound
	last atomic.Pointer[path]     // the last one that worked
	flow atomic.Pointer[sip.Flow] // the one the last REGISTER went out on
	at   atomic.Int32             // number of the present target

	// challenge is the newest from the registrar; answers come on readers' goroutines.
	mu        sync.Mutex
	challenge *sip.Challenge
	counts    uint32

	// The rest belongs to the owner's goroutine.
	callID string
	tag    string
	seq    uint32
	try    uint64        // of the newest REGISTER
	failed int           // refusals of the credentials, as last told to Memory
	held   line.Register // waits for its turn among the lines
	turn   bool          // and has it now
}

// lineEvent is an input of the machine with what the room must know about it.
type lineEvent struct {
	in   line.Input
	try  uint64    // the REGISTER that broke; 0: not about one
	flow *sip.Flow // the connection that was lost, if that is what it tells
	path *path     // the way that a 2xx opened
	turn bool      // the REGISTER that was held may try to go out
}

func newLineOwner(s *Switch, c lineConfig) *lineOwner {
	o := &lineOwner{s: s, log: s.log.With("line", c.line.Account), callID: s.random(), tag: s.random()}
	o.cfg.Store(&c)
	o.view.Store(&LineView{Account: c.line.Account, Extension: c.line.Extension, Since: time.Now()})
	o.m = line.New(line.Config{Expires: c.trunk.Expires, Exclusive: c.trunk.Exclusive, NATRefresh: c.trunk.Refresh, Targets: len(*s.lines.targets.Load()), Failed: s.memory.Refused(c.line), Rand: rand.Float64})
	if c.trunk.Summary {
		o.lamp = newLamp(o)
	}
	o.loop = loop.New[lineEvent, line.Effect](o, inboxDepth, o.perform)
	return o
}

func (o *lineOwner) run(ctx context.Context) {
	if err := o.loop.Run(ctx); err != nil {
		o.log.Error("line ended by a defect", "err", err)
	}
	o.way.Store(nil)
}

// quit ends the owner without a word to the cloud.
func (o *lineOwner) quit() {
	if o.stop != nil {
		o.stop()
	}
}

func (o *lineOwner) post(e lineEvent) {
	if err := o.loop.Post(e); errors.Is(err, loop.ErrBusy) {
		o.log.Warn("line takes no input", "input", fmt.Sprintf("%T", e.in), "err", err)
	}
}

// Step is the machine's, but for news that are old: one broken connection is
// told by its transaction and by the wire, and must not cost two targets. What
// the machine then holds of the binding is published with it.
func (o *lineOwner) Step(now time.Time, e lineEvent) []line.Effect {
	if e.turn {
		o.turn = true
		return []line.Effect{o.held}
	}
	if e.try != 0 && e.try != o.try {
		return nil
	}
	if f := o.flow.Load(); e.flow != nil && (f == nil || !alike(*f, *e.flow)) {
		return nil
	}
	if _, due := e.in.(line.Due); due {
		if at := o.s.lines.better(int(o.at.Load()), now); at >= 0 {
			_ = o.m.Step(now, line.Move{Target: at}) // it only says where the next refresh goes
		}
	}
	out := o.m.Step(now, e.in)
	v := o.m.View()
	switch a, answer := e.in.(line.Answer); {
	case v.State != line.Bound:
		o.way.Store(nil)
	case answer && a.Try == o.try && e.path != nil:
		o.way.Store(e.path)
		o.last.Store(e.path)
	}
	if v.Failed != o.failed {
		o.failed = v.Failed
		o.s.memory.NoteRefused(o.cfg.Load().line, v.Failed)
	}
	was := o.view.Load()
	w := *was
	w.Expires, w.Target = v.Until, o.target(was.Target)
	if w != *was {
		o.view.Store(&w)
	}
	return out
}

// target is where the newest REGISTER went.
func (o *lineOwner) target(otherwise Target) Target {
	if f := o.flow.Load(); f != nil {
		return Target{f.Transport, f.Remote}
	}
	return otherwise
}

// look is the line's view with what the configuration says now.
func (o *lineOwner) look() LineView {
	v := *o.view.Load()
	v.Extension = o.cfg.Load().line.Extension
	return v
}

func (o *lineOwner) perform(_ context.Context, tm *loop.Timers[lineEvent], e line.Effect) []lineEvent {
	switch e := e.(type) {
	case line.Register:
		if d := o.wait(e); d > 0 {
			o.held = e
			tm.Arm("turn", d, lineEvent{turn: true})
			return nil
		}
		return o.register(tm, e)
	case line.WakeAfter:
		tm.Arm("wake", e.D, lineEvent{in: line.Due{}})
	case line.Sleep:
		tm.Disarm("wake")
	case line.PingAfter:
		tm.Arm("ping", e.D, lineEvent{in: line.PingDue{}})
	case line.Ping:
		if f := o.flow.Load(); f != nil {
			o.s.pings.Ping(*f)
		}
	case line.Became:
		o.became(e)
		if e.State == line.Gone {
			tm.End()
		}
	case line.Alarm:
		o.alarm(e)
	}
	return nil
}

// wait is how long a REGISTER must wait for its turn among all lines.
func (o *lineOwner) wait(e line.Register) time.Duration {
	turn, c := o.turn, o.cfg.Load()
	o.turn = false
	if e.Auth || c.trunk.Spacing <= 0 {
		return 0
	}
	return o.s.lines.pace.wait(time.Now(), c.trunk.Spacing, c.line.Account, turn)
}

// register sends one REGISTER (RFC 3261 10.2).
func (o *lineOwner) register(tm *loop.Timers[lineEvent], e line.Register) []lineEvent {
	o.try = e.Try
	ts := *o.s.lines.targets.Load()
	if len(ts) > 1 {
		tm.Arm("patience", registerPatience, lineEvent{in: line.Silent{Try: e.Try}, try: e.Try})
	}
	if e.Target >= len(ts) {
		return []lineEvent{{in: line.Broken{}, try: e.Try}}
	}
	t := ts[e.Target]
	c := o.cfg.Load()
	flow, err := o.s.flows.Flow(c.trunk.Zone, t.Transport, t.Addr)
	if err != nil {
		o.log.Info("no way to the registrar", "target", t.Addr, "err", err)
		return []lineEvent{{in: line.Broken{}, try: e.Try}}
	}
	o.at.Store(int32(e.Target))
	o.flow.Store(&flow)
	req := o.request(c, flow, e)
	o.s.exchange.Do(req, flow, func(ev exchange.ClientEvent) { o.answered(e, flow, ev) })
	return nil
}

func (o *lineOwner) request(c *lineConfig, flow sip.Flow, e line.Register) *sip.Request {
	o.seq++
	aor := sip.URI{Scheme: "sip", User: c.line.Account, Host: c.trunk.Domain}
	from := &sip.From{Address: aor, Params: sip.Params{{K: "tag", V: o.tag}}}
	contact := contactURI(c.line.Account, flow)
	extra := outboundHeaders(c, &contact)
	d := sip.Draft{
		Method: sip.REGISTER, Target: sip.URI{Scheme: "sip", Host: c.trunk.Domain}, From: from, To: &sip.To{Address: aor},
		CallID: o.callID, Seq: o.seq,
		Headers: append(extra, sip.ExpiresHeader(e.Expires), sip.NewHeader("Allow", Allow), sip.NewHeader("User-Agent", c.agent)),
	}
	if e.Auth {
		o.mu.Lock()
		ch := o.challenge
		o.counts++
		nc := o.counts
		o.mu.Unlock()
		if ch != nil {
			auth, err := sip.Authorize(*ch, sip.Credentials{User: c.line.Auth, Password: c.line.Password}, sip.REGISTER, sip.URIText(&d.Target), nil, o.s.random(), nc)
			if err == nil {
				d.Headers = append(d.Headers, auth)
			}
		}
	}
	return d.Request()
}

// answered turns what came back into an input of the machine.
func (o *lineOwner) answered(e line.Register, flow sip.Flow, ev exchange.ClientEvent) {
	o.stand(flow, ev)
	if ev.Err != nil {
		if errors.Is(ev.Err, exchange.ErrLost) {
			o.post(lineEvent{in: line.Broken{Certificate: o.s.certificate(ev.Err)}, try: e.Try})
			return
		}
		o.post(lineEvent{in: line.Silent{Try: e.Try}})
		return
	}
	resp := ev.Response
	account := o.cfg.Load().line.Account
	if resp.StatusCode >= 200 {
		o.s.evidence.Answered(account, o.s.TargetAt(flow), int(resp.StatusCode))
	}
	a := line.Answer{Try: e.Try, Code: int(resp.StatusCode)}
	a.RetryAfter, _ = sip.RetryAfterOf(resp)
	a.MinExpires, _ = sip.MinExpiresOf(resp)
	a.FlowTimer = flowTimerOf(resp)
	if cs := sip.Challenges(resp); len(cs) > 0 && (a.Code == 401 || a.Code == 407) {
		a.Stale = cs[0].Stale
		o.mu.Lock()
		o.challenge, o.counts = &cs[0], 0
		o.mu.Unlock()
	}
	var way *path
	if a.Code/100 == 2 && e.Expires > 0 {
		c := o.cfg.Load()
		a.Expires, a.Others = ownBinding(resp, contactURI(c.line.Account, flow), c.trunk.Expires)
		way = &path{flow: ours(ev.Flow, flow), routes: serviceRoute(resp)}
	}
	o.post(lineEvent{in: a, path: way})
}

// ownBinding reads our own binding out of a 200 and counts the strangers'. mine
// is the contact that we sent.
func ownBinding(resp *sip.Response, mine sip.URI, otherwise time.Duration) (expires time.Duration, others int) {
	contacts := sip.Contacts(resp)
	for _, ct := range contacts {
		ours := ct.Address.User == mine.User && strings.Trim(ct.Address.Host, "[]") == mine.Host
		switch {
		case ours && (ct.Address.Port == mine.Port || len(contacts) == 1):
			expires = sip.ContactExpires(resp, ct, otherwise)
		case !ours: // else our own contact of an earlier connection
			others++
		}
	}
	if expires == 0 && len(contacts) == 1 { // a registrar that wrote our contact anew (NAT)
		expires, others = sip.ContactExpires(resp, contacts[0], otherwise), 0
	}
	return expires, others
}

// stand notes how the server did.
func (o *lineOwner) stand(flow sip.Flow, ev exchange.ClientEvent) {
	t, now := Target{flow.Transport, flow.Remote}, time.Now()
	switch {
	case ev.Err != nil:
		o.s.lines.standings.failed(t, 0, now)
	case ev.Response.StatusCode == 503:
		after, _ := sip.RetryAfterOf(ev.Response)
		o.s.lines.standings.failed(t, after, now)
	case ev.Response.StatusCode >= 200:
		o.s.lines.standings.answered(t, ev.Response.StatusCode, now)
	}
}

// ours is the flow that an answer came on, or the one that our contact names where
// only a large request went another way.
func ours(came, asked sip.Flow) sip.Flow {
	if came.Transport != asked.Transport {
		return asked
	}
	return came
}

// serviceRoute is the way that the registrar wants requests to take (RFC 3608).
func serviceRoute(resp *sip.Response) []sip.URI {
	uris := sip.Identities(resp, "Service-Route")
	return uris[:min(len(uris), maxServiceRoutes)]
}

// became publishes a line's state and says so once.
func (o *lineOwner) became(e line.Became) {
	v := *o.view.Load()
	if v.State != e.State {
		v.Since = time.Now()
	}
	v.State, v.Cause = e.State, e.Cause
	v.Target = o.target(v.Target)
	o.view.Store(&v)
	o.log.Info("line", "state", e.State.String(), "cause", e.Cause.String())
	o.s.evidence.LineChanged(o.look())
	if o.lamp != nil {
		o.lamp.line(e.State)
	}
}

func (o *lineOwner) alarm(e line.Alarm) {
	v := *o.view.Load()
	v.Alarm = ""
	if e.On {
		v.Alarm = e.Code.String()
		o.log.Error("line needs attention", "alarm", v.Alarm)
	}
	o.view.Store(&v)
	o.s.evidence.LineChanged(o.look())
}
