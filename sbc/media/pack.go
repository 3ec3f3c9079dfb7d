package media

import (
	"linekeeper/sbc/rtp"
)

const (
	// minPack and maxPack bound what one packet carries, in ticks of 8000 Hz: 10 to
	// 60 ms. What a peer wants beyond that it doesn't get.
	minPack, maxPack = 80, 480
)

// packer makes packets of another length out of the octets of G.711 or G.722,
// where an octet is a tick of the RTP clock. What is left over waits for the next
// packet; it never waits behind a gap.
type packer struct {
	ticks  int // in each packet; 0: as they come
	room   [rtp.HeaderLen + maxPack + maxOverhead]byte
	fill   int
	at     uint32 // timestamp of the first octet that waits
	seq    uint16 // of the next packet
	last   uint16 // sequence number that came last
	ssrc   uint32
	number uint8 // payload type of what waits
	begun  bool
	fresh  bool // the source begins with the next packet
	marker bool
}

// want sets the length of the packets in milliseconds; 0: as they come. It
// is true if the numbers that it gave are void by that.
func (k *packer) want(ms int) (void bool) {
	ticks := 0
	if ms > 0 {
		ticks = min(max(ms*8, minPack), maxPack)
	}
	if ticks != k.ticks {
		void = k.begun
		k.ticks, k.fill, k.begun = ticks, 0, false
	}
	return void
}

// packed sends octets on under the header h, in packets of the wanted length. It
// is of's voice for p, or, with of nil, the box's own.
func (w *worker) packed(of, p *Stream, k *packer, h rtp.Header, octets []byte, fresh bool) {
	gap := 1
	switch {
	case !k.begun || fresh || h.SSRC != k.ssrc:
		k.begun, k.fresh, k.fill, k.seq, k.ssrc, k.marker = true, fresh, 0, h.Sequence, h.SSRC, true
	case int16(h.Sequence-k.last) <= 0: // too late for its packet
		if of != nil {
			of.drop(Disorder)
		}
		return
	default:
		gap = int(h.Sequence - k.last)
	}
	k.last = h.Sequence
	if k.fill > 0 && (h.Timestamp != k.at+uint32(k.fill) || h.Payload != k.number) {
		w.ship(of, p, k, h)
	}
	k.number = h.Payload
	if gap > 1 { // what was lost before shall be seen as lost behind
		k.seq += uint16(max(1, (gap-1)*len(octets)/k.ticks))
	}
	k.marker = k.marker || h.Marker
	for len(octets) > 0 {
		if k.fill == 0 {
			k.at = h.Timestamp
		}
		n := copy(k.room[rtp.HeaderLen+k.fill:rtp.HeaderLen+k.ticks], octets)
		k.fill, octets, h.Timestamp = k.fill+n, octets[n:], h.Timestamp+uint32(n)
		if k.fill == k.ticks {
			w.ship(of, p, k, h)
		}
	}
}

// beside gives a packet that is none of the packer's its place among those that are.
func (w *worker) beside(of, p *Stream, k *packer, h *rtp.Header) {
	if k == nil || !k.begun || h.SSRC != k.ssrc {
		return
	}
	if k.fill > 0 {
		w.ship(of, p, k, *h)
	}
	if int16(h.Sequence-k.last) > 0 {
		k.last = h.Sequence
	}
	h.Sequence = k.seq
	k.seq++
}

// ship sends what waits in the packer.
func (w *worker) ship(of, p *Stream, k *packer, h rtp.Header) {
	h.Payload, h.Sequence, h.Timestamp, h.Marker, h.Len = k.number, k.seq, k.at, k.marker, rtp.HeaderLen
	size := k.fill
	fresh := k.fresh
	k.seq, k.fill, k.marker, k.fresh = k.seq+1, 0, false, false
	if !p.live.rewrite.next(&h, fresh, w.now, 8000) {
		if of != nil {
			of.drop(Disorder)
		}
		return
	}
	if !p.live.begun {
		w.beginReports(p)
	}
	b := k.room[:rtp.HeaderLen+size]
	h.Put(b)
	p.deliver(of, p.seal(b, rtp.HeaderLen), size)
}
