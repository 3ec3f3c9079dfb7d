package sbc

import (
	"sync"
	"time"
)

const (
	// doubtFor is how long calls go to another server first after one kept silent,
	// broke, or said 503 without saying for how long.
	doubtFor = time.Minute
	// longestDoubt bounds the Retry-After that is believed.
	longestDoubt = 10 * time.Minute
	// steadyFor is how long a better server must answer without a gap before lines
	// go back to it; it doubles with each time that it has failed within fallsFor.
	steadyFor = time.Minute
	mostFalls = 5
	fallsFor  = time.Hour
	// maxStandings bounds the servers whose standing is known.
	maxStandings = 64
)

// standings are how the cloud's servers have done of late (RFC 3263 4.3): where
// calls begin, and when lines return to the server that is preferred. The mode
// has its own picture; this one only orders servers.
type standings struct {
	mu sync.Mutex
	of map[Target]*standing
}

type standing struct {
	asked bool      // a probe is out and has no answer
	good  time.Time // since when every answer was a good one; zero: it wasn't
	doubt time.Time // until when others are tried first
	falls int
	fell  time.Time
}

func (s *standings) getLocked(t Target) *standing {
	if s.of == nil {
		s.of = make(map[Target]*standing)
	}
	x := s.of[t]
	if x == nil {
		if len(s.of) >= maxStandings {
			clear(s.of)
		}
		x = &standing{}
		s.of[t] = x
	}
	return x
}

// probed notes that a probe leaves; one before it without an answer was a miss.
func (s *standings) probed(t Target, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.getLocked(t)
	if x.asked {
		x.fail(now)
	}
	x.asked = true
}

// answered notes the code of an answer; to an INVITE any sign counts as 100.
func (s *standings) answered(t Target, code int, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.getLocked(t)
	x.asked = false
	if code == 503 {
		x.fail(now)
		return
	}
	if x.good.IsZero() {
		x.good = now
	}
}

// failed makes calls try others first for a while; fresh says that they did not
// already.
func (s *standings) failed(t Target, after time.Duration, now time.Time) (fresh bool) {
	if after <= 0 {
		after = doubtFor
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.getLocked(t)
	fresh = !now.Before(x.doubt)
	x.doubt = now.Add(min(after, longestDoubt))
	x.fail(now)
	return fresh
}

func (x *standing) fail(now time.Time) {
	if now.Sub(x.fell) > fallsFor {
		x.falls = 0
	}
	if !x.good.IsZero() {
		x.falls = min(x.falls+1, mostFalls)
		x.fell = now
	}
	x.good = time.Time{}
}

// doubted says whether others are to be tried first.
func (s *standings) doubted(t Target, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.of[t]
	return x != nil && now.Before(x.doubt)
}

// steady says whether a server has answered for long enough to be trusted again.
func (s *standings) steady(t Target, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.of[t]
	return x != nil && !x.good.IsZero() && !now.Before(x.doubt) && now.Sub(x.good) >= steadyFor<<x.falls
}

// better is the number of a server that stands before the present one in the list
// and has been steady; -1 if there is none.
func (l *lines) better(at int, now time.Time) int {
	ts := *l.targets.Load()
	for i := range ts[:min(max(at, 0), len(ts))] {
		if l.standings.steady(ts[i], now) {
			return i
		}
	}
	return -1
}

// spares are the servers that a call may try where the one at a flow gives no
// sign: those not in doubt, best first.
func (l *lines) spares(but Target, now time.Time) []Target {
	var out []Target
	for _, t := range *l.targets.Load() {
		if t != but && len(out) < maxSpares && !l.standings.doubted(t, now) {
			out = append(out, t)
		}
	}
	return out
}

// maxSpares bounds the further servers that one call tries: its time is short.
const maxSpares = 1
