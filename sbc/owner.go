package sbc

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"linekeeper/appliance/loop"
	"linekeeper/sbc/call"
	"linekeeper/sbc/exchange"
	"linekeeper/sbc/media"
	"linekeeper/sbc/sip"
)

// owner keeps one call: its machine's goroutine, its transactions and its ports.
type owner struct {
	s     *Switch
	cfg   *Config
	token string
	log   *slog.Logger
	first *sip.Request // the INVITE that made the call
	merge string
	loop  *loop.Loop[call.Input, call.Effect]
	m     *call.Machine
	view  atomic.Pointer[CallView]

	// txs are the server transactions that wait for an answer. They are put in
	// by whoever dispatches a request and taken out by the owner.
	mu     sync.Mutex
	txs    map[call.TxID]*exchange.Server
	lastTx call.TxID

	// The rest belongs to the owner's goroutine alone.
	clients map[call.Ref]*exchange.Client
	streams map[call.LegID]*media.Stream
	sides   map[call.LegID]string
	bridged [2]call.LegID
	report  *CallReport

	// ports is what the watch of running media may look at.
	ports atomic.Pointer[[]port]
}

// port is one leg's media as the quality watch sees it.
type port struct {
	leg    call.LegID
	side   string
	stream *media.Stream
	sends  bool // the peer is expected to send
}

func newOwner(s *Switch, cfg *Config, inv call.Invite) *owner {
	o := &owner{
		s: s, cfg: cfg, token: inv.Token, log: s.log.With("call", inv.Token),
		txs: make(map[call.TxID]*exchange.Server), clients: make(map[call.Ref]*exchange.Client),
		streams: make(map[call.LegID]*media.Stream), sides: make(map[call.LegID]string),
	}
	o.m = call.New(call.Config{Invite: inv, Random: s.random, Agent: cfg.Agent, Session: call.DefaultSession, Patience: call.DefaultPatience})
	o.loop = loop.New[call.Input, call.Effect](o.m, inboxDepth, o.perform)
	return o
}

// run lives until the call is over. A panic costs this call and no other.
func (o *owner) run(ctx context.Context) {
	err := o.loop.Run(ctx)
	for _, st := range o.streams {
		st.Close()
	}
	o.s.forget(o)
	if err == nil {
		return
	}
	o.log.Error("call ended by a defect", "err", err)
	o.mu.Lock()
	txs := o.txs
	o.txs = nil
	o.mu.Unlock()
	for _, tx := range txs {
		tx.Respond(sip.Respond(o.first, 500, "", call.Tag(o.token, 0)))
	}
}

// post hands an input in. An owner too busy to take it loses the message, as the
// network might have; the transaction's timers repeat what matters.
func (o *owner) post(in call.Input) error {
	err := o.loop.Post(in)
	if err != nil {
		o.log.Warn("call takes no input", "input", in, "err", err)
	}
	return err
}

// keep remembers a server transaction for the machine to answer by number.
func (o *owner) keep(tx *exchange.Server) call.TxID {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lastTx++
	if o.txs != nil {
		o.txs[o.lastTx] = tx
	}
	return o.lastTx
}

func (o *owner) take(id call.TxID, final bool) *exchange.Server {
	o.mu.Lock()
	defer o.mu.Unlock()
	tx := o.txs[id]
	if final {
		delete(o.txs, id)
	}
	return tx
}

// request gives an in-dialog request to the machine.
func (o *owner) request(leg call.LegID, tx *exchange.Server, req *sip.Request, flow sip.Flow) error {
	tx.OnUnacked(func() { _ = o.post(call.Unacked{Leg: leg}) })
	return o.post(call.Request{Leg: leg, Tx: o.keep(tx), Req: req, Flow: flow})
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
		if err := o.s.exchange.Send(e.Req, e.Flow); err != nil {
			o.log.Warn("ack not sent", "err", err)
		}
	case call.Open:
		return o.open(e)
	case call.Media:
		o.media(e)
	case call.Bridge:
		o.bridge(e)
	case call.Close:
		o.close(e.Leg)
	case call.Arm:
		tm.Arm(e.Key, e.D, call.Due{Key: e.Key})
	case call.Disarm:
		tm.Disarm(e.Key)
	case call.Replan:
		o.s.count.replans.Add(1)
		return []call.Input{call.Planned{Plan: o.s.survival.Route(e.Invite)}}
	case call.Silent:
		o.silent(e.Target)
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
		o.s.evidence.Answered(t.Line, 100)
	}
}

func (o *owner) silent(t call.Target) {
	if t.Line != "" {
		o.s.evidence.InviteSilent(t.Line)
	}
}

func (o *owner) send(e call.Send) {
	ref, leg := e.Ref, e.Leg
	o.clients[ref] = o.s.exchange.Do(e.Req, e.Flow, func(ev exchange.ClientEvent) {
		if ev.Err != nil {
			_ = o.post(call.Failed{Leg: leg, Ref: ref, Err: ev.Err})
			return
		}
		_ = o.post(call.Answer{Leg: leg, Ref: ref, Resp: ev.Response, Flow: ev.Flow})
	})
}

func (o *owner) cancel(e call.Cancel) {
	c := o.clients[e.Ref]
	if c == nil {
		return
	}
	if e.Reason == "" {
		c.Cancel()
		return
	}
	c.Cancel(sip.NewHeader("Reason", e.Reason))
}

// became publishes what the call is now, and ends the owner once it is over.
func (o *owner) became(st call.State, tm *loop.Timers[call.Input]) {
	o.publish()
	if st == call.Over {
		tm.End()
		return
	}
	o.log.Info("call", "state", st)
	o.s.watch.CallChanged(*o.view.Load())
}

func (o *owner) ended(end call.End) {
	o.publish()
	v := *o.view.Load()
	v.Ended = time.Now()
	o.view.Store(&v)
	o.log.Info("call ended", "blame", end.Blame, "code", end.Code, "reason", end.Reason)
	o.s.watch.CallEnded(v)
}

func (o *owner) publish() { o.view.Store(&CallView{View: o.m.View(), Media: o.report}) }
