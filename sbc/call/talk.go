package call

import (
	"errors"
	"slices"

	"linekeeper/sbc/policy"
	"linekeeper/sbc/sdp"
	"linekeeper/sbc/sip"
)

// errOther says that the caller was told of a session that is not this one.
var errOther = errors.New("the caller was told of another session")

// agree joins the host to t, whose description is theirs, and yields the
// description for the host. What the host was told once stays its answer (RFC 3261
// 13.2.1): another dialog takes the first one's place behind the box as long as it
// means the same codec. Where it doesn't, an early one is not heard, and a final
// one makes the host unfit: it gets an offer after its ACK.
func (m *Machine) agree(l *leg, t *talk, theirs *sdp.Session, final bool) ([]byte, error) {
	host := m.hunt.host
	t.theirs = theirs
	flow, err := t.local.Flow(t.mine, theirs)
	if err != nil {
		return nil, err
	}
	local, told := host.local, host.mine
	if host.asked {
		if told, err = local.Answer(host.theirs, t.agreed()); err != nil {
			return nil, err
		}
	}
	unfit := false
	if host.mine != nil {
		unfit = !alike(told, host.mine) && !alike(host.agreed(), t.agreed()) || host.asked && told.Live().Direction != host.mine.Live().Direction
		if unfit && !final {
			return nil, errOther
		}
		local, told = host.local, host.mine
	}
	hostFlow, err := local.Flow(told, host.theirs)
	if err != nil {
		return nil, err
	}
	host.local, host.mine, host.unfit = local, told, unfit
	m.do(Media{l.id, flow}, Media{host.id, hostFlow}, Bridge{host.id, l.id})
	return told.Bytes(), nil
}

// won makes l the callee: the other targets are cancelled, the caller gets its 200.
func (m *Machine) won(l *leg, a *ask, resp *sip.Response) {
	host := m.hunt.host
	m.cause = policy.Cause{} // what others refused with is no matter any more
	m.connect(l, resp)
	body, answer, err := m.final(l, a, resp)
	if err != nil {
		m.acknowledge(l, a.seq, nil)
		l.stage = confirmed
		m.misfit = err
		m.finish(End{blameOf(l), 488, l.aim.name + ": " + err.Error()})
		return
	}
	m.winner, l.stage = l, confirmed
	m.endHunt()
	for _, o := range m.legs[1:] {
		if o != l && o.pending() {
			m.leave(o, End{ByUs, 200, "answered elsewhere"})
		}
	}
	if !l.late {
		m.acknowledge(l, a.seq, answer)
	}
	m.timerAsClient(l, resp)
	m.accept(host, body)
}

// final finds what l's 2xx has agreed on: the description for the host, and that
// for l's ACK where the 2xx made the offer.
func (m *Machine) final(l *leg, a *ask, resp *sip.Response) (body, answer []byte, err error) {
	host := m.hunt.host
	theirs, err := session(resp)
	if err != nil {
		return nil, nil, err
	}
	if l.theirs != nil && (theirs == nil || l.settled) {
		theirs = l.theirs // it came with a provisional response; one that was acknowledged counts
	}
	switch {
	case l.offer != nil: // the caller's PRACK will answer what it was offered early
		return nil, nil, nil
	case theirs == nil && host.theirs == nil:
		return nil, nil, errNoOffer
	case theirs == nil:
		return nil, nil, errNoAnswer
	case host.theirs == nil && host.mine != nil: // so it will what another fork has offered early
		l.theirs, l.late, l.ackSeq = theirs, true, a.seq
		return nil, nil, nil
	case host.theirs == nil: // late offer: the 2xx carries it
		body, err = m.lateOffer(l, theirs, a.seq)
		return body, nil, err
	case l.mine == nil: // the caller has answered another fork's offer
		mine, err := l.local.Answer(theirs, host.agreed())
		if err != nil {
			return nil, nil, err
		}
		l.mine, l.asked, answer = mine, true, mine.Bytes()
	}
	body, err = m.agree(l, l.talk, theirs, true)
	return body, answer, err
}

// accept gives the caller its 2xx, once it has acknowledged what it was told of
// the session before (RFC 3262 3). What it has acknowledged is not said again.
func (m *Machine) accept(host *leg, body []byte) {
	r := &host.rel
	if r.open != nil && r.described && !host.settled {
		r.held = true
		r.waiting = slices.DeleteFunc(r.waiting, func(p provision) bool { return p.body == nil })
		return
	}
	if host.settled {
		body = nil
	}
	m.quieten(host)
	host.stage = answered
	m.reply(host, host.tx, host.invite, 200, "OK", body)
	m.talked = m.now
	m.to(Talking)
}

// lateOffer carries the offer of l's 2xx to the caller; the caller's ACK answers it.
func (m *Machine) lateOffer(l *leg, theirs *sdp.Session, seq uint32) ([]byte, error) {
	if theirs == nil {
		return nil, errNoOffer
	}
	mine, err := m.hunt.host.local.Offer(theirs)
	if err != nil {
		return nil, err
	}
	l.theirs, l.late, l.ackSeq = theirs, true, seq
	m.hunt.host.mine = mine
	return mine.Bytes(), nil
}

// acknowledge sends the ACK of a 2xx and keeps what it takes to say it again.
func (m *Machine) acknowledge(l *leg, seq uint32, body []byte) {
	d := l.dlg.Ack(seq)
	d.Headers = append(slices.Clone(l.proof), m.session(l), sip.NewHeader("User-Agent", m.cfg.Agent))
	d.ContentType, d.Body = ctype(""), body
	l.acked, l.ackSeq, l.ackBody = true, seq, body
	m.do(Ack{d.Request(), l.flow})
}

// repeated answers a 2xx that came again with the same ACK; one of another fork
// gets an ACK and a BYE of its own (RFC 3261 13.2.2.4).
func (m *Machine) repeated(l *leg, resp *sip.Response) {
	if l.dlg == nil || !resp.IsSuccess() || resp.CSeq() == nil || resp.CSeq().MethodName != sip.INVITE {
		return
	}
	switch seq := resp.CSeq().SeqNo; {
	case sip.ToTag(resp) != l.dlg.RemoteTag && sip.FromTag(resp) == l.dlg.LocalTag:
		m.release(l, resp, seq)
	case l.acked && seq == l.ackSeq:
		m.acknowledge(l, seq, l.ackBody)
	}
}

// release ends the dialog of a second fork that answered as well.
func (m *Machine) release(l *leg, resp *sip.Response, seq uint32) {
	tag := sip.ToTag(resp)
	if ack := l.forks[tag]; ack != nil { // its ACK was lost
		m.do(Ack{ack, l.flow})
		return
	}
	fork := l.dlg.Fork()
	for _, d := range l.losers {
		if d.RemoteTag == tag {
			fork = d
		}
	}
	if err := fork.Learn(resp); err != nil || len(l.forks) >= maxForks {
		return
	}
	agent := []sip.Header{m.session(l), sip.NewHeader("User-Agent", m.cfg.Agent)}
	ack, bye := fork.Ack(seq), fork.Draft(sip.BYE)
	ack.Headers, bye.Headers = append(slices.Clone(l.proof), agent...), agent
	if l.forks == nil {
		l.forks = make(map[string]*sip.Request)
	}
	l.forks[tag] = ack.Request()
	m.refs++
	m.do(Ack{l.forks[tag], l.flow}, Send{l.id, m.refs, bye.Request(), l.flow})
}

// acked handles the ACK of a 2xx that the box sent.
func (m *Machine) acked(in Acked) {
	l := m.leg(in.Leg)
	if l == nil {
		return
	}
	if l.stage == answered {
		l.stage, l.invite = confirmed, nil // it has had its answer
		if l.byeDue {
			m.bye(l, *m.end)
			return
		}
		switch {
		case l.offers:
			m.completed(l, in.Req)
		case m.winner != nil && m.winner.late && l == m.host:
			m.lateAnswer(l, m.winner, in.Req)
		case l.unfit:
			l.unfit = false
			m.refit(l, m.peer(l))
		}
		return
	}
	if r := l.in; r != nil && r.answer != nil {
		l.in = nil
		m.lateRelayAnswer(l, r, in.Req)
	}
}

// lateAnswer takes the caller's answer out of its ACK and carries it to the callee's ACK.
func (m *Machine) lateAnswer(a, b *leg, ack *sip.Request) {
	b.late = false
	answer, err := session(ack)
	if err == nil && answer == nil {
		err = errNoAnswer
	}
	var body []byte
	if err == nil {
		body, err = m.joinLate(a, b, answer)
	}
	m.acknowledge(b, b.ackSeq, body)
	if err != nil {
		m.finish(End{ByCaller, 488, "the answer in the ACK cannot be used: " + err.Error()})
	}
}

// joinLate completes an exchange in which b offered and a answered in its ACK.
func (m *Machine) joinLate(a, b *leg, answer *sdp.Session) ([]byte, error) {
	flow, err := a.local.Flow(a.mine, answer)
	if err != nil {
		return nil, err
	}
	mine, err := b.local.Answer(b.theirs, answer)
	if err != nil {
		return nil, err
	}
	bFlow, err := b.local.Flow(mine, b.theirs)
	if err != nil {
		return nil, err
	}
	a.theirs, a.asked, b.mine, b.asked = answer, false, mine, true
	m.boxed(a, b)
	m.do(Media{a.id, flow}, Media{b.id, bFlow}, Bridge{a.id, b.id})
	return mine.Bytes(), nil
}

// unacked ends a call whose 2xx was never acknowledged: the session can't be
// there (RFC 3261 13.3.1.4).
func (m *Machine) unacked(in Unacked) {
	l := m.leg(in.Leg)
	for _, o := range m.legs {
		if in.Tx != 0 && o.incoming && o.tx == in.Tx {
			l = o
		}
	}
	if l == nil || l.stage == gone || l.stage == leaving || l.stage == offered {
		return
	}
	if l.stage == answered {
		l.stage = confirmed
		if l.byeDue {
			m.bye(l, *m.end)
			return
		}
	}
	m.finish(End{Unknown, 408, "the answer was never acknowledged"})
}
