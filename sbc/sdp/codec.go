package sdp

import "strings"

// static knows the audio payload types of RFC 3551 6 that need no a=rtpmap.
func static(n uint8) (Format, bool) {
	for _, f := range statics {
		if f.Number == n {
			return f, true
		}
	}
	return Format{}, false
}

var statics = [...]Format{
	{0, "PCMU", 8000, 1, ""}, {3, "GSM", 8000, 1, ""}, {4, "G723", 8000, 1, ""},
	{5, "DVI4", 8000, 1, ""}, {6, "DVI4", 16000, 1, ""}, {7, "LPC", 8000, 1, ""},
	{8, "PCMA", 8000, 1, ""}, {9, "G722", 8000, 1, ""}, {10, "L16", 44100, 2, ""},
	{11, "L16", 44100, 1, ""}, {12, "QCELP", 8000, 1, ""}, {13, "CN", 8000, 1, ""},
	{14, "MPA", 90000, 1, ""}, {15, "G728", 8000, 1, ""}, {16, "DVI4", 11025, 1, ""},
	{17, "DVI4", 22050, 1, ""}, {18, "G729", 8000, 1, ""},
}

// known are the codecs that we can offer from their name alone.
var known = [...]Format{
	{8, "PCMA", 8000, 1, ""}, {0, "PCMU", 8000, 1, ""}, {9, "G722", 8000, 1, ""},
	{3, "GSM", 8000, 1, ""}, {18, "G729", 8000, 1, "annexb=no"},
	{96, "opus", 48000, 2, "useinbandfec=1"}, {97, "iLBC", 8000, 1, "mode=20"},
	{13, "CN", 8000, 1, ""}, {101, "telephone-event", 8000, 1, "0-16"},
}

// ourChoice is what we offer or accept by ourselves when nobody set Codecs.
var ourChoice = [...]string{"PCMA", "PCMU", "G722", "telephone-event"}

// rank is the place of a name in the list; len(list) for one that is not in it.
func rank(list []string, name string) int {
	for i, n := range list {
		if strings.EqualFold(n, name) {
			return i
		}
	}
	return len(list)
}

// allowed filters formats by the list and, if order is set, sorts them by it.
// An empty list lets all pass as they are.
func allowed(in []Format, list []string, order bool) []Format {
	if len(list) == 0 {
		return append([]Format(nil), in...)
	}
	var out []Format
	if !order {
		for _, f := range in {
			if rank(list, f.Name) < len(list) {
				out = append(out, f)
			}
		}
		return out
	}
	for i, name := range list {
		if rank(list, name) != i {
			continue // named twice
		}
		for _, f := range in {
			if strings.EqualFold(f.Name, name) {
				out = append(out, f)
			}
		}
	}
	return out
}

// own are the formats that we can offer by ourselves.
func own(list []string) []Format {
	if len(list) == 0 {
		list = ourChoice[:]
	}
	return allowed(known[:], list, true)
}

// carried drops auxiliary formats whose clock no real codec has: a
// telephone-event shares its timestamps with the voice (RFC 4733 2.1).
// Nothing is left where there is no real codec.
func carried(in []Format) []Format {
	clocks := make(map[uint32]bool)
	for _, f := range in {
		if !f.Auxiliary() {
			clocks[f.Clock] = true
		}
	}
	var out []Format
	for _, f := range in {
		if clocks[f.Clock] {
			out = append(out, f)
		}
	}
	return out
}

// find looks for the same encoding, with equal parameters if there is one.
func find(list []Format, f Format) (Format, bool) {
	best, ok := Format{}, false
	for _, g := range list {
		if !g.Same(f) {
			continue
		}
		if g.Params == f.Params {
			return g, true
		}
		if !ok {
			best, ok = g, true
		}
	}
	return best, ok
}
