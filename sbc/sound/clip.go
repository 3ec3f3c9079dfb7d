package sound

// Clip is sound kept as A-law at 8000 Hz: an announcement, hold music. It is a
// source; many clips may share the octets.
type Clip struct {
	octets []byte
	at     int
	times  int
}

// NewClip plays octets as often as said; 0: for ever.
func NewClip(octets []byte, times int) *Clip { return &Clip{octets: octets, times: times} }

// From begins at an offset into the octets, so that not all who wait hear the same bar.
func (c *Clip) From(at int) *Clip {
	if len(c.octets) > 0 {
		c.at = at % len(c.octets)
	}
	return c
}

// Next fills the frame; the last one of all ends in silence.
func (c *Clip) Next(frame *[Frame]int16) bool {
	if len(c.octets) == 0 || c.at >= len(c.octets) {
		return false
	}
	for i := range frame {
		if c.at == len(c.octets) {
			if c.times == 1 {
				frame[i] = 0
				continue
			}
			c.at = 0
			c.times = max(0, c.times-1)
		}
		frame[i] = aLaw[c.octets[c.at]]
		c.at++
	}
	return true
}

// Sequence plays one source after the other.
type Sequence struct{ rest []Source }

// Source yields frames until it is over.
type Source interface {
	// Next fills the frame; false: it is over, and the frame is not to be heard.
	Next(frame *[Frame]int16) bool
}

// NewSequence is over when the last of the sources is.
func NewSequence(sources ...Source) *Sequence { return &Sequence{rest: sources} }

// Next fills the frame.
func (s *Sequence) Next(frame *[Frame]int16) bool {
	for len(s.rest) > 0 {
		if s.rest[0].Next(frame) {
			return true
		}
		s.rest = s.rest[1:]
	}
	return false
}
