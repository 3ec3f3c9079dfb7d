package txn

// ClientInvite is the client INVITE machine (RFC 3261 17.1.1, RFC 6026 8.4).
type ClientInvite struct {
	machine
	cancelled bool
}

// NewClientInvite makes the machine for one INVITE that is sent.
func NewClientInvite(t *Timers, reliable bool) *ClientInvite {
	return &ClientInvite{machine: machine{t: t, reliable: reliable, state: Calling}}
}

// Settled tells that the final response has come. Further 2xx are strays once
// the transaction is forgotten; whoever owns the dialog acknowledges them.
func (m *ClientInvite) Settled() bool { return m.state == Completed || m.state == Accepted }

// Step takes one input.
func (m *ClientInvite) Step(in Input, out []Effect) []Effect {
	switch m.state {
	case Calling, Proceeding:
		return m.pending(in, out)
	case Completed:
		switch {
		case in.What == Answered && in.Code >= 300:
			return append(out, Effect{Do: Ack})
		case in.What == Woken, in.What == Broken:
			return m.end(out)
		}
	case Accepted:
		switch {
		case in.What == Answered && in.Code >= 200 && in.Code < 300:
			return append(out, Effect{Do: Deliver})
		case in.What == Woken, in.What == Broken:
			return m.end(out)
		}
	default: // nothing to do
	}
	return out
}

func (m *ClientInvite) pending(in Input, out []Effect) []Effect {
	switch in.What {
	case Begun:
		return m.clock.start(m.t.Life(), m.unlessReliable(m.t.T1), append(out, Effect{Do: Send})) // B, A
	case Woken:
		over, again := m.clock.woken()
		switch {
		case over:
			return m.end(out, Expire)
		case again:
			return m.clock.repeat(0, out)
		}
		return m.clock.sleep(out)
	case Broken:
		return m.end(out, Fail)
	case Cancelled:
		if m.cancelled {
			return out
		}
		m.cancelled = true
		if m.state == Proceeding {
			return m.withdraw(out)
		}
	case Answered:
		return m.answered(in.Code, out)
	default: // nothing to do
	}
	return out
}

func (m *ClientInvite) answered(code int, out []Effect) []Effect {
	switch {
	case code < 200:
		first := m.state == Calling
		m.state = Proceeding
		out = append(out, Effect{Do: Deliver})
		switch {
		case first && m.cancelled:
			return m.withdraw(out)
		case first:
			return append(out, Effect{Do: Rest})
		}
		return out
	case code < 300:
		return m.linger(Accepted, m.t.Life(), 0, append(out, Effect{Do: Deliver})) // M
	default:
		out = append(out, Effect{Do: Ack}, Effect{Do: Deliver})
		return m.linger(Completed, m.unlessReliable(m.t.D), 0, out)
	}
}

// withdraw cancels and bounds what can follow (RFC 3261 9.1).
func (m *ClientInvite) withdraw(out []Effect) []Effect {
	return m.clock.start(m.t.Life(), 0, append(out, Effect{Do: Withdraw}))
}

// ClientNonInvite is the client machine of all other requests (RFC 3261 17.1.2).
type ClientNonInvite struct{ machine }

// NewClientNonInvite makes the machine for one request that is sent.
func NewClientNonInvite(t *Timers, reliable bool) *ClientNonInvite {
	return &ClientNonInvite{machine{t: t, reliable: reliable, state: Trying}}
}

// Step takes one input.
func (m *ClientNonInvite) Step(in Input, out []Effect) []Effect {
	switch m.state {
	case Trying, Proceeding:
		return m.pending(in, out)
	case Completed:
		if in.What == Woken || in.What == Broken {
			return m.end(out)
		}
	default: // nothing to do
	}
	return out
}

func (m *ClientNonInvite) pending(in Input, out []Effect) []Effect {
	switch in.What {
	case Begun:
		return m.clock.start(m.t.Life(), m.unlessReliable(m.t.T1), append(out, Effect{Do: Send})) // F, E
	case Woken:
		over, again := m.clock.woken()
		switch {
		case over:
			return m.end(out, Expire)
		case again:
			if m.state == Proceeding {
				m.clock.pause = m.t.T2
			}
			return m.clock.repeat(m.t.T2, out)
		}
		return m.clock.sleep(out)
	case Broken:
		return m.end(out, Fail)
	case Answered:
		out = append(out, Effect{Do: Deliver})
		if in.Code < 200 {
			m.state = Proceeding
			return out
		}
		return m.linger(Completed, m.unlessReliable(m.t.T4), 0, out) // K
	default: // nothing to do
	}
	return out
}
