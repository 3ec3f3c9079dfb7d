package call

// ringBack lets whom a transfer sends on hear that it rings, unless it still talks
// with whoever sends it on: its phone makes no tone within a call.
func (m *Machine) ringBack() {
	h := m.hunt
	if h == nil || !h.rings || h.tone || h.host.stage != confirmed {
		return
	}
	if t := h.transfer; t != nil && t.by != nil && t.by.stage == confirmed && t.by.theirs != nil && !t.by.theirs.Held() {
		return
	}
	h.tone = true
	m.do(Play{Leg: h.host.id, RingBack: true})
}

// ringsNoMore ends the tone.
func (m *Machine) ringsNoMore() {
	if h := m.hunt; h != nil && h.tone {
		h.tone = false
		m.do(Play{Leg: h.host.id})
	}
}
