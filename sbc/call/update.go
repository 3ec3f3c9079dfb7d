package call

import (
	"time"

	"linekeeper/sbc/sdp"
	"linekeeper/sbc/sip"
)

// earlyRequest handles a request within a dialog whose INVITE is not answered yet;
// it says whether it was one that has a meaning of its own there.
func (m *Machine) earlyRequest(l *leg, t *talk, in Request) bool {
	if l.stage != early {
		return false
	}
	switch in.Req.Method {
	case sip.UPDATE:
		m.earlyUpdate(l, t, in)
	case sip.INVITE: // RFC 3261 14.2
		if l.incoming {
			m.later(&relay{from: l.id, tx: in.Tx, req: in.Req})
		} else {
			m.reply(l, in.Tx, in.Req, 491, "", nil)
		}
	case sip.BYE:
		if l.incoming {
			return false
		}
		m.reply(l, in.Tx, in.Req, 200, "OK", nil)
		m.lapse(l, t)
	case sip.INFO, sip.MESSAGE:
		m.carryEarly(l, t, in)
	default:
		return false
	}
	return true
}

// opposite is the dialog at the other end of an early one: the one that is heard,
// or the caller's. It is nil where there is none.
func (m *Machine) opposite(l *leg, t *talk) (*leg, *talk) {
	h := m.hunt
	switch {
	case h == nil || h.host.stage != early:
	case l != h.host:
		return h.host, h.host.talk
	case h.heard != nil:
		if o := m.legOf(h.heard); o != nil {
			return o, h.heard
		}
	}
	return nil, nil
}

// carryEarly passes a request without offer between the caller and the one it hears.
func (m *Machine) carryEarly(l *leg, t *talk, in Request) {
	ol, ot := m.opposite(l, t)
	if ol == nil || !l.incoming && t != m.hunt.heard {
		m.reply(l, in.Tx, in.Req, 480, "", nil) // not 481, which would end the dialog (RFC 5057)
		return
	}
	m.pass(ol, ot, l, in)
}

// earlyUpdate handles UPDATE before the final answer (RFC 3311 5.2): without offer
// it refreshes the target, an offer must wait until the first exchange is complete.
func (m *Machine) earlyUpdate(l *leg, t *talk, in Request) {
	offer, err := session(in.Req)
	switch {
	case err != nil:
		m.reply(l, in.Tx, in.Req, 400, "Bad Session Description", nil)
	case offer == nil:
		t.dlg.Refresh(in.Req)
		m.reply(l, in.Tx, in.Req, 200, "OK", nil)
	case t.in != nil, !t.settled && (l.incoming && l.asked || t.offer != nil): // their offer has no answer yet
		m.later(&relay{from: l.id, tx: in.Tx, req: in.Req})
	case t.out, !t.settled: // ours has none
		m.reply(l, in.Tx, in.Req, 491, "", nil)
	default:
		t.dlg.Refresh(in.Req)
		m.earlyOffer(l, t, in, offer)
	}
}

// earlyOffer answers a further offer of an early dialog here where the other side
// need not know: another address, another order of codecs. Else it is carried
// across by UPDATE, or refused with 504 (RFC 3311 5.2).
func (m *Machine) earlyOffer(l *leg, t *talk, in Request, offer *sdp.Session) {
	if err := t.local.Refuses(offer); err != nil {
		m.replyMisfit(l, in.Tx, in.Req, err)
		return
	}
	ol, ot := m.opposite(l, t)
	heard := m.hunt != nil && (l.incoming || t == m.hunt.heard)
	if ol != nil && m.answerHere(l, t, ot, in, offer, heard) {
		return
	}
	switch {
	case ol == nil || !heard || !ot.settled || !ot.canUpdate:
		code := 504
		if in.Req.Method == sip.PRACK {
			code = 488
		}
		m.reply(l, in.Tx, in.Req, code, "", nil)
	case ot.in != nil || ot.out:
		m.later(&relay{from: l.id, tx: in.Tx, req: in.Req})
	default:
		m.carryUpdate(l, t, ol, ot, in, offer)
	}
}

// answerHere answers t's offer out of what the other side has agreed to, if that
// changes nothing for the other side, or if nobody hears t anyway.
func (m *Machine) answerHere(l *leg, t, other *talk, in Request, offer *sdp.Session, heard bool) bool {
	if other.theirs == nil || other.mine == nil || offer.Audio() == nil {
		return false
	}
	local := t.local
	answer, err := local.Answer(offer, other.agreed())
	if err != nil {
		return false
	}
	told := other.mine.Audio()
	if heard && (!alike(answer, other.agreed()) || told == nil || told.Direction != offer.Audio().Effective()) {
		return false
	}
	flow, err := local.Flow(answer, offer)
	if err != nil {
		return false
	}
	t.local, t.mine, t.theirs, t.asked = local, answer, offer, true
	if heard {
		m.do(Media{l.id, flow})
	}
	m.reply(l, in.Tx, in.Req, 200, "OK", answer.Bytes())
	return true
}

func (m *Machine) carryUpdate(l *leg, t *talk, ol *leg, ot *talk, in Request, offer *sdp.Session) {
	was := ot.local
	mine, err := ot.local.Offer(offer)
	if err != nil {
		ot.local = was
		m.reply(l, in.Tx, in.Req, 488, "", nil)
		return
	}
	r := &relay{from: l.id, to: ol.id, tx: in.Tx, req: in.Req, offer: offer, mine: mine, by: t}
	t.in, ot.out = r, true
	m.send(ol, &ask{purpose: forUpdate, method: sip.UPDATE, talk: ot, relay: r, body: mine.Bytes(),
		headers: append([]sip.Header{sip.NewHeader("Allow", sip.AllowedInCall), sip.NewHeader("Supported", sip.Supported)}, m.passed(ol, in.Req)...)})
}

// updated takes the answer to a carried UPDATE back to where the offer came from.
func (m *Machine) updated(l *leg, a *ask, resp *sip.Response) {
	r := a.relay
	from := m.leg(r.from)
	a.talk.out = false
	if r.by.in != r { // answered meanwhile: the dialog is gone
		return
	}
	r.by.in = nil
	code := int(resp.StatusCode)
	switch {
	case resp.IsSuccess():
		a.talk.dlg.Refresh(resp)
		m.exchanged(l, a, from, resp)
	case challenged(code) && m.through(l):
		m.challenge(from, r, resp)
	case code == 500 && retryAfter(resp) > 0:
		m.replyAfter(from, r.tx, r.req, 500, retryAfter(resp))
	case code == 488 || code == 491 || code == 504 || code == 606:
		m.reply(from, r.tx, r.req, code, resp.Reason, nil)
	default: // it does not know UPDATE, or no longer the dialog: its INVITE will tell
		a.talk.canUpdate = false
		m.reply(from, r.tx, r.req, 504, "", nil)
	}
}

// exchanged completes an offer that was carried by UPDATE.
func (m *Machine) exchanged(l *leg, a *ask, from *leg, resp *sip.Response) {
	r, t := a.relay, a.talk
	theirs, err := session(resp)
	if err == nil && theirs == nil {
		err = errNoAnswer
	}
	var flow, back sdp.Flow
	var answer *sdp.Session
	if err == nil {
		flow, err = t.local.Flow(r.mine, theirs)
	}
	local := r.by.local
	if err == nil {
		answer, err = local.Answer(r.offer, theirs)
	}
	if err == nil {
		back, err = local.Flow(answer, r.offer)
	}
	if err != nil {
		m.reply(from, r.tx, r.req, 488, "", nil)
		return
	}
	t.mine, t.theirs, t.asked = r.mine, theirs, false
	r.by.local, r.by.mine, r.by.theirs, r.by.asked = local, answer, r.offer, true
	m.do(Media{l.id, flow}, Media{from.id, back})
	m.reply(from, r.tx, r.req, 200, "OK", answer.Bytes())
}

// updateLost answers whoever asked for an UPDATE that got no answer.
func (m *Machine) updateLost(a *ask) {
	a.talk.out = false
	if r := a.relay; r.by.in == r {
		r.by.in = nil
		m.reply(m.leg(r.from), r.tx, r.req, 504, "", nil)
	}
}

// later asks a peer to come back: something is under way (RFC 3261 14.2, RFC 3311 5.2).
func (m *Machine) later(r *relay) {
	if r.by != nil {
		if r.by.in != r {
			return
		}
		r.by.in = nil
	}
	m.replyAfter(m.leg(r.from), r.tx, r.req, 500, time.Duration(1+m.dice(10))*time.Second)
}

// glare is how long a request of the box that met one of the peer's waits: the
// owner of the Call-ID waits longer (RFC 3261 14.1).
func (m *Machine) glare(l *leg) time.Duration {
	if l.incoming {
		return time.Duration(m.dice(201)) * 10 * time.Millisecond
	}
	return 2100*time.Millisecond + time.Duration(m.dice(191))*10*time.Millisecond
}
