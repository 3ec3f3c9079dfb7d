package call

import (
	"strings"
	"time"

	"linekeeper/sbc/dialog"
	"linekeeper/sbc/policy"
	"linekeeper/sbc/sip"
)

// arrived starts the call: the A leg is made, then the first step of the plan.
func (m *Machine) arrived(in Arrived) {
	if len(m.legs) > 0 {
		return
	}
	m.born, m.since = m.now, m.now
	m.hops = 70
	if mf := in.Req.MaxForwards(); mf != nil {
		m.hops = min(mf.Val(), m.hops)
	}
	m.way = in.Plan.Way // a call that is refused counts as what it would have been
	a := &leg{id: 0, incoming: true, stage: early, flow: in.Flow, side: in.Side, invite: in.Req, tx: in.Tx, talk: &talk{}}
	m.legs = append(m.legs, a)
	m.host, m.hunt = a, &hunt{host: a}
	dlg, err := dialog.Answering(in.Req, Tag(m.cfg.Invite.Token, 0), in.Contact)
	if err != nil {
		a.dlg = &dialog.Dialog{LocalTag: Tag(m.cfg.Invite.Token, 0), Contact: in.Contact}
		m.finish(End{ByCaller, 400, err.Error()})
		return
	}
	a.dlg = dlg
	m.hear(a, in.Req)
	a.canUpdate, a.info = allows(in.Req, sip.UPDATE), a.info.learn(in.Req)
	a.aim.credentials = in.Credentials
	m.promise(a)
	if end := m.acceptable(a); end != nil {
		m.finish(*end)
		return
	}
	if in.Plan.Reject != nil {
		m.rejected(in.Plan.Reject)
		return
	}
	m.do(Open{0, a.side})
	m.do(Arm{"patience", m.cfg.Patience})
	m.planned(in.Plan)
}

// acceptable checks what can be refused before anybody is called.
func (m *Machine) acceptable(a *leg) *End {
	if ct := a.invite.ContentType(); len(a.invite.Body()) > 0 && (ct == nil || !strings.HasPrefix(strings.ToLower(ct.Value()), "application/sdp")) {
		return &End{ByCaller, 415, "the body is no session description"}
	}
	offer, err := session(a.invite)
	if err != nil {
		return &End{ByCaller, 400, "the session description cannot be read: " + err.Error()}
	}
	a.theirs, a.asked = offer, offer != nil
	if se, ok := sip.SessionOf(a.invite); ok && se.Interval < minSE {
		return &End{ByCaller, 422, "session interval too small"}
	}
	if mf := a.invite.MaxForwards(); mf != nil && mf.Val() == 0 {
		return &End{ByCaller, 483, "too many hops"}
	}
	return nil
}

func (m *Machine) rejected(r *sip.Reject) {
	end := End{ByUs, r.Code, r.Phrase}
	if r.Cause != nil {
		end.Reason = r.Cause.Error()
	}
	m.best = failure{code: r.Code, phrase: r.Phrase, after: r.After}
	m.fruitless(end)
}

// planned begins with the first step of a plan.
func (m *Machine) planned(p Plan) {
	if !m.hunting() {
		return
	}
	if p.Reject != nil {
		// Asked again after a refusal, no other way is no better reason than that refusal.
		if m.best.code != 0 && !m.best.silent {
			m.fruitless(End{m.best.blame, m.best.code, m.best.reason()})
			return
		}
		m.rejected(p.Reject)
		return
	}
	if m.party(m.hunt.host).Line == "" { // a phone that forwards does not make the cloud's call an internal one
		m.way = p.Way
	}
	m.hunt.plan, m.hunt.step = p, 0
	m.begin()
}

// begin opens the targets of the present step; a plan that has run out ends the call.
func (m *Machine) begin() {
	for h := m.hunt; h.step < len(h.plan.Steps); h.step++ {
		s := h.plan.Steps[h.step]
		if len(s.Targets) == 0 {
			continue
		}
		m.hush()
		for i := range s.Targets {
			l := m.calls(&s.Targets[i])
			m.legs = append(m.legs, l)
			m.do(Open{l.id, l.side})
		}
		if s.Ring > 0 {
			m.do(Arm{"ring", s.Ring})
		}
		if s.Silent > 0 {
			m.do(Arm{"silent", s.Silent})
		}
		return
	}
	if m.best.code == 0 {
		m.best = failure{code: 480, phrase: "Temporarily Unavailable", blame: ByCallee}
	}
	m.fruitless(End{m.best.blame, m.best.code, m.best.reason()})
}

// mediaOpened lets the leg go on that waited for its ports.
func (m *Machine) mediaOpened(in MediaOpened) {
	l := m.leg(in.Leg)
	if l == nil {
		m.do(Close{in.Leg})
		return
	}
	l.local, l.open = in.Local, true
	if m.end != nil || (!l.incoming && l.stage != opening) || (l.incoming && l.stage == gone) {
		m.closeMedia(l)
		return
	}
	if l.incoming && l.theirs != nil { // nobody shall ring for what cannot be answered
		if err := l.local.Refuses(l.theirs); err != nil {
			m.unanswerable(l, err)
			return
		}
	}
	if l.takes != nil {
		m.take(l)
		return
	}
	if l.stage == opening {
		m.dial(l)
	}
}

// unanswerable refuses a caller, or a newcomer, whose offer does not fit the side's policy.
func (m *Machine) unanswerable(l *leg, err error) {
	if m.misfit = err; l.takes == nil {
		m.finish(End{ByCaller, 488, err.Error()})
		return
	}
	l.takes = nil
	m.dismiss(l, 488)
	m.misfit = nil
}

func (m *Machine) mediaRefused(in MediaRefused) {
	l := m.leg(in.Leg)
	switch {
	case l == nil || m.end != nil:
	case l.takes != nil:
		m.dismiss(l, 503)
	case l.id == 0:
		m.best = failure{code: 503, phrase: "Service Unavailable", after: 5 * time.Second}
		m.finish(End{ByUs, 503, "no media port: " + in.Err.Error()})
	default:
		l.stage = gone
		m.lost(l, failure{code: 503, phrase: "Service Unavailable", blame: ByUs, text: "no media port: " + in.Err.Error()})
	}
}

// cancelled ends a call that its caller gave up. A CANCEL that crosses our 2xx
// changes nothing: the caller sends BYE (RFC 3261 9.2).
func (m *Machine) cancelled(in Cancelled) {
	for _, l := range m.legs {
		if in.Tx != 0 && l.id != 0 && l.incoming && l.tx == in.Tx && l.stage == early { // it wanted to take the call over
			m.dismiss(l, 487)
			return
		}
	}
	if len(m.legs) == 0 || m.a().stage != early || in.Tx != 0 && m.a().tx != in.Tx {
		return
	}
	if in.Req != nil {
		m.cause = policy.ReadCause(in.Req)
	}
	m.finish(End{ByCaller, 487, "the caller hung up before an answer"})
}

// allows says whether the Allow header of a message names a method.
func allows(msg sip.Message, method sip.Method) bool {
	for _, h := range msg.GetHeaders("allow") {
		for part := range strings.SplitSeq(h.Value(), ",") {
			if strings.EqualFold(strings.TrimSpace(part), string(method)) {
				return true
			}
		}
	}
	return false
}
