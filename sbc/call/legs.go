package call

import "linekeeper/sbc/dialog"

// Stage is how far a leg's dialog has come, in the words of RFC 4235 3.7.1.
type Stage string

// The stages of a leg that lives. A leg that is being let go of is no longer seen.
const (
	LegTrying    Stage = "trying"    // the INVITE is out, nobody has been told that it rings
	LegEarly     Stage = "early"     // it rings
	LegConfirmed Stage = "confirmed" // answered
)

// LegView is one living leg of a call. Call-ID and tags name the dialog from the
// box's end: what is local here is remote to the phone.
type LegView struct {
	ID LegID
	// Extension is whose phone the leg goes to; empty for the cloud.
	Extension string
	// Instance is which of its devices that is, where it says so.
	Instance string
	// Line is the cloud account that the leg goes over; empty for a phone.
	Line string
	// Called says that the box called this end; else it called the box.
	Called                      bool
	Stage                       Stage
	CallID, LocalTag, RemoteTag string
	// Remote is the other party as this end was shown it: anonymous where the
	// caller withholds the number.
	Remote dialog.Address
}

// Legs lists the living legs, the caller's first.
func (m *Machine) Legs() []LegView {
	var out []LegView
	for _, l := range m.legs {
		stage, seen := m.seen(l)
		if !seen {
			continue
		}
		if out == nil {
			out = make([]LegView, 0, len(m.legs))
		}
		who := m.party(l)
		v := LegView{ID: l.id, Extension: who.Extension, Instance: who.Instance, Line: who.Line, Called: !l.incoming, Stage: stage,
			CallID: l.dlg.CallID, LocalTag: l.dlg.LocalTag, RemoteTag: l.dlg.RemoteTag, Remote: l.dlg.Local}
		out = append(out, v)
	}
	return out
}

// seen tells a leg's public stage; false for one that isn't there yet or no more.
func (m *Machine) seen(l *leg) (Stage, bool) {
	switch {
	case m.end != nil, l.dlg == nil, l.dlg.CallID == "":
		return "", false
	case l.live():
		return LegConfirmed, true
	case l.stage == early && (l.incoming && m.hunt != nil && m.hunt.rung || !l.incoming && l.dlg.RemoteTag != ""):
		return LegEarly, true
	case l.stage == early, l.stage == calling:
		return LegTrying, true
	}
	return "", false
}

// Standing says whether the legs still are what was seen last; it costs no
// memory, since it is asked at each step.
func (m *Machine) Standing(last []LegView) bool {
	n := 0
	for _, l := range m.legs {
		stage, seen := m.seen(l)
		if !seen {
			continue
		}
		if n >= len(last) || last[n].ID != l.id || last[n].Stage != stage || last[n].RemoteTag != l.dlg.RemoteTag {
			return false
		}
		n++
	}
	return n == len(last)
}
