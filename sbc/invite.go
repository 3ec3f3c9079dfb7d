package sbc

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"linekeeper/sbc/call"
	"linekeeper/sbc/exchange"
	"linekeeper/sbc/policy"
	"linekeeper/sbc/sip"
)

// invite admits a new call and gives it an owner.
func (s *Switch) invite(tx *exchange.Server, req *sip.Request, flow sip.Flow) {
	if s.private(tx, req) {
		return
	}
	cfg := s.cfg.Load()
	inv := call.Invite{Dialled: strings.Clone(dialled(&req.Recipient)), Zone: flow.Zone}
	if lanZone(flow.Zone) {
		var aimed bool
		if inv.Dialled, inv.Instance, aimed = s.aimed(&req.Recipient); !aimed {
			s.answer(tx, req, 404)
			return
		}
	}
	var ok bool
	switch c := cfg.client(flow); {
	case c != nil && c.trunkLike():
		inv.Caller, ok = s.clientCalls(tx, req, flow, cfg, c)
	case lanZone(flow.Zone):
		inv.Caller, inv.Through, ok = s.phoneCalls(tx, req, flow, cfg)
	default:
		inv.Caller, ok = s.cloudCalls(tx, req, flow, cfg)
		inv.Diverted = policy.ReadDiverts(req)
	}
	if !ok {
		return
	}
	if tooOften(inv.Diverted) {
		s.watch.Refused("a call that was sent on too often", flow, req)
		s.answer(tx, req, 482)
		return
	}
	if rep, replaces, err := sip.ReplacesOf(req); replaces {
		if err != nil {
			s.answer(tx, req, 400)
			return
		}
		s.replaces(tx, req, flow, cfg, inv.Caller, rep)
		return
	}
	inv.Token = s.random()
	o := newOwner(s, cfg, inv, flow)
	o.chain, o.place = s.chained(req, inv)
	id := o.keep(tx, req)
	tx.OnUnacked(func() { _ = o.post(call.Unacked{Leg: 0}) })
	_ = o.post(call.Arrived{Tx: id, Req: req, Flow: flow, Contact: contactURI(req.Recipient.User, flow), Side: s.side(cfg, flow), Credentials: cfg.credentials(inv.Caller.Line)})
	switch code, after := s.adopt(o, sip.MergeKey(req), cfg); code {
	case 0: // its owner answers
		tx.OnCancel(func(cancel *sip.Request) { _ = o.post(call.Cancelled{Req: cancel}) }) // after Arrived: a CANCEL may be here already
	case 503:
		s.watch.Refused("too many calls", flow, req)
		s.unavailable(tx, req, after)
	default:
		s.watch.Refused(sip.Phrase(code), flow, req)
		s.answer(tx, req, code)
	}
}

// Late is asked about a request that has waited for long to be read, and says whether
// it has answered it. A call that would begin now is turned away while that is cheap,
// so that those under way come to their end; an emergency call never is.
func (s *Switch) Late(req *sip.Request, flow sip.Flow) bool {
	if req.Method != sip.INVITE || sip.ToTag(req) != "" {
		return false
	}
	if lanZone(flow.Zone) && s.cfg.Load().Book.Emergency(dialled(&req.Recipient)) {
		return false
	}
	return s.exchange.TurnAway(req, flow, retryFull)
}

// adopt puts a call into the table and lets its owner run, or says by which
// code it is refused and when to come back.
func (s *Switch) adopt(o *owner, merge string, cfg *Config) (code int, after time.Duration) {
	limit := maxCalls
	if cfg.MaxCalls > 0 {
		limit = min(cfg.MaxCalls, maxCalls)
	}
	emergency := o.inv.Caller.Extension != "" && cfg.Book.Emergency(o.inv.Dialled)
	if emergency {
		limit += emergencyReserve
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch _, twice := s.merged[merge]; {
	case twice:
		return 482, 0 // RFC 3261 8.2.2.2
	case s.loopsLocked(o) && !emergency:
		return 482, 0
	case s.drain && !emergency || s.life == nil:
		return 503, retryDrain
	case s.live >= limit, len(s.calls) >= maxOwners:
		return 503, retryFull
	}
	o.merge = merge
	s.calls[o.token], s.merged[merge] = o, o.token
	s.live++
	s.enterLocked(o)
	s.wg.Add(1)
	o.loop.Start(s.life)
	return 0, 0
}

// dialled is what was dialled: the user part of a SIP URI or the number of a
// tel URI, without parameters (RFC 3966) and escapes.
func dialled(u *sip.URI) string {
	text := u.User
	if raw := u.Raw(); raw != "" {
		text = raw
	}
	text, _, _ = strings.Cut(text, ";")
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}

// userPart writes text as the user part of a URI (RFC 3261 25.1); what isn't
// allowed there, the # of a code say, gets its escape.
func userPart(text string) string {
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-_.!~*'()&=+$,", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

// side is where media of a leg on this flow lives.
func (s *Switch) side(cfg *Config, flow sip.Flow) call.Side {
	side := call.Side{Name: flow.Zone, Addr: flow.Local.Addr().Unmap()}
	if c := cfg.client(flow); c != nil {
		side.Name = c.Side()
	}
	m := cfg.Sides[side.Name]
	if m.Addr.IsValid() {
		side.Addr = m.Addr
	}
	if m.Direct {
		side.Segment = segment(flow.Remote.Addr().Unmap())
	}
	return side
}

// segment is the network of a phone: its masks are those of nearly every LAN, and the
// site document does not tell the true one.
func segment(a netip.Addr) netip.Prefix {
	bits := 24
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
}

// phoneCalls admits a call from the LAN: the phone proves its extension, or has
// proved itself to the cloud when it registered through the box.
func (s *Switch) phoneCalls(tx *exchange.Server, req *sip.Request, flow sip.Flow, cfg *Config) (call.Party, *call.Through, bool) {
	ext, account, ok := s.phone(tx, req, flow, cfg)
	if !ok {
		return call.Party{}, nil, false
	}
	c := req.Contact()
	if c == nil || c.Address.Host == "" {
		s.answer(tx, req, 400)
		return call.Party{}, nil, false
	}
	e, _ := s.member(cfg, ext)
	p := call.Party{Extension: ext, Instance: s.deviceOf(ext, c, flow), Number: ext, Display: e.Name}
	p.Anonymous, p.Wish = cfg.hides(req), cfg.wish(req, e)
	if account == nil {
		return p, nil, true
	}
	return p, s.pass.through(cfg, req, account), true
}

// phone says which extension a request of the LAN comes from; account is the
// cloud's where the phone registered through the box. Where it has not proved
// itself the request is answered here and ok is false.
func (s *Switch) phone(tx *exchange.Server, req *sip.Request, flow sip.Flow, cfg *Config) (ext string, account *Passage, ok bool) {
	a, here, known := s.pass.caller(cfg, req, flow)
	switch {
	case here:
		return a.Extension, &a, true
	case known && len(sip.HeaderValues(req, "Authorization")) == 0: // of another place, or no longer registered
		s.watch.Refused("a phone that has not registered through the box", flow, req)
		s.answer(tx, req, 403)
		return "", nil, false
	}
	ext, ok = s.prove(tx, req, flow, cfg.password)
	return ext, nil, ok
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
	line, ok := s.account(cfg, req)
	if !ok {
		s.watch.Refused("no such account", flow, req)
		s.answer(tx, req, 404)
		return call.Party{}, false
	}
	return cfg.outsider(req, line.Account), true
}

// account is the line that a request from the cloud is for.
func (c *Config) account(req *sip.Request) (Line, bool) {
	users := []string{dialled(&req.Recipient)}
	if to := req.To(); to != nil {
		users = append(users, dialled(&to.Address))
	}
	for _, u := range users {
		if l, ok := c.byAccount[u]; ok {
			return l, true
		}
	}
	return Line{}, false
}

// credentials are those of an account, for when the cloud challenges the box within
// a call that it began itself; nil where the box has none.
func (c *Config) credentials(account string) *sip.Credentials {
	l, ok := c.byAccount[account]
	if account == "" || !ok || l.Password == "" {
		return nil
	}
	return &sip.Credentials{User: l.Auth, Password: l.Password}
}

// errNoTrunk says that no line can carry a call.
var errNoTrunk = errors.New("no line toward the cloud is registered")
