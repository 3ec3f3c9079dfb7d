package call

import (
	"strings"

	"linekeeper/sbc/policy"
	"linekeeper/sbc/sdp"
	"linekeeper/sbc/sip"
)

// hear takes from a message of a leg's peer by which UUID the peer names itself
// (RFC 7989 6); it may change when another takes the peer's place.
func (m *Machine) hear(l *leg, msg sip.Message) {
	if s, ok := policy.ReadSession(msg); ok && s.Local != policy.NilUUID {
		l.uuid = strings.Clone(s.Local)
	}
}

// uuidOf is the UUID of a leg's peer; one that brings none is given one.
func (m *Machine) uuidOf(l *leg) string {
	if l.uuid == "" {
		l.uuid = policy.NewUUID(m.cfg.Invite.Token, l.key("leg"))
	}
	return l.uuid
}

// session is the Session-ID of a message to a leg: who is at the other end of
// the call, and who gets it.
func (m *Machine) session(l *leg) sip.Header {
	s := policy.Session{Local: policy.NilUUID, Remote: policy.NilUUID}
	if l.incoming || l.uuid != "" || l.dlg != nil && l.dlg.RemoteTag != "" {
		s.Remote = m.uuidOf(l)
	}
	if far := m.far(l); far != nil {
		s.Local = m.uuidOf(far)
	} else {
		s.Local = policy.NewUUID(m.cfg.Invite.Token, "box")
	}
	return s.Header()
}

// far is the leg at the other end: whom l talks with, whom it waits for or who
// waits for it; nil where there is nobody yet.
func (m *Machine) far(l *leg) *leg {
	if p := m.peer(l); p != nil {
		return p
	}
	if l != m.a() {
		return m.a()
	}
	for i := len(m.legs) - 1; i > 0; i-- { // who rings, the latest
		if o := m.legs[i]; o.heard && o.dlg != nil && o.dlg.RemoteTag != "" {
			return o
		}
	}
	return nil
}

// reasons are the Reason header fields of a request by which a leg is let go of
// (RFC 3326): what the other side gave, or the box's own with both codes.
func (m *Machine) reasons(end End) policy.Cause {
	switch {
	case end.Blame == ByUs && end.Code == 200:
		return policy.Elsewhere()
	case end.Code == 488 && m.misfit != nil: // the description of who is let go, as a rule
		c := policy.Own(488)
		if _, text := sdp.Warning(m.misfit); text != "" {
			c.Text = text
		}
		return c
	case end.Blame == ByUs || end.Blame == Unknown:
		return policy.Own(end.Code)
	case m.end != nil:
		return m.cause
	}
	return policy.Cause{}
}

// refusal is the Reason of the final answer that the caller gets: the network's
// cause where the one who refused gave it (RFC 6432).
func (m *Machine) refusal(end End) []sip.Header {
	c := policy.Cause{Q850: m.cause.Q850, Text: m.cause.Text}
	if c.Q850 == 0 && (end.Blame == ByUs || end.Blame == Unknown) {
		c = policy.Cause{Q850: policy.Q850Of(end.Code)}
	}
	if c.Q850 == 0 {
		return nil
	}
	return c.Headers()
}

// connect notes whom the caller has reached, as far as it may know. While several
// ring nobody is named.
func (m *Machine) connect(l *leg, resp *sip.Response) {
	if m.cfg.Connected == nil || l.target == nil || !resp.IsSuccess() && (m.hunt == nil || !m.hunt.lone()) {
		return
	}
	m.connected = m.cfg.Connected(*l.target, resp)
}

// known says whether a call was at a destination before, in its own circle of
// forwardings.
func (h *hunt) known(first, to string) bool {
	if to == first {
		return true
	}
	for _, v := range h.visited {
		if v == to {
			return true
		}
	}
	return false
}

// diverted is the entry of a phone that sends the call on.
func diverted(l *leg, resp *sip.Response) policy.Divert {
	d := policy.Divert{Extension: l.aim.extension, Why: policy.Unconditional, Times: 1}
	if l.rang {
		d.Why = policy.Deflection
	}
	if said := policy.ReadDiverts(resp); len(said) > 0 {
		d.Why = said[0].Why
	}
	return d
}

// joined writes a cause as one header value.
func joined(c policy.Cause) string { return strings.Join(c.Values(), ", ") }
