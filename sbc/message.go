package sbc

import (
	"errors"
	"sync"
	"time"

	"linekeeper/sbc/call"
	"linekeeper/sbc/exchange"
	"linekeeper/sbc/number"
	"linekeeper/sbc/sip"
)

// Page-mode messages outside of calls (RFC 3428): from phone to phone, and by
// way of the cloud where the provider has them.

const (
	// maxMessage bounds a message's body, maxPage what goes out over UDP in all (RFC 3428 8).
	maxMessage = 16 << 10
	maxPage    = 1300
	// maxCouriers bounds messages under way.
	maxCouriers = 512
	// messagePatience is how long a phone may take: less than the sender waits (RFC 4320).
	messagePatience = 15 * time.Second
)

// message admits a MESSAGE and carries it to whom it is for.
func (s *Switch) message(tx *exchange.Server, req *sip.Request, flow sip.Flow) {
	cfg := s.cfg.Load()
	inv := call.Invite{Dialled: dialled(&req.Recipient), Zone: flow.Zone}
	var ok bool
	if lanZone(flow.Zone) {
		var aimed bool
		if inv.Dialled, inv.Instance, aimed = s.aimed(&req.Recipient); !aimed {
			s.answer(tx, req, 404)
			return
		}
		inv.Caller, ok = s.writer(tx, req, flow, cfg)
	} else {
		inv.Caller, ok = s.cloudCalls(tx, req, flow, cfg)
	}
	if !ok {
		return
	}
	if len(req.Body()) > maxMessage {
		s.answer(tx, req, 413)
		return
	}
	targets, code := s.readers(cfg, inv)
	if code != 0 {
		s.answer(tx, req, code)
		return
	}
	if s.couriers.Add(1) > maxCouriers {
		s.couriers.Add(-1)
		s.unavailable(tx, req, retryFull)
		return
	}
	c := &courier{s: s, tx: tx, req: req, agent: cfg.Agent, left: len(targets)}
	c.mu.Lock()
	c.late = time.AfterFunc(messagePatience, func() { c.settle(480) })
	c.mu.Unlock()
	for _, t := range targets {
		c.carry(t, nil)
	}
}

// writer is the phone that a message comes from.
func (s *Switch) writer(tx *exchange.Server, req *sip.Request, flow sip.Flow, cfg *Config) (call.Party, bool) {
	ext, _, ok := s.phone(tx, req, flow, cfg)
	if !ok {
		return call.Party{}, false
	}
	e, _ := s.member(cfg, ext)
	return call.Party{Extension: ext, Number: ext, Display: e.Name, Anonymous: cfg.hides(req)}, true
}

// readers are the phones that a message is for, or the code that refuses it.
func (s *Switch) readers(cfg *Config, inv call.Invite) ([]call.Target, int) {
	ext := ""
	if inv.Caller.Line != "" {
		ext = s.ExtensionOf(inv.Caller.Line)
	} else {
		d := s.dial(cfg, inv.Dialled)
		caller, _ := s.member(cfg, inv.Caller.Extension)
		switch d.Meaning {
		case number.Extension:
			ext = d.Text
		case number.Outside:
			if !cfg.Profile.Messages || !caller.Class.Covers(d.Class) {
				return nil, 403
			}
			t, err := s.lineTarget(inv, cfg, caller.Account, d)
			if err != nil {
				return nil, 480
			}
			return []call.Target{t}, 0
		case number.Emergency, number.Blocked: // nobody reads it there
			return nil, 403
		default: // codes, vacant numbers, nonsense
			return nil, 404
		}
	}
	if targets := s.phones(cfg, inv, ext); len(targets) > 0 {
		return targets, 0
	}
	return nil, 480
}

// courier carries one message to all phones of its reader; the first that takes
// it answers for all.
type courier struct {
	s     *Switch
	tx    *exchange.Server
	req   *sip.Request
	agent string

	mu   sync.Mutex
	late *time.Timer
	left int // targets that haven't answered
	best int // the most telling refusal so far
	over bool
}

// carry sends the message to one target, with auth if that was asked for.
func (c *courier) carry(t call.Target, auth sip.Header) {
	from := &sip.From{DisplayName: t.From.Display, Address: t.From.URI}
	from.Params.Add("tag", c.s.random())
	d := sip.Draft{Method: sip.MESSAGE, Target: t.URI, From: from, To: &sip.To{Address: t.To.URI}, CallID: c.s.random(), Seq: 1, Routes: t.Routes,
		Headers: append([]sip.Header{sip.NewHeader("User-Agent", c.agent)}, t.Headers...), Body: c.req.Body()}
	if mf := c.req.MaxForwards(); mf != nil {
		d.Hops = max(min(mf.Val(), 70), 2) - 1
	}
	if ct := c.req.ContentType(); ct != nil {
		d.ContentType = ct.Value()
	}
	for _, name := range []string{"Content-Disposition", "Content-Language", "Date", "Expires", "In-Reply-To", "Priority", "Subject"} {
		d.Headers = append(d.Headers, c.req.GetHeaders(name)...)
	}
	if auth != nil {
		d.Headers = append(d.Headers, auth)
	}
	req := d.Request()
	if t.Flow.Transport == sip.UDP && len(sip.Bytes(req)) > maxPage {
		c.done(513)
		return
	}
	c.s.exchange.Do(req, anyConn(t.Flow), func(ev exchange.ClientEvent) { c.heard(t, auth != nil, ev) })
}

func (c *courier) heard(t call.Target, proved bool, ev exchange.ClientEvent) {
	switch {
	case errors.Is(ev.Err, exchange.ErrBusy):
		c.done(503)
		return
	case ev.Err != nil && len(t.Flows) > 0: // another flow of the same phone
		next := t.Flows[0]
		next.Flows = t.Flows[1:]
		c.carry(next, nil)
		return
	case ev.Err != nil:
		c.done(480)
		return
	case ev.Response.StatusCode < 200:
		return
	}
	code := ev.Response.StatusCode
	if cs := sip.Challenges(ev.Response); (code == 401 || code == 407) && t.Credentials != nil && !proved && len(cs) > 0 {
		auth, err := sip.Authorize(cs[0], *t.Credentials, sip.MESSAGE, sip.URIText(&t.URI), c.req.Body(), c.s.random(), 1)
		if err == nil {
			c.carry(t, auth)
			return
		}
	}
	c.done(code)
}

// done counts one target's answer; the first 2xx or else the first refusal that
// says more than absence is told.
func (c *courier) done(code int) {
	switch {
	case code == 401, code == 407: // the sender can't mend it
		code = 403
	case code/100 == 3, code == 408: // whoever moved isn't followed
		code = 480
	}
	c.mu.Lock()
	c.left--
	if c.best == 0 || c.best == 480 {
		c.best = code
	}
	best, last := c.best, c.left == 0
	c.mu.Unlock()
	switch {
	case code < 300:
		c.settle(code)
	case last:
		c.settle(best)
	}
}

// settle answers the sender once.
func (c *courier) settle(code int) {
	c.mu.Lock()
	was, late := c.over, c.late
	c.over = true
	c.mu.Unlock()
	if was {
		return
	}
	late.Stop()
	c.s.couriers.Add(-1)
	c.s.answer(c.tx, c.req, code)
}
