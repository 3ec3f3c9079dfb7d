package tone

import (
	"math"
	"time"
)

// The detector looks at 40 ms every 20 ms: 25 Hz of resolution, which parts all the
// call progress tones from each other, at the cost of half a window of delay.
const (
	window  = 2 * Frame
	hop     = Frame
	hopTime = 20 * time.Millisecond
)

// A tone counts as heard when it is louder than minLevel and stands minSNR above the rest.
const (
	minLevel = -36.0 // dBm0
	minSNR   = 10.0  // dB
	maxTones = 32    // frequencies of one detector
)

// Heard is how long one frequency was heard.
type Heard struct {
	Hz      float64
	Total   time.Duration // all of it
	Run     time.Duration // without a break, up to now
	Longest time.Duration // the longest run so far
}

// Detector listens to one stream for a few frequencies. It is for one goroutine.
type Detector struct {
	tones []heard
	pcm   [window]int16
	have  int
	power float64 // mean square of the last window
}

type heard struct {
	Heard
	coefficient float64 // Goertzel's 2 cos w
}

// NewDetector listens for the given frequencies in Hz, at most 32 of them.
func NewDetector(hz ...float64) *Detector {
	if len(hz) > maxTones {
		hz = hz[:maxTones]
	}
	d := &Detector{tones: make([]heard, len(hz))}
	for i, f := range hz {
		d.tones[i] = heard{Heard{Hz: f}, 2 * math.Cos(2*math.Pi*f/Rate)}
	}
	return d
}

// Write hears the octets of one packet, coded by law.
func (d *Detector) Write(law Law, octets []byte) {
	for _, o := range octets {
		d.add(law.Decode(o))
	}
}

// WriteSamples hears linear samples.
func (d *Detector) WriteSamples(pcm []int16) {
	for _, s := range pcm {
		d.add(s)
	}
}

// Gap tells the detector that audio is missing here: runs end.
func (d *Detector) Gap() {
	d.have = 0
	for i := range d.tones {
		d.tones[i].Run = 0
	}
}

// Tones tells what was heard of each frequency, in the order of NewDetector.
func (d *Detector) Tones() []Heard {
	out := make([]Heard, len(d.tones))
	for i, t := range d.tones {
		out[i] = t.Heard
	}
	return out
}

// Of tells what was heard of one of the detector's frequencies.
func (d *Detector) Of(hz float64) Heard {
	for _, t := range d.tones {
		if t.Hz == hz {
			return t.Heard
		}
	}
	return Heard{Hz: hz}
}

// Loudest is the frequency heard for the longest run, or ok false if none was heard at all.
func (d *Detector) Loudest() (hz float64, ok bool) {
	var longest time.Duration
	for _, t := range d.tones {
		if t.Longest > longest {
			hz, longest = t.Hz, t.Longest
		}
	}
	return hz, longest > 0
}

// Level is the level of the last window in dBm0; below -90 it is silence.
func (d *Detector) Level() float64 { return level(d.power) }

func (d *Detector) add(s int16) {
	d.pcm[d.have] = s
	d.have++
	if d.have < window {
		return
	}
	d.judge()
	copy(d.pcm[:], d.pcm[hop:])
	d.have = window - hop
}

func (d *Detector) judge() {
	var sum float64
	for _, s := range d.pcm {
		sum += float64(s) * float64(s)
	}
	d.power = sum / window
	for i := range d.tones {
		t := &d.tones[i]
		if !d.clear(t.coefficient) {
			t.Run = 0
			continue
		}
		if t.Run == 0 {
			t.Run = hopTime // the first window heard is 40 ms, its first half came before
		}
		t.Run += hopTime
		t.Total += hopTime
		t.Longest = max(t.Longest, t.Run)
	}
}

// clear says whether the tone is loud enough and alone enough in the window.
func (d *Detector) clear(coefficient float64) bool {
	var s1, s2 float64
	for _, s := range d.pcm {
		s1, s2 = float64(s)+coefficient*s1-s2, s1
	}
	// |X|^2 of a sine of amplitude a is (a n/2)^2, its mean square a^2/2
	tone := (s1*s1 + s2*s2 - coefficient*s1*s2) * 2 / (window * window)
	rest := max(d.power-tone, 1)
	return level(tone) > minLevel && 10*math.Log10(tone/rest) > minSNR
}

// level turns a mean square into dBm0.
func level(meanSquare float64) float64 {
	const reference = fullScale * fullScale / 2
	return 10*math.Log10(max(meanSquare, 1e-3)/reference) + fullScaleDBm0
}
