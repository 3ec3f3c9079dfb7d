package call

import "linekeeper/sbc/sip"

// rekey takes a new seed: whatever is described from now on has keys made of it.
func (m *Machine) rekey(in Rekey) {
	l := m.leg(in.Leg)
	if l == nil || l.talk == nil || m.end != nil {
		return
	}
	l.local.Keys = in.Keys
	m.offerKeys(l)
}

// offerKeys offers a leg what it has agreed to, under the keys of its present seed.
func (m *Machine) offerKeys(l *leg) {
	p := m.peer(l)
	if p == nil || l.stage != confirmed || m.end != nil || p.theirs == nil {
		return
	}
	if l.in != nil || l.out || l.late || l.offers || p.in != nil {
		m.do(Arm{l.key("rekey"), refitAgain})
		return
	}
	was := l.local
	mine, err := l.local.Offer(p.agreed())
	if err != nil { // the keys in use are better than none
		l.local = was
		return
	}
	l.out = true
	m.send(l, &ask{purpose: forRekey, method: sip.INVITE, headers: m.refreshHeaders(l), body: mine.Bytes(), offer: mine})
}
