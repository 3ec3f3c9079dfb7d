package call

import "time"

// flowPatience is how long a flow may give no sign before the next one of the same
// device is tried: a NAT that forgot it says nothing, and timer B would take 32 s.
const flowPatience = 4 * time.Second

// watchFlow bounds how long a flow is waited for where its device has another.
func (m *Machine) watchFlow(l *leg) {
	if len(l.flows()) > 0 {
		m.do(Arm{l.key("flow"), flowPatience})
	}
}

func (m *Machine) flowWorks(l *leg) {
	if len(l.flows()) > 0 {
		m.do(Disarm{l.key("flow")})
	}
}

// flowSilent leaves a flow that gave no sign; what may still be answered there is
// taken back.
func (m *Machine) flowSilent(l *leg) {
	if l.stage != calling || l.heard || !m.hunting() {
		return
	}
	l.stage = leaving
	m.do(Cancel{l.ref, ""})
	m.nextFlow(l)
}

// nextFlow calls a device by its next flow (RFC 5626 5.3); false: it has none.
func (m *Machine) nextFlow(l *leg) bool {
	if len(l.flows()) == 0 {
		return false
	}
	m.closeMedia(l)
	m.flowWorks(l)
	t := l.target.Flows[0]
	t.Flows = l.target.Flows[1:]
	n := m.calls(&t)
	m.legs = append(m.legs, n)
	m.do(Open{n.id, n.side})
	return true
}
