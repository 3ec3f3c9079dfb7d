package media

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"linekeeper/sbc/sdp"
)

// Why the agent is our own, and not pion/ice's:
//
//   - A leg has one socket for each component, which its worker owns; pion/ice
//     wants to read from a PacketConn of its own, so every packet of the call would
//     pass two goroutines and a copy more, or the fast path would have to be cut in two.
//   - With one base for each component a pair is nothing but an address of the
//     peer, and a check list is a short table: no gathering, no freezing across bases.
//   - Its timers and its state belong to the worker, so that there is no lock, and a
//     stream that moves to another worker takes its agent along.
//   - An agent of pion's is some ten goroutines and timers; ours is a table and a
//     timer that runs while there is something to wait for, none at all as a lite agent.
//   - What is left, and easy to get wrong, are messages: those are pion/stun's. Tests
//     hold the agent against pion/ice in both roles, and against RFC 5769.

const (
	// maxPairs bounds the addresses of a peer that are checked.
	maxPairs = 24
	// pacing is Ta, the time between two checks (RFC 8445 14.2).
	pacing = int64(50 * time.Millisecond)
	// checkTimeout is the first RTO of a check (RFC 8445 14.3); it doubles.
	checkTimeout = int64(500 * time.Millisecond)
	// maxTries is Rc, how often a check is sent (RFC 8489 6.2.1).
	maxTries = 7
	// plainTime is how long a peer may say nothing by STUN until it counts as one
	// that has no ICE, whatever it described.
	plainTime = int64(2 * time.Second)
	// pathTime is how long nobody hears that there is no path.
	pathTime = int64(20 * time.Second)
	// consentInterval is the mean time between two consent checks, consentTime how
	// long consent lasts (RFC 7675 5.1).
	consentInterval = int64(5 * time.Second)
	consentTime     = int64(30 * time.Second)
)

// pairState is how far a pair has come (RFC 8445 6.1.2.6; nothing is ever frozen).
type pairState uint8

const (
	pairWaiting pairState = iota
	pairChecking
	pairValid
	pairFailed
)

// candidatePair is an address of the peer, checked from our one base.
type candidatePair struct {
	to        netip.AddrPort
	priority  uint64
	state     pairState
	triggered bool // next in turn
	nominated bool // by the peer, or being nominated by us
	asked     bool // our last check said that we control
	id        [12]byte
	tries     int
	due       int64
	heard     int64 // when the peer checked it last
}

// checker is the ICE agent of one component (RFC 8445): a lite one answers, a full
// one checks as well. It belongs to the worker.
type checker struct {
	// heard says that the peer has spoken STUN, plain that it was given up to do so
	// at plainAt.
	heard, plain bool
	plainAt      int64
	flow         *sdp.Checks
	component    int
	controlling  bool
	tie          uint64
	pairs        []candidatePair
	chosen       netip.AddrPort // valid once a pair is nominated
	found        bool           // some pair is valid
	nextCheck    int64          // no check before
	nextLate     int64
	consent      int64 // when it was given last
	nextConsent  int64
	consentIDs   [6][12]byte // checks that may still be answered
	consents     int
	lost         bool
	random       uint64 // state of a small generator for ids: what must stay secret is the password
}

// newChecker begins an ICE session.
func newChecker(flow *sdp.Checks, component int, seed uint64, now int64) *checker {
	c := &checker{flow: flow, component: component, controlling: flow.Controlling, random: seed, nextLate: now + pathTime, plainAt: now + plainTime}
	c.tie = c.draw()
	for _, cand := range flow.Remote.Candidates {
		c.offered(&cand)
	}
	return c
}

// offered makes the pair of a candidate of the peer.
func (c *checker) offered(cand *sdp.Candidate) {
	switch {
	case cand.Component != c.component:
	case cand.Type == viaRelay:
		c.pair(cand.Addr, cand.Priority, sdp.PreferRelayed)
	default:
		c.pair(cand.Addr, cand.Priority, sdp.PreferHost)
	}
}

// draw is a step of splitmix64.
func (c *checker) draw() uint64 {
	c.random += 0x9e3779b97f4a7c15
	z := c.random
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (c *checker) newID() (id [12]byte) {
	binary.BigEndian.PutUint64(id[:], c.draw())
	binary.BigEndian.PutUint32(id[8:], uint32(c.draw()))
	return id
}

// pair finds or makes the pair of an address, reached from a candidate of ours with
// that type preference; nil: there are too many.
func (c *checker) pair(to netip.AddrPort, priority uint32, preference int) *candidatePair {
	for i := range c.pairs {
		if c.pairs[i].to == to {
			return &c.pairs[i]
		}
	}
	if len(c.pairs) == maxPairs {
		return nil
	}
	ours, theirs := uint64(sdp.Priority(preference, c.component)), uint64(priority)
	p := candidatePair{to: to, priority: min(ours, theirs)<<32 + 2*max(ours, theirs)} // RFC 8445 6.1.2.3
	if (theirs > ours) != c.controlling {
		p.priority++
	}
	c.pairs = append(c.pairs, p)
	slices.SortStableFunc(c.pairs, func(a, b candidatePair) int {
		switch {
		case a.priority > b.priority:
			return -1
		case a.priority < b.priority:
			return 1
		}
		return 0
	})
	return c.pair(to, priority, preference)
}

// request handles a check of the peer that was authentic. It says whether media
// may go there, and whether this is the nominated path.
func (c *checker) request(p *candidatePair, m *binding, now int64) (usable, chosen bool) {
	p.heard = now
	p.nominated = p.nominated || m.nominate && !c.controlling
	if c.flow.Local.Lite {
		p.state = pairValid
		return true, m.nominate
	}
	switch p.state {
	case pairValid:
		return true, p.nominated && !c.controlling
	case pairWaiting, pairFailed:
		p.state, p.triggered, p.tries = pairWaiting, true, 0
		c.nextCheck = 0
	case pairChecking: // the answer is on its way
	}
	return false, false
}

// conflict settles who controls when both agents think that they do, or neither
// (RFC 8445 7.3.1.1). It says whether the peer has to give way.
func (c *checker) conflict(m *binding) bool {
	if c.flow.Local.Lite || m.controlling != c.controlling {
		return false
	}
	if c.controlling == (c.tie >= m.tie) {
		return true
	}
	c.swap(!c.controlling)
	return false
}

func (c *checker) swap(controlling bool) {
	c.controlling = controlling
	for i := range c.pairs {
		c.pairs[i].nominated = false
	}
}

// response handles the answer to a check of ours. It yields the pair that became
// valid or nominated; nil: none.
func (c *checker) response(from netip.AddrPort, m *binding, now int64) *candidatePair {
	for i := range c.consents {
		if c.consentIDs[i] == m.id && m.success && from == c.chosen {
			c.consent, c.consents = now, 0
			return nil
		}
	}
	for i := range c.pairs {
		p := &c.pairs[i]
		if p.id != m.id || p.state != pairChecking && !(p.state == pairValid && p.nominated) {
			continue
		}
		switch {
		case from != p.to: // RFC 8445 7.2.5.2.1: not symmetric
			p.state = pairFailed
		case m.code == 487: // role conflict: take the other role and ask again
			c.swap(!p.asked)
			p.state, p.triggered, p.tries = pairWaiting, true, 0
		case !m.success:
			p.state = pairFailed
		default:
			p.state = pairValid
			return p
		}
		return nil
	}
	return nil
}

// underway says whether an answer to a check of the pair is waited for.
func (c *checker) underway(p *candidatePair) bool {
	return p.state == pairChecking || p.state == pairValid && p.nominated && c.controlling && !c.chosen.IsValid()
}

// next is the pair to be checked now: what a check of the peer's triggered, what
// has to be repeated, what was never checked; nil: none. wait is when to look
// again, 0: not before something happens.
func (c *checker) next(now int64) (p *candidatePair, wait int64) {
	if c.flow.Local.Lite {
		return nil, 0
	}
	best := 0
	for i := range c.pairs {
		q, rank := &c.pairs[i], 0
		switch {
		case q.state == pairWaiting && q.triggered:
			rank = 3
		case c.underway(q) && now >= q.due && q.tries == maxTries:
			q.state, q.nominated = pairFailed, false
		case c.underway(q) && now >= q.due:
			rank = 2
		case c.underway(q):
			wait = earlier(wait, q.due)
		case q.state == pairWaiting && !c.chosen.IsValid():
			rank = 1
		}
		if rank > best {
			best, p = rank, q
		}
	}
	if p != nil && now < c.nextCheck {
		return nil, earlier(wait, c.nextCheck)
	}
	return p, wait
}

func earlier(a, b int64) int64 {
	if a == 0 {
		return b
	}
	return min(a, b)
}

// sent notes that a check goes out.
func (c *checker) sent(p *candidatePair, now int64) {
	if p.tries == 0 {
		p.id = c.newID()
	}
	if p.state == pairWaiting {
		p.state = pairChecking
	}
	p.triggered, p.asked = false, c.controlling
	p.due = now + checkTimeout<<min(p.tries, 4)
	p.tries++
	c.nextCheck = now + pacing
}

// better says whether a nominated pair is to be taken: the only one, the one of
// higher priority where a peer nominates all that work (RFC 5245 8.1.1.2), or
// another one because the peer no longer checks the one that it had.
func (c *checker) better(p *candidatePair, now int64) bool {
	if !c.chosen.IsValid() {
		return true
	}
	had := c.pair(c.chosen, 0, 0)
	return p.priority > had.priority || now-had.heard > 2*consentInterval
}

// choose settles on a pair.
func (c *checker) choose(p *candidatePair, now int64) {
	c.chosen, c.consent, c.lost, c.consents = p.to, now, false, 0
	c.nextConsent = now + c.consentPause()
}

// consentPause is 0.8 to 1.2 of the interval (RFC 7675 5.1).
func (c *checker) consentPause() int64 {
	return consentInterval*8/10 + int64(c.draw()%uint64(consentInterval*4/10))
}

// consentCheck is the next consent check, if one is due.
func (c *checker) consentCheck(now int64) (id [12]byte, due bool) {
	if c.flow.Local.Lite || !c.chosen.IsValid() || c.lost || now < c.nextConsent {
		return id, false
	}
	c.nextConsent = now + c.consentPause()
	id = c.newID()
	if c.consents == len(c.consentIDs) {
		copy(c.consentIDs[:], c.consentIDs[1:])
		c.consents--
	}
	c.consentIDs[c.consents] = id
	c.consents++
	return id, true
}

// expired says, once, that consent is over.
func (c *checker) expired(now int64) bool {
	if c.lost || c.flow.Local.Lite || !c.chosen.IsValid() || now-c.consent < consentTime {
		return false
	}
	c.lost = true
	return true
}
