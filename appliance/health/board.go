package health

import (
	"cmp"
	"slices"
	"time"
)

// MaxAlarms bounds the board: subjects may come from a long site document,
// and a list of hundreds helps nobody.
const MaxAlarms = 512

// Board is the set of raised conditions. It has no clock: time comes in. It
// belongs to one owner; Room is the one for use by many.
type Board struct {
	known  map[Code]Definition
	raised map[key]Alarm
	shown  map[key]Alarm // as told by the last Changes
}

// NewBoard returns an empty board over the given conditions.
func NewBoard(defs []Definition) *Board {
	b := &Board{known: make(map[Code]Definition, len(defs)), raised: map[key]Alarm{}, shown: map[key]Alarm{}}
	for _, d := range defs {
		b.known[d.Code] = d
	}
	return b
}

// Raise puts a condition on the board, or gives a raised one a new cause; its
// age stays. It reports false for an unknown code or a full board.
func (b *Board) Raise(now time.Time, code Code, subject, cause string) bool {
	d, ok := b.known[code]
	if !ok {
		return false
	}
	k := key{code, subject}
	if a, ok := b.raised[k]; ok {
		a.Cause = cause
		b.raised[k] = a
		return true
	}
	if len(b.raised) >= MaxAlarms {
		return false
	}
	b.raised[k] = Alarm{
		Code: code, Subject: subject, Title: d.Title, Severity: d.Severity,
		Cause: cause, Since: now, VisibleAfter: now.Add(d.Patience),
	}
	return true
}

// Clear takes a condition off the board. Clearing an absent one does nothing.
func (b *Board) Clear(code Code, subject string) { delete(b.raised, key{code, subject}) }

// Visible returns the alarms that a person should see now: the worst first,
// then the oldest.
func (b *Board) Visible(now time.Time) []Alarm {
	out := make([]Alarm, 0, len(b.raised))
	for _, a := range b.raised {
		if b.visible(now, a) {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, compare)
	return out
}

// Changes returns what became visible or invisible since the last call.
func (b *Board) Changes(now time.Time) []Change {
	var out []Change
	for k, a := range b.shown {
		if r, ok := b.raised[k]; ok && b.visible(now, r) {
			continue
		}
		delete(b.shown, k)
		out = append(out, Change{Alarm: a})
	}
	for _, a := range b.Visible(now) {
		k := key{a.Code, a.Subject}
		if _, told := b.shown[k]; !told {
			out = append(out, Change{Raised: true, Alarm: a})
		}
		b.shown[k] = a
	}
	slices.SortStableFunc(out, func(x, y Change) int {
		if x.Raised != y.Raised {
			return cmp.Compare(btoi(x.Raised), btoi(y.Raised))
		}
		return compare(x.Alarm, y.Alarm)
	})
	return out
}

// Next returns when the next raised condition runs out of patience; ok is
// false when none is waiting.
func (b *Board) Next(now time.Time) (at time.Time, ok bool) {
	for _, a := range b.raised {
		if a.VisibleAfter.After(now) && (!ok || a.VisibleAfter.Before(at)) {
			at, ok = a.VisibleAfter, true
		}
	}
	return at, ok
}

// visible reports whether a has lasted long enough and nothing explains it. A
// cause that is still waiting out its own patience silences already: it was
// the first to know, and the child would only come to be taken back.
func (b *Board) visible(now time.Time, a Alarm) bool {
	if now.Before(a.VisibleAfter) {
		return false
	}
	for k := range b.raised {
		if slices.Contains(b.known[a.Code].Causes, k.code) {
			return false
		}
	}
	return true
}

// compare orders the worst first, then the oldest, then by name.
func compare(a, b Alarm) int {
	return cmp.Or(
		cmp.Compare(rank(b.Severity), rank(a.Severity)),
		a.Since.Compare(b.Since),
		cmp.Compare(a.Code, b.Code),
		cmp.Compare(a.Subject, b.Subject),
	)
}

func rank(s Severity) int {
	return slices.Index([]Severity{Info, Warning, Critical}, s)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
