package call

import (
	"time"

	"linekeeper/sbc/sdp"
	"linekeeper/sbc/sip"
)

const (
	// directAfter is how long a session rests before its media goes past the box.
	directAfter = time.Second
	// directTries bounds the attempts of one pair.
	directTries = 3
)

// direct is how far two phones have come that speak past the box.
type direct struct {
	due     bool // the timer runs
	tries   int  // in a row
	refused bool // one of the pair won't
	on      bool // both have each other's address
}

// considerDirect lets media go past the box, some time after the talking legs have
// come to rest, where both phones sit on one segment.
func (m *Machine) considerDirect() {
	want := m.mayDirect()
	if want == m.straight.due {
		return
	}
	m.straight.due = want
	switch {
	case !want:
		m.do(Disarm{"direct"})
	case m.straight.tries > 0: // RFC 3261 14.1
		m.do(Arm{"direct", directAfter + m.glare(m.winner)})
	default:
		m.do(Arm{"direct", directAfter})
	}
}

// mayDirect says whether the two that talk could do without the box now.
func (m *Machine) mayDirect() bool {
	a, b := m.host, m.winner
	if m.end != nil || b == nil || !a.side.Segment.IsValid() || a.side.Segment != b.side.Segment || m.straight.refused || m.straight.tries >= directTries {
		return false
	}
	return !a.past && !b.past && m.settled(a) && !a.offers && !b.offers && m.transfer == nil && m.away == nil && m.hunt == nil && a.near() && b.near()
}

// near says that the peer takes its media where its SIP comes from: no NAT, no other
// machine, and that nobody holds.
func (l *leg) near() bool {
	if l.mine == nil || l.theirs == nil {
		return false
	}
	mine, theirs := l.mine.Audio(), l.theirs.Audio()
	return mine != nil && theirs != nil && mine.Direction == sdp.SendRecv && theirs.Effective() == sdp.SendRecv && theirs.Addr == l.flow.Remote.Addr().Unmap()
}

// goDirect begins with the one who was called.
func (m *Machine) goDirect() {
	m.straight.due = false
	if !m.mayDirect() {
		return
	}
	m.straight.tries++
	if !m.straighten(m.winner, m.host) {
		m.straight.refused = true // nothing will change that
	}
}

// straighten offers l the address of p's phone.
func (m *Machine) straighten(l, p *leg) bool {
	mine, err := l.local.Direct(p.agreed())
	if err != nil {
		return false
	}
	l.out = true
	m.send(l, &ask{purpose: forDirect, method: sip.INVITE, headers: m.refreshHeaders(l), body: mine.Bytes(), offer: mine})
	return true
}

// straightened handles the answer to that: the other one is next, or both have it. A
// phone that does not want it leaves the session as it was.
func (m *Machine) straightened(l *leg, a *ask, resp *sip.Response) {
	l.out = false
	ok := resp.IsSuccess()
	if ok {
		m.acknowledge(l, a.seq, nil)
	}
	p := m.peer(l)
	if m.end != nil || p == nil {
		return
	}
	code := int(resp.StatusCode)
	switch {
	case ok:
	case code == 481 || code == 408:
		m.finish(End{Unknown, code, "the peer no longer knows the call"})
		return
	default:
		m.straight.refused = code != 491
		m.gather(p)
		return
	}
	l.dlg.Refresh(resp)
	m.timerRefreshed(l, resp)
	l.mine, l.past = a.offer, true
	theirs, err := session(resp)
	if err == nil && theirs != nil {
		l.theirs, l.asked = theirs, false
	}
	switch {
	case err != nil || theirs == nil || !l.near() || !alike(theirs, a.offer):
		m.straight.refused = true
		m.gather(l)
	case p.past:
		m.straight.on, m.straight.tries = true, 0
		m.do(Direct{true})
	case p.out || p.in != nil || !m.straighten(p, l):
		m.gather(l)
	}
}

// gather brings the media of two that talk back to the box, of first before the other.
func (m *Machine) gather(first *leg) {
	p := m.peer(first)
	if p == nil || !first.past {
		return
	}
	if p.past {
		first.next = p
	}
	m.boxed(first, p)
	m.refit(first, p)
}

// boxed notes that legs have the box's own addresses again, or are about to.
func (m *Machine) boxed(legs ...*leg) {
	for _, l := range legs {
		l.past = false
	}
	if m.straight.on {
		m.straight.on = false
		m.do(Direct{false})
	}
}
