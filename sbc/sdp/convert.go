package sdp

import "strings"

// convertible are the codecs that the relay makes of each other, best first.
var convertible = [...]Format{{8, "PCMA", 8000, 1, ""}, {0, "PCMU", 8000, 1, ""}, {9, "G722", 8000, 1, ""}}

// event is the form of key presses that everybody knows.
var event = Format{101, "telephone-event", 8000, 1, "0-16"}

// converts says whether the relay can make other codecs of one that is listed.
func converts(list []Format) bool {
	for _, f := range convertible {
		if _, ok := find(list, f); ok {
			return true
		}
	}
	return false
}

// widen adds to what the other leg has what the relay can make of it, behind all
// else: where nothing of it is known here, or all of it was refused. Key presses
// are added wherever they are missing.
func (l *Local) widen(formats, from []Format) []Format {
	if !l.Convert && !l.Presses || !converts(from) {
		return formats
	}
	var voice, rest []Format
	for _, f := range formats {
		if f.Auxiliary() {
			rest = append(rest, f)
		} else {
			voice = append(voice, f)
		}
	}
	wanted := l.Convert && (l.Wide || !l.meets(voice))
	for _, f := range convertible {
		_, there := find(voice, f)
		if !there && wanted && l.permits(f) && (l.Wide || l.knows(f)) {
			voice = append(voice, f)
		}
	}
	if _, there := find(rest, event); !there && l.permits(event) && l.knows(event) {
		rest = append(rest, event)
	}
	return append(voice, rest...)
}

// permits says whether the leg's own list has room for a format.
func (l *Local) permits(f Format) bool {
	return len(l.Codecs) == 0 || rank(l.Codecs, f.Name) < len(l.Codecs)
}

// knows says whether the leg may know a format: it has spoken of it, or not said
// anything yet.
func (l *Local) knows(f Format) bool {
	_, ok := find(l.numbers, f)
	return ok || len(l.numbers) == 0
}

// meets says whether the leg is likely to share a codec with those: one that it has
// spoken of, or before that one that everybody has.
func (l *Local) meets(voice []Format) bool {
	for _, f := range voice {
		if _, ok := find(l.numbers, f); ok {
			return true
		}
		if len(l.numbers) == 0 && (strings.EqualFold(f.Name, "PCMA") || strings.EqualFold(f.Name, "PCMU")) {
			return true
		}
	}
	return false
}

// adopt adds to what both legs have, out of this one's offer, what the relay can
// make of the other one's answer: a codec where none is shared, and key presses.
func (l *Local) adopt(shared, answer, offer []Format) []Format {
	if !l.Convert && !l.Presses || !converts(answer) {
		return shared
	}
	voice := !l.Convert
	for _, f := range allowed(shared, l.Codecs, false) {
		voice = voice || !f.Auxiliary()
	}
	var added []Format
	for _, f := range offer {
		g, ok := find(convertible[:], f)
		if ok && g.Same(f) && !voice && !has(shared, f.Number) {
			added = append(added, f)
		}
	}
	shared = append(added, shared...)
	if !converts(shared) { // Opus on both sides: the relay hears nothing
		return shared
	}
	if g, ok := find(offer, event); ok && !has(shared, g.Number) {
		shared = append(shared, g)
	}
	return shared
}
