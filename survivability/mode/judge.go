package mode

import "time"

// judge draws the conclusion from all that is known. It looks at the whole
// state, never at the last input alone, so no order of evidence is missed.
func (m *Machine) judge(now time.Time) {
	if m.linkDown || m.allDown() {
		m.to(now, Survival, m.outage())
		return
	}
	switch m.mode {
	case Survival:
		m.judgeReturn(now)
	case Recovering:
		m.judgeRecovery(now)
	case Online, Degraded:
		m.judgeDefects(now)
	}
}

func (m *Machine) allDown() bool {
	for i := range m.targets {
		if !m.down(i) {
			return false
		}
	}
	return true
}

// judgeReturn ends survival when one target has answered Recover times in a row
// and for the dwell.
func (m *Machine) judgeReturn(now time.Time) {
	var earliest time.Time
	for i := range m.targets {
		t := &m.targets[i]
		if t.good < m.cfg.Recover {
			continue
		}
		// Survival itself also lasts for the dwell, whatever came before it.
		at := later(t.since, m.since).Add(m.dwell)
		if !now.Before(at) {
			m.to(now, Recovering, Returning)
			m.judgeRecovery(now)
			return
		}
		if earliest.IsZero() || at.Before(earliest) {
			earliest = at
		}
	}
	if !earliest.IsZero() {
		m.wakeAt(now, earliest)
	}
}

// judgeRecovery goes online when all lines are back, or at the deadline with
// what there is. A start also waits for the first answer of a target.
func (m *Machine) judgeRecovery(now time.Time) {
	deadline := m.since.Add(m.cfg.Deadline)
	back := m.answering() && m.lines.Registered+m.lines.Rejected >= m.lines.Total
	if !back && now.Before(deadline) {
		m.wakeAt(now, deadline)
		return
	}
	if c := m.defect(); c != NoCause {
		m.to(now, Degraded, c)
		return
	}
	m.to(now, Online, NoCause)
}

func (m *Machine) answering() bool {
	for i := range m.targets {
		if m.targets[i].good > 0 {
			return true
		}
	}
	return false
}

// judgeDefects moves between online and degraded, not faster than Soft.
func (m *Machine) judgeDefects(now time.Time) {
	want, c := Online, m.defect()
	if c != NoCause {
		want = Degraded
	}
	if want == m.mode {
		m.to(now, want, c)
		return
	}
	at := m.since.Add(m.cfg.Soft)
	if now.Before(at) {
		m.wakeAt(now, at)
		return
	}
	m.to(now, want, c)
}

// defect is what is wrong though the provider can be reached. Outermost first:
// a person mends the first thing named.
func (m *Machine) defect() Cause {
	down, badCert, calls := 0, false, 0
	for i := range m.targets {
		if m.down(i) {
			down++
			badCert = badCert || m.targets[i].badCert
		}
		calls = max(calls, m.targets[i].calls)
	}
	switch {
	case badCert:
		return CertificateBad
	case m.dead >= deadCalls:
		return MediaDead
	case calls >= silentCalls:
		return CallsUnanswered
	case m.lines.Rejected > 0:
		return AccountRejected
	case down > 0:
		return SomeTargets
	case m.dns == Bad:
		return DNSBroken
	case m.lines.Registered < m.lines.Total:
		return LinesMissing
	}
	return NoCause
}

// outage names what is gone, nearest first.
func (m *Machine) outage() Cause {
	switch {
	case m.linkDown:
		return CableOut
	case m.gateway == Bad:
		return RouterGone
	case m.internet == Bad:
		return NoInternet
	case m.every(func(t *target) bool { return t.badCert }):
		return CertificateBad
	case m.every(func(t *target) bool { return t.busy }):
		return ProviderOverloaded
	case len(m.targets) == 0:
		return DNSBroken
	case m.dns == Bad && m.internet == Good:
		return DNSBroken
	case m.dns == Bad:
		return NoInternet // neither names nor the provider: the way out is gone
	}
	return ProviderDown
}

func (m *Machine) every(is func(*target) bool) bool {
	for i := range m.targets {
		if !is(&m.targets[i]) {
			return false
		}
	}
	return len(m.targets) > 0
}

func (m *Machine) wakeAt(now, at time.Time) {
	if at.Equal(m.wake) {
		return
	}
	m.wake = at
	m.do(WakeAfter{at.Sub(now)})
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
