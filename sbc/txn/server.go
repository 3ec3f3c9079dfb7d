package txn

// ServerInvite is the server INVITE machine (RFC 3261 17.2.1, RFC 6026 8.5).
// It repeats a 2xx itself, whatever the transport, until the ACK has come.
type ServerInvite struct {
	machine
	said  bool // a provisional response is out
	acked bool
}

// NewServerInvite makes the machine for one INVITE that came.
func NewServerInvite(t *Timers, reliable bool) *ServerInvite {
	return &ServerInvite{machine: machine{t: t, reliable: reliable, state: Proceeding}}
}

// Settled tells that the ACK has come.
func (m *ServerInvite) Settled() bool {
	return m.state == Confirmed || m.state == Accepted && m.acked
}

// Step takes one input.
func (m *ServerInvite) Step(in Input, out []Effect) []Effect {
	switch m.state {
	case Proceeding:
		return m.proceeding(in, out)
	case Completed:
		return m.completed(in, out)
	case Confirmed:
		if in.What == Woken {
			return m.end(out)
		}
	case Accepted:
		return m.accepted(in, out)
	default: // nothing to do
	}
	return out
}

func (m *ServerInvite) proceeding(in Input, out []Effect) []Effect {
	switch in.What {
	case Begun:
		return m.clock.start(m.t.Trying, 0, append(out, Effect{Do: Deliver}))
	case Woken, Repeated:
		if m.said {
			if in.What == Woken {
				return out
			}
			return append(out, Effect{Do: Again})
		}
		m.said = true
		return append(out, Effect{Do: Say100}, Effect{Do: Rest})
	case Replied:
		out = append(out, Effect{Do: Send})
		switch {
		case in.Code < 200:
			if !m.said {
				out = append(out, Effect{Do: Rest})
			}
			m.said = true
			return out
		case in.Code < 300:
			return m.linger(Accepted, m.t.Life(), m.t.T1, out) // L
		case !m.said && (in.Code == 401 || in.Code == 407):
			// A challenge is said once: who forges his address shall not make the box
			// repeat it there (RFC 3261 26.3.2.4). A peer that lost it asks again.
			return m.linger(Completed, m.t.Life(), 0, out) // H
		}
		return m.linger(Completed, m.t.Life(), m.unlessReliable(m.t.T1), out) // H, G
	default: // nothing to do
	}
	return out
}

func (m *ServerInvite) completed(in Input, out []Effect) []Effect {
	switch in.What {
	case Repeated:
		return append(out, Effect{Do: Again})
	case Confirm:
		return m.linger(Confirmed, m.unlessReliable(m.t.T4), 0, out) // I
	case Woken:
		over, again := m.clock.woken()
		switch {
		case over:
			return m.end(out)
		case again:
			return m.clock.repeat(m.t.T2, out)
		}
		return m.clock.sleep(out)
	default: // nothing to do
	}
	return out
}

func (m *ServerInvite) accepted(in Input, out []Effect) []Effect {
	switch in.What {
	case Replied:
		if in.Code >= 200 && in.Code < 300 && !m.acked {
			return append(out, Effect{Do: Send})
		}
	case Confirm:
		if !m.acked {
			m.acked = true
			m.clock.pause = 0 // the wake under way finds nothing to repeat
			return append(out, Effect{Do: Acked})
		}
	case Woken:
		over, again := m.clock.woken()
		switch {
		case over && m.acked:
			return m.end(out)
		case over:
			return m.end(out, Unacked)
		case again:
			return m.clock.repeat(m.t.T2, out)
		}
		return m.clock.sleep(out)
	default: // nothing to do
	}
	return out
}

// ServerNonInvite is the server machine of all other requests (RFC 3261 17.2.2).
type ServerNonInvite struct{ machine }

// NewServerNonInvite makes the machine for one request that came.
func NewServerNonInvite(t *Timers, reliable bool) *ServerNonInvite {
	return &ServerNonInvite{machine{t: t, reliable: reliable, state: Trying}}
}

// Step takes one input.
func (m *ServerNonInvite) Step(in Input, out []Effect) []Effect {
	if m.state == Terminated {
		return out
	}
	switch in.What {
	case Begun:
		if m.state == Trying {
			return m.clock.start(m.t.Life(), 0, append(out, Effect{Do: Deliver}))
		}
	case Woken:
		return m.end(out)
	case Repeated:
		if m.state != Trying {
			return append(out, Effect{Do: Again})
		}
	case Replied:
		if m.state == Completed {
			return out
		}
		out = append(out, Effect{Do: Send})
		if in.Code < 200 {
			m.state = Proceeding
			return out
		}
		return m.linger(Completed, m.unlessReliable(m.t.Life()), 0, out) // J
	default: // nothing to do
	}
	return out
}
