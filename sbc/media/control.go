package media

import (
	"errors"
	"time"

	"linekeeper/sbc/rtp"
)

// arrivedRTCP takes one compound packet: checked and decrypted like RTP, read
// for what it says about our own sending, translated and passed on. Only
// reports pass; names and goodbyes of one side are no business of the other.
func (w *worker) arrivedRTCP(s *Stream, b []byte) {
	l := &s.live
	from := w.from.addrPort()
	at := &l.control
	if l.flow.Mux {
		at = &l.latch
	}
	standing := at.judge(from)
	if standing == foreign || standing == candidate && l.in == nil && !at.fits(from) && from.Addr() != l.latch.source.Addr() {
		s.drop(Foreign)
		return
	}
	if l.in != nil {
		var ok bool
		if b, ok = w.unprotectRTCP(s, b); !ok {
			return
		}
	}
	report, ok := rtp.ParseReport(b)
	if !ok {
		s.drop(Malformed)
		return
	}
	if standing == candidate && !l.flow.Mux {
		at.hold(from)
	}
	s.count.receivedRTCP.Add(1)
	w.learn(s, &report)
	if l.peer != nil {
		w.passReport(s, l.peer, report)
	}
}

func (w *worker) unprotectRTCP(s *Stream, b []byte) ([]byte, bool) {
	l := &s.live
	n := copy(w.copied[:], b)
	out, err := l.in.unprotectRTCP(b)
	if errors.Is(err, errAuth) && l.old != nil && w.now <= l.oldTill {
		out, err = l.old.unprotectRTCP(w.copied[:n])
	}
	s.refused(err)
	return out, err == nil
}

// learn reads what the peer reports about the packets that we send it.
func (w *worker) learn(s *Stream, r *rtp.Report) {
	for i := range r.Blocks[:r.Count] {
		k := &r.Blocks[i]
		if k.SSRC != s.live.rewrite.ssrc {
			continue
		}
		s.count.remoteLost.Store(int64(k.Lost))
		s.count.remoteJitter.Store(int64(k.Jitter) * int64(time.Second) / int64(max(s.live.clock, 1)))
		if k.LSR != 0 && k.LSR == s.live.report.middle {
			trip := w.now - s.live.report.at - int64(k.DLSR)*int64(time.Second)>>16
			if trip > 0 {
				s.count.roundTrip.Store(trip)
			}
		}
	}
}

// passReport translates a report of s into the numbers that p knows.
func (w *worker) passReport(s, p *Stream, r rtp.Report) {
	to, back := &p.live.rewrite, &s.live.rewrite
	if r.Sender {
		if !to.begun || to.pending || to.from != r.SSRC || p.live.player != nil {
			r.Sender = false // about a source that p doesn't hear
		} else {
			r.Timestamp += to.tsOff
			p.live.report = sentReport{middle: uint32(r.NTP >> 16), at: w.now}
		}
	}
	r.SSRC = to.ssrc
	n := 0
	for _, k := range r.Blocks[:r.Count] {
		if k.SSRC != back.ssrc || !back.begun || back.pending {
			continue
		}
		k.SSRC, k.Highest = back.from, k.Highest-uint32(back.seqOff)
		r.Blocks[n] = k
		n++
	}
	r.Count = n
	w.transmitRTCP(p, r.Append(w.control[:0], p.cname))
}

func (w *worker) transmitRTCP(s *Stream, b []byte) {
	l := &s.live
	if l.out != nil {
		b = l.out.protectRTCP(b)
	}
	fd, dest := s.pair.rtcp, l.controlDest()
	if l.flow.Mux {
		fd, dest = s.pair.rtp, &l.latch.dest
	}
	if dest.len != 0 && send(fd, b, dest) {
		s.count.sentRTCP.Add(1)
	}
}

// controlDest is where RTCP goes without mux: where it came from, else the
// signalled address, else, for a peer behind NAT, next to its RTP.
func (l *live) controlDest() *sockaddr {
	if !l.control.source.IsValid() && l.latch.source.IsValid() && l.latch.source.Addr() != l.latch.signalled.Addr() {
		l.natControl(l.latch.source.Port() + 1)
	}
	return &l.control.dest
}

func (l *live) natControl(port uint16) {
	l.control.dest = l.latch.dest
	l.control.dest.raw[2], l.control.dest.raw[3] = byte(port>>8), byte(port)
}
