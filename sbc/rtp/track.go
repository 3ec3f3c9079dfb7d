package rtp

import "math/bits"

// Constants of RFC 3550 A.1.
const (
	maxDropout  = 3000
	maxMisorder = 100
)

// late is how far behind the highest a packet may come and be known as one that
// is late, or as a double. What is lost is judged when it is that far behind.
const late = 64

// Track accounts one arriving stream (RFC 3550 A.1, A.3, A.8). The zero value
// waits for the first packet. Not for concurrent use.
type Track struct {
	// What each packet touches comes first, to be in one cache line and a bit.
	started  bool
	timed    bool
	max      uint16 // highest sequence number seen
	ssrc     uint32
	base     uint32 // first extended number of this source
	cycles   uint32 // wraps, times 65536
	transit  uint32 // last relative transit time, timestamp units
	jitter   uint32 // times 16
	seen     uint64 // bit n: max-n came
	received uint64 // of this source
	before   uint64 // expected of earlier sources, for the totals
	had      uint64 // received of earlier sources
	came     uint64 // left the window, not yet told to bursts
	drift    drift

	bad     uint32 // the number that would prove a restart
	doubles uint64
	bursts  Bursts

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
	if t.started {
		t.judge(min(late, t.expected()))
	}
	t.started, t.ssrc = true, h.SSRC
	t.max, t.base, t.cycles = h.Sequence, uint32(h.Sequence), 0
	t.bad, t.received, t.timed, t.seen = 1<<16+1, 1, false, 1
	t.lastExpected, t.lastReceived = 0, 0
	t.drift.start()
}

// sequence is update_seq of RFC 3550 A.1.
func (t *Track) sequence(h Header) Verdict {
	delta := h.Sequence - t.max
	switch {
	case delta == 0:
		t.doubles++
		return Double
	case delta < maxDropout:
		t.advance(uint64(delta))
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
	default:
		if age := -delta; age < late {
			if t.seen>>age&1 != 0 {
				t.doubles++
				return Double
			}
			t.seen |= 1 << age
		}
	}
	t.received++ // in order, or late but not lost
	return Good
}

// advance moves the window by n packets, the last of which came.
func (t *Track) advance(n uint64) {
	// How many numbers leave the window: none before it is full.
	held := min(late, t.expected())
	if out := held + n; out > late {
		t.judge(min(out-late, held))
		if out > late+held {
			t.tell()
		}
		for range max(out-late, held) - held { // these were never in it
			t.bursts.Missed()
		}
	}
	t.seen = t.seen<<min(n, late) | 1
	if n >= late {
		t.seen = 1
	}
}

// judge tells the n oldest numbers of the window.
func (t *Track) judge(n uint64) {
	held := min(late, t.expected())
	oldest := t.seen << (late - held)
	if bits.LeadingZeros64(^oldest) >= int(n) { // all of them came
		t.came += n
		return
	}
	t.tell()
	for range n {
		if oldest>>63 != 0 {
			t.bursts.Got()
		} else {
			t.bursts.Missed()
		}
		oldest <<= 1
	}
}

// tell lets the bursts know of what came since they were told last.
func (t *Track) tell() {
	t.bursts.since += t.came
	t.bursts.got += t.came
	t.came = 0
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
	t.drift.packet(transit, arrival)
}

func (t *Track) expected() uint64 {
	if !t.started {
		return 0
	}
	return uint64(t.cycles+uint32(t.max)-t.base) + 1
}

// Extended is the extended highest sequence number received.
func (t *Track) Extended() uint32 { return t.cycles + uint32(t.max) }

// Begin is the extended number of the source's first packet.
func (t *Track) Begin() uint32 { return t.base }

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

// Doubles is how many packets came more than once.
func (t *Track) Doubles() uint64 { return t.doubles }

// Bursts tells how the losses lay, but for those of the last 64 packets.
func (t *Track) Bursts() *Bursts {
	t.tell()
	return &t.bursts
}

// Jitter is the mean deviation of the arrival times, in units of the RTP clock.
func (t *Track) Jitter() uint32 { return t.jitter >> 4 }

// Drift is by how much the sender's clock is faster than ours, in parts per
// million; 0 until half a minute of one source has come. clock is in hertz.
func (t *Track) Drift(clock uint32) float64 { return t.drift.ppm(clock) }

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

// drift compares the fastest packets of two times: what the network adds is
// never less than nothing, so the smallest transit time shows the clocks alone.
type drift struct {
	begun   bool
	from    uint32 // arrival that the window began with
	least   int32  // transit of the window, against origin
	origin  uint32
	windows int
	first   point
	last    point
}

// point is the least transit of a window and when the window began.
type point struct {
	transit int32
	at      uint32
}

// driftWindow is how long the fastest packet is looked for: 2^16 units are 8 s
// at 8000 Hz and 1.4 s at 48000.
const driftWindow = 1 << 16

func (d *drift) start() { *d = drift{} }

func (d *drift) packet(transit, arrival uint32) {
	if !d.begun {
		d.begun, d.origin, d.from = true, transit, arrival
		return
	}
	d.least = min(d.least, int32(transit-d.origin))
	if arrival-d.from < driftWindow {
		return
	}
	p := point{d.least, d.from}
	if d.windows == 0 {
		d.first = p
	}
	d.last = p
	d.windows++
	d.from, d.least = arrival, int32(transit-d.origin)
}

func (d *drift) ppm(clock uint32) float64 {
	span := d.last.at - d.first.at
	if d.windows < 2 || span < 24*clock {
		return 0
	}
	return -float64(d.last.transit-d.first.transit) / float64(span) * 1e6
}
