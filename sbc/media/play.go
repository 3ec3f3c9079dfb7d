package media

import (
	"time"

	"linekeeper/sbc/rtp"
	"linekeeper/sbc/sdp"
)

// FrameSamples is how many samples a Source yields at a time: 20 ms at 8000 Hz.
const FrameSamples = 160

const frameTime = int64(20 * time.Millisecond)

// Source yields sound: tones, announcements, music, a mixer. It belongs to the
// worker while it plays and must neither block nor allocate.
type Source interface {
	// Next fills the 20 ms frame, 16 bit linear at 8000 Hz; false ends the play
	// and the frame is not sent.
	Next(frame *[FrameSamples]int16) bool
}

// player is a source that plays to a stream.
type player struct {
	source  Source
	encode  func(int16) byte
	payload uint8
	head    rtp.Header
	frame   [FrameSamples]int16
}

// choose takes the first G.711 of the agreed formats; without one the source
// runs on unheard.
func (p *player) choose(formats []sdp.FlowFormat) {
	p.encode = nil
	for _, f := range formats {
		switch {
		case f.Clock != 8000:
			continue
		case f.Name == "PCMA":
			p.encode = encodeALaw
		case f.Name == "PCMU":
			p.encode = encodeMuLaw
		default:
			continue
		}
		p.payload = f.Out
		return
	}
}

// play begins or ends a source on a stream.
func (w *worker) play(s *Stream, src Source) {
	l := &s.live
	for i, o := range w.playing {
		if o == s {
			w.playing = append(w.playing[:i], w.playing[i+1:]...)
			break
		}
	}
	if l.player != nil || src != nil {
		l.rewrite.pending = true
	}
	l.player = nil
	if src == nil {
		return
	}
	l.player = &player{source: src}
	l.player.choose(l.flow.Formats)
	if len(w.playing) == 0 {
		w.beat = w.now
	}
	w.playing = append(w.playing, s)
}

// frames sends one frame of every source when the beat is due.
func (w *worker) frames() {
	if len(w.playing) == 0 || w.now < w.beat {
		return
	}
	w.beat += frameTime
	if w.now-w.beat > 5*frameTime { // held up: go on from now instead of bursting
		w.beat = w.now + frameTime
	}
	for i := len(w.playing) - 1; i >= 0; i-- {
		if s := w.playing[i]; !w.playFrame(s) {
			w.play(s, nil)
		}
	}
}

func (w *worker) playFrame(s *Stream) bool {
	l, p := &s.live, s.live.player
	if !p.source.Next(&p.frame) {
		return false
	}
	h := p.head
	p.head.Sequence++
	p.head.Timestamp += FrameSamples
	if p.encode == nil || !l.flow.Send || l.latch.dest.len == 0 {
		return true
	}
	h.Payload = p.payload
	l.rewrite.next(&h, false, w.now, 8000)
	b := w.control[:rtp.HeaderLen+FrameSamples]
	h.Put(b)
	for i, v := range p.frame {
		b[rtp.HeaderLen+i] = p.encode(v)
	}
	s.deliver(nil, s.seal(b, rtp.HeaderLen), FrameSamples)
	return true
}
