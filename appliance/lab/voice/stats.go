package voice

import "time"

// Stats counts what one end sent and received.
type Stats struct {
	Sent     uint64
	Received uint64 // authentic RTP of the agreed codec, duplicates apart
	Lost     uint64 // holes in the sequence numbers not filled by late packets
	Late     uint64 // arrived after a later one
	Twice    uint64 // duplicates
	Broken   uint64 // failed authentication or could not be read
	Bare     uint64 // plain RTP where SRTP was agreed
	Sources  uint64 // SSRCs seen, one for each change
	Gap      time.Duration
	First    time.Time
	Last     time.Time
}

// sequence follows one SSRC's sequence numbers (RFC 3550 A.1, without probation).
type sequence struct {
	ssrc    uint32
	started bool
	top     uint64 // extended number of the newest packet
	base    uint64
	seen    uint64    // unique packets of this SSRC
	window  [4]uint64 // bit n: top-n was seen
	before  uint64    // lost of earlier SSRCs
}

type arrival uint8

const (
	fresh arrival = iota
	late
	twice
)

const windowBits = 256

func (s *sequence) take(ssrc uint32, seq uint16) (kind arrival, newSource bool) {
	if !s.started || ssrc != s.ssrc {
		*s = sequence{ssrc: ssrc, started: true, top: 1<<16 + uint64(seq), base: 1<<16 + uint64(seq), seen: 1, before: s.lost()}
		s.window[0] = 1
		return fresh, true
	}
	delta := int16(seq - uint16(s.top))
	if delta > 0 {
		s.shift(uint64(delta))
		s.top += uint64(delta)
		s.window[0] |= 1
		s.seen++
		return fresh, false
	}
	back := uint64(-int32(delta))
	if back >= windowBits || s.window[back/64]&(1<<(back%64)) != 0 {
		return twice, false
	}
	s.window[back/64] |= 1 << (back % 64)
	s.base = min(s.base, s.top-back)
	s.seen++
	return late, false
}

func (s *sequence) shift(n uint64) {
	for ; n >= 64; n -= 64 {
		copy(s.window[1:], s.window[:3])
		s.window[0] = 0
		if n > windowBits {
			s.window = [4]uint64{}
			return
		}
	}
	if n == 0 {
		return
	}
	for i := 3; i > 0; i-- {
		s.window[i] = s.window[i]<<n | s.window[i-1]>>(64-n)
	}
	s.window[0] <<= n
}

func (s *sequence) lost() uint64 {
	if !s.started {
		return 0
	}
	return s.before + s.top - s.base + 1 - s.seen
}
