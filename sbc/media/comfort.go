package media

import (
	"math"
	"strings"
	"time"

	"linekeeper/sbc/rtp"
	"linekeeper/sbc/sdp"
)

// noiseWork is a payload that carries comfort noise (RFC 3389) for a peer that does
// not know it and whose voice is made in the box.
const noiseWork = 0xfd

const (
	// quietFrames is how many silent frames of the box's own go out as voice before
	// comfort noise takes their place: gaps between words and tones are left alone.
	quietFrames = 10
	// quietLevel is what the box says of its own silence, in -dBov.
	quietLevel = 70
	// loudestNoise bounds what a peer may have us make, in -dBov.
	loudestNoise = 30
	// noiseTime is how long noise goes on that nothing renews: its source may be gone.
	noiseTime = time.Minute
)

// isNoise says whether a format is comfort noise at the clock of our codecs.
func isNoise(f sdp.Format) bool { return f.Clock == 8000 && strings.EqualFold(f.Name, "CN") }

// noise is the sound of comfort noise, white: the spectrum that a packet may bring is
// a hint (RFC 3389 3.3).
type noise struct {
	amplitude float64
	left      int // frames
	state     uint32
}

// level takes what a packet says: its first octet, in -dBov of the mean power.
func (n *noise) level(octets []byte) {
	l := uint8(127)
	if len(octets) > 0 {
		l = max(octets[0]&0x7f, loudestNoise)
	}
	n.amplitude = math.Sqrt(3) * math.MaxInt16 * math.Pow(10, -float64(l)/20)
	n.left = int(int64(noiseTime) / frameTime)
}

// Next fills a frame, as long as the noise is renewed.
func (n *noise) Next(frame *[FrameSamples]int16) bool {
	for i := range frame {
		n.state = n.state*1664525 + 1013904223
		frame[i] = int16(n.amplitude * (float64(n.state>>8)/(1<<23) - 1))
	}
	n.left--
	return n.left > 0
}

// soothe lets p hear the noise that its peer s has announced by a packet, until
// voice comes again.
func (w *worker) soothe(s, p *Stream, octets []byte) {
	n := s.live.work.noise
	n.level(octets)
	if !p.live.taken {
		w.play(p, n)
	}
	s.drop(Replaced)
}

// rouse ends the noise that p hears in the place of s.
func (w *worker) rouse(s, p *Stream) {
	c := s.live.work
	if c == nil || c.noise == nil || p.live.player == nil {
		return
	}
	if n, ok := p.live.player.source.(*noise); ok && n == c.noise {
		w.play(p, nil)
	}
}

// hushed says whether a frame of the box's own is left out, since comfort noise
// stands for it; the first one is.
func (w *worker) hushed(s *Stream, v *voice, h rtp.Header, frame *[FrameSamples]int16) bool {
	if v.noise == noPayload || !v.pack.begun || *frame != [FrameSamples]int16{} {
		v.quiet = 0
		return false
	}
	if v.quiet++; v.quiet <= quietFrames {
		return false
	}
	if v.quiet == quietFrames+1 {
		w.tellQuiet(s, v, h)
	}
	return true
}

// tellQuiet sends the packet that says how silent it is.
func (w *worker) tellQuiet(s *Stream, v *voice, h rtp.Header) {
	k := &v.pack
	if k.fill > 0 {
		w.ship(nil, s, k, h)
	}
	h.Payload, h.Sequence, h.Marker, h.Len = v.noise, k.seq, false, rtp.HeaderLen
	k.seq++
	if !s.live.rewrite.next(&h, false, w.now, 8000) {
		return
	}
	b := k.room[:rtp.HeaderLen+1]
	b[rtp.HeaderLen] = quietLevel
	h.Put(b)
	s.deliver(nil, s.seal(b, rtp.HeaderLen), 1)
}
