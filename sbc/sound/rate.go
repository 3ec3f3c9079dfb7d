package sound

import "math"

// halfTaps is one side of the half-band filter between 8000 and 16000 Hz: every
// other coefficient is 0, so these are the odd ones, the nearest to the middle first.
const halfTaps = 12

// half has its edge at 4000 Hz; 3400 Hz pass, from 4600 Hz on nothing does.
var half = halfBand()

func halfBand() (taps [halfTaps]float32) {
	sum := 0.0
	var t [halfTaps]float64
	for i := range t {
		x := float64(2*i + 1)
		window := 0.42 + 0.5*math.Cos(math.Pi*x/(2*halfTaps+1)) + 0.08*math.Cos(2*math.Pi*x/(2*halfTaps+1)) // Blackman
		t[i] = math.Sin(math.Pi*x/2) / (math.Pi * x) * window
		sum += 2 * t[i]
	}
	for i := range t { // the middle is 1/2, and the whole 1
		taps[i] = float32(t[i] / (2 * sum))
	}
	return taps
}

// span is how many samples of one phase the filter sees.
const span = 2 * halfTaps

// delay keeps the last span samples in one piece, however long it runs.
type delay struct {
	line [2 * span]float32
	at   int
}

// push takes a sample and returns the last span ones, the oldest first.
func (d *delay) push(v float32) []float32 {
	d.line[d.at], d.line[d.at+span] = v, v
	d.at++
	if d.at == span {
		d.at = 0
	}
	return d.line[d.at : d.at+span]
}

// fold is the filter over the samples of one phase.
func fold(x []float32) (sum float32) {
	for i, c := range half {
		sum += c * (x[halfTaps-1-i] + x[halfTaps+i])
	}
	return sum
}

// Doubler takes 8000 Hz to 16000 Hz.
type Doubler struct{ past delay }

// Double gives the two samples of one.
func (d *Doubler) Double(v int16) (first, second int16) {
	x := d.past.push(float32(v))
	return int16(x[halfTaps-1]), round16(2 * fold(x))
}

// Halver takes 16000 Hz to 8000 Hz, without what that could not carry.
type Halver struct{ even, odd delay }

// Halve makes one sample of two.
func (h *Halver) Halve(first, second int16) int16 {
	e := h.even.push(float32(first))
	o := h.odd.push(float32(second))
	return round16(e[halfTaps]/2 + fold(o))
}

func round16(v float32) int16 {
	switch {
	case v >= 32767:
		return 32767
	case v <= -32768:
		return -32768
	case v < 0:
		return int16(v - 0.5)
	}
	return int16(v + 0.5)
}
