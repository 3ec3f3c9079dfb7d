package call

import (
	"hash/fnv"
	"strings"
	"time"

	"linekeeper/sbc/sdp"
	"linekeeper/sbc/sip"
)

// Timers of reliable provisional responses (RFC 3262 3).
const (
	t1 = 500 * time.Millisecond
	// unprackedLimit is 64*T1: a caller that acknowledges nothing for so long is
	// refused.
	unprackedLimit = 64 * t1
	// maxWaiting bounds the responses that wait for the PRACK of the one before.
	maxWaiting = 4
)

// provision is a provisional response to be told.
type provision struct {
	code   int
	phrase string
	body   []byte
	offer  bool // body is an offer, which the PRACK answers
}

// reliable are the provisional responses that an incoming leg's peer acknowledges,
// one at a time (RFC 3262 3).
type reliable struct {
	invited   uint32 // CSeq of the INVITE
	may, must bool   // Supported and Require: 100rel
	next      uint32 // RSeq of the next one
	// open is the one without PRACK, said how it was sent, pause how long until it is
	// sent again; waiting are those after it.
	open    *provision
	said    *sip.Response
	seq     uint32
	pause   time.Duration
	waiting []provision
	// described says that a description went out, or waits to.
	described bool
	// held says that the 2xx waits for the PRACK (RFC 3262 3).
	held bool
}

// lateEarly is the offer of a reliable response, which the PRACK must answer.
type lateEarly struct {
	rack   sip.RAck
	theirs *sdp.Session
}

// promise notes what the caller wants of provisional responses.
func (m *Machine) promise(l *leg) {
	l.rel.invited, _ = sip.Seq(l.invite)
	l.rel.must = sip.HasToken(l.invite, "Require", "100rel")
	l.rel.may = l.rel.must || sip.HasToken(l.invite, "Supported", "100rel")
	if l.rel.may {
		l.rel.next = 1 + m.dice(1<<31-1) // RFC 3262 3: random, below 2^31
	}
}

// dice is a random number below n.
func (m *Machine) dice(n uint32) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(m.cfg.Random()))
	return h.Sum32() % n
}

// supported is the Supported header of an INVITE. A reliable response to one
// without offer would carry the offer (RFC 3262 5), which a caller without 100rel
// could not answer in time: then it is not asked for.
func (m *Machine) supported() sip.Header {
	if h := m.hunt.host; h.theirs == nil && !h.rel.may {
		return modestly()
	}
	return sip.NewHeader("Supported", sip.Supported)
}

// modestly is Supported without 100rel, as in a re-INVITE: there is no ringing to tell
// of in a call that stands.
func modestly() sip.Header {
	return sip.NewHeader("Supported", strings.TrimSuffix(sip.Supported, ", 100rel"))
}

// inform tells a caller how far its call is. Whoever knows 100rel gets every
// description reliably, and all responses if it requires it.
func (m *Machine) inform(l *leg, p provision) {
	r := &l.rel
	switch {
	case !r.must && !(r.may && p.body != nil):
		m.reply(l, l.tx, l.invite, p.code, p.phrase, p.body)
	case p.body != nil && r.described: // said, and nothing else will be
	case r.open == nil:
		r.described = r.described || p.body != nil
		m.sendReliably(l, p)
	case len(r.waiting) < maxWaiting:
		r.described = r.described || p.body != nil
		r.waiting = append(r.waiting, p)
	}
}

func (m *Machine) sendReliably(l *leg, p provision) {
	r := &l.rel
	resp := m.compose(l, l.invite, p.code, p.phrase, p.body,
		sip.NewHeader("Require", "100rel"), sip.RSeqHeader(r.next), sip.NewHeader("Allow", sip.AllowedInCall))
	r.open, r.said, r.seq, r.pause = &p, resp, r.next, t1
	r.next++
	m.do(Respond{l.tx, resp}, Arm{l.key("repeat"), t1}, Arm{l.key("unpracked"), unprackedLimit})
}

// repeatReliably says a response again that has got no PRACK yet, at twice the
// distance each time.
func (m *Machine) repeatReliably(l *leg) {
	r := &l.rel
	if r.open == nil || l.stage != early {
		return
	}
	r.pause *= 2
	m.do(Respond{l.tx, r.said}, Arm{l.key("repeat"), r.pause})
}

// unpracked refuses a caller that has never acknowledged a response.
func (m *Machine) unpracked(l *leg) {
	if l.rel.open != nil && l.stage == early {
		m.finish(End{ByCaller, 504, "a provisional response was never acknowledged"})
	}
}

// quieten stops the repetitions: the final answer is out, or no more is to come. A
// PRACK under way is still welcome (RFC 3262 3).
func (m *Machine) quieten(l *leg) {
	l.rel.waiting = nil
	if l.rel.open != nil {
		m.do(Disarm{l.key("repeat")}, Disarm{l.key("unpracked")})
	}
}

// fits says whether a PRACK is for the response that waits for one.
func (l *leg) fits(rack sip.RAck) bool {
	return l.rel.open != nil && rack == sip.RAck{RSeq: l.rel.seq, CSeq: l.rel.invited, Method: sip.INVITE}
}

// prackCame handles a PRACK of the caller.
func (m *Machine) prackCame(l *leg, in Request) {
	rack, err := sip.RAckOf(in.Req)
	body, bad := session(in.Req)
	switch {
	case err != nil || bad != nil:
		m.reply(l, in.Tx, in.Req, 400, "", nil)
		return
	case !l.incoming || !l.fits(rack):
		m.reply(l, in.Tx, in.Req, 481, "", nil)
		return
	case l.rel.open.offer && body == nil: // RFC 3262 5: the answer is due
		m.reply(l, in.Tx, in.Req, 400, "Answer Missing", nil)
		return
	}
	open := *l.rel.open
	l.rel.open, l.rel.said = nil, nil
	m.do(Disarm{l.key("repeat")}, Disarm{l.key("unpracked")})
	l.settled = l.settled || open.body != nil
	switch {
	case open.offer:
		m.reply(l, in.Tx, in.Req, 200, "OK", nil)
		m.earlyAnswer(l, body)
	case body == nil:
		m.reply(l, in.Tx, in.Req, 200, "OK", nil)
	case l.stage != early || !l.settled || l.in != nil || l.out:
		m.reply(l, in.Tx, in.Req, 488, "", nil)
	default:
		m.earlyOffer(l, l.talk, in, body)
	}
	m.goOn(l)
}

// goOn says what had to wait for a PRACK.
func (m *Machine) goOn(l *leg) {
	r := &l.rel
	switch {
	case l.stage != early || m.end != nil || r.open != nil:
	case len(r.waiting) > 0:
		p := r.waiting[0]
		r.waiting = r.waiting[1:]
		m.sendReliably(l, p)
	case r.held:
		r.held = false
		m.accept(l, nil)
	}
}

// earlyAnswer takes the caller's answer to the offer of a reliable response, and
// carries it to all whose PRACK waits for one.
func (m *Machine) earlyAnswer(l *leg, answer *sdp.Session) {
	flow, err := l.local.Flow(l.mine, answer)
	if err != nil {
		m.finish(End{ByCaller, 488, "the answer in the PRACK cannot be used: " + err.Error()})
		return
	}
	l.theirs, l.asked = answer, false
	m.do(Media{l.id, flow})
	for _, o := range m.legs {
		for _, t := range o.talks {
			m.answerEarly(o, t)
		}
	}
	w := m.winner
	if w == nil {
		return
	}
	m.answerEarly(w, w.talk)
	if err := m.joinEarly(l, w); err != nil {
		m.finish(End{ByCaller, 488, "the answer in the PRACK cannot be used: " + err.Error()})
	}
}

// joinEarly joins the caller to a callee that answered before the caller's PRACK.
func (m *Machine) joinEarly(l, w *leg) error {
	if w.late { // its 2xx made an offer
		w.late = false
		mine, err := w.local.Answer(w.theirs, l.agreed())
		if err != nil {
			m.acknowledge(w, w.ackSeq, nil)
			return err
		}
		w.mine, w.asked = mine, true
		m.acknowledge(w, w.ackSeq, mine.Bytes())
	}
	if w.mine == nil || w.theirs == nil {
		return errNoAnswer
	}
	flow, err := w.local.Flow(w.mine, w.theirs)
	if err != nil {
		return err
	}
	m.do(Media{w.id, flow}, Bridge{l.id, w.id})
	return nil
}

// inOrder handles the reliability of a provisional response: each is acknowledged
// by a PRACK in its own early dialog, repeated ones and those after a gap go no
// further (RFC 3262 4). It says whether the response is to be acted on.
func (m *Machine) inOrder(l *leg, t *talk, a *ask, resp *sip.Response) bool {
	rseq, ok := sip.RSeqOf(resp)
	if !ok || !sip.HasToken(resp, "Require", "100rel") {
		return true
	}
	rack := sip.RAck{RSeq: rseq, CSeq: a.seq, Method: sip.INVITE}
	if t.rseq != 0 && rseq != t.rseq+1 {
		if rseq == t.rseq && t.unheard { // else its PRACK is repeated by its transaction
			m.prack(l, t, rack, nil)
		}
		return false
	}
	theirs, err := session(resp)
	if err != nil {
		return false
	}
	if theirs == nil || t.mine != nil || t.settled {
		t.rseq = rseq
		m.prack(l, t, rack, nil)
		return true
	}
	if !m.offeredEarly(l, t, &lateEarly{rack, theirs}, resp) {
		return false
	}
	t.rseq = rseq
	return true
}

// prack acknowledges a reliable response of t.
func (m *Machine) prack(l *leg, t *talk, rack sip.RAck, body []byte) {
	t.unheard = false
	m.send(l, &ask{purpose: forPrack, method: sip.PRACK, talk: t, headers: []sip.Header{rack.Header()}, body: body})
}

// underWay handles a provisional response to a re-INVITE. The box does not ask for
// reliable ones there, so no peer may send any (RFC 3262 3); what one sends all the
// same is acknowledged, lest its change should fail, unless it makes an offer.
func (m *Machine) underWay(l *leg, a *ask, resp *sip.Response) {
	rseq, ok := sip.RSeqOf(resp)
	if !ok || resp.StatusCode == 100 || !sip.HasToken(resp, "Require", "100rel") || !l.live() {
		return
	}
	theirs, err := session(resp)
	again := rseq == a.rseq && l.unheard // else its PRACK is repeated by its transaction
	if err != nil || theirs != nil && a.body == nil || a.rseq != 0 && rseq != a.rseq+1 && !again {
		return
	}
	if a.rseq = rseq; a.answer == nil {
		a.answer = theirs
	}
	m.prack(l, l.talk, sip.RAck{RSeq: rseq, CSeq: a.seq, Method: sip.INVITE}, nil)
}

// prackAnswered notes whether the peer took a PRACK.
func (m *Machine) prackAnswered(a *ask, resp *sip.Response) {
	a.talk.unheard = !resp.IsSuccess()
}

// offeredEarly takes the offer of a reliable response to an INVITE that had none.
// The first goes on to the caller, whose PRACK answers it; others are answered out
// of that. It says whether the offer can be answered at all.
func (m *Machine) offeredEarly(l *leg, t *talk, o *lateEarly, resp *sip.Response) bool {
	host := m.hunt.host
	switch {
	case host.stage != early || host.asked || t.offer != nil:
		return false
	case host.mine == nil && !host.rel.may:
		return false
	case host.mine == nil:
		mine, err := host.local.Offer(o.theirs)
		if err != nil {
			return false
		}
		host.mine = mine
		m.hunt.rung = true
		m.inform(host, provision{code: int(resp.StatusCode), phrase: resp.Reason, body: mine.Bytes(), offer: true})
		m.to(Ringing)
	}
	t.offer = o
	m.answerEarly(l, t)
	return true
}

// answerEarly answers the offer of a reliable response once the caller's own
// description is known.
func (m *Machine) answerEarly(l *leg, t *talk) {
	host := m.host
	if m.hunt != nil {
		host = m.hunt.host
	}
	o := t.offer
	if o == nil || host.theirs == nil {
		return
	}
	t.offer = nil
	mine, err := t.local.Answer(o.theirs, host.agreed())
	if err != nil {
		return // not acknowledged: the peer gives up
	}
	t.mine, t.theirs, t.asked, t.settled = mine, o.theirs, true, true
	m.prack(l, t, o.rack, mine.Bytes())
	if m.hunt != nil {
		m.describes(t)
		m.listen(l, nil)
	}
}

// proof says whether a header carries credentials.
func proof(h sip.Header) bool {
	return h.Name() == "Authorization" || h.Name() == "Proxy-Authorization"
}

// proofs are the credentials among the headers of a request.
func proofs(hs []sip.Header) []sip.Header {
	var out []sip.Header
	for _, h := range hs {
		if proof(h) {
			out = append(out, h)
		}
	}
	return out
}
