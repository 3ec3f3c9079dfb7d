package line

import "time"

// broken takes the loss of the connection. A bound line is not reachable any
// more, so it registers anew, within two seconds at random: all lines of a
// target lose their connection at the same instant.
func (m *Machine) broken(in Broken) {
	c := ConnectionLost
	if in.Certificate {
		c = BadCertificate
	}
	m.alarmCertificate(in.Certificate)
	switch {
	case m.phase != quiet:
		m.lost(c)
	case m.state == Bound:
		m.to(Waiting, c)
		m.round = 0
		m.do(WakeAfter{time.Duration(m.cfg.Rand() * float64(2*time.Second))})
	}
}

func (m *Machine) alarmCertificate(bad bool) {
	if bad && (m.phase != quiet || m.state == Bound) {
		m.alarm(AlarmCertificate, true)
	}
}

// retarget takes a new list of targets. The present one is kept as long as it
// stands in the list: registrations stick to the target that works.
func (m *Machine) retarget(in Retarget) {
	had := m.targets
	m.targets = max(in.Count, 0)
	kept := in.Keep >= 0 && in.Keep < m.targets
	m.target, m.round = 0, 0
	if kept {
		m.target = in.Keep
	}
	switch {
	case m.targets == 0 || m.state == Idle || m.state == Rejected:
		return
	case m.state == Leaving:
		if !kept {
			m.gone()
		}
	case m.state == Waiting && had == 0 && m.cause == NoTarget:
		m.wait = firstWait
		m.ask()
	case !kept && m.phase != quiet:
		m.ask() // the target we asked has left the list
	case !kept && m.state == Bound:
		m.do(WakeAfter{m.soon()})
	}
}

// soon spreads what all lines do for the same reason over five seconds.
func (m *Machine) soon() time.Duration {
	return time.Duration(m.cfg.Rand() * float64(5*time.Second))
}

// cutOff stops the line from knocking while the path is known to be gone. It
// still tries once a minute, should nobody tell it of the return.
func (m *Machine) cutOff() {
	switch m.state {
	case Idle, Rejected, Leaving, Gone:
		return
	case Asking, Bound, Waiting:
		m.cut = true
		m.phase = quiet
		m.to(Waiting, PathGone)
		m.do(WakeAfter{cutWait})
	}
}

// reachable registers anew at the room's pace, whatever the back-off was. A
// REGISTER under way is given up: it went into the dead path, or names our old
// address, and its retransmissions are far apart by now.
func (m *Machine) reachable(in Reachable) {
	m.cut = false
	m.wait, m.after, m.round = firstWait, 0, 0
	switch {
	case m.state == Asking:
		m.phase = quiet
		m.to(Waiting, m.cause)
		m.do(WakeAfter{max(in.Delay, 0)})
	case m.state == Bound || m.state == Waiting && m.failed == 0:
		m.phase = quiet
		m.do(WakeAfter{max(in.Delay, 0)})
	}
}

// move lets the next refresh of a bound line go to another target. The binding at
// the present one lasts until then, and longer should the other one fail.
func (m *Machine) move(in Move) {
	if m.state == Bound && m.phase == quiet && in.Target >= 0 && in.Target < m.targets {
		m.target = in.Target
	}
}

// retry forgets every failure.
func (m *Machine) retry() {
	if m.state == Idle || m.state == Leaving {
		return
	}
	m.failed, m.wait, m.after, m.round, m.stale, m.brief = 0, firstWait, 0, 0, 0, 0
	m.proven, m.cut = false, false
	m.expires = m.cfg.Expires
	m.alarm(AlarmRejected, false)
	if m.state == Rejected {
		m.to(Asking, NoCause)
	}
	m.ask()
}

// leave unregisters if the provider may know of us, and ends.
func (m *Machine) leave(now time.Time) {
	known := m.phase != quiet || now.Before(m.until)
	switch {
	case m.state == Leaving:
		return
	case !known || m.targets == 0 || m.cut:
		m.gone()
	default:
		m.to(Leaving, NoCause)
		m.stale = 0
		m.ask()
	}
}

func (m *Machine) gone() {
	m.phase = quiet
	m.do(Sleep{})
	for code := AlarmRejected; code <= AlarmCertificate; code++ {
		m.alarm(code, false)
	}
	m.to(Gone, NoCause)
}
