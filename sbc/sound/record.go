package sound

import (
	"encoding/binary"
	"time"
)

// Recorder keeps what is said as A-law at 8000 Hz, up to a bound. Its room is
// taken at once, so that recording allocates nothing.
type Recorder struct {
	octets []byte
	begun  bool
	next   uint32
}

// maxGap is the longest pause that is kept as silence; a longer jump of the
// timestamps is another source.
const maxGap = 60 * Rate

// NewRecorder keeps no more than limit.
func NewRecorder(limit time.Duration) *Recorder {
	return &Recorder{octets: make([]byte, 0, int(limit/(time.Second/Rate)))}
}

// Take adds samples at their time in ticks of 8000 Hz: what is missing before
// them becomes silence, what is there already is passed over.
func (r *Recorder) Take(at uint32, samples []int16) {
	if !r.begun {
		r.begun, r.next = true, at
	}
	switch gap := int32(at - r.next); {
	case gap > maxGap || gap < -maxGap:
		r.next = at
	case gap < 0:
		past := min(int(-gap), len(samples))
		samples = samples[past:]
	default:
		for range min(int(gap), cap(r.octets)-len(r.octets)) {
			r.octets = append(r.octets, PCMA.Silence())
		}
		r.next = at
	}
	for _, v := range samples[:min(len(samples), cap(r.octets)-len(r.octets))] {
		r.octets = append(r.octets, EncodeALaw(v))
	}
	r.next += uint32(len(samples))
}

// Full says that nothing more is kept.
func (r *Recorder) Full() bool { return len(r.octets) == cap(r.octets) }

// Length is how much was kept.
func (r *Recorder) Length() time.Duration {
	return time.Duration(len(r.octets)) * (time.Second / Rate)
}

// ALaw is what was kept. It is the recorder's own.
func (r *Recorder) ALaw() []byte { return r.octets }

// WAV is what was kept as a file: RIFF, 8000 Hz, one channel, 16 bit linear,
// which every mail program plays.
func (r *Recorder) WAV() []byte { return WAV(r.octets) }

// WAV makes a file of A-law at 8000 Hz.
func WAV(octets []byte) []byte {
	const header = 44
	size := 2 * len(octets)
	b := make([]byte, 0, header+size)
	le := binary.LittleEndian
	b = append(b, "RIFF"...)
	b = le.AppendUint32(b, uint32(header-8+size))
	b = append(b, "WAVEfmt "...)
	b = le.AppendUint32(b, 16)
	b = le.AppendUint16(b, 1) // linear
	b = le.AppendUint16(b, 1) // channels
	b = le.AppendUint32(b, Rate)
	b = le.AppendUint32(b, 2*Rate)
	b = le.AppendUint16(b, 2)
	b = le.AppendUint16(b, 16)
	b = append(b, "data"...)
	b = le.AppendUint32(b, uint32(size))
	for _, o := range octets {
		b = le.AppendUint16(b, uint16(aLaw[o]))
	}
	return b
}
