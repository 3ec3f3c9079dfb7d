package sbc

import (
	"errors"
	"time"

	"linekeeper/sbc/call"
	"linekeeper/sbc/exchange"
	"linekeeper/sbc/sip"
)

// invite admits a new call and gives it an owner.
func (s *Switch) invite(tx *exchange.Server, req *sip.Request, flow sip.Flow) {
	cfg := s.cfg.Load()
	inv := call.Invite{Dialled: req.Recipient.User, Zone: flow.Zone}
	var ok bool
	if lanZone(flow.Zone) {
		inv.Caller, ok = s.phoneCalls(tx, req, flow, cfg)
	} else {
		inv.Caller, ok = s.cloudCalls(tx, req, flow, cfg)
	}
	if !ok {
		return
	}
	if s.drain.Load() {
		s.unavailable(tx, req, 10*time.Second)
		return
	}
	inv.Token = s.random()
	o := newOwner(s, cfg, inv)
	if code := s.adopt(o, sip.MergeKey(req), cfg); code != 0 {
		s.watch.Refused(sip.Phrase(code), flow, req)
		if code == 503 {
			s.unavailable(tx, req, 2*time.Second)
			return
		}
		s.answer(tx, req, code)
		return
	}
	s.start(o, tx, req, flow)
}

// adopt puts a call into the table, or says by which code it is refused.
func (s *Switch) adopt(o *owner, merge string, cfg *Config) int {
	limit := maxCalls
	if cfg.MaxCalls > 0 {
		limit = min(cfg.MaxCalls, maxCalls)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, twice := s.merged[merge]; twice {
		return 482 // RFC 3261 8.2.2.2
	}
	if len(s.calls) >= limit {
		return 503
	}
	o.merge = merge
	s.calls[o.token], s.merged[merge] = o, o.token
	return 0
}

// start routes the call and lets its owner run.
func (s *Switch) start(o *owner, tx *exchange.Server, req *sip.Request, flow sip.Flow) {
	tx.OnCancel(func(*sip.Request) { _ = o.post(call.Cancelled{}) })
	tx.OnUnacked(func() { _ = o.post(call.Unacked{Leg: 0}) })
	inv := o.m.View()
	plan := s.brain().Route(call.Invite{Token: o.token, Caller: inv.Caller, Dialled: inv.Dialled, Zone: flow.Zone})
	o.first = req
	o.view.Store(&CallView{View: o.m.View()})
	_ = o.post(call.Arrived{Tx: o.keep(tx), Req: req, Flow: flow, Contact: contactURI(inv.Dialled, flow), Side: s.side(o.cfg, flow), Plan: plan})
	s.wg.Go(func() { o.run(s.life) })
}

// side is where media of a leg on this flow lives.
func (s *Switch) side(cfg *Config, flow sip.Flow) call.Side {
	side := call.Side{Name: flow.Zone, Addr: flow.Local.Addr().Unmap()}
	if m, ok := cfg.Sides[flow.Zone]; ok && m.Addr.IsValid() {
		side.Addr = m.Addr
	}
	return side
}

// phoneCalls admits a call from the LAN: the phone proves its extension.
func (s *Switch) phoneCalls(tx *exchange.Server, req *sip.Request, flow sip.Flow, cfg *Config) (call.Party, bool) {
	ext, ok := s.prove(tx, req, flow, cfg)
	if !ok {
		return call.Party{}, false
	}
	if c := req.Contact(); c == nil || c.Address.Host == "" {
		s.answer(tx, req, 400)
		return call.Party{}, false
	}
	e := cfg.Extensions[ext]
	p := call.Party{Extension: ext, Number: ext, Display: e.Name}
	p.Anonymous = withheld(req)
	return p, true
}

// withheld says whether the caller wants no number shown (RFC 3323, RFC 3325).
func withheld(req *sip.Request) bool {
	for _, v := range []string{"id", "user", "header"} {
		if sip.HasToken(req, "Privacy", v) {
			return true
		}
	}
	f := req.From()
	return f != nil && (f.Address.User == "anonymous" || f.Address.Host == "anonymous.invalid")
}

// cloudCalls admits a call from the trunk: only from where a line is registered,
// and only for an account of ours.
func (s *Switch) cloudCalls(tx *exchange.Server, req *sip.Request, flow sip.Flow, cfg *Config) (call.Party, bool) {
	if !s.lines.knows(flow.Remote.Addr()) {
		s.watch.Refused("call from a stranger", flow, req)
		s.guard.Punish(flow.Remote.Addr(), "invite from a stranger")
		s.answer(tx, req, 403)
		return call.Party{}, false
	}
	line, ok := cfg.account(req)
	if !ok {
		s.watch.Refused("no such account", flow, req)
		s.answer(tx, req, 404)
		return call.Party{}, false
	}
	p := call.Party{Line: line.Account, Anonymous: withheld(req)}
	if f := req.From(); f != nil && !p.Anonymous {
		p.Number, p.Display = f.Address.User, f.DisplayName
		if ids := sip.Identities(req, "P-Asserted-Identity"); len(ids) > 0 && ids[0].User != "" {
			p.Number = ids[0].User
		}
	}
	return p, true
}

// account is the line that a request from the cloud is for.
func (c *Config) account(req *sip.Request) (Line, bool) {
	users := []string{req.Recipient.User}
	if to := req.To(); to != nil {
		users = append(users, to.Address.User)
	}
	for _, u := range users {
		if l, ok := c.byAccount[u]; ok {
			return l, true
		}
	}
	return Line{}, false
}

// errNoTrunk says that no line can carry a call.
var errNoTrunk = errors.New("no line toward the cloud is registered")
