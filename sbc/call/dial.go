package call

import (
	"cmp"
	"slices"
	"time"

	"linekeeper/sbc/dialog"
	"linekeeper/sbc/policy"
	"linekeeper/sbc/sdp"
	"linekeeper/sbc/sip"
)

// dial sends the INVITE of a B leg whose media is open.
func (m *Machine) dial(l *leg) {
	t := *l.target
	l.dlg = dialog.Calling(cmp.Or(t.CallID, Tag(m.cfg.Invite.Token, l.id)), Tag(m.cfg.Invite.Token, l.id), t.From, t.To, t.URI, t.Contact, t.Routes)
	var body []byte
	if offer := m.hunt.offer(); offer != nil {
		mine, err := l.local.Offer(offer)
		if err != nil {
			m.misfit = err
			m.fruitless(End{ByCaller, 488, err.Error()})
			return
		}
		l.mine, body = mine, mine.Bytes()
	}
	l.stage, l.root = calling, l.talk
	a := &ask{leg: l.id, purpose: forInvite, method: sip.INVITE, headers: m.inviteHeaders(t), body: body}
	l.ref = m.send(l, a)
	m.watchFlow(l)
}

func (m *Machine) inviteHeaders(t Target) []sip.Header {
	hs := []sip.Header{
		sip.NewHeader("Allow", sip.AllowedInCall),
		m.supported(),
	}
	if m.cfg.Session > 0 {
		hs = append(hs, sip.Session{Interval: m.cfg.Session}.Header()) // Min-SE is what is meant where none stands (RFC 4028 5)
	}
	return append(append(hs, t.Headers...), m.hunt.headers...)
}

// send gives a request of the leg's dialog to the wire and remembers what for.
func (m *Machine) send(l *leg, a *ask) Ref {
	if a.talk == nil || a.purpose == forInvite {
		a.talk = l.talk
	}
	if a.method == sip.INVITE {
		a.talk.proof = proofs(a.headers)
	}
	d := a.talk.dlg.Draft(a.method)
	d.Headers = append(slices.Clone(a.headers), m.session(l), sip.NewHeader("User-Agent", m.cfg.Agent))
	d.Body, d.ContentType, a.leg, a.seq = a.body, ctype(a.ctype), l.id, d.Seq
	req := d.Request()
	if a.purpose == forInvite {
		*req.MaxForwards() = sip.MaxForwards(m.hops - 1)
	}
	m.refs++
	m.asks[m.refs] = a
	m.do(Send{l.id, m.refs, req, l.flow})
	return m.refs
}

// answer sorts a response to the request it belongs to.
func (m *Machine) answer(in Answer) {
	a, l := m.asks[in.Ref], m.leg(in.Leg)
	if l == nil {
		return
	}
	if a == nil { // a 2xx repeated: its ACK was lost (RFC 3261 13.2.2.4)
		m.repeated(l, in.Resp)
		return
	}
	m.hear(l, in.Resp)
	code := int(in.Resp.StatusCode)
	if code < 200 {
		switch {
		case a.purpose == forInvite:
			m.provisional(l, a, in.Resp)
		case a.method == sip.INVITE:
			m.underWay(l, a, in.Resp)
		}
		return
	}
	delete(m.asks, in.Ref)
	if (code == 401 || code == 407) && m.prove(l, a, in.Resp) {
		return
	}
	switch a.purpose {
	case forInfo:
		m.pressTold(l, code)
	case forInvite:
		m.dialled(l, a, in.Resp)
	case forRelay:
		m.relayed(l, a, in.Resp)
	case forRefresh:
		m.refreshed(l, a, in.Resp)
	case forRefit, forRekey:
		m.refitted(l, a, in.Resp)
	case forDirect:
		m.straightened(l, a, in.Resp)
	case forNotify:
		m.told(l, code)
	case forPrack:
		m.prackAnswered(a, in.Resp)
	case forUpdate:
		m.updated(l, a, in.Resp)
	case forBye:
		l.stage = gone
	}
}

// prove repeats a challenged request with credentials (RFC 3261 22.2).
func (m *Machine) prove(l *leg, a *ask, resp *sip.Response) bool {
	cs := sip.Challenges(resp)
	switch {
	case l.aim.credentials == nil, a.tried >= credentialTries, len(cs) == 0, a.tried > 0 && !cs[0].Stale:
		return false
	case a.purpose == forInvite && (l.stage == leaving || m.hunt == nil):
		return false
	}
	auth, err := sip.Authorize(cs[0], *l.aim.credentials, a.method, a.talk.dlg.RequestURI(), a.body, m.cfg.Random(), 1)
	if err != nil {
		return false
	}
	a.tried++
	a.rseq, a.answer = 0, nil
	a.headers = append(slices.DeleteFunc(slices.Clone(a.headers), proof), auth)
	if a.purpose != forInvite {
		m.send(l, a)
		return true
	}
	m.restart(l)
	l.ref = m.send(l, a)
	return true
}

// sign notes that a target is alive.
func (m *Machine) sign(l *leg) {
	if l.heard {
		return
	}
	l.heard = true
	m.flowWorks(l)
	if l.target != nil {
		m.do(Heard{*l.target})
	}
	for _, o := range m.legs[1:] {
		if o.pending() && !o.heard {
			return
		}
	}
	m.do(Disarm{"silent"})
}

// provisional handles 1xx of a B leg's INVITE.
func (m *Machine) provisional(l *leg, a *ask, resp *sip.Response) {
	m.sign(l)
	if !l.pending() || m.end != nil {
		return
	}
	l.stage = early
	if resp.StatusCode == 100 || m.hunt == nil {
		return
	}
	t := m.talkOf(l, resp)
	if t == nil || !m.inOrder(l, t, a, resp) {
		return
	}
	if resp.StatusCode == 199 {
		m.lapse(l, t)
		return
	}
	l.rang = l.rang || resp.StatusCode == 180
	m.connect(l, resp)
	if m.earlyMedia(l, t, resp) {
		return
	}
	if resp.StatusCode != 183 {
		m.ring(180, "Ringing", nil)
	}
}

// ring tells the caller once that it rings.
func (m *Machine) ring(code int, phrase string, body []byte) {
	h := m.hunt
	if h.host.stage != early {
		m.tell(code, phrase, false)
		h.rings = true
		m.ringBack()
	}
	if h.host.stage != early || (h.rung && body == nil) {
		return
	}
	h.rung = h.rung || code == 180 || body != nil
	m.inform(h.host, provision{code: code, phrase: phrase, body: body})
	m.to(Ringing)
}

// dialled handles the final answer to a B leg's INVITE.
func (m *Machine) dialled(l *leg, a *ask, resp *sip.Response) {
	m.sign(l)
	if !resp.IsSuccess() {
		was := l.stage
		l.stage = gone
		if was == leaving || !m.hunting() {
			return
		}
		if resp.StatusCode == 430 && m.nextFlow(l) {
			return
		}
		if resp.StatusCode == 488 && (m.insist(l, a) || m.widen(l, a)) {
			return
		}
		if resp.StatusCode == 422 && a.tried < credentialTries {
			m.longer(l, a, resp)
			return
		}
		if resp.IsRedirection() && m.redirect(l, resp) {
			return
		}
		m.lost(l, failureOf(l, resp))
		return
	}
	t := m.talkOf(l, resp)
	if t == nil {
		m.lost(l, failure{code: 502, phrase: "Bad Gateway", text: "the answer makes no dialog", blame: ByCallee})
		return
	}
	m.choose(l, t)
	privacy, _ := policy.ReadPrivacy(resp)
	l.withheld = privacy.Hides()
	if l.stage == leaving || !m.hunting() { // answered in the moment of our CANCEL
		m.acknowledge(l, a.seq, nil)
		m.bye(l, End{ByUs, 200, "answered elsewhere"})
		m.closeMedia(l)
		return
	}
	if host := m.hunt.host; host.stage != early {
		m.passedOn(host, l, a, resp)
		return
	}
	m.won(l, a, resp)
}

// insist offers RTP/SAVP to a target that refused RTP/AVP with keys: phones set
// to mandatory SRTP don't know best effort (RFC 8643 4.2).
func (m *Machine) insist(l *leg, a *ask) bool {
	offer := m.hunt.offer()
	if l.local.SRTP != sdp.Preferred || offer == nil {
		return false
	}
	m.restart(l)
	l.local.SRTP, l.insisted = sdp.Required, true
	mine, err := l.local.Offer(offer)
	if err != nil {
		return false
	}
	l.mine, a.body = mine, mine.Bytes()
	l.stage = calling
	l.ref = m.send(l, a)
	return true
}

// widen offers all codecs that the relay can make of the caller's to a target that
// refused those that the caller has itself, with and without insisting on SRTP.
func (m *Machine) widen(l *leg, a *ask) bool {
	offer := m.hunt.offer()
	if !l.local.Convert || l.local.Wide || offer == nil || l.mine == nil || l.mine.Audio() == nil {
		return false
	}
	was := len(l.mine.Audio().Formats)
	m.restart(l)
	if l.local.Wide = true; l.insisted {
		l.local.SRTP = sdp.Preferred
	}
	mine, err := l.local.Offer(offer)
	if err != nil || mine.Audio() == nil || len(mine.Audio().Formats) == was {
		return false
	}
	l.mine, a.body = mine, mine.Bytes()
	l.stage = calling
	l.ref = m.send(l, a)
	return true
}

// longer repeats an INVITE whose session interval was too small (RFC 4028 7.1).
func (m *Machine) longer(l *leg, a *ask, resp *sip.Response) {
	want, ok := sip.MinSE(resp)
	if !ok || want > 24*time.Hour {
		m.lost(l, failureOf(l, resp))
		return
	}
	a.tried++
	a.headers = slices.DeleteFunc(slices.Clone(a.headers), func(h sip.Header) bool {
		return h.Name() == "Session-Expires" || h.Name() == "Min-SE"
	})
	a.headers = append(a.headers, sip.Session{Interval: max(want, m.cfg.Session)}.Header(), sip.MinSEHeader(want))
	m.restart(l)
	l.stage = calling
	l.ref = m.send(l, a)
}

// failed handles a request that ended without an answer.
func (m *Machine) failed(in Failed) {
	a, l := m.asks[in.Ref], m.leg(in.Leg)
	if a == nil || l == nil {
		return
	}
	delete(m.asks, in.Ref)
	switch a.purpose {
	case forInvite:
		was := l.stage
		l.stage = gone
		if was != leaving && m.hunting() {
			if !l.heard && m.nextFlow(l) {
				return
			}
			f := failure{code: 480, phrase: "Temporarily Unavailable", text: l.aim.name + ": " + in.Err.Error(), blame: blameOf(l), silent: !l.heard}
			if l.aim.line != "" {
				f.code, f.phrase = 408, "Request Timeout"
			}
			m.lost(l, f)
		}
	case forBye:
		l.stage = gone
	case forInfo: // a lost key press ends no call
		m.pressTold(l, 408)
	case forNotify:
		m.told(l, 408)
	case forPrack: // its INVITE tells how the call goes on
		a.talk.unheard = true
	case forUpdate:
		m.updateLost(a)
	case forRelay:
		m.abandon(a.relay)
		if l.live() || m.end == nil && m.hunt == nil { // RFC 3261 12.2.1.2: a timeout in a dialog ends it
			m.finish(End{Unknown, 408, "the peer no longer answers: " + in.Err.Error()})
		}
	default:
		m.finish(End{Unknown, 408, "the peer no longer answers: " + in.Err.Error()})
	}
}
