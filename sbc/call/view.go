package call

import "time"

// View is an immutable picture of a call for people and records.
type View struct {
	Token        string
	State        State
	Way          Way
	Caller       Party
	Dialled      string
	Callee       string // extension or number that answered or rings
	Born, Talked time.Time
	End          *End
	A, B         LegID // the legs that talk; B is 0 before an answer
	ALine, BLine string
	// Session is the caller's name of the call from end to end (RFC 7989), Cause
	// why it ended as the telephone network says it (Q.850); 0: it didn't.
	Session string
	Cause   int
	// Legs are those that live, the caller's first; none once the call has ended.
	Legs []LegView
}

// View is what the call looks like now.
func (m *Machine) View() View {
	v := View{Token: m.cfg.Invite.Token, State: m.state, Way: m.way, Caller: m.cfg.Invite.Caller,
		Dialled: m.cfg.Invite.Dialled, Born: m.born, Talked: m.talked, End: m.end, ALine: m.cfg.Invite.Caller.Line, Legs: m.Legs()}
	if m.host != nil {
		v.Session = m.uuidOf(m.a())
	}
	if m.end != nil {
		v.Cause = m.cause.Q850
	}
	l := m.winner
	if l == nil && len(m.legs) > 1 {
		l = m.legs[len(m.legs)-1]
	}
	if l != nil {
		who := m.party(l)
		v.Callee, v.BLine = who.Extension, who.Line
		if v.Callee == "" {
			v.Callee = who.Number
		}
		if m.winner != nil {
			v.A, v.B = m.host.id, l.id
		}
	}
	return v
}
