package call

import (
	"linekeeper/sbc/policy"
	"linekeeper/sbc/sdp"
	"linekeeper/sbc/sip"
)

// earlyMedia lets the caller hear what a lone target sends before it answers.
// With several targets ringing nobody is heard (RFC 5009 says no more).
func (m *Machine) earlyMedia(l *leg, resp *sip.Response) bool {
	theirs, err := session(resp)
	if err != nil || theirs == nil || l.mine == nil || !m.hunt.lone() {
		return false
	}
	if m.hunt.host.stage != early { // who is sent on hears it once it is answered
		l.theirs = theirs
		return false
	}
	body, err := m.agree(l, theirs)
	if err != nil {
		return false
	}
	m.ring(int(resp.StatusCode), resp.Reason, body)
	return true
}

// agree applies l's answer to the offer carried across from A, and yields the
// answer for A.
func (m *Machine) agree(l *leg, theirs *sdp.Session) ([]byte, error) {
	a := m.hunt.host
	flow, err := l.local.Flow(l.mine, theirs)
	if err != nil {
		return nil, err
	}
	answer, err := a.local.Answer(a.theirs, theirs)
	if err != nil {
		return nil, err
	}
	aFlow, err := a.local.Flow(answer, a.theirs)
	if err != nil {
		return nil, err
	}
	l.theirs, a.mine = theirs, answer
	m.do(Media{l.id, flow}, Media{a.id, aFlow}, Bridge{a.id, l.id})
	return answer.Bytes(), nil
}

// won makes l the callee: the other targets are cancelled, the caller gets its 200.
func (m *Machine) won(l *leg, a *ask, resp *sip.Response) {
	theirs, err := session(resp)
	if err == nil && theirs == nil && l.mine != nil {
		theirs = l.theirs // the answer came with a provisional response
	}
	m.cause = policy.Cause{} // what others refused with is no matter any more
	m.connect(l, resp)
	var body []byte
	switch {
	case err != nil:
	case m.hunt.host.theirs == nil: // late offer: the 2xx carries it
		body, err = m.lateOffer(l, theirs, a.seq)
	case theirs == nil:
		err = errNoAnswer
	default:
		body, err = m.agree(l, theirs)
	}
	if err != nil {
		m.acknowledge(l, a.seq, nil)
		l.stage = confirmed
		m.finish(End{blameOf(l), 488, l.target.Name + ": " + err.Error()})
		return
	}
	host := m.hunt.host
	m.winner, m.hunt, l.stage, l.canUpdate = l, nil, confirmed, allows(resp, sip.UPDATE)
	for _, key := range []string{"silent", "ring", "patience"} {
		m.do(Disarm{key})
	}
	for _, o := range m.legs[1:] {
		if o != l && o.pending() {
			m.leave(o, End{ByUs, 200, "answered elsewhere"})
		}
	}
	if !l.late {
		m.acknowledge(l, a.seq, nil)
	}
	m.timerAsClient(l, resp)
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

// acknowledge sends and keeps the ACK of a 2xx.
func (m *Machine) acknowledge(l *leg, seq uint32, body []byte) {
	d := l.dlg.Ack(seq)
	d.Headers, d.ContentType, d.Body = []sip.Header{m.session(l), sip.NewHeader("User-Agent", m.cfg.Agent)}, ctype(""), body
	req := d.Request()
	l.ack, l.ackSeq = req, seq
	m.do(Ack{req, l.flow})
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
	case l.ack != nil && seq == l.ackSeq:
		m.do(Ack{l.ack, l.flow})
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
	if err := fork.Learn(resp); err != nil || len(l.forks) >= maxForks {
		return
	}
	agent := []sip.Header{m.session(l), sip.NewHeader("User-Agent", m.cfg.Agent)}
	ack, bye := fork.Ack(seq), fork.Draft(sip.BYE)
	ack.Headers, bye.Headers = agent, agent
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
		l.stage = confirmed
		if l.byeDue {
			m.bye(l, *m.end)
			return
		}
		switch {
		case l.offers:
			m.completed(l, in.Req)
		case m.winner != nil && m.winner.late && l == m.host:
			m.lateAnswer(l, m.winner, in.Req)
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
	a.theirs, b.mine = answer, mine
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
