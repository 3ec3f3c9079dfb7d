package call

import (
	"errors"

	"linekeeper/sbc/policy"
	"linekeeper/sbc/sdp"
	"linekeeper/sbc/sip"
)

var (
	errNoAnswer = errors.New("the answer to the offer is missing")
	errNoOffer  = errors.New("neither side made an offer")
)

// request handles an in-dialog request.
func (m *Machine) request(in Request) {
	l := m.leg(in.Leg)
	if l != nil && l.stage == gone && in.Req.Method == sip.PRACK && l.dlg != nil && l.dialogOf(in.Req) == l.talk {
		m.prackCame(l, in) // of a response before the refusal (RFC 3262 3)
		return
	}
	if l == nil || l.dlg == nil || l.stage == gone || l.stage == opening {
		m.respond(in.Tx, in.Req, 481, "", Tag(m.cfg.Invite.Token, in.Leg))
		return
	}
	if l.stage == offered {
		m.wait(in)
		return
	}
	t := l.dialogOf(in.Req)
	if t == nil { // RFC 3261 12.2.2: another dialog
		m.respond(in.Tx, in.Req, 481, "", l.dlg.LocalTag)
		return
	}
	if l.stage == leaving && in.Req.Method != sip.BYE {
		m.reply(l, in.Tx, in.Req, 481, "", nil)
		return
	}
	if err := t.dlg.Receive(in.Req); err != nil { // RFC 3261 12.2.2
		m.reply(l, in.Tx, in.Req, 500, "Out Of Order", nil)
		return
	}
	m.hear(l, in.Req)
	if l.flow.Conn != in.Flow.Conn && in.Flow.Transport.Reliable() {
		l.flow = in.Flow // the peer came back on a new connection (RFC 5626)
	}
	if m.earlyRequest(l, t, in) {
		return
	}
	switch in.Req.Method {
	case sip.PRACK:
		m.prackCame(l, in)
	case sip.BYE:
		m.hungUp(l, in)
	case sip.INVITE, sip.UPDATE:
		m.modify(l, in)
	case sip.INFO:
		m.informed(l, in)
	case sip.MESSAGE:
		m.carry(l, in)
	case sip.REFER:
		m.refer(l, in)
	case sip.NOTIFY:
		m.reported(l, in)
	case sip.SUBSCRIBE:
		m.resubscribed(l, in)
	case sip.OPTIONS:
		m.reply(l, in.Tx, in.Req, 200, "OK", nil)
	default:
		m.reply(l, in.Tx, in.Req, 405, "", nil)
	}
}

func (m *Machine) hungUp(l *leg, in Request) {
	m.reply(l, in.Tx, in.Req, 200, "OK", nil)
	if m.end == nil {
		m.cause = policy.ReadCause(in.Req)
	}
	answered := l.stage == confirmed || l.stage == leaving
	if l.stage == early && l.incoming { // BYE of an early dialog: the INVITE still needs its answer
		m.finish(End{ByCaller, 487, "the caller hung up before an answer"})
		return
	}
	if answered || l.incoming {
		m.drop(l)
	}
	if m.leftOver(l) {
		return
	}
	end := End{ByCaller, 200, "the caller hung up"}
	if l != m.host {
		end = End{ByCallee, 200, "the callee hung up"}
		if m.host.stage == early { // whose 200 waits for a PRACK
			end.Code = 480
		}
	}
	m.finish(end)
}

// leftOver says whether the call goes on without a leg that hung up: it has sent
// the other party on, or is about to (RFC 5589).
func (m *Machine) leftOver(l *leg) bool {
	t := m.transfer
	switch {
	case m.end != nil:
		return false
	case t != nil && t.by == l && !t.settled:
		t.by, t.asking = nil, false
		if t.of != nil { // only whom it sends on is left
			m.host, m.winner = t.of, nil
		}
		m.ringBack()
		return true
	case t != nil && t.by == l && t.code >= 300: // it has not heard yet that the transfer failed
		m.transfer, t.by = nil, nil
		m.callBack(t, transferEnd(t.code))
		return true
	case t != nil && t.by == l:
		m.transfer = nil
	}
	if m.winner != nil && m.peer(l) == nil && l != m.host { // it stood by only
		return true
	}
	return false
}

// drop lets go of a leg whose peer has ended the dialog itself.
func (m *Machine) drop(l *leg) {
	for ref, a := range m.asks {
		if a.leg == l.id {
			delete(m.asks, ref)
		}
	}
	m.closeMedia(l)
	m.stopTimers(l)
	l.stage = gone
}

// modify handles re-INVITE and UPDATE: session refreshes are answered here,
// everything else is carried to the other leg.
func (m *Machine) modify(l *leg, in Request) {
	other := m.peer(l)
	switch {
	case other == nil || l.stage != confirmed || other.stage != confirmed && other.stage != answered:
		m.reply(l, in.Tx, in.Req, 491, "", nil) // RFC 3311 5.2: an offer is still open
		return
	case l.in != nil: // RFC 3261 14.2
		m.later(&relay{from: l.id, tx: in.Tx, req: in.Req})
		return
	case l.out || other.out || other.stage == answered || l.offers:
		m.reply(l, in.Tx, in.Req, 491, "", nil)
		return
	}
	if se, ok := sip.SessionOf(in.Req); ok && se.Interval < minSE {
		m.replyMinSE(l, in.Tx, in.Req)
		return
	}
	offer, err := session(in.Req)
	if err != nil {
		m.reply(l, in.Tx, in.Req, 400, "Bad Session Description", nil)
		return
	}
	l.dlg.Refresh(in.Req)
	if (offer == nil && in.Req.Method == sip.UPDATE) || (offer != nil && same(offer, l.theirs)) {
		m.refreshedByPeer(l, in, offer != nil)
		return
	}
	m.relayOffer(l, other, in, offer)
}

func (m *Machine) refreshedByPeer(l *leg, in Request, withBody bool) {
	var body []byte
	if withBody {
		body = l.mine.Bytes()
	}
	if in.Req.Method == sip.INVITE {
		l.in = &relay{from: l.id, to: l.id, tx: in.Tx, req: in.Req}
	}
	m.reply(l, in.Tx, in.Req, 200, "OK", body)
	if in.Req.Method == sip.INVITE {
		l.in = nil
	}
}

// relayOffer carries a changed offer, or the wish for one, to the other leg.
func (m *Machine) relayOffer(l, other *leg, in Request, offer *sdp.Session) {
	r := &relay{from: l.id, to: other.id, tx: in.Tx, req: in.Req, offer: offer}
	var body []byte
	if offer != nil {
		if err := l.local.Refuses(offer); err != nil {
			if offer.Fax() {
				l.local.NoFax, other.local.NoFax = true, true
			}
			m.replyMisfit(l, in.Tx, in.Req, err)
			return
		}
		was := other.local
		mine, err := other.local.Offer(offer)
		if err != nil {
			if offer.Fax() {
				l.local.NoFax, other.local.NoFax = true, true
			}
			m.reply(l, in.Tx, in.Req, 488, "", nil)
			return
		}
		if offer.Fax() {
			r.was = &was
		}
		r.mine, body = mine, mine.Bytes()
	}
	l.in, other.out = r, true
	m.send(other, &ask{purpose: forRelay, method: sip.INVITE, relay: r, headers: append(m.refreshHeaders(other), m.passed(other, in.Req)...), body: body})
}

// carry passes a request without offer (INFO, MESSAGE) across as it is.
func (m *Machine) carry(l *leg, in Request) {
	other := m.peer(l)
	if other == nil || !other.live() { // just being passed on, or not yet answered
		m.reply(l, in.Tx, in.Req, 491, "", nil)
		return
	}
	m.pass(other, other.talk, l, in)
}

// pass sends l's request on in a dialog of the other leg.
func (m *Machine) pass(other *leg, t *talk, l *leg, in Request) {
	a := &ask{purpose: forRelay, method: in.Req.Method, talk: t, body: in.Req.Body(),
		relay: &relay{from: l.id, to: other.id, tx: in.Tx, req: in.Req}}
	if ct := in.Req.ContentType(); ct != nil {
		a.ctype = ct.Value()
	}
	for _, name := range []string{"Info-Package", "Content-Disposition", "Event", "Subscription-State"} {
		a.headers = append(a.headers, in.Req.GetHeaders(name)...)
	}
	a.headers = append(a.headers, m.passed(other, in.Req)...)
	m.send(other, a)
}

// relayed takes the other leg's final answer back to where the request came from.
func (m *Machine) relayed(l *leg, a *ask, resp *sip.Response) {
	r := a.relay
	from := m.leg(r.from)
	if a.method == sip.INVITE {
		l.out = false
	}
	if m.end != nil {
		if a.method == sip.INVITE && resp.IsSuccess() {
			m.acknowledge(l, a.seq, nil)
		}
		return
	}
	code := int(resp.StatusCode)
	switch {
	case challenged(code) && m.through(l):
		from.in = nil
		m.challenge(from, r, resp)
	case a.method != sip.INVITE && m.hunt != nil && (code == 481 || code == 408): // ends that fork, not the caller's dialog
		m.reply(from, r.tx, r.req, 480, "", nil)
	case a.method != sip.INVITE:
		m.reply(from, r.tx, r.req, code, resp.Reason, nil)
	case resp.IsSuccess():
		l.dlg.Refresh(resp)
		m.modified(l, from, a, resp)
		return
	default:
		from.in = nil
		m.noFax(l, from, r, code)
		if code == 401 || code == 407 {
			code = 488
		}
		m.reply(from, r.tx, r.req, code, resp.Reason, nil)
	}
	if (code == 481 || code == 408) && m.hunt == nil { // RFC 5057: the dialog is gone
		m.finish(End{Unknown, code, "the peer no longer knows the call"})
	}
}

// passed are the credentials of a phone's request that go on to the cloud, where
// the phone itself holds them.
func (m *Machine) passed(to *leg, req *sip.Request) []sip.Header {
	if !m.through(to) {
		return nil
	}
	return credentials(req)
}

// challenge hands a challenge of the cloud to the phone that can answer it.
func (m *Machine) challenge(to *leg, r *relay, resp *sip.Response) {
	out := sip.Respond(r.req, int(resp.StatusCode), resp.Reason, to.dlg.LocalTag)
	for _, h := range challenges(resp) {
		out.AppendHeader(h)
	}
	out.AppendHeader(m.session(to))
	m.do(Respond{r.tx, out})
}

// modified completes a relayed re-INVITE that l accepted.
func (m *Machine) modified(l, from *leg, a *ask, resp *sip.Response) {
	r := a.relay
	theirs, err := a.answered(resp)
	if err == nil && r.offer == nil { // offerless: l has made the offer, from's ACK answers it
		m.offered(l, from, r, theirs, a.seq)
		return
	}
	if err == nil && r.was != nil && theirs.Live() == nil {
		m.faxTurnedOff(l, from, r, theirs, a.seq)
		return
	}
	var answer *sdp.Session
	var flow, back sdp.Flow
	if err == nil {
		flow, err = l.local.Flow(r.mine, theirs)
	}
	if err == nil {
		answer, err = from.local.Answer(r.offer, theirs)
	}
	if err == nil {
		back, err = from.local.Flow(answer, r.offer)
	}
	m.acknowledge(l, a.seq, nil)
	from.in = nil
	if err != nil {
		m.reply(from, r.tx, r.req, 488, "", nil)
		m.finish(End{blameOf(l), 488, "the changed session cannot be used: " + err.Error()})
		return
	}
	l.mine, l.theirs, from.mine, from.theirs = r.mine, theirs, answer, r.offer
	l.asked, from.asked = false, true
	m.boxed(l, from)
	m.do(Media{l.id, flow}, Media{from.id, back})
	m.timerRefreshed(l, resp)
	m.reply(from, r.tx, r.req, 200, "OK", answer.Bytes())
}

// offered hands l's offer back to the leg that asked for one.
func (m *Machine) offered(l, from *leg, r *relay, theirs *sdp.Session, seq uint32) {
	mine, err := from.local.Offer(theirs)
	if err != nil {
		m.acknowledge(l, seq, nil)
		from.in = nil
		m.reply(from, r.tx, r.req, 488, "", nil)
		m.finish(End{blameOf(l), 488, "the offered session cannot be used: " + err.Error()})
		return
	}
	l.theirs, from.mine, r.answer, r.seq = theirs, mine, theirs, seq
	m.reply(from, r.tx, r.req, 200, "OK", mine.Bytes())
}

// lateRelayAnswer completes an offerless re-INVITE with the answer of its ACK.
func (m *Machine) lateRelayAnswer(from *leg, r *relay, ack *sip.Request) {
	to := m.leg(r.to)
	answer, err := session(ack)
	if err == nil && answer == nil {
		err = errNoAnswer
	}
	var body []byte
	if err == nil {
		body, err = m.joinLate(from, to, answer)
	}
	m.acknowledge(to, r.seq, body)
	if err != nil {
		m.finish(End{Unknown, 488, "the answer in the ACK cannot be used: " + err.Error()})
	}
}

// abandon answers a request whose relay got no answer.
func (m *Machine) abandon(r *relay) {
	if r.refused {
		return
	}
	from := m.leg(r.from)
	if from.in == r {
		from.in = nil
	}
	m.reply(from, r.tx, r.req, 408, "", nil)
}
