package rtp

import "encoding/binary"

// RTCP packet types (RFC 3550 12.1).
const (
	TypeSR   = 200
	TypeRR   = 201
	TypeSDES = 202
)

// maxBlocks bounds the report blocks that are kept of one report.
const maxBlocks = 4

// Block is one report block (RFC 3550 6.4.1).
type Block struct {
	SSRC     uint32
	Fraction uint8 // of 256
	Lost     int32 // cumulative, 24 bits signed
	Highest  uint32
	Jitter   uint32 // in units of the RTP clock
	LSR      uint32 // middle 32 bits of the NTP time of the last SR
	DLSR     uint32 // delay since that SR, in 1/65536 s
}

// Report is a sender or receiver report, by value.
type Report struct {
	Sender    bool
	SSRC      uint32
	NTP       uint64
	Timestamp uint32
	Packets   uint32
	Octets    uint32
	Blocks    [maxBlocks]Block
	Count     int
}

// ParseReport finds the SR or RR at the head of a compound packet. It is false
// for what is not RTCP or is shorter than it says; blocks beyond four are not
// kept.
func ParseReport(b []byte) (Report, bool) {
	if len(b) < 8 || b[0]>>6 != 2 || (b[1] != TypeSR && b[1] != TypeRR) {
		return Report{}, false
	}
	n := 4 * (int(binary.BigEndian.Uint16(b[2:])) + 1)
	if n > len(b) {
		return Report{}, false
	}
	r := Report{Sender: b[1] == TypeSR, SSRC: binary.BigEndian.Uint32(b[4:])}
	count, at := int(b[0]&0x1f), 8
	if r.Sender {
		if n < 28 {
			return Report{}, false
		}
		r.NTP = binary.BigEndian.Uint64(b[8:])
		r.Timestamp = binary.BigEndian.Uint32(b[16:])
		r.Packets = binary.BigEndian.Uint32(b[20:])
		r.Octets = binary.BigEndian.Uint32(b[24:])
		at = 28
	}
	if n < at+24*count {
		return Report{}, false
	}
	for ; r.Count < min(count, maxBlocks); r.Count++ {
		p := b[at+24*r.Count:]
		lost := binary.BigEndian.Uint32(p[4:]) & 0xffffff
		r.Blocks[r.Count] = Block{
			SSRC: binary.BigEndian.Uint32(p), Fraction: p[4], Lost: int32(lost<<8) >> 8,
			Highest: binary.BigEndian.Uint32(p[8:]), Jitter: binary.BigEndian.Uint32(p[12:]),
			LSR: binary.BigEndian.Uint32(p[16:]), DLSR: binary.BigEndian.Uint32(p[20:]),
		}
	}
	return r, true
}

// Append writes the report and, as every compound packet needs one, an SDES
// with the CNAME (at most 255 bytes) behind b.
func (r *Report) Append(b []byte, cname string) []byte {
	n, kind := 8+24*r.Count, byte(TypeRR)
	if r.Sender {
		n, kind = n+20, TypeSR
	}
	b = append(b, 2<<6|byte(r.Count), kind)
	b = binary.BigEndian.AppendUint16(b, uint16(n/4-1))
	b = binary.BigEndian.AppendUint32(b, r.SSRC)
	if r.Sender {
		b = binary.BigEndian.AppendUint64(b, r.NTP)
		b = binary.BigEndian.AppendUint32(b, r.Timestamp)
		b = binary.BigEndian.AppendUint32(b, r.Packets)
		b = binary.BigEndian.AppendUint32(b, r.Octets)
	}
	for i := range r.Blocks[:r.Count] {
		k := &r.Blocks[i]
		b = binary.BigEndian.AppendUint32(b, k.SSRC)
		b = binary.BigEndian.AppendUint32(b, uint32(k.Fraction)<<24|uint32(k.Lost)&0xffffff)
		b = binary.BigEndian.AppendUint32(b, k.Highest)
		b = binary.BigEndian.AppendUint32(b, k.Jitter)
		b = binary.BigEndian.AppendUint32(b, k.LSR)
		b = binary.BigEndian.AppendUint32(b, k.DLSR)
	}
	cname = cname[:min(len(cname), 255)]
	words := (4 + 2 + len(cname) + 1 + 3) / 4 // SSRC, item, its end, padding
	b = append(b, 2<<6|1, TypeSDES)
	b = binary.BigEndian.AppendUint16(b, uint16(words))
	b = binary.BigEndian.AppendUint32(b, r.SSRC)
	b = append(b, 1, byte(len(cname)))
	b = append(b, cname...)
	for pad := words*4 - 4 - 2 - len(cname); pad > 0; pad-- {
		b = append(b, 0)
	}
	return b
}
