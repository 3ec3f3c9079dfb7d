package sound

import (
	"math"
	"time"
)

// part is a piece of a tone: one or two frequencies, or silence (0), for a while.
type part struct {
	hertz  [2]float64
	length time.Duration
}

// Tones are the call progress tones of a country (ITU-T E.180 Supplement 2).
type Tones struct {
	dial, ringBack, busy, congestion, special, waiting []part
}

// TonesOf knows the tones of a country by its ISO 3166 code; one that it does not
// know hears the German ones, which are those of most of Europe.
func TonesOf(country string) Tones {
	if t, ok := countries[country]; ok {
		return t
	}
	return countries["DE"]
}

func on(hertz float64, ms ...int) []part {
	return both([2]float64{hertz}, ms...)
}

// both are sound and silence in turn, in milliseconds.
func both(hertz [2]float64, ms ...int) (parts []part) {
	for i, n := range ms {
		p := part{length: time.Duration(n) * time.Millisecond}
		if i%2 == 0 {
			p.hertz = hertz
		}
		parts = append(parts, p)
	}
	return parts
}

func join(parts ...[]part) (all []part) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// information is the special information tone, the same everywhere (E.180 clause 5).
func information() []part {
	return join(on(950, 330), on(1400, 330), on(1800, 330, 1000))
}

var countries = map[string]Tones{
	"DE": {on(425, 1000), on(425, 1000, 4000), on(425, 480, 480), on(425, 240, 240), information(), on(425, 200, 200, 200, 5000)},
	"AT": {on(420, 1000), on(420, 1000, 5000), on(420, 400, 400), on(420, 200, 200), information(), on(420, 40, 1950)},
	"CH": {on(425, 1000), on(425, 1000, 4000), on(425, 500, 500), on(425, 200, 200), information(), on(425, 200, 200, 200, 4000)},
	"GB": {
		both([2]float64{350, 440}, 1000), both([2]float64{400, 450}, 400, 200, 400, 2000), on(400, 375, 375), on(400, 400, 350, 225, 525),
		information(), on(400, 100, 3000),
	},
	"US": {
		both([2]float64{350, 440}, 1000), both([2]float64{440, 480}, 2000, 4000), both([2]float64{480, 620}, 500, 500), both([2]float64{480, 620}, 250, 250),
		information(), on(440, 300, 10000),
	},
}

// Dial says that digits are awaited.
func (t Tones) Dial() *Tone { return newTone(t.dial) }

// RingBack says that it rings at the other end.
func (t Tones) RingBack() *Tone { return newTone(t.ringBack) }

// Busy says that the other end talks.
func (t Tones) Busy() *Tone { return newTone(t.busy) }

// Congestion says that there is no way to the other end.
func (t Tones) Congestion() *Tone { return newTone(t.congestion) }

// Special says that what was dialled cannot be had; an announcement may follow.
func (t Tones) Special() *Tone { return newTone(t.special) }

// Waiting says that another call waits.
func (t Tones) Waiting() *Tone { return newTone(t.waiting) }

// Hold tells that the call is kept: a short, soft beep every five seconds.
func Hold() *Tone {
	t := newTone(on(425, 200, 4800))
	t.volume /= 2
	return t
}

// Sine is one continuous frequency.
func Sine(hertz float64) *Tone { return newTone(on(hertz, 1000)) }

const (
	// toneVolume is the peak, about -12 dBm0; two frequencies share it.
	toneVolume = 5800
	// ramp is how many samples a tone takes to come and go, so that it does not click.
	ramp = 16
)

// Tone is frequencies with a cadence. As a source it goes on for ever.
type Tone struct {
	parts  []part
	which  int
	at     int // sample within the part
	volume float64
	osc    [2]oscillator
}

func newTone(parts []part) *Tone {
	t := &Tone{parts: parts, volume: toneVolume}
	t.begin()
	return t
}

func (t *Tone) begin() {
	p := &t.parts[t.which]
	for i, hz := range p.hertz {
		t.osc[i] = newOscillator(hz, 1)
	}
}

// Next fills the frame.
func (t *Tone) Next(frame *[Frame]int16) bool {
	for i := range frame {
		frame[i] = t.sample()
	}
	return true
}

func (t *Tone) sample() int16 {
	p := &t.parts[t.which]
	length := int(p.length / (time.Second / Rate))
	v := 0.0
	if p.hertz[0] != 0 {
		v = t.osc[0].next()
		if p.hertz[1] != 0 {
			v = (v + t.osc[1].next()) / 2
		}
		if len(t.parts) > 1 {
			v *= float64(min(t.at+1, length-t.at, ramp)) / ramp
		}
	}
	if t.at++; t.at >= length {
		t.at = 0
		if len(t.parts) > 1 { // a continuous tone has no seam
			t.which = (t.which + 1) % len(t.parts)
			t.begin()
		}
	}
	return int16(t.volume * v)
}

// oscillator is a sine by recursion: one multiplication a sample.
type oscillator struct{ twice, last, before float64 }

func newOscillator(hertz, amplitude float64) oscillator {
	w := 2 * math.Pi * hertz / Rate
	return oscillator{twice: 2 * math.Cos(w), last: -amplitude * math.Sin(w), before: -amplitude * math.Sin(2*w)}
}

func (o *oscillator) next() float64 {
	v := o.twice*o.last - o.before
	o.before, o.last = o.last, v
	return v
}
