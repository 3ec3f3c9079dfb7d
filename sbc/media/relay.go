package media

import (
	"errors"
	"time"

	"linekeeper/sbc/rtp"
)

// oldKeyTime is how long packets under the key before the last Set are still
// understood: they were under way.
const oldKeyTime = 2 * time.Second

func isRTCP(b []byte) bool { return rtp.IsRTCP(b) }

// arrivedFax takes one datagram of a fax (T.38 over UDPTL) and gives it to the peer
// as it is. A straggler of the speech before would look like one far ahead.
func (w *worker) arrivedFax(s *Stream, b []byte) {
	l := &s.live
	standing := w.judge(s)
	if standing == foreign {
		s.drop(Foreign)
		return
	}
	if h, ok := rtp.Parse(b); ok && h.SSRC != 0 && h.SSRC == l.track.SSRC() {
		s.drop(Disorder)
		return
	}
	if standing == candidate {
		w.hold(s, false)
	}
	s.count.packets.Add(1)
	s.count.octets.Add(uint64(len(b)))
	s.count.voice.Store(w.now)
	p := l.peer
	switch {
	case p == nil:
		s.drop(Unbridged)
	case !p.live.flow.UDPTL:
		s.drop(Payload)
	case p.live.latch.dest.len == 0:
		s.drop(Held)
	case w.out.takes(p, b):
		w.out.add(p, s, b, len(b))
	default:
		p.deliver(s, b, len(b))
	}
}

// arrivedRTP takes one datagram of the RTP port through all steps.
func (w *worker) arrivedRTP(s *Stream, b []byte) {
	h, ok := rtp.Parse(b)
	if !ok {
		s.drop(Malformed)
		return
	}
	l := &s.live
	standing := w.judge(s)
	if standing == foreign {
		s.drop(Foreign)
		return
	}
	switch {
	case l.in != nil:
		if b, ok = w.unprotect(s, b, h.Len); !ok {
			return
		}
		if l.in.serve() {
			s.notify(Event{Kind: KeysWorn})
		}
	case l.assoc[0] != nil:
		w.early(s, b)
		return
	}
	if standing == candidate {
		w.hold(s, false)
	}
	if !l.begun {
		w.beginReports(s)
	}
	verdict := l.track.Packet(h, uint32(w.now/1000*int64(l.clock)/1e6))
	s.received(len(b)-h.Len, h.Payload)
	switch verdict {
	case rtp.Double:
		s.drop(Replayed)
		return
	case rtp.Suspect:
		s.drop(Disorder)
		return
	case rtp.Good, rtp.Fresh:
	}
	w.forward(s, b, h, verdict == rtp.Fresh)
}

// judge says what the source of the packet at hand is to the RTP port of s. A
// candidate that nothing but its packet can prove must prove itself.
func (w *worker) judge(s *Stream) standing {
	l := &s.live
	from := w.from.addrPort()
	standing := l.latch.judge(from)
	if standing == candidate && (l.in == nil || l.flow.UDPTL) && !l.latch.fits(from) {
		return foreign
	}
	return standing
}

// unprotect decrypts under the present key, or the one before while its
// packets may be under way.
func (w *worker) unprotect(s *Stream, b []byte, header int) ([]byte, bool) {
	l := &s.live
	if l.old != nil && w.now > l.oldTill {
		l.old = nil
	}
	_, resumes := l.in.carried(b)
	if l.old == nil && !resumes {
		out, err := l.in.unprotectRTP(b, header)
		s.refused(err)
		return out, err == nil
	}
	n := copy(w.copied[:], b) // an AEAD wipes what it could not open
	out, err := l.in.unprotectRTP(b, header)
	if errors.Is(err, errAuth) && resumes {
		copy(b, w.copied[:n])
		out, err = l.in.resumeRTP(b, header)
	}
	if errors.Is(err, errAuth) && l.old != nil {
		out, err = l.old.unprotectRTP(w.copied[:n], header)
	}
	s.refused(err)
	return out, err == nil
}

// forward gives a clear packet to the peer.
func (w *worker) forward(s *Stream, b []byte, h rtp.Header, fresh bool) {
	p := s.live.peer
	if p == nil {
		w.absorb(s, b, h)
		return
	}
	to := &p.live
	if to.silent() {
		s.drop(Held)
		return
	}
	if to.taken && s.live.work != nil && s.live.work.from[h.Payload] != noiseWork {
		w.rouse(s, p) // a key press too
	}
	switch number := s.live.table[h.Payload]; {
	case number == noPayload:
		s.drop(Payload)
		return
	case number == handWork:
		if !w.work(s, p, b, &h, fresh) {
			return
		}
	case to.taken:
		s.drop(Replaced)
		return
	default:
		h.Payload = number
	}
	size := len(b) - h.Len
	if !to.rewrite.next(&h, fresh, w.now, s.live.clock) {
		s.drop(Disorder)
		return
	}
	h.Rewrite(b)
	if !to.begun {
		w.beginReports(p)
	}
	if b = p.seal(b, h.Len); b != nil && !w.direct && w.out.takes(p, b) {
		w.out.add(p, s, b, size)
		return
	}
	p.deliver(s, b, size)
}

// seal protects a packet on its way to the peer of s; nil: it must not go.
func (s *Stream) seal(b []byte, header int) []byte {
	switch {
	case s.live.out != nil:
		if s.live.out.serve() {
			s.notify(Event{Kind: KeysWorn})
		}
		return s.live.out.protectRTP(b, header)
	case s.live.assoc[0] != nil: // never in the clear
		return nil
	}
	return b
}

// deliver sends a packet of another stream, or of a source if of is nil, from
// the stream's own socket.
func (s *Stream) deliver(of *Stream, b []byte, size int) {
	if b != nil && send(s.pair.rtp, b, &s.live.latch.dest) {
		s.delivered(of, size)
	} else if of != nil {
		of.drop(Unsent)
	}
}

// delivered counts a packet that the kernel took.
func (s *Stream) delivered(of *Stream, size int) {
	s.count.sent.Add(1)
	s.count.sentOctets.Add(uint64(size))
	if of != nil {
		of.relayed()
	}
}

// rewriter keeps SSRC, sequence and timestamps of one outgoing direction
// continuous whoever feeds it.
type rewriter struct {
	ssrc    uint32
	seq     uint16 // highest sent, or the random start
	ts      uint32 // of that packet
	at      int64  // when it was sent
	pending bool   // the feeder changed
	begun   bool
	from    uint32 // SSRC that feeds now
	before  uint32 // SSRC that fed before
	changed int64
	seqOff  uint16
	tsOff   uint32
}

// stragglerTime is how long packets of the SSRC before are recognised as late.
const stragglerTime = int64(time.Second)

// next writes the outgoing identity into h. It is false for a straggler of the
// source before.
func (r *rewriter) next(h *rtp.Header, fresh bool, now int64, clock uint32) bool {
	if !r.begun || r.pending || fresh || h.SSRC != r.from {
		if r.begun && !r.pending && h.SSRC != r.from && h.SSRC == r.before && now-r.changed < stragglerTime {
			return false
		}
		r.splice(h, now, clock)
	}
	h.SSRC, h.Sequence, h.Timestamp = r.ssrc, h.Sequence+r.seqOff, h.Timestamp+r.tsOff
	if int16(h.Sequence-r.seq) > 0 {
		r.seq, r.ts, r.at = h.Sequence, h.Timestamp, now
	}
	return true
}

// splice lets a new source go on where the last one ended: the next sequence
// number, the timestamp later by the time that passed, at least one frame, and
// the marker as at the start of a talk spurt (RFC 3550 5.1).
func (r *rewriter) splice(h *rtp.Header, now int64, clock uint32) {
	frame := clock / 50
	step := frame
	if r.begun {
		step = max(frame, uint32((now-r.at)/1000*int64(clock)/1e6))
	}
	r.seqOff, r.tsOff = r.seq+1-h.Sequence, r.ts+step-h.Timestamp
	r.before, r.from, r.changed = r.from, h.SSRC, now
	r.begun, r.pending = true, false
	h.Marker = true
}
