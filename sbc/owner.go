package sbc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"linekeeper/appliance/loop"
	"linekeeper/sbc/call"
	"linekeeper/sbc/exchange"
	"linekeeper/sbc/sip"
)

// owner keeps one call: its machine, its transactions and its ports.
type owner struct {
	s     *Switch
	cfg   *Config
	inv   call.Invite
	token string
	log   *slog.Logger
	merge string
	// chain and place tell a loop; see chain.go.
	chain, place string
	over         bool // off the bound of calls; under the switch's lock
	loop         *loop.Resting[call.Input, call.Effect]
	m            *call.Machine
	view         atomic.Pointer[CallView]

	// txs are the server transactions that wait for an answer. They are put in
	// by whoever dispatches a request and taken out by the owner; nil once it ended.
	mu     sync.Mutex
	txs    map[call.TxID]asked
	lastTx call.TxID

	// moved are the tags of legs that came over from other calls; under the switch's lock.
	moved []string

	// The rest belongs to the loop alone.
	invites map[call.Ref]*exchange.Client // may be cancelled
	legs    map[call.LegID]*port
	bridged [2]call.LegID
	direct  bool // media goes past the box
	report  *CallReport

	// ports is what the watch of running media may look at.
	ports atomic.Pointer[[]port]
}

// asked is a request that waits for its answer.
type asked struct {
	tx  *exchange.Server
	req *sip.Request
}

func newOwner(s *Switch, cfg *Config, inv call.Invite, flow sip.Flow) *owner {
	o := &owner{
		s: s, cfg: cfg, inv: inv, token: inv.Token, log: s.log.With("call", inv.Token),
		txs: make(map[call.TxID]asked), invites: make(map[call.Ref]*exchange.Client), legs: make(map[call.LegID]*port),
	}
	o.m = call.New(call.Config{Invite: inv, Random: s.random, Agent: cfg.Agent, Session: call.DefaultSession, Patience: call.DefaultPatience,
		Connected: s.connected(cfg, inv, flow), Outside: func(p call.Party) []sip.Header { return s.inside(cfg, p) }})
	o.loop = loop.NewResting[call.Input, call.Effect](s.clock, s.crew, o, inboxDepth, o.perform, o.gone)
	o.view.Store(&CallView{View: o.m.View()})
	return o
}

// Step is the machine's. A new call is routed here, on a goroutine of the call's: it
// costs no reader time, and a brain that panics loses this call alone.
func (o *owner) Step(now time.Time, in call.Input) []call.Effect {
	if a, ok := in.(call.Arrived); ok {
		a.Plan = o.s.brain().Route(o.inv)
		in = a
	}
	out := o.m.Step(now, in)
	if !o.m.Standing(o.view.Load().Legs) {
		o.publish() // seen from the first moment, and at each step of a leg
	}
	return out
}

// gone clears up after the call's loop. A panic costs this call and no other.
func (o *owner) gone(err error) {
	defer o.s.wg.Done()
	for _, p := range o.legs {
		p.stream.Close()
	}
	for _, c := range o.invites { // else they hold the whole call for 64*T1
		c.Release()
	}
	o.s.forget(o)
	o.mu.Lock()
	left := o.txs
	o.txs = nil
	o.mu.Unlock()
	switch {
	case err != nil:
		o.broken(err, left)
	case o.m.Done():
		for _, a := range left { // came in the last moment
			o.s.answer(a.tx, a.req, 481)
		}
	}
}

// broken lets go of what a call that panicked was about: whoever waits gets his
// answer, and nothing goes on ringing.
func (o *owner) broken(err error, left map[call.TxID]asked) {
	attrs := []any{"err", err}
	var p *loop.Panic
	if errors.As(err, &p) {
		attrs = append(attrs, "stack", string(p.Stack))
	}
	o.log.Error("call ended by a defect", attrs...)
	for _, a := range left {
		resp := sip.Respond(a.req, 500, "", call.Tag(o.token, 0))
		resp.AppendHeader(sip.NewHeader("Server", o.cfg.Agent))
		a.tx.Respond(resp)
	}
	for _, c := range o.invites {
		c.Cancel()
	}
	v := *o.view.Load()
	if v.End == nil {
		v.Legs = nil
		o.s.notices.callChanged(o.token, nil)
		v.State, v.End, v.Ended = call.Over, &call.End{Blame: call.ByUs, Code: 500, Reason: "a defect of the appliance"}, time.Now()
		o.view.Store(&v)
		o.s.watch.CallEnded(v)
	}
}

// post hands an input in. An owner too busy to take it loses the message, as the
// network might have; the transaction's timers repeat what matters.
func (o *owner) post(in call.Input) error {
	err := o.loop.Post(in)
	switch {
	case errors.Is(err, loop.ErrEnded): // a repetition of what was settled
		o.log.Debug("call has ended", "input", fmt.Sprintf("%T", in))
	case err != nil: // never the input itself: it may carry media keys
		o.log.Warn("call takes no input", "input", fmt.Sprintf("%T", in), "err", err)
	}
	return err
}

// keep remembers a request for the machine to answer by number.
func (o *owner) keep(tx *exchange.Server, req *sip.Request) call.TxID {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lastTx++
	if o.txs != nil {
		o.txs[o.lastTx] = asked{tx, req}
	}
	return o.lastTx
}

func (o *owner) take(id call.TxID, final bool) *exchange.Server {
	o.mu.Lock()
	defer o.mu.Unlock()
	tx := o.txs[id].tx
	if final {
		delete(o.txs, id)
	}
	return tx
}

// request gives an in-dialog request to the machine. After an error it is the
// caller's to answer; it is loop.ErrBusy or loop.ErrEnded.
func (o *owner) request(leg call.LegID, tx *exchange.Server, req *sip.Request, flow sip.Flow) error {
	tx.OnUnacked(func() { _ = o.post(call.Unacked{Leg: leg}) })
	id := o.keep(tx, req)
	in := call.Request{Leg: leg, Tx: id, Req: req, Flow: flow}
	if req.Method == sip.REFER {
		in.Far = o.s.far(req)
	}
	err := o.post(in)
	if err != nil {
		o.take(id, true)
	}
	return err
}

// perform carries out one effect of the machine.
func (o *owner) perform(_ context.Context, tm *loop.Timers[call.Input], e call.Effect) []call.Input {
	switch e := e.(type) {
	case call.Respond:
		if tx := o.take(e.Tx, e.Resp.StatusCode >= 200); tx != nil {
			tx.Respond(e.Resp)
		}
	case call.Send:
		o.send(e)
	case call.Cancel:
		o.cancel(e)
	case call.Ack:
		if err := o.s.exchange.Send(e.Req, anyConn(e.Flow)); err != nil {
			o.log.Warn("ack not sent", "err", err)
		}
	case call.Open:
		return o.open(e)
	case call.Media:
		o.media(e)
	case call.Bridge:
		o.bridge(e)
	case call.Direct:
		o.direct = e.On
		o.log.Info("media", "past_the_box", e.On)
		o.watchPorts()
	case call.Play:
		o.play(e)
	case call.Press:
		o.press(e)
	case call.Close:
		o.close(e.Leg)
	case call.Arm:
		tm.Arm(e.Key, e.D, call.Due{Key: e.Key})
	case call.Disarm:
		tm.Disarm(e.Key)
	case call.Replan:
		o.s.count.replans.Add(1)
		return []call.Input{call.Planned{Plan: o.s.survival.Route(e.Invite)}}
	case call.Transfer:
		return []call.Input{call.Planned{Plan: o.s.onward(e)}}
	case call.Move:
		return o.move(e)
	case call.Adopted:
		o.adopted(e)
	case call.Gone:
		delete(o.legs, e.Leg)
		o.watchPorts()
	case call.Forward:
		o.forward(e.Tx)
	case call.Redirect:
		return []call.Input{call.Planned{Plan: o.s.brain().Route(e.Invite)}}
	case call.Silent:
		o.silent(e.Target)
	case call.Overloaded:
		o.suspect(e.Target, e.After)
	case call.Heard:
		o.heard(e.Target)
	case call.Became:
		o.became(e.State, tm)
	case call.Ended:
		o.ended(e.End)
	}
	return nil
}

// heard and silent are evidence only where the cloud was asked.
func (o *owner) heard(t call.Target) {
	if t.Line != "" {
		o.s.evidence.Answered(t.Line, o.s.TargetAt(t.Flow), 100)
		o.s.lines.standings.answered(Target{t.Flow.Transport, t.Flow.Remote}, 100, time.Now())
	}
}

func (o *owner) silent(t call.Target) {
	if t.Line != "" {
		o.s.evidence.InviteSilent(t.Line, o.s.TargetAt(t.Flow))
		o.suspect(t, 0)
	}
}

// suspect lets calls try other servers first.
func (o *owner) suspect(t call.Target, after time.Duration) {
	if t.Line == "" {
		return
	}
	o.s.lines.suspect(t.Line, t.Flow, after)
	if t.Through {
		o.s.pass.moveOn(t.Flow)
	}
}

func (o *owner) send(e call.Send) {
	ref, leg, flow := e.Ref, e.Leg, e.Flow // not the request: whoever listens is kept for long
	first := e.Req.Method == sip.INVITE && sip.ToTag(e.Req) == ""
	c := o.s.exchange.Do(e.Req, anyConn(e.Flow), func(ev exchange.ClientEvent) {
		if ev.Err != nil {
			_ = o.post(call.Failed{Leg: leg, Ref: ref, Err: ev.Err})
			return
		}
		if first && ev.Response.StatusCode >= 400 {
			o.explain(flow, int(ev.Response.StatusCode))
		}
		if lanZone(flow.Zone) {
			o.s.ground(ev.Response)
		}
		_ = o.post(call.Answer{Leg: leg, Ref: ref, Resp: ev.Response, Flow: ev.Flow})
	})
	if first { // nothing else can be cancelled
		o.invites[ref] = c
	}
}

// explain says in the log what a refusal of the cloud or of a UC server usually
// means: the code alone sends a technician to the wrong place.
func (o *owner) explain(flow sip.Flow, code int) {
	meanings, who := o.cfg.Profile.Refusals, o.cfg.Profile.Title
	switch c := o.cfg.client(flow); {
	case c != nil:
		meanings, who = c.Profile.Refusals, c.Profile.Title
	case lanZone(flow.Zone):
		return
	}
	if m := meanings[code]; m != "" {
		o.log.Info("call refused", "by", who, "code", code, "meaning", m)
	}
}

func (o *owner) cancel(e call.Cancel) {
	c := o.invites[e.Ref]
	switch {
	case c == nil:
	case e.Reason == "":
		c.Cancel()
	default:
		c.Cancel(sip.NewHeader("Reason", e.Reason))
	}
}

// became publishes what the call is now, and ends the owner once it is over.
func (o *owner) became(st call.State, tm *loop.Timers[call.Input]) {
	if st == call.Over {
		tm.End()
		return
	}
	o.publish()
	if o.challenged() {
		return // no news: the phone asks again
	}
	o.log.Debug("call", "state", st)
	o.s.watch.CallChanged(*o.view.Load())
}

func (o *owner) ended(end call.End) {
	o.publish()
	v := *o.view.Load()
	v.Ended = time.Now()
	o.view.Store(&v)
	if o.challenged() {
		o.s.over(o)
		return
	}
	o.log.Info("call ended", "blame", end.Blame, "code", end.Code, "reason", end.Reason, "cause", v.Cause, "session", v.Session)
	o.s.over(o)
	o.s.watch.CallEnded(v)
}

// publish lets others see the call, and those who watch its phones.
// challenged says whether the call ended because the cloud wants to see the
// phone's own credentials: it comes again with them and is no call of its own.
func (o *owner) challenged() bool {
	end := o.view.Load().End
	return o.inv.Through != nil && end != nil && (end.Code == 401 || end.Code == 407)
}

func (o *owner) publish() {
	v := &CallView{View: o.m.View(), Media: o.report}
	if was := o.view.Swap(v); len(v.Legs) > 0 || len(was.Legs) > 0 {
		o.s.notices.callChanged(o.token, v.Legs)
	}
}

// anyConn lets a request within a call take whichever connection to the peer
// stands: a call outlives the connection that it began on.
func anyConn(f sip.Flow) sip.Flow {
	f.Conn = 0
	return f
}
