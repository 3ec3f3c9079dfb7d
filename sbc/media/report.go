package media

import (
	"container/heap"
	"math/rand/v2"
	"time"

	"linekeeper/sbc/rtp"
)

// reporting is a leg's RTCP session: what we have sent and heard.
type reporting struct {
	first bool      // none was sent yet
	sent  [2]uint32 // middles of the NTP times of our last sender reports, the newest first
	heard heardReport
	asked heardReport // receiver reference time (RFC 3611 4.4)
	size  float64     // average of our compound packets, with their headers
	told  told        // at the last statistics summary
}

// heardReport is when a time of the peer's came.
type heardReport struct {
	ssrc, middle uint32
	at           int64
}

// told is what the last statistics summary went up to.
type told struct {
	ssrc, highest uint32
	lost, doubles uint64
}

// firstSize is what the average starts from: an SR with a block, SDES, IP and UDP.
const firstSize = 28 + 52 + 32

// due is a report to be sent.
type due struct {
	at    int64
	s     *Stream
	stamp int32 // of the stream's slot: it may have left
}

// agenda are the reports to come, the earliest first.
type agenda []due

// Len is for the heap.
func (a agenda) Len() int { return len(a) }

// Less is for the heap.
func (a agenda) Less(i, j int) bool { return a[i].at < a[j].at }

// Swap is for the heap.
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }

// Push is for the heap.
func (a *agenda) Push(x any) { *a = append(*a, *x.(*due)) }

// Pop is for the heap; the last one is looked at before.
func (a *agenda) Pop() any {
	*a = (*a)[:len(*a)-1]
	return nil
}

// beginReports schedules the first report of a stream, which has just heard or
// sent its first packet: who never says a word needs none.
func (w *worker) beginReports(s *Stream) {
	r := &s.live.report
	s.live.begun, r.first, r.size = true, true, firstSize
	w.schedule(s)
}

func (w *worker) schedule(s *Stream) {
	r := &s.live.report
	wait := rtp.Interval(rand.Float64(), r.size, r.first)
	w.next = due{w.now + int64(wait*float64(time.Second)), s, w.stamps[s.live.slots[0]]}
	heap.Push(&w.agenda, &w.next)
	w.next.s = nil
}

// reports sends what is due.
func (w *worker) reports() {
	for len(w.agenda) > 0 && w.agenda[0].at <= w.now {
		d := w.agenda[0]
		w.agenda[0].s = nil
		heap.Pop(&w.agenda)
		slot := d.s.live.slots[0]
		if p := w.slots[slot]; p == nil || p.s != d.s || w.stamps[slot] != d.stamp {
			continue // it has left
		}
		if !d.s.live.flow.UDPTL {
			w.report(d.s, false)
		}
		w.schedule(d.s)
	}
}

// report sends a compound packet: SR or RR, SDES, extended reports where the peer
// wants them, BYE at the end.
func (w *worker) report(s *Stream, bye bool) {
	l, t := &s.live, &s.live.track
	r := &l.report
	rep := rtp.Report{SSRC: l.rewrite.ssrc}
	if n := s.count.sent.Load(); n > 0 {
		rep.Sender, rep.NTP = true, w.ntp()
		rep.Packets, rep.Octets = uint32(n), uint32(s.count.sentOctets.Load())
		rep.Timestamp = l.rewrite.ts + uint32((w.now-l.rewrite.at)/1000*int64(l.clock)/1e6)
	}
	heard := s.count.packets.Load() > 0
	if heard {
		k := t.Block()
		if h := r.heard; h.ssrc == k.SSRC && h.middle != 0 {
			k.LSR, k.DLSR = h.middle, fraction(w.now-h.at)
		}
		rep.Blocks[0], rep.Count = k, 1
	}
	b := rep.Append(w.control[:0], s.cname)
	if heard {
		b = w.extended(s, b)
	}
	if bye {
		b = rtp.AppendBye(b, rep.SSRC)
	}
	before := s.count.sentRTCP.Load()
	w.transmitRTCP(s, b)
	if s.count.sentRTCP.Load() == before {
		return
	}
	if r.first = false; rep.Sender {
		r.sent[1], r.sent[0] = r.sent[0], uint32(rep.NTP>>16)
	}
	r.size += (float64(len(b)+28) - r.size) / 16
}

// extended appends the extended reports that the peer wants.
func (w *worker) extended(s *Stream, b []byte) []byte {
	l, t := &s.live, &s.live.track
	if l.flow.XR.VoIP {
		m := s.metrics()
		b = m.Append(b, l.rewrite.ssrc)
	}
	if l.flow.XR.Summary {
		was := &l.report.told
		sum := rtp.Summary{
			SSRC: t.SSRC(), Begin: uint16(was.highest + 1), End: uint16(t.Extended() + 1),
			Lost: uint32(t.Lost() - min(was.lost, t.Lost())), Doubles: uint32(t.Doubles() - was.doubles),
		}
		if was.ssrc != t.SSRC() {
			sum.Begin = uint16(t.Begin())
		}
		l.report.told = told{t.SSRC(), t.Extended(), t.Lost(), t.Doubles()}
		b = sum.Append(b, l.rewrite.ssrc)
	}
	if a := &l.report.asked; a.middle != 0 {
		b = rtp.AppendSinceTime(b, l.rewrite.ssrc, l.track.SSRC(), a.middle, fraction(w.now-a.at))
		*a = heardReport{}
	}
	return b
}

// goodbye ends a leg's RTCP session, if it has begun (RFC 3550 6.3.7).
func (w *worker) goodbye(s *Stream) {
	if s.live.begun && s.count.sent.Load()+s.count.sentRTCP.Load() > 0 && !s.live.flow.UDPTL {
		w.report(s, true)
	}
}

// ntpEpoch is 1970 in seconds since 1900.
const ntpEpoch = 2208988800

// ntp is the time of the pass, in 2^-32 s since 1900. It goes on as it began
// even if the wall clock is set.
func (w *worker) ntp() uint64 {
	t := w.wall + w.now
	return uint64(t/1e9+ntpEpoch)<<32 | uint64(t%1e9)<<32/1e9
}

func (w *worker) middleNow() uint32 { return uint32(w.ntp() >> 16) }

// fraction is a time in 1/65536 s.
func fraction(ns int64) uint32 { return uint32(uint64(ns) << 16 / uint64(time.Second)) }
