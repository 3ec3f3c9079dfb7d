package sbc

import (
	"errors"
	"time"

	"linekeeper/appliance/loop"
	"linekeeper/sbc/call"
	"linekeeper/sbc/exchange"
	"linekeeper/sbc/sip"
)

// Transfer, pick-up and taking over: what goes from one call to another.

// place is where a leg is that has left the call that its tag names.
type place struct {
	owner *owner
	leg   call.LegID
}

// cargo travels with a leg from one owner to another.
type cargo struct {
	from *owner
	leg  call.LegID
	port *port
}

// onward asks the router for a way to whom a transfer points at.
func (s *Switch) onward(e call.Transfer) call.Plan {
	inv := e.Invite
	inv.Dialled = dialled(&e.To)
	if inv.Silent {
		return s.survival.Route(inv)
	}
	return s.brain().Route(inv)
}

// move offers a leg to the call whose dialog a transfer names. That call's owner
// answers; until then the leg is nobody's to change.
func (o *owner) move(e call.Move) []call.Input {
	refused := func(code int) []call.Input { return []call.Input{call.Moved{Leg: e.Leg, Code: code}} }
	to, leg := o.s.owner(e.Replaces.ToTag)
	port := o.legs[e.Leg]
	switch {
	case to == nil || to == o || port == nil:
		return refused(481)
	}
	err := to.post(call.Adopt{Held: e.Held, By: e.By, Leg: leg, Replaces: e.Replaces, Cargo: &cargo{from: o, leg: e.Leg, port: port}})
	switch {
	case errors.Is(err, loop.ErrEnded):
		return refused(481)
	case err != nil:
		return refused(491)
	}
	return nil
}

// adopted takes a leg's media over and lets what comes for the leg come here.
func (o *owner) adopted(e call.Adopted) {
	c, ok := e.Cargo.(*cargo)
	if !ok {
		return
	}
	if e.Code == 200 && o.legs[e.Leg] == nil {
		p := *c.port
		p.leg = e.Leg
		p.seat.Store(&place{o, e.Leg})
		o.legs[e.Leg] = &p
		o.hearKeys(e.Leg, p.stream)
		o.s.mu.Lock()
		o.s.moved[e.Tag] = place{o, e.Leg}
		o.moved = append(o.moved, e.Tag)
		o.s.mu.Unlock()
		o.log.Info("leg came over", "from", c.from.token, "leg", e.Leg)
	}
	_ = c.from.post(call.Moved{Leg: c.leg, Code: e.Code}) // should it be too busy, it asks again
}

// forward dispatches a request once more, whose leg is elsewhere now.
func (o *owner) forward(id call.TxID) {
	o.mu.Lock()
	a, ok := o.txs[id]
	delete(o.txs, id)
	o.mu.Unlock()
	if ok {
		o.s.inDialog(a.tx, a.req, a.tx.Flow(), sip.ToTag(a.req))
	}
}

// far is the dialog on the other side of the call whose dialog a REFER names; nil
// if there is none. The cloud knows that call by it.
func (s *Switch) far(req *sip.Request) *sip.Replaces {
	to, err := sip.ReferToOf(req)
	if err != nil || to.Replaces == nil {
		return nil
	}
	o, near := s.owner(to.Replaces.ToTag)
	if o == nil {
		return nil
	}
	v := o.view.Load()
	far := v.B
	if near == v.B {
		far = v.A
	}
	for _, l := range v.Legs {
		if l.ID == far && far != near && l.RemoteTag != "" {
			return &sip.Replaces{CallID: l.CallID, ToTag: l.RemoteTag, FromTag: l.LocalTag}
		}
	}
	return nil
}

// replaces gives an INVITE that names one of the box's dialogs to the call that
// the dialog belongs to (RFC 3891).
func (s *Switch) replaces(tx *exchange.Server, req *sip.Request, flow sip.Flow, cfg *Config, who call.Party, rep sip.Replaces) {
	o, leg := s.owner(rep.ToTag)
	if o == nil {
		s.answer(tx, req, 481)
		return
	}
	id := o.keep(tx, req)
	tx.OnUnacked(func() { _ = o.post(call.Unacked{Tx: id}) })
	err := o.post(call.Join{
		Tx: id, Req: req, Flow: flow, Contact: contactURI(req.Recipient.User, flow), Side: s.side(cfg, flow), Who: who, Leg: leg, Replaces: rep,
		May: func(p call.Party, answered bool) bool { return cfg.mayReplace(who, p, answered) },
	})
	switch {
	case errors.Is(err, loop.ErrEnded):
		o.take(id, true)
		s.answer(tx, req, 481)
	case err != nil:
		o.take(id, true)
		s.unavailable(tx, req, time.Second)
	default:
		tx.OnCancel(func(*sip.Request) { _ = o.post(call.Cancelled{Tx: id}) })
	}
}

// mayReplace says whether a party may stand in for another: a phone for one of
// its own extension, a ringing one also for those of its pick-up group; the cloud
// on the line itself.
func (c *Config) mayReplace(who, whom call.Party, answered bool) bool {
	if who.Extension == "" {
		return who.Line != "" && who.Line == whom.Line
	}
	if who.Extension == whom.Extension {
		return true
	}
	group := c.Extensions[who.Extension].PickupGroup
	return !answered && whom.Extension != "" && group != "" && group == c.Extensions[whom.Extension].PickupGroup
}
