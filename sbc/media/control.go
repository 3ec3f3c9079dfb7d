package media

import (
	"errors"
	"time"

	"linekeeper/sbc/rtp"
)

// arrivedRTCP takes one compound packet: checked and decrypted like RTP, and read
// for what it says about our own sending and the peer's clock. Nothing of it is
// passed on: each leg is a session of its own, and the box reports on both.
func (w *worker) arrivedRTCP(s *Stream, b []byte) {
	l := &s.live
	from := w.from.addrPort()
	at := &l.control
	if l.flow.Mux {
		at = &l.latch
	}
	standing := at.judge(from)
	if standing == foreign || standing == candidate && l.controlIn == nil && !at.fits(from) && from.Addr() != l.latch.source.Addr() {
		s.drop(Foreign)
		return
	}
	switch {
	case l.controlIn != nil:
		var ok bool
		if b, ok = w.unprotectRTCP(s, b); !ok {
			return
		}
	case l.assoc[0] != nil:
		s.drop(Unkeyed)
		return
	}
	report, ok := rtp.ParseReport(b)
	if !ok {
		s.drop(Malformed)
		return
	}
	if standing == candidate && !l.flow.Mux {
		w.hold(s, true)
	}
	s.count.receivedRTCP.Add(1)
	if !l.begun {
		w.beginReports(s)
	}
	w.learn(s, &report)
	w.learnMore(s, rtp.ParseExtended(b))
}

func (w *worker) unprotectRTCP(s *Stream, b []byte) ([]byte, bool) {
	l := &s.live
	n := copy(w.copied[:], b)
	out, err := l.controlIn.unprotectRTCP(b)
	if errors.Is(err, errAuth) && l.old != nil && w.now <= l.oldTill {
		out, err = l.old.unprotectRTCP(w.copied[:n])
	}
	s.refused(err)
	return out, err == nil
}

// longestTrip bounds a round trip that is believed.
const longestTrip = 10 * time.Second

// learn reads what the peer reports about the packets that we send it.
func (w *worker) learn(s *Stream, r *rtp.Report) {
	l := &s.live
	if r.Sender {
		l.report.heard = heardReport{ssrc: r.SSRC, middle: uint32(r.NTP >> 16), at: w.now}
	}
	for i := range r.Blocks[:r.Count] {
		k := &r.Blocks[i]
		if k.SSRC != l.rewrite.ssrc {
			continue
		}
		s.count.remoteLost.Store(int64(k.Lost))
		s.count.remoteJitter.Store(units(k.Jitter, l.clock))
		if k.LSR != 0 && (k.LSR == l.report.sent[0] || k.LSR == l.report.sent[1]) {
			trip := time.Duration(uint64(w.middleNow()-k.LSR-k.DLSR) * uint64(time.Second) >> 16)
			if trip < longestTrip { // else a delay that is longer than the trip itself
				s.count.roundTrip.Store(max(1, int64(trip)))
			}
		}
	}
}

// learnMore reads extended reports.
func (w *worker) learnMore(s *Stream, x rtp.Extended) {
	if x.Time != 0 {
		s.live.report.asked = heardReport{middle: x.Time, at: w.now}
	}
	if x.HasVoIP && x.VoIP.SSRC == s.live.rewrite.ssrc {
		s.count.remoteMOS.Store(int64(x.VoIP.ConversationalMOS * 10))
	}
	s.count.gone.Store(x.Bye)
}

// units is a time in units of an RTP clock, in nanoseconds.
func units(n, clock uint32) int64 { return int64(n) * int64(time.Second) / int64(max(clock, 1)) }

func (w *worker) transmitRTCP(s *Stream, b []byte) {
	l := &s.live
	switch {
	case l.controlOut != nil:
		b = l.controlOut.protectRTCP(b)
	case l.assoc[0] != nil:
		return
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
	if !l.control.checked && !l.control.source.IsValid() && l.latch.source.IsValid() && l.latch.source.Addr() != l.latch.signalled.Addr() {
		l.natControl(l.latch.source.Port() + 1)
	}
	return &l.control.dest
}

func (l *live) natControl(port uint16) {
	l.control.dest = l.latch.dest
	l.control.dest.raw[2], l.control.dest.raw[3] = byte(port>>8), byte(port)
}
