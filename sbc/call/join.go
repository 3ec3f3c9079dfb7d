package call

import (
	"slices"
	"time"

	"linekeeper/sbc/dialog"
	"linekeeper/sbc/sdp"
	"linekeeper/sbc/sip"
)

// refitAgain is how long a change of session waits for another one to end.
const refitAgain = 500 * time.Millisecond

// joined takes somebody into the call in the place of a leg: a phone picks a
// ringing call up, or takes an answered one over (RFC 3891).
func (m *Machine) joined(in Join) {
	l := &leg{id: LegID(len(m.legs)), incoming: true, stage: early, flow: in.Flow, side: in.Side, invite: in.Req, tx: in.Tx, who: in.Who, talk: &talk{}}
	dlg, err := dialog.Answering(in.Req, Tag(m.cfg.Invite.Token, l.id), in.Contact)
	if err != nil {
		m.respond(in.Tx, in.Req, 400, "", Tag(m.cfg.Invite.Token, l.id))
		return
	}
	l.dlg, l.canUpdate, l.info = dlg, allows(in.Req, sip.UPDATE), l.info.learn(in.Req)
	m.hear(l, in.Req)
	m.best = failure{}
	if code := m.replaceable(in); code != 0 {
		m.refuse(l, End{ByCaller, code, ""})
		return
	}
	if end := m.acceptable(l); end != nil {
		m.refuse(l, *end)
		return
	}
	l.takes = m.leg(in.Leg)
	m.legs = append(m.legs, l)
	m.do(Open{l.id, l.side})
}

// replaceable says by which code a leg cannot be replaced; 0: it can (RFC 3891 3).
func (m *Machine) replaceable(in Join) int {
	r := m.leg(in.Leg)
	switch {
	case r == nil || r.dlg == nil || r.dlg.CallID != in.Replaces.CallID || r.dlg.RemoteTag != in.Replaces.FromTag || r.stage == offered:
		return 481
	case m.end != nil || r.stage == leaving || r.stage == gone:
		return 603
	case r.incoming && r.stage == early: // a dialog that the other side began
		return 481
	case in.Replaces.EarlyOnly && r.live():
		return 486
	case !in.May(m.party(r), r.live()):
		return 403
	case len(m.legs) >= maxLegs:
		return 503
	}
	return 0
}

// take puts l, whose media is open, in the place of the leg that it takes.
func (m *Machine) take(l *leg) {
	r := l.takes
	l.takes = nil
	switch {
	case r.pending() && m.hunt != nil:
		m.pickUp(l, m.hunt.host, r)
	case m.settled(r) && m.transfer == nil:
		m.takeOver(l, m.peer(r), r)
	case r.stage == confirmed:
		m.dismiss(l, 491)
	default:
		m.dismiss(l, 481)
	}
}

// settled says that a leg talks with another one and neither is just changing
// its session.
func (m *Machine) settled(l *leg) bool {
	p := m.peer(l)
	return p != nil && l.stage == confirmed && p.stage == confirmed && l.in == nil && p.in == nil && !l.out && !p.out && !l.late && !p.late
}

// dismiss refuses a newcomer; the call goes on without it.
func (m *Machine) dismiss(l *leg, code int) {
	m.closeMedia(l)
	l.stage = gone
	m.best = failure{}
	m.refuse(l, End{ByCaller, code, ""})
}

// pickUp lets l answer in the place of r, whose phone rings.
func (m *Machine) pickUp(l, host, r *leg) {
	var body, back []byte
	var err error
	switch {
	case host.theirs == nil || l.theirs == nil: // one of the two has made no offer
		m.dismiss(l, 488)
		return
	case host.stage == early:
		body, back, err = m.meet(host, l)
	default:
		back, err = m.fit(l, host)
	}
	if err != nil {
		m.dismiss(l, 488)
		return
	}
	t := m.hunt.transfer
	by := m.peer(host)
	m.endHunt()
	for _, o := range m.legs {
		if o.pending() {
			m.leave(o, End{ByUs, 200, "answered elsewhere"})
		}
	}
	l.stage = answered
	m.reply(l, l.tx, l.invite, 200, "OK", back)
	if host.stage == early {
		m.host, m.winner = host, l
		m.do(Bridge{host.id, l.id})
		m.accept(host, body)
	} else {
		m.pair(host, l)
		if t != nil {
			m.settleTransfer(200, "")
		}
		if by != nil && by.stage == confirmed {
			m.closeMedia(by)
			m.do(Arm{by.key("part"), partAfter})
		}
	}
	m.to(Talking)
}

// takeOver lets l go on in the place of r, who talks with p.
func (m *Machine) takeOver(l, p, r *leg) {
	back, err := m.fit(l, p)
	if err != nil {
		m.dismiss(l, 488)
		return
	}
	l.stage = answered
	m.reply(l, l.tx, l.invite, 200, "OK", back)
	m.pair(p, l)
	m.leave(r, End{ByCaller, 200, "taken over"})
}

// meet answers two who both have made an offer: each gets the answer that fits
// the other's (a host that rings back, a phone that picks up).
func (m *Machine) meet(host, l *leg) (toHost, toL []byte, err error) {
	a := host.mine // what it was told early stays
	if a == nil {
		if a, err = host.local.Answer(host.theirs, l.theirs); err != nil {
			return nil, nil, err
		}
	}
	b, err := l.local.Answer(l.theirs, a)
	if err != nil {
		return nil, nil, err
	}
	af, err := host.local.Flow(a, host.theirs)
	if err != nil {
		return nil, nil, err
	}
	bf, err := l.local.Flow(b, l.theirs)
	if err != nil {
		return nil, nil, err
	}
	host.mine, l.mine = a, b
	m.do(Media{host.id, af}, Media{l.id, bf})
	return a.Bytes(), b.Bytes(), nil
}

// fit describes the box to l, who comes into a call with p, by what p can do: an
// answer to l's offer, or an offer that l's ACK answers.
func (m *Machine) fit(l, p *leg) ([]byte, error) {
	if l.theirs == nil {
		mine, err := l.local.Offer(live(p.theirs))
		if err != nil {
			return nil, err
		}
		l.mine, l.offers = mine, true
		return mine.Bytes(), nil
	}
	mine, err := l.local.Answer(l.theirs, live(p.theirs))
	if err != nil {
		return nil, err
	}
	flow, err := l.local.Flow(mine, l.theirs)
	if err != nil {
		return nil, err
	}
	l.mine = mine
	m.do(Media{l.id, flow})
	return mine.Bytes(), nil
}

// completed takes the answer to an offer of ours out of l's ACK.
func (m *Machine) completed(l *leg, ack *sip.Request) {
	l.offers = false
	theirs, err := session(ack)
	if err == nil && theirs == nil {
		err = errNoAnswer
	}
	var flow sdp.Flow
	if err == nil {
		flow, err = l.local.Flow(l.mine, theirs)
	}
	if err != nil {
		m.finish(End{ByCaller, 488, "the answer in the ACK cannot be used: " + err.Error()})
		return
	}
	l.theirs = theirs
	m.do(Media{l.id, flow})
	if p := m.peer(l); p != nil {
		m.refit(p, l)
	}
}

// live is a description with hold taken away, as what its side can do.
func live(s *sdp.Session) *sdp.Session {
	if s == nil {
		return nil
	}
	c := *s
	c.Media = slices.Clone(s.Media)
	for i := range c.Media {
		if c.Media[i].Kind == "audio" {
			c.Media[i].Direction = sdp.SendRecv
		}
	}
	return &c
}

// pair lets p and l talk with each other and brings p's session in line.
func (m *Machine) pair(p, l *leg) {
	m.host, m.winner = p, l
	m.straight.refused, m.straight.tries = false, 0
	m.boxed(p, l)
	m.do(Bridge{p.id, l.id})
	if l.theirs != nil {
		m.refit(p, l)
	}
}

// refit brings p's session in line with what l has described, once the two have
// been joined: hold is lifted, the codecs agree, a phone's display shows who it
// talks with now.
func (m *Machine) refit(p, l *leg) {
	if p.stage != confirmed || m.end != nil || m.peer(p) != l || l.theirs == nil {
		return
	}
	if p.in != nil || p.out || p.late || l.in != nil {
		m.do(Arm{p.key("refit"), refitAgain})
		return
	}
	was := p.local
	mine, err := p.local.Offer(live(l.agreed()))
	if err != nil {
		p.local = was
		m.finish(End{ByUs, 488, "those who were joined share no codec"})
		return
	}
	shown := m.shown(p, l)
	if same(mine, p.mine) && (shown == nil || m.party(p).Line != "") { // nothing is new but the name
		if shown != nil && p.canUpdate {
			m.send(p, &ask{purpose: forRefresh, method: sip.UPDATE, headers: append(m.refreshHeaders(p), shown...)})
		}
		m.fitNext(p)
		return
	}
	p.out = true
	m.send(p, &ask{purpose: forRefit, method: sip.INVITE, headers: append(m.refreshHeaders(p), shown...), body: mine.Bytes(), offer: mine})
}

// shown tells who a leg talks with now (RFC 3325): a phone nothing where the other
// withholds the number, the cloud only of the box's own extensions, as its profile
// wants it. From stays as it is: RFC 4916 asks for a peer that allows its change.
func (m *Machine) shown(p, l *leg) []sip.Header {
	who := m.party(l)
	switch {
	case m.party(p).Line != "":
		if who.Extension == "" || m.cfg.Outside == nil || m.through(p) {
			return nil
		}
		return m.cfg.Outside(who)
	case who.Anonymous || who.Number == "":
		return nil
	}
	u := sip.URI{Scheme: "sip", User: who.Number, Host: p.dlg.Contact.Host}
	return []sip.Header{sip.NewHeader("P-Asserted-Identity", sip.Named(who.Display, &u))}
}

// refitted handles the answer to a refit. One that is refused leaves the session
// as it was.
func (m *Machine) refitted(l *leg, a *ask, resp *sip.Response) {
	l.out = false
	ok := resp.IsSuccess()
	if ok {
		m.acknowledge(l, a.seq, nil)
	}
	if m.end != nil {
		return
	}
	switch code := int(resp.StatusCode); {
	case ok:
	case code == 491 && a.purpose == forRekey: // RFC 3261 14.1
		m.do(Arm{l.key("rekey"), m.glare(l)})
		return
	case code == 491:
		m.do(Arm{l.key("refit"), m.glare(l)})
		return
	case code == 481 || code == 408:
		m.finish(End{Unknown, code, "the peer no longer knows the call"})
		return
	default:
		return
	}
	l.dlg.Refresh(resp)
	m.timerRefreshed(l, resp)
	theirs, err := a.answered(resp)
	var flow sdp.Flow
	if err == nil {
		flow, err = l.local.Flow(a.offer, theirs)
	}
	if err != nil {
		m.finish(End{blameOf(l), 488, "the answer cannot be used: " + err.Error()})
		return
	}
	l.mine, l.theirs = a.offer, theirs
	m.do(Media{l.id, flow})
	m.fitNext(l)
}

// fitNext lets the other of two follow, where both had their sessions before
// they were joined.
func (m *Machine) fitNext(l *leg) {
	next := l.next
	l.next = nil
	if next != nil && m.peer(l) == next {
		m.refit(next, l)
	}
}

// adopt takes a leg of another call in the place of one of ours: an attended
// transfer (RFC 5589 7).
func (m *Machine) adopt(in Adopt) {
	l := in.Held.leg
	for _, o := range m.legs { // asked twice
		if o == l {
			m.do(Adopted{Leg: o.id, Cargo: in.Cargo, Code: 200})
			return
		}
	}
	r := m.leg(in.Leg)
	code := 0
	switch {
	case r == nil || r.dlg == nil || r.dlg.CallID != in.Replaces.CallID || r.dlg.RemoteTag != in.Replaces.FromTag || m.end != nil:
		code = 481
	case !sameParty(m.party(r), in.By):
		code = 403
	case len(m.legs) >= maxLegs:
		code = 503
	case r.stage == early && m.hunt != nil && m.hunt.host == r && m.hunt.transfer == nil && r.theirs != nil:
	case r.stage == leaving || r.stage == gone || r.stage == offered || r.pending():
		code = 481
	case !m.settled(r) || m.transfer != nil || m.hunt != nil:
		code = 491
	}
	if code != 0 {
		m.do(Adopted{Cargo: in.Cargo, Code: code})
		return
	}
	l.id, l.who = LegID(len(m.legs)), in.Held.party
	m.legs = append(m.legs, l)
	m.do(Adopted{Leg: l.id, Tag: l.dlg.LocalTag, Cargo: in.Cargo, Code: 200})
	m.keep(l)
	if r.stage == early { // who asks has not waited for the answer
		m.hunt.host, m.host = l, l
		m.dismiss(r, 487)
		m.hunt.rings = m.hunt.rung
		m.ringBack()
		return
	}
	p := m.peer(r)
	p.next = l // it follows with what p has answered
	m.pair(p, l)
	m.leave(r, End{ByCaller, 200, "passed on"})
}

// sameParty says whether a dialog is whose transfer names it.
func sameParty(a, b Party) bool {
	if a.Extension != "" || b.Extension != "" {
		return a.Extension == b.Extension
	}
	return a.Line != "" && a.Line == b.Line
}
