package rtp

// Constants of RFC 3550 A.1.
const (
	maxDropout  = 3000
	maxMisorder = 100
)

// Track accounts one arriving stream (RFC 3550 A.1, A.3, A.8). The zero value
// waits for the first packet. Not for concurrent use.
type Track struct {
	started  bool
	ssrc     uint32
	max      uint16 // highest sequence number seen
	base     uint32 // first extended number of this source
	cycles   uint32 // wraps, times 65536
	bad      uint32 // the number that would prove a restart
	received uint64 // of this source
	doubles  uint64
	before   uint64 // expected of earlier sources, for the totals
	had      uint64 // received of earlier sources

	transit uint32 // last relative transit time, timestamp units
	timed   bool
	jitter  uint32 // times 16

	lastExpected, lastReceived uint64 // at the last report
}

// Verdict is what a Track makes of a packet.
type Verdict uint8

// The verdicts.
const (
	// Good is in order, or late within bounds.
	Good Verdict = iota
	// Fresh begins a source: another SSRC, or a jump that the next packet confirmed.
	Fresh
	// Double was seen just before.
	Double
	// Suspect is far from the sequence: too late, or the first of a jump.
	Suspect
)

// Packet accounts one packet that arrived at arrival, in units of the RTP
// clock.
func (t *Track) Packet(h Header, arrival uint32) Verdict {
	v := Fresh
	if !t.started || h.SSRC != t.ssrc {
		t.restart(h)
	} else {
		v = t.sequence(h)
	}
	if v == Good || v == Fresh {
		t.time(h, arrival)
	}
	return v
}

// restart begins to count a new source; what was counted stays in the totals.
func (t *Track) restart(h Header) {
	t.before += t.expected()
	t.had += t.received
	t.started, t.ssrc = true, h.SSRC
	t.max, t.base, t.cycles = h.Sequence, uint32(h.Sequence), 0
	t.bad, t.received, t.timed = 1<<16+1, 1, false
}

// sequence is update_seq of RFC 3550 A.1.
func (t *Track) sequence(h Header) Verdict {
	delta := h.Sequence - t.max
	switch {
	case delta == 0:
		t.doubles++
		return Double
	case delta < maxDropout:
		if h.Sequence < t.max {
			t.cycles += 1 << 16
		}
		t.max = h.Sequence
	case delta <= 65535-maxMisorder:
		if uint32(h.Sequence) != t.bad {
			t.bad = uint32(h.Sequence + 1)
			return Suspect
		}
		t.restart(h)
		return Fresh
	}
	t.received++ // in order, or late but not lost
	return Good
}

// time is the jitter estimate of RFC 3550 A.8, kept times 16.
func (t *Track) time(h Header, arrival uint32) {
	transit := arrival - h.Timestamp
	if t.timed {
		d := int32(transit - t.transit)
		if d < 0 {
			d = -d
		}
		t.jitter += uint32(d) - (t.jitter+8)>>4
	}
	t.transit, t.timed = transit, true
}

func (t *Track) expected() uint64 {
	if !t.started {
		return 0
	}
	return uint64(t.cycles+uint32(t.max)-t.base) + 1
}

// Extended is the extended highest sequence number received.
func (t *Track) Extended() uint32 { return t.cycles + uint32(t.max) }

// SSRC is the source that is counted now; 0 before the first packet.
func (t *Track) SSRC() uint32 { return t.ssrc }

// Lost is how many packets of all sources never came; late ones are not lost,
// doubled ones don't make it negative.
func (t *Track) Lost() uint64 {
	all, got := t.before+t.expected(), t.had+t.received
	if got >= all {
		return 0
	}
	return all - got
}

// Jitter is the mean deviation of the arrival times, in units of the RTP clock.
func (t *Track) Jitter() uint32 { return t.jitter >> 4 }

// Block makes the report about this source since the last call (RFC 3550 6.4.1, A.3).
func (t *Track) Block() Block {
	expected, received := t.expected(), t.received
	b := Block{SSRC: t.ssrc, Highest: t.Extended(), Jitter: t.Jitter(), Lost: int32(min(max(int64(expected)-int64(received), -1<<23), 1<<23-1))}
	e, r := int64(expected-t.lastExpected), int64(received-t.lastReceived)
	if e > 0 && e > r {
		b.Fraction = uint8((e - max(r, 0)) << 8 / max(e, 1) & 0xff)
		if r <= 0 {
			b.Fraction = 255
		}
	}
	t.lastExpected, t.lastReceived = expected, received
	return b
}
