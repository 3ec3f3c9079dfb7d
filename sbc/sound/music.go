package sound

import "math"

// The hold music is Linekeeper's own: eight bars over four chords, written for it
// and computed here, so that there is nobody to be paid for its being heard. It
// has the licence of the program.

// tempo is the length of a quarter note in samples: 96 a minute.
const tempo = Rate * 60 / 96

// The chords of the bars by their notes in half tones above A3 (220 Hz), the bass first.
var bars = [8][4]int{
	{-12, 0, 3, 7}, {-16, -4, 0, 3}, {-9, 3, 7, 10}, {-14, -2, 2, 5},
	{-12, 0, 3, 7}, {-16, -4, 0, 3}, {-14, -2, 2, 5}, {-12, 0, 3, 7},
}

// The melody, two notes for each bar and one for the last: half tones above A3, half notes.
var melody = [16]int{19, 15, 15, 12, 10, 15, 14, 10, 12, 15, 19, 20, 17, 14, 12, 12}

// Music computes the hold music: A-law at 8000 Hz, 20 s, made to be repeated.
func Music() []byte {
	length := len(bars) * 4 * tempo
	mix := make([]float64, length)
	for b, chord := range bars {
		at := b * 4 * tempo
		strike(mix, at, chord[0], 4*tempo, 0.30)
		for q := range 8 { // an arpeggio in quavers
			strike(mix, at+q*tempo/2, chord[1+[...]int{0, 1, 2, 1}[q%4]], 2*tempo, 0.14)
		}
	}
	for n, note := range melody {
		strike(mix, n*2*tempo, note, 3*tempo, 0.22)
	}
	octets := make([]byte, length)
	for i, v := range mix {
		octets[i] = EncodeALaw(int16(9000 * math.Tanh(v)))
	}
	return octets
}

// strike adds a note that dies away, over the seam into the beginning if need be.
func strike(mix []float64, at, note, length int, volume float64) {
	hertz := 220 * math.Pow(2, float64(note)/12)
	for i := range length {
		t := float64(i) / Rate
		envelope := min(1, t/0.015) * math.Exp(-2.2*t) * min(1, float64(length-i)/200)
		w := 2 * math.Pi * hertz * t
		v := math.Sin(w) + 0.35*math.Sin(2*w)*math.Exp(-3*t) + 0.12*math.Sin(3*w)*math.Exp(-6*t)
		mix[(at+i)%len(mix)] += volume * envelope * v
	}
}
