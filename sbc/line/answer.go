package line

import "time"

// answer takes what the provider said to the REGISTER under way.
func (m *Machine) answer(now time.Time, a Answer) {
	switch {
	case m.phase == quiet || a.Try != m.try || a.Code < 200:
		return
	case a.Code == 401 || a.Code == 407:
		m.challenged(a)
	case m.state == Leaving:
		m.until = time.Time{}
		m.gone()
	case a.Code < 300:
		m.granted(now, a)
	case a.Code == 423:
		m.tooBrief(a)
	case a.Code == 403 || a.Code == 404:
		m.refused(Forbidden)
	case a.Code == 408:
		m.lost(NoAnswer)
	case a.Code == 503:
		// 503 means this target, RFC 3263 4.3: the next one may well serve.
		m.later(a)
		m.lost(Overloaded)
	case a.Code >= 500 && a.Code < 600:
		m.later(a)
		m.lost(Refused)
	default:
		m.later(a)
		m.rest(Refused)
	}
}

// later notes the longest Retry-After of the round (RFC 3261 20.33).
func (m *Machine) later(a Answer) {
	m.after = max(m.after, min(a.RetryAfter, longestAfter))
}

// granted takes a 2xx.
func (m *Machine) granted(now time.Time, a Answer) {
	if a.Expires <= 0 {
		m.rest(NotBound)
		return
	}
	granted := min(a.Expires, longestExpires)
	m.proven = m.phase == fresh || m.phase == cached
	m.phase, m.round, m.after, m.stale, m.brief = quiet, 0, 0, 0, 0
	m.failed, m.wait, m.cut = 0, firstWait, false
	m.until = now.Add(granted)
	wasBound := m.state == Bound
	m.to(Bound, NoCause)
	m.alarm(AlarmRejected, false)
	m.alarm(AlarmCertificate, false)
	m.alarm(AlarmDuplicate, m.cfg.Exclusive && a.Others > 0)
	m.do(WakeAfter{m.refresh(granted)})
	was := m.keep
	m.keep = m.pace(a.FlowTimer)
	if m.keep > 0 && (!wasBound || was != m.keep) {
		m.do(PingAfter{m.keep})
	}
}

// pace is how often a keep-alive goes out: as the site has it, and within four
// fifths of what the provider's edge waits for (RFC 5626 4.4.1).
func (m *Machine) pace(edge time.Duration) time.Duration {
	if edge < shortestFlowTimer {
		return m.cfg.NATRefresh
	}
	most := edge * 4 / 5
	if m.cfg.NATRefresh > 0 {
		most = min(most, m.cfg.NATRefresh)
	}
	return most
}

// refresh is when to ask again: 80 to 90 % of what was granted, so that many
// lines spread out and one lost REGISTER still finds the binding alive.
func (m *Machine) refresh(granted time.Duration) time.Duration {
	return time.Duration(float64(granted) * (0.8 + 0.1*m.cfg.Rand()))
}

// challenged takes a 401 or 407. Only a refusal of an answer to the challenge
// just before means wrong credentials: a plain request has proved nothing, a
// cached nonce may be forgotten, and a stale one is called so.
func (m *Machine) challenged(a Answer) {
	switch {
	case m.phase == plain || m.phase == cached:
		m.send(fresh)
	case a.Stale && m.stale < maxStale:
		m.stale++
		m.send(fresh)
	case m.state == Leaving:
		m.gone()
	case a.Stale:
		m.lost(Refused) // a target that calls its newest nonce stale is broken
	default:
		m.proven = false
		m.refused(WrongPassword)
	}
}

// refused counts a refusal of the account. The third one ends all tries: more
// would lock the account at the provider.
func (m *Machine) refused(c Cause) {
	m.failed++
	if m.failed >= maxRejects {
		m.reject(c)
		return
	}
	m.wait = max(m.wait, rejectWait)
	m.rest(c)
}

func (m *Machine) reject(c Cause) {
	m.phase, m.until = quiet, time.Time{}
	m.do(Sleep{})
	m.to(Rejected, c)
	m.alarm(AlarmRejected, true)
}

// tooBrief takes a 423: ask for as long as the provider demands (RFC 3261 10.2.8).
func (m *Machine) tooBrief(a Answer) {
	m.brief++
	if a.MinExpires <= m.expires || a.MinExpires > longestExpires || m.brief > maxIntervalTrys {
		m.rest(Refused)
		return
	}
	m.expires = a.MinExpires
	m.ask()
}

// lost gives up the present target for this round and tries the next one; a
// round over all of them ends in a wait.
func (m *Machine) lost(c Cause) {
	if m.state == Leaving {
		m.gone()
		return
	}
	m.round++
	if m.targets > 0 {
		m.target = (m.target + 1) % m.targets
	}
	if m.round < m.targets && !m.cut {
		m.to(Asking, c)
		m.ask()
		return
	}
	m.rest(c)
}

// rest waits before the next attempt: doubled from 1 s to 5 min, with jitter, or
// as long as the provider asked.
func (m *Machine) rest(c Cause) {
	if m.state == Leaving {
		m.gone()
		return
	}
	if m.phase == fresh && c != WrongPassword {
		m.proven = true // the challenge is known; nothing says it is bad
	}
	m.phase = quiet
	m.to(Waiting, c)
	d := time.Duration(float64(m.wait) * (0.75 + 0.5*m.cfg.Rand()))
	m.wait = min(2*m.wait, longestWait)
	if m.cut {
		d = max(d, cutWait)
	}
	m.do(WakeAfter{max(d, m.after)})
}
