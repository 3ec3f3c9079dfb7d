package media

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/pion/stun/v3"

	"linekeeper/sbc/sdp"
)

// setPath puts what a flow says about addresses into force. The same ICE session
// goes on as it is; a new one keeps the path of the one before until it has its own.
func (w *worker) setPath(s *Stream, f *sdp.Flow, again bool) {
	l := &s.live
	at := [2]*latch{&l.latch, &l.control}
	remote := [2]netip.AddrPort{f.Remote, f.RemoteRTCP}
	for c := range at {
		had := l.ice[c]
		if f.ICE == nil || c == 1 && f.Mux {
			l.ice[c] = nil
			at[c].checked, at[c].valid = false, nil
			at[c].set(remote[c], again || had != nil)
			continue
		}
		at[c].signalled, at[c].checked = remote[c], true
		if had != nil && had.flow.Equal(f.ICE) {
			at[c].checked = !had.plain
			for _, cand := range f.ICE.Remote.Candidates {
				had.offered(&cand)
			}
			continue
		}
		at[c].valid = nil
		if had == nil && !at[c].source.IsValid() {
			at[c].dest = sockaddr{}
		}
		l.ice[c] = newChecker(f.ICE, c+1, s.seed+uint64(c)+uint64(w.now), w.now)
	}
	w.checks(s)
}

// arrivedSTUN takes one STUN message (RFC 7983: its first byte is 0 to 3).
func (w *worker) arrivedSTUN(s *Stream, component int, b []byte) {
	c := s.live.ice[component]
	if c == nil {
		s.drop(Foreign)
		return
	}
	m, k, ok := readBinding(b)
	if !ok {
		s.drop(Malformed)
		return
	}
	if k.request {
		if !k.forUs(c.flow.Local.Ufrag) || !authentic(m, c.flow.Local.Pwd) {
			s.drop(Unauthentic)
			return
		}
		c.heard = true
		w.checkAsked(s, component, c, k)
	} else {
		if !authentic(m, c.flow.Remote.Pwd) {
			s.drop(Unauthentic)
			return
		}
		c.heard = true
		if p := c.response(w.from.addrPort(), k, w.now); p != nil {
			w.pairProved(s, component, c, p)
		}
	}
	w.checks(s)
}

func (w *worker) checkAsked(s *Stream, component int, c *checker, k *binding) {
	from := w.from.addrPort()
	if k.role && c.conflict(k) {
		send(s.socket(component), c.answer(k.id, from, stun.CodeRoleConflict), w.from)
		return
	}
	seen, preference := from, sdp.PreferHost
	if s.relay != nil && component == 0 {
		if peer, ok := s.relay.peerOf(from); ok {
			seen, preference = peer, sdp.PreferRelayed
		}
	}
	p := c.pair(from, k.priority, preference)
	if p == nil {
		s.drop(Foreign) // too many addresses
		return
	}
	usable, chosen := c.request(p, k, w.now)
	if b := c.answer(k.id, seen, 0); b != nil {
		send(s.socket(component), b, w.from)
	}
	if usable {
		w.usePair(s, component, c, p, chosen)
	}
}

// pairProved handles a pair whose check was answered.
func (w *worker) pairProved(s *Stream, component int, c *checker, p *candidatePair) {
	switch {
	case p.nominated:
		w.usePair(s, component, c, p, true)
	case c.controlling && !c.chosen.IsValid(): // the first one that answers wins
		w.usePair(s, component, c, p, false)
		if !c.nominating() {
			p.nominated, p.tries, p.due = true, 0, 0
			c.nextCheck = 0
		}
	default:
		w.usePair(s, component, c, p, false)
	}
}

// nominating says whether some pair is on its way to be the one.
func (c *checker) nominating() bool {
	for i := range c.pairs {
		if c.pairs[i].nominated && c.pairs[i].state == pairValid {
			return true
		}
	}
	return false
}

// usePair lets media flow along a pair, or moves it there if it was chosen.
func (w *worker) usePair(s *Stream, component int, c *checker, p *candidatePair, chosen bool) {
	at := s.latchOf(component)
	first := !c.found
	c.found, at.checked = true, true
	at.allow(p.to)
	if chosen && c.chosen != p.to && c.better(p, w.now) {
		c.choose(p, w.now)
		s.count.unwanted.Store(0)
		at.hold(p.to)
	} else if first {
		at.hold(p.to)
	}
	w.follow(s)
	if first {
		s.notify(Event{Kind: PathFound})
	}
	w.startKeys(s)
}

// checks sends what is due and sets the alarm for the next time.
func (w *worker) checks(s *Stream) {
	wake := int64(0)
	for i, c := range s.live.ice {
		if c == nil {
			continue
		}
		p, wait := c.next(w.now)
		if p != nil {
			c.sent(p, w.now)
			w.sendCheck(s, i, p, c.check(p.id, p.nominated && c.controlling))
			wait = earlier(wait, c.nextCheck)
		}
		wake = earlier(earlier(wake, wait), w.keepPath(s, i, c))
		if wake == 0 {
			wake = wait
		}
	}
	s.alarm(wake-w.now, wake != 0)
}

// keepPath asks for consent, and tells when there is no path; it yields when to
// look again.
func (w *worker) keepPath(s *Stream, component int, c *checker) int64 {
	if id, due := c.consentCheck(w.now); due {
		w.sendCheck(s, component, &candidatePair{to: c.chosen}, c.check(id, false))
	}
	switch {
	case c.expired(w.now):
		at := s.latchOf(component)
		at.dest = sockaddr{}
		s.count.unwanted.Store(w.now)
		s.notify(Event{ConsentLost, fmt.Errorf("ice: %s has not answered for %s", c.chosen, time.Duration(consentTime))})
		return 0
	case c.lost:
		return 0
	case c.chosen.IsValid() && c.flow.Local.Lite:
		return 0
	case c.chosen.IsValid():
		return min(c.nextConsent, c.consent+consentTime)
	case c.found, c.plain:
		return 0
	case !c.heard && w.now >= c.plainAt:
		w.withoutChecks(s, component, c)
		return 0
	case w.now >= c.nextLate:
		c.nextLate = w.now + pathTime
		s.notify(Event{PathLate, fmt.Errorf("ice: none of %d candidates has answered", len(c.pairs))})
	}
	if !c.heard {
		return min(c.nextLate, c.plainAt)
	}
	return c.nextLate
}

// withoutChecks treats a peer that has described candidates and then says nothing
// by STUN like one without ICE: its described address counts, and no other source.
// What it proves later is taken all the same.
func (w *worker) withoutChecks(s *Stream, component int, c *checker) {
	c.plain = true
	at := s.latchOf(component)
	at.checked = false
	at.dest = sockaddrOf(at.signalled)
	w.follow(s)
	w.startKeys(s)
}

func (w *worker) sendCheck(s *Stream, component int, p *candidatePair, b []byte) {
	if to := sockaddrOf(p.to); b != nil && to.len != 0 && p.to.Addr().Is4() == s.pair.addr.Is4() {
		send(s.socket(component), b, &to)
	}
}

func (s *Stream) socket(component int) int {
	if component == 1 {
		return s.pair.rtcp
	}
	return s.pair.rtp
}

func (s *Stream) latchOf(component int) *latch {
	if component == 1 {
		return &s.live.control
	}
	return &s.live.latch
}

// alarm makes the worker look at the stream's checks again after a while.
func (s *Stream) alarm(after int64, on bool) {
	l := &s.live
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	if on {
		l.timer = time.AfterFunc(time.Duration(max(after, int64(time.Millisecond))), func() { s.ask(command{kind: doCheck, s: s}) })
	}
}
