package sound

import "math"

// What makes a block of samples a key, and speech none (ITU-T Q.24 and its
// limits for Germany; talk-off).
const (
	// block is 12.75 ms: three fit into the shortest key of 40 ms.
	block = 102
	// faintest is the energy of a block at about -38 dBm0.
	faintest = block * 300 * 300
	// twist is by how much one of the two tones may be louder: 9 dB.
	twist = 8
	// apart is by how much each must stand out among its four: 8 dB.
	apart = 6.3
	// share is how much of all energy the two must have.
	share = 0.68
	// startBlocks must agree before a key counts, endBlocks must disagree before it
	// is over: one lost packet breaks no key in two.
	startBlocks, endBlocks = 2, 2
)

// Detector hears keys in the voice: samples at 8000 Hz in, the key under way out.
// The zero value is ready.
type Detector struct {
	tones [8]goertzel // rows, columns
	seen  int
	total float64
	// last is the key of the last block, run how often it came in a row; heard is the
	// one that counts, missed how many blocks were without it. Event codes plus 1; 0: none.
	last, heard uint8
	run, missed int
	length      int // samples of the heard one
}

type goertzel struct{ s1, s2 float64 }

// turns are 2*cos of the eight frequencies.
var turns = turnsOf()

func turnsOf() (t [8]float64) {
	for i := range 4 {
		t[i] = 2 * math.Cos(2*math.Pi*rows[i]/Rate)
		t[4+i] = 2 * math.Cos(2*math.Pi*columns[i]/Rate)
	}
	return t
}

// Heard is the event of the key under way and how many samples it has lasted.
func (d *Detector) Heard() (event uint8, samples int, ok bool) {
	return d.heard - 1, d.length, d.heard != 0
}

// Suspects says that the last block sounded like a key, be it one that counts or not.
func (d *Detector) Suspects() bool { return d.last != 0 || d.heard != 0 }

// Feed takes samples. Give it no more than 20 ms at a time and look at Heard in
// between, so that nothing begins and ends unseen.
func (d *Detector) Feed(samples []int16) {
	for _, v := range samples {
		x := float64(v)
		for i := range d.tones {
			t := &d.tones[i]
			t.s1, t.s2 = x+turns[i]*t.s1-t.s2, t.s1
		}
		d.total += x * x
		if d.seen++; d.seen == block {
			d.judge(d.recognise())
			d.restart()
		}
	}
}

func (g *goertzel) energy(turn float64) float64 {
	return g.s1*g.s1 + g.s2*g.s2 - turn*g.s1*g.s2
}

// Gap says that so many samples are missing before the next ones: no block spans
// it, and a key that goes on behind it has lasted.
func (d *Detector) Gap(samples int) {
	if d.heard != 0 && samples > 0 {
		d.length += min(samples, Rate)
	}
	d.restart()
}

func (d *Detector) restart() { d.seen, d.total, d.tones = 0, 0, [8]goertzel{} }

// recognise names the key of a full block, plus 1; 0: none.
func (d *Detector) recognise() uint8 {
	if d.total < faintest {
		return 0
	}
	var e [8]float64
	for i := range e {
		e[i] = d.tones[i].energy(turns[i])
	}
	r, c := loudest(e[:4]), loudest(e[4:])
	if r < 0 || c < 0 {
		return 0
	}
	row, column := e[r], e[4+c]
	switch {
	case row > twist*column, column > twist*row:
		return 0
	case row+column < share*d.total*block/2:
		return 0
	}
	event, _ := EventOf(layout[r][c])
	return event + 1
}

// loudest is the one that stands out among four; -1: none does.
func loudest(e []float64) int {
	best := 0
	for i := range e {
		if e[i] > e[best] {
			best = i
		}
	}
	for i := range e {
		if i != best && e[i]*apart > e[best] {
			return -1
		}
	}
	return best
}

// judge takes what a block was.
func (d *Detector) judge(key uint8) {
	if key == d.last && key != 0 {
		d.run++
	} else {
		d.last, d.run = key, 1
	}
	if key != 0 && key != d.heard && d.run >= startBlocks {
		d.heard, d.missed, d.length = key, 0, d.run*block
		return
	}
	if d.heard == 0 {
		return
	}
	if key == d.heard {
		d.length += (1 + d.missed) * block
		d.missed = 0
		return
	}
	if d.missed++; d.missed >= endBlocks {
		d.heard, d.missed = 0, 0
	}
}
