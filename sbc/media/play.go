package media

import (
	"cmp"
	"strings"
	"time"

	"linekeeper/sbc/rtp"
	"linekeeper/sbc/sdp"
	"linekeeper/sbc/sound"
)

// FrameSamples is how many samples a Source yields at a time: 20 ms at 8000 Hz.
const FrameSamples = sound.Frame

const frameTime = int64(20 * time.Millisecond)

// Source yields sound: tones, announcements, music, a seat of a mixer. It belongs
// to the worker while it plays and must neither block nor allocate.
type Source = sound.Source

// voice is how the box itself speaks to a stream: with the first agreed codec that
// it knows.
type voice struct {
	codec   sound.Codec
	payload uint8
	noise   uint8 // number of comfort noise; noPayload: the peer knows none
	quiet   int   // silent frames so far
	enc     sound.Encoder
	pack    packer
}

// choose takes the first of our codecs; without one what the box says is unheard.
func (v *voice) choose(f *sdp.Flow) {
	v.codec, v.noise = sound.None, noPayload
	for i := range f.Formats {
		if isNoise(f.Formats[i].Format) {
			v.noise = f.Formats[i].Out & 0x7f
		}
	}
	for i := range f.Formats {
		if c := codecOf(f.Formats[i].Format); c != sound.None {
			v.codec, v.payload = c, f.Formats[i].Out&0x7f
			v.pack.want(cmp.Or(f.Ptime, 20))
			return
		}
	}
}

// codecOf tells which of our codecs a format is.
func codecOf(f sdp.Format) sound.Codec {
	if f.Clock != 8000 || f.Channels > 1 {
		return sound.None
	}
	return sound.CodecOf(strings.ToUpper(f.Name))
}

// player is a source that plays to a stream.
type player struct {
	source Source
	voice  voice
	head   rtp.Header
	frame  [FrameSamples]int16
}

// play begins or ends a source on a stream.
func (w *worker) play(s *Stream, src Source) {
	l := &s.live
	if l.player != nil || src != nil {
		l.rewrite.pending = true
	}
	l.player = nil
	if src != nil {
		l.player = &player{source: src}
		l.player.voice.choose(&l.flow)
	}
	w.attend(s)
}

// attend puts a stream among those that have their turn every 20 ms, or takes it
// out, and says whether the box itself speaks to it.
func (w *worker) attend(s *Stream) {
	l := &s.live
	l.taken = l.player != nil || l.keypad.busy()
	listed := false
	for i, o := range w.playing {
		if o == s {
			listed = true
			if !l.taken {
				w.playing = append(w.playing[:i], w.playing[i+1:]...)
			}
			break
		}
	}
	if l.taken && !listed {
		if len(w.playing) == 0 {
			w.beat = w.now
		}
		w.playing = append(w.playing, s)
	}
}

// frames gives every stream that the box speaks to its turn when the beat is due.
func (w *worker) frames() {
	if len(w.playing) == 0 || w.now < w.beat {
		return
	}
	w.beat += frameTime
	if w.now-w.beat > 5*frameTime { // held up: go on from now instead of bursting
		w.beat = w.now + frameTime
	}
	for i := len(w.playing) - 1; i >= 0; i-- {
		s := w.playing[i]
		if s.live.keypad.busy() {
			w.keyFrame(s)
		} else if s.live.player != nil && !w.playFrame(s) {
			w.play(s, nil)
		}
	}
}

func (w *worker) playFrame(s *Stream) bool {
	p := s.live.player
	if !p.source.Next(&p.frame) {
		return false
	}
	w.speak(s, &p.voice, &p.head, &p.frame)
	return true
}

// speak sends one frame of the box's own to a stream; head counts on.
func (w *worker) speak(s *Stream, v *voice, head *rtp.Header, frame *[FrameSamples]int16) {
	l := &s.live
	h := *head
	head.Timestamp += FrameSamples
	if v.codec == sound.None || l.silent() {
		head.Sequence++
		return
	}
	was := v.quiet
	if w.hushed(s, v, h, frame) {
		return
	}
	head.Sequence++
	h.Payload, h.Marker = v.payload, was > quietFrames
	v.enc.Encode(v.codec, w.frame[:], frame[:])
	w.packed(nil, s, &v.pack, h, w.frame[:], false)
}
