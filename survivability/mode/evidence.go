package mode

import "time"

// take notes one piece of evidence and orders the probes that follow from it.
func (m *Machine) take(now time.Time, in Input) {
	switch in := in.(type) {
	case Answered:
		m.answered(now, in)
	case Missed:
		if m.knows(in.Target) {
			m.missed(now, in.Target)
			m.again(in.Target)
		}
	case Silent:
		m.silent(now, in)
	case CallHeard:
		if m.knows(in.Target) {
			m.targets[in.Target].calls = 0
		}
	case Lost:
		m.lost(now, in)
	case Media:
		m.media(now, in)
	case Link:
		m.link(in)
	case Gateway:
		m.gateway = in.Fact
		m.doubt(in.Fact)
	case Internet:
		m.internet = in.Fact
		m.doubt(in.Fact)
	case DNS:
		m.dns = in.Fact
	case Lines:
		m.lines = in
	case Retarget:
		m.targets = make([]target, bounded(in.Count))
		m.suspect = false
		if m.began {
			m.probeAll(0)
		}
	case Start, Due:
	}
}

func (m *Machine) knows(t int) bool { return m.began && t >= 0 && t < len(m.targets) }

// down says whether the target has missed too often. Busy servers count as
// missing: they take no call.
func (m *Machine) down(i int) bool { return m.targets[i].misses >= m.cfg.Fail }

func (m *Machine) answered(now time.Time, in Answered) {
	if !m.knows(in.Target) {
		return
	}
	t := &m.targets[in.Target]
	t.badCert = false
	t.busy = in.Code == 503
	if t.busy {
		m.missed(now, in.Target)
		m.next(in.Target)
		return
	}
	t.misses = 0
	if t.good == 0 {
		t.since = now
	}
	t.good++
	m.rounds = 0
	m.settle()
	m.next(in.Target)
}

// missed counts once per half Fast: a second probe in flight, or a burst of
// unanswered requests, says nothing more than the first.
func (m *Machine) missed(now time.Time, i int) {
	t := &m.targets[i]
	t.good = 0
	if !t.lastMiss.IsZero() && now.Sub(t.lastMiss) < m.cfg.Fast/2 {
		return
	}
	t.lastMiss = now
	if t.misses++; t.misses == 1 {
		m.alert()
	}
	m.rounds++
}

// silent takes a request of ours that met silence: as good as a missed probe,
// and a reason to doubt every target, but the last word is a probe's.
func (m *Machine) silent(now time.Time, in Silent) {
	if !m.knows(in.Target) {
		return
	}
	if in.Call {
		m.targets[in.Target].calls = min(m.targets[in.Target].calls+1, silentCalls)
	}
	if m.mode != Survival { // there it may be an echo of the dead path
		m.accuse(now, misses(in.Call, m.cfg.Fail))
	}
}

// misses is what a request without any answer counts as. An INVITE has repeated
// itself for call_timeout by then, as long as several fast probes take: one
// more missed probe decides.
func misses(call bool, fail int) int {
	if call {
		return max(fail-1, 1)
	}
	return 1
}

// accuse raises the misses of every target to n, and probes at once.
func (m *Machine) accuse(now time.Time, n int) {
	for i := range m.targets {
		if t := &m.targets[i]; t.misses < n && m.cfg.Fail > 1 {
			t.misses, t.lastMiss, t.good = n, now, 0
		}
	}
	m.alert()
}

func (m *Machine) lost(now time.Time, in Lost) {
	if !m.knows(in.Target) {
		return
	}
	m.targets[in.Target].badCert = in.Certificate
	m.missed(now, in.Target)
	m.alert()
	if m.suspect || m.mode == Survival {
		m.next(in.Target)
	}
}

// media takes the number of external calls that are dead both ways.
func (m *Machine) media(now time.Time, in Media) {
	worse := in.Dead > m.dead
	m.dead = max(in.Dead, 0)
	if worse && m.began && m.mode != Survival {
		m.accuse(now, 1)
	}
}

func (m *Machine) link(in Link) {
	was := m.linkDown
	m.linkDown = !in.Up
	if !m.began || was == m.linkDown {
		return
	}
	for i := range m.targets {
		m.targets[i].good = 0
	}
	if in.Up {
		m.rounds = 0
		m.probeAll(0)
	}
}

func (m *Machine) doubt(f Fact) {
	if f == Bad && m.began {
		m.alert()
	}
}

// alert lets the probes go fast, at once.
func (m *Machine) alert() {
	if m.suspect || m.mode == Survival || m.mode == Recovering {
		return
	}
	m.suspect = true
	m.probeAll(0)
}

// settle ends the suspicion once no target is in doubt.
func (m *Machine) settle() {
	for i := range m.targets {
		if n := m.targets[i].misses; n > 0 && n < m.cfg.Fail {
			return
		}
	}
	m.suspect = false
}

func (m *Machine) probeAll(d time.Duration) {
	for i := range m.targets {
		m.do(ProbeAfter{i, d})
	}
}

// again orders the probe after a missed one. Waiting for that took Fast
// already, so under suspicion the next one follows at once.
func (m *Machine) again(i int) {
	if m.mode != Survival && m.suspect && !m.down(i) {
		m.do(ProbeAfter{i, m.cfg.Fast / 10})
		return
	}
	m.next(i)
}

// next orders the target's next probe.
func (m *Machine) next(i int) {
	d := m.cfg.Interval
	switch {
	case m.mode == Recovering, m.mode != Survival && m.suspect && !m.down(i):
		d = m.cfg.Fast
	case m.mode == Survival:
		d = m.cfg.Fast
		if m.targets[i].good == 0 {
			d = min(time.Duration(1+m.rounds/4)*m.cfg.Fast, slowProbe*m.cfg.Fast)
		}
	}
	m.do(ProbeAfter{i, time.Duration(float64(d) * (0.9 + 0.2*m.cfg.Rand()))})
}
