package event

import "time"

// answer takes what the server said to the SUBSCRIBE under way.
func (s *Subscriber) answer(now time.Time, a Answer) {
	switch {
	case s.asking == quiet || a.Try != s.try || a.Code < 200:
		return
	case a.Code == 401 || a.Code == 407:
		s.challenged(now, a)
	case s.state == Leaves:
		s.to(Gone)
	case a.Code < 300:
		s.granted(now, a.Expires)
	case a.Code == 481 && s.bound: // RFC 6665 4.1.2.2: the server has forgotten it
		s.bound = false
		s.ask()
	case a.Code == 423:
		s.tooBrief(now, a)
	case hopeless(a.Code):
		s.refused(a.RetryAfter)
	default:
		s.failed(now, a.RetryAfter)
	}
}

// hopeless says whether a code means that asking again soon would get the same answer.
func hopeless(code int) bool {
	switch code {
	case 403, 404, 405, 406, 410, 416, 420, 489, 501, 505, 603, 604:
		return true
	}
	return false
}

// granted takes a 2xx. That the first NOTIFY follows isn't waited for (RFC 6665
// 4.1.2.4 does): some servers send none while a mailbox is empty.
func (s *Subscriber) granted(now time.Time, d time.Duration) {
	if d <= 0 {
		d = s.expires
	}
	d = min(d, longest)
	s.proven = s.asking != plain
	if !s.bound {
		s.since = now
	} else { // it lasts: whatever went wrong before is over
		s.wait, s.refusal = firstWait, firstRefusal
	}
	s.asking, s.bound = quiet, true
	s.to(Subscribed)
	s.lasts(now, d)
}

// lasts notes when the subscription runs out and asks anew at 80 to 90 % of it.
func (s *Subscriber) lasts(now time.Time, d time.Duration) {
	s.until = now.Add(d)
	s.do(WakeAfter{time.Duration(float64(d) * (0.8 + 0.1*s.cfg.Rand()))})
}

func (s *Subscriber) challenged(now time.Time, a Answer) {
	switch {
	case s.asking == plain || s.asking == cached:
		s.send(fresh)
	case a.Stale && s.stale < maxStale:
		s.stale++
		s.send(fresh)
	case s.state == Leaves:
		s.to(Gone)
	case a.Stale:
		s.failed(now, 0)
	default: // the account is good enough to register, not for this: never try a lock
		s.proven = false
		s.refused(0)
	}
}

func (s *Subscriber) tooBrief(now time.Time, a Answer) {
	s.brief++
	if a.MinExpires <= s.expires || a.MinExpires > longest || s.brief > maxBrief {
		s.failed(now, a.RetryAfter)
		return
	}
	s.expires = a.MinExpires
	s.send(max(s.asking, plain))
}

// refused waits for hours: the server doesn't have it, or not for us.
func (s *Subscriber) refused(after time.Duration) {
	s.bound, s.asking = false, quiet
	s.to(Refused)
	s.do(WakeAfter{max(s.refusal, min(after, longest))})
	s.refusal = min(2*s.refusal, longest)
}

// failed waits from 5 s to 10 min, doubled each time, or as long as the server
// asked. What is subscribed stays so until it runs out.
func (s *Subscriber) failed(now time.Time, after time.Duration) {
	if s.state == Leaves {
		s.to(Gone)
		return
	}
	if !now.Before(s.until) {
		s.bound = false
	}
	d := time.Duration(float64(s.wait) * (0.75 + 0.5*s.cfg.Rand()))
	s.wait = min(2*s.wait, longestWait)
	s.later(max(d, min(after, longest)))
}

// notified takes the state that a NOTIFY tells. One that comes before the 2xx
// makes the subscription too (RFC 6665 4.1.2.4), which is the room's to see.
func (s *Subscriber) notified(now time.Time, st State) {
	if st.Value != Terminated {
		if s.bound && st.Expires > 0 && now.Add(st.Expires).Before(s.until) {
			s.lasts(now, st.Expires)
		}
		return
	}
	if s.state == Leaves {
		s.to(Gone)
		return
	}
	if !s.bound && s.asking == quiet {
		return
	}
	s.bound = false
	switch st.Reason {
	case Rejected, NoResource, Invariant:
		s.refused(st.After)
	case Deactivated, TimedOut: // at once, but not all lines in one moment
		if now.Sub(s.since) < shortLife {
			s.failed(now, st.After)
			return
		}
		s.later(time.Duration(s.cfg.Rand() * float64(2*time.Second)))
	default: // probation, giveup, none, unknown
		s.failed(now, st.After)
	}
}
