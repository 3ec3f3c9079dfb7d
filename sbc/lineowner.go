package sbc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
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

// lineOwner keeps one account's machine.
type lineOwner struct {
	s    *Switch
	log  *slog.Logger
	loop *loop.Loop[line.Input, line.Effect]
	cfg  atomic.Pointer[lineConfig]
	view atomic.Pointer[LineView]
	way  atomic.Pointer[path]
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
	cause  line.Cause
}

func newLineOwner(s *Switch, c lineConfig) *lineOwner {
	o := &lineOwner{s: s, log: s.log.With("line", c.line.Account), callID: s.random(), tag: s.random()}
	o.cfg.Store(&c)
	o.view.Store(&LineView{Account: c.line.Account, Extension: c.line.Extension, Since: time.Now()})
	m := line.New(line.Config{Expires: c.trunk.Expires, Exclusive: c.trunk.Exclusive, NATRefresh: c.trunk.Refresh, Targets: len(*s.lines.targets.Load()), Rand: rand.Float64})
	o.loop = loop.New[line.Input, line.Effect](m, inboxDepth, o.perform)
	return o
}

func (o *lineOwner) run(ctx context.Context) {
	if err := o.loop.Run(ctx); err != nil {
		o.log.Error("line ended by a defect", "err", err)
	}
}

func (o *lineOwner) post(in line.Input) {
	if err := o.loop.Post(in); errors.Is(err, loop.ErrBusy) {
		o.log.Warn("line takes no input", "input", fmt.Sprintf("%T", in), "err", err)
	}
}

func (o *lineOwner) perform(_ context.Context, tm *loop.Timers[line.Input], e line.Effect) []line.Input {
	switch e := e.(type) {
	case line.Register:
		return o.register(e)
	case line.WakeAfter:
		tm.Arm("wake", e.D, line.Due{})
	case line.Sleep:
		tm.Disarm("wake")
	case line.PingAfter:
		tm.Arm("ping", e.D, line.PingDue{})
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

// register sends one REGISTER (RFC 3261 10.2).
func (o *lineOwner) register(e line.Register) []line.Input {
	ts := *o.s.lines.targets.Load()
	if e.Target >= len(ts) {
		return []line.Input{line.Broken{}}
	}
	t := ts[e.Target]
	c := o.cfg.Load()
	flow, err := o.s.flows.Flow(c.trunk.Zone, t.Transport, t.Addr)
	if err != nil {
		o.log.Info("no way to the registrar", "target", t.Addr, "err", err)
		return []line.Input{line.Broken{}}
	}
	o.at.Store(int32(e.Target))
	o.flow.Store(&flow)
	req := o.request(c, flow, e)
	try := e.Try
	o.s.exchange.Do(req, flow, func(ev exchange.ClientEvent) { o.answered(try, e.Expires, ev) })
	return nil
}

func (o *lineOwner) request(c *lineConfig, flow sip.Flow, e line.Register) *sip.Request {
	o.seq++
	aor := sip.URI{Scheme: "sip", User: c.line.Account, Host: c.trunk.Domain}
	from := &sip.From{Address: aor, Params: sip.Params{{K: "tag", V: o.tag}}}
	contact := contactURI(c.line.Account, flow)
	d := sip.Draft{
		Method: sip.REGISTER, Target: sip.URI{Scheme: "sip", Host: c.trunk.Domain}, From: from, To: &sip.To{Address: aor},
		CallID: o.callID, Seq: o.seq, Contact: &contact,
		Headers: []sip.Header{sip.ExpiresHeader(e.Expires), sip.NewHeader("Allow", Allow), sip.NewHeader("User-Agent", c.agent)},
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
func (o *lineOwner) answered(try uint64, asked time.Duration, ev exchange.ClientEvent) {
	if ev.Err != nil {
		if errors.Is(ev.Err, exchange.ErrLost) {
			o.post(line.Broken{Certificate: o.s.certificate(ev.Err)})
			return
		}
		o.post(line.Silent{Try: try})
		return
	}
	resp := ev.Response
	account := o.cfg.Load().line.Account
	if resp.StatusCode >= 200 {
		o.s.evidence.Answered(account, int(resp.StatusCode))
	}
	a := line.Answer{Try: try, Code: int(resp.StatusCode)}
	a.RetryAfter, _ = sip.RetryAfterOf(resp)
	a.MinExpires, _ = sip.MinExpiresOf(resp)
	if cs := sip.Challenges(resp); len(cs) > 0 && (a.Code == 401 || a.Code == 407) {
		a.Stale = cs[0].Stale
		o.mu.Lock()
		o.challenge, o.counts = &cs[0], 0
		o.mu.Unlock()
	}
	if a.Code/100 == 2 && asked > 0 {
		a.Expires, a.Others = o.bound(resp, ev.Flow)
	}
	o.post(a)
}

// bound reads our own binding out of a 200 and counts the strangers'.
func (o *lineOwner) bound(resp *sip.Response, flow sip.Flow) (expires time.Duration, others int) {
	c := o.cfg.Load()
	mine := contactURI(c.line.Account, *o.flow.Load())
	contacts := sip.Contacts(resp)
	for _, ct := range contacts {
		if ct.Address.User == mine.User && ct.Address.Host == mine.Host && (ct.Address.Port == mine.Port || len(contacts) == 1) {
			expires = sip.ContactExpires(resp, ct, c.trunk.Expires)
			continue
		}
		if ct.Address.Host == mine.Host && ct.Address.User == mine.User {
			continue // our own contact of an earlier connection
		}
		others++
	}
	if expires == 0 && len(contacts) == 1 { // a registrar that wrote our contact anew (NAT)
		expires, others = sip.ContactExpires(resp, contacts[0], c.trunk.Expires), 0
	}
	if expires > 0 {
		p := &path{flow: flow}
		for _, v := range sip.HeaderValues(resp, "Service-Route") {
			if _, u, _, err := sip.ParseAddress(v); err == nil {
				p.routes = append(p.routes, u)
			}
		}
		o.way.Store(p)
	}
	return expires, others
}

// became publishes a line's state and says so once.
func (o *lineOwner) became(e line.Became) {
	v := *o.view.Load()
	if v.State != e.State {
		v.Since = time.Now()
	}
	v.State, v.Cause = e.State, e.Cause
	if ts := *o.s.lines.targets.Load(); int(o.at.Load()) < len(ts) {
		v.Target = ts[o.at.Load()]
	}
	o.view.Store(&v)
	if e.State != line.Bound {
		o.way.Store(nil)
	}
	o.log.Info("line", "state", e.State.String(), "cause", e.Cause.String())
	o.s.evidence.LineChanged(v)
}

func (o *lineOwner) alarm(e line.Alarm) {
	v := *o.view.Load()
	v.Alarm = ""
	if e.On {
		v.Alarm = e.Code.String()
		o.log.Error("line needs attention", "alarm", v.Alarm)
	}
	o.view.Store(&v)
	o.s.evidence.LineChanged(v)
}
