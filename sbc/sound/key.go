package sound

import "strings"

// keys are the names of the DTMF keys in the order of their event codes (RFC 4733 3.2).
const keys = "0123456789*#ABCD"

// Flash is the event of a hook flash.
const Flash = 16

// KeyOf is the name of an event: "5", "#", "!" for a flash; 0 for what is no key.
func KeyOf(event uint8) byte {
	switch {
	case int(event) < len(keys):
		return keys[event]
	case event == Flash:
		return '!'
	}
	return 0
}

// EventOf is the event of a key's name.
func EventOf(key byte) (event uint8, ok bool) {
	if key == '!' {
		return Flash, true
	}
	if 'a' <= key && key <= 'd' {
		key -= 'a' - 'A'
	}
	i := strings.IndexByte(keys, key)
	return uint8(i), i >= 0
}

// The frequencies of the keys (ITU-T Q.23).
var (
	rows    = [4]float64{697, 770, 852, 941}
	columns = [4]float64{1209, 1336, 1477, 1633}
	layout  = [4]string{"123A", "456B", "789C", "*0#D"}
)

// frequencies finds the two of an event; false for one that has no sound.
func frequencies(event uint8) (row, column float64, ok bool) {
	key := KeyOf(event)
	for r := range layout {
		if c := strings.IndexByte(layout[r], key); c >= 0 {
			return rows[r], columns[c], true
		}
	}
	return 0, 0, false
}

// The levels of a key's two tones, about -9 and -7 dBm0: lines damp the higher one
// more (Q.23, TS 24.229 names the same).
const (
	rowVolume    = 8200
	columnVolume = 10300
)

// Press is the sound of a key for as long as it is asked for.
type Press struct {
	row, column oscillator
	at          int
}

// NewPress begins a key; the sound of a flash is silence.
func NewPress(event uint8) Press {
	r, c, ok := frequencies(event)
	if !ok {
		return Press{}
	}
	return Press{row: newOscillator(r, rowVolume), column: newOscillator(c, columnVolume)}
}

// Next fills the frame.
func (p *Press) Next(frame *[Frame]int16) bool {
	for i := range frame {
		v := p.row.next() + p.column.next()
		if p.at < ramp {
			p.at++
			v *= float64(p.at) / ramp
		}
		frame[i] = int16(v)
	}
	return true
}
