package call

import (
	"linekeeper/sbc/sdp"
	"linekeeper/sbc/sip"
)

// A fax begins as a call of speech. One side then offers T.38 in a re-INVITE, the box
// carries it across, and the media relay passes UDPTL as it is. Where the other side
// takes no T.38, the fax must go as speech: what is described from then on asks for a
// channel without echo cancelling and without gaps (RFC 3108).

// noFax notes that l has refused a fax: its session stays as it was.
func (m *Machine) noFax(l, from *leg, r *relay, code int) {
	if r.was == nil {
		return
	}
	l.local.Withdraw(*r.was)
	if code != 491 && code != 500 && code != 503 { // these may be asked again
		l.local.NoFax, from.local.NoFax = true, true
	}
}

// faxTurnedOff handles a 2xx in which l has taken no section at all: that is a
// refusal, after which l has no media until it is offered speech again.
func (m *Machine) faxTurnedOff(l, from *leg, r *relay, theirs *sdp.Session, seq uint32) {
	m.acknowledge(l, seq, nil)
	from.in = nil
	l.mine, l.theirs = r.mine, theirs
	l.local.NoFax, from.local.NoFax = true, true
	m.reply(from, r.tx, r.req, 488, "", nil)
	mine, err := l.local.Offer(from.agreed())
	if err != nil {
		m.finish(End{ByUs, 488, "a refused fax left no speech: " + err.Error()})
		return
	}
	l.out = true
	m.send(l, &ask{purpose: forRefit, method: sip.INVITE, headers: m.refreshHeaders(l), body: mine.Bytes(), offer: mine})
}
