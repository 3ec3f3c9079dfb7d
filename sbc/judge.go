package sbc

import (
	"time"

	"linekeeper/sbc/media"
)

// Trouble names what is wrong with the media of a call.
type Trouble string

// The troubles, the worst first.
const (
	// NoMedia: neither side is heard.
	NoMedia Trouble = "no-media"
	// OneWay: one side that should speak is not heard.
	OneWay Trouble = "one-way"
	// Bad: a side is heard badly (below Config.MinMOS).
	Bad Trouble = "bad"
)

// MediaView is how the media of a call stands.
type MediaView struct {
	// Call is the call's token.
	Call string
	// Trouble is empty where all is well (again).
	Trouble Trouble
	// Side is the leg that is not heard well, "lan" or "cloud"; "both".
	Side string
	// Cause is a sentence without a name or an address.
	Cause string
	// MOS is the estimate that was found bad, of a few seconds.
	MOS float64
}

// How long something must last before it is told, and told to be over.
const (
	stopAfter   = 4 * time.Second // of silence: with the watch's own step within 5 s
	flowAfter   = 2 * time.Second // of being heard again
	badWindow   = 5 * time.Second
	badWindows  = 2 // in a row, to raise and to clear
	betterBy    = 0.2
	fewPackets  = 50 // in a window tell nothing about quality
	minMOSUnset = 3.6
)

// heard is what the judge of a call needs to know of one leg.
type heard struct {
	side    string // "lan" or "cloud"
	expects bool   // the peer is expected to send
	media.Pulse
	stats func() media.Stats // asked for now and then
}

// judge watches the media of one call. It knows no clock: times are told.
type judge struct {
	legs  [2]ear
	state MediaView
}

// ear is one leg, as it was looked at before.
type ear struct {
	expected time.Time // since when it should be heard; zero: it need not be
	quiet    bool      // as told
	flows    time.Time // since when it is heard again
	window   time.Time // the beginning of the window of quality
	at       media.Stats
	worse    int // windows in a row below the bound, negative: above it
	bad      bool
	mos      float64
}

// look takes how the legs stand now; changed says that the state is another.
func (j *judge) look(now time.Time, legs [2]heard, least float64) (v MediaView, changed bool) {
	for i := range legs {
		j.legs[i].listen(now, &legs[i])
		j.legs[i].rate(now, &legs[i], least)
	}
	next := j.verdict(legs)
	changed = next.Trouble != j.state.Trouble || next.Side != j.state.Side
	if changed {
		j.state = next
	}
	return next, changed
}

// listen finds whether a leg that should be heard is.
func (e *ear) listen(now time.Time, h *heard) {
	// Comfort noise before the silence, a fax between pages, a goodbye: no fault.
	if !h.expects || h.Comfort || h.Fax || h.Gone {
		*e = ear{}
		return
	}
	if e.expected.IsZero() {
		e.expected = now
	}
	silence := min(h.Silence, now.Sub(e.expected))
	switch {
	case silence >= stopAfter:
		e.quiet, e.flows = true, time.Time{}
	case !e.quiet:
	case h.Silence > time.Second:
		e.flows = time.Time{}
	case e.flows.IsZero():
		e.flows = now
	case now.Sub(e.flows) >= flowAfter:
		e.quiet = false
	}
}

// rate finds whether a leg is heard well, window by window.
func (e *ear) rate(now time.Time, h *heard, least float64) {
	if e.expected.IsZero() || e.quiet {
		e.window, e.worse, e.bad = time.Time{}, 0, false
		return
	}
	if e.window.IsZero() {
		e.window, e.at = now, h.stats()
		return
	}
	if now.Sub(e.window) < badWindow {
		return
	}
	st := h.stats()
	d := st.In
	d.Packets -= min(e.at.In.Packets, d.Packets)
	d.Lost -= min(e.at.In.Lost, d.Lost)
	e.window, e.at = now, st
	if d.Packets+d.Lost < fewPackets {
		return
	}
	e.mos = d.MOS(st.Codec, st.RoundTrip)
	switch {
	case e.mos < least:
		e.worse = max(e.worse, 0) + 1
	case e.mos >= least+betterBy:
		e.worse = min(e.worse, 0) - 1
	default:
		e.worse = 0
	}
	if e.worse >= badWindows {
		e.bad = true
	} else if e.worse <= -badWindows {
		e.bad = false
	}
}

func (j *judge) verdict(legs [2]heard) MediaView {
	a, b := &j.legs[0], &j.legs[1]
	switch {
	case a.quiet && b.quiet:
		return MediaView{Trouble: NoMedia, Side: "both", Cause: why(&legs[0], a)}
	case a.quiet:
		return MediaView{Trouble: OneWay, Side: legs[0].side, Cause: why(&legs[0], a)}
	case b.quiet:
		return MediaView{Trouble: OneWay, Side: legs[1].side, Cause: why(&legs[1], b)}
	case a.bad && (!b.bad || a.mos <= b.mos):
		return MediaView{Trouble: Bad, Side: legs[0].side, Cause: badly(&legs[0]), MOS: a.mos}
	case b.bad:
		return MediaView{Trouble: Bad, Side: legs[1].side, Cause: badly(&legs[1]), MOS: b.mos}
	}
	return MediaView{}
}

// why tells what keeps a leg from being heard, by what is dropped instead.
func why(h *heard, e *ear) string {
	dropped := h.stats().Dropped
	grew := func(r media.Reason) bool { return dropped[r] > e.at.Dropped[r] }
	switch {
	case grew(media.Unauthentic):
		return "what arrives cannot be decrypted: the key is not the agreed one"
	case grew(media.Foreign):
		return "packets come from an address that was not agreed"
	case grew(media.Replayed), grew(media.Disorder), grew(media.Malformed):
		return "what arrives is no speech of this call"
	case h.Packets == 0:
		return "nothing has arrived since the call was answered"
	}
	return "nothing arrives any more"
}

// badly tells the greater evil.
func badly(h *heard) string {
	st := h.stats()
	switch {
	case st.In.Burst > 1.5:
		return "packets are lost in bursts"
	case st.In.Lost*100 > st.In.Packets:
		return "packets are lost"
	case st.RoundTrip > 300*time.Millisecond:
		return "the way is long"
	}
	return "packets come unevenly"
}
