package rtp

import (
	"encoding/binary"
	"math"
)

// TypeBYE and TypeXR are further packet types (RFC 3550 12.1, RFC 3611 2).
const (
	TypeBYE = 203
	TypeXR  = 207
)

// Report block types of RFC 3611 4.
const (
	xrReceiverTime = 4
	xrSinceTime    = 5 // DLRR
	xrSummary      = 6
	xrVoIP         = 7
)

// VoIPMetrics is the block of RFC 3611 4.7 in natural units. 127 as a rating
// and 0 as a score stand for what is not known.
type VoIPMetrics struct {
	SSRC                uint32 // the source that is judged
	Loss, Discard       float64
	Bursts              BurstMetrics // lengths in milliseconds
	RoundTrip, EndDelay float64      // milliseconds
	R                   float64
	ListeningMOS        float64
	ConversationalMOS   float64
}

// unknownRating says in a VoIP metrics block that a figure is not known.
const unknownRating = 127

// Append writes an XR packet of one sender with the VoIP metrics block.
func (m *VoIPMetrics) Append(b []byte, sender uint32) []byte {
	b = beginXR(b, sender, 9)
	b = append(b, xrVoIP, 0, 0, 8)
	b = binary.BigEndian.AppendUint32(b, m.SSRC)
	b = append(b, share(m.Loss), share(m.Discard), share(m.Bursts.BurstLoss), share(m.Bursts.GapLoss))
	for _, ms := range [...]float64{m.Bursts.BurstLength, m.Bursts.GapLength, m.RoundTrip, m.EndDelay} {
		b = binary.BigEndian.AppendUint16(b, uint16(min(max(math.Round(ms), 0), 65535)))
	}
	b = append(b, unknownRating, unknownRating, unknownRating, gmin) // signal, noise, echo: not heard here
	b = append(b, byte(min(max(math.Round(m.R), 0), unknownRating)), unknownRating, score(m.ListeningMOS), score(m.ConversationalMOS))
	return append(b, make([]byte, 8)...) // concealment and jitter buffer are the peer's
}

// Summary is the statistics summary block of RFC 3611 4.6: losses and doubles.
type Summary struct {
	SSRC          uint32
	Begin, End    uint16 // sequence numbers that it is about, the end not included
	Lost, Doubles uint32
}

// Append writes an XR packet of one sender with the summary block.
func (s *Summary) Append(b []byte, sender uint32) []byte {
	b = beginXR(b, sender, 10)
	b = append(b, xrSummary, 0xc0, 0, 9)
	b = binary.BigEndian.AppendUint32(b, s.SSRC)
	b = binary.BigEndian.AppendUint16(b, s.Begin)
	b = binary.BigEndian.AppendUint16(b, s.End)
	for _, n := range [...]uint32{s.Lost, s.Doubles, 0, 0, 0, 0, 0} {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return b
}

// AppendSinceTime answers a receiver reference time block (RFC 3611 4.5).
func AppendSinceTime(b []byte, sender, to, last, delay uint32) []byte {
	b = beginXR(b, sender, 4)
	b = append(b, xrSinceTime, 0, 0, 3)
	for _, n := range [...]uint32{to, last, delay} {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return b
}

// beginXR writes the head of an XR packet whose blocks take some words.
func beginXR(b []byte, sender uint32, words int) []byte {
	b = append(b, 2<<6, TypeXR)
	b = binary.BigEndian.AppendUint16(b, uint16(words+1))
	return binary.BigEndian.AppendUint32(b, sender)
}

// AppendBye writes the goodbye of one source (RFC 3550 6.6).
func AppendBye(b []byte, ssrc uint32) []byte {
	b = append(b, 2<<6|1, TypeBYE, 0, 1)
	return binary.BigEndian.AppendUint32(b, ssrc)
}

// Extended is what a compound packet says beyond its first report.
type Extended struct {
	// Bye says that its sender has left.
	Bye bool
	// Time is the middle of the NTP time of a receiver reference time block; 0: none.
	Time uint32
	// VoIP is set where there was a VoIP metrics block.
	VoIP    VoIPMetrics
	HasVoIP bool
}

// ParseExtended walks a compound packet. It stops at what is shorter than it says.
func ParseExtended(b []byte) (x Extended) {
	for len(b) >= 8 && b[0]>>6 == 2 {
		n := 4 * (int(binary.BigEndian.Uint16(b[2:])) + 1)
		if n > len(b) {
			return x
		}
		switch b[1] {
		case TypeBYE:
			x.Bye = true
		case TypeXR:
			if n >= 8 {
				x.blocks(b[8:n])
			}
		}
		b = b[n:]
	}
	return x
}

func (x *Extended) blocks(b []byte) {
	for len(b) >= 4 {
		n := 4 * (int(binary.BigEndian.Uint16(b[2:])) + 1)
		if n > len(b) {
			return
		}
		switch {
		case b[0] == xrReceiverTime && n == 12:
			x.Time = uint32(binary.BigEndian.Uint64(b[4:]) >> 16)
		case b[0] == xrVoIP && n == 36:
			x.HasVoIP, x.VoIP = true, readVoIP(b)
		}
		b = b[n:]
	}
}

func readVoIP(b []byte) VoIPMetrics {
	length := func(at int) float64 { return float64(binary.BigEndian.Uint16(b[at:])) }
	return VoIPMetrics{
		SSRC: binary.BigEndian.Uint32(b[4:]), Loss: float64(b[8]) / 256, Discard: float64(b[9]) / 256,
		Bursts:    BurstMetrics{BurstLoss: float64(b[10]) / 256, GapLoss: float64(b[11]) / 256, BurstLength: length(12), GapLength: length(14)},
		RoundTrip: length(16), EndDelay: length(18), R: float64(b[24]), ListeningMOS: unscore(b[26]), ConversationalMOS: unscore(b[27]),
	}
}

// share is a fraction of 1 in 256ths.
func share(v float64) byte { return byte(min(max(math.Round(v*256), 0), 255)) }

// score is a MOS times ten (RFC 3611 4.7.5).
func score(mos float64) byte {
	if mos == 0 {
		return unknownRating
	}
	return byte(min(max(math.Round(mos*10), 10), 50))
}

func unscore(b byte) float64 {
	if b == unknownRating {
		return 0
	}
	return float64(b) / 10
}

// Timing of reports (RFC 3550 6.3, A.7) in a session of two.
const (
	reportLeast = 5.0    // seconds, Tmin
	reportShare = 3200.0 // bits a second: 5 % of 64 kbit/s
	compensate  = 2.71828182845904523536 - 1.5
)

// Interval is how long to wait for the next report, in seconds: random is in
// [0, 1), average is the size of compound packets with their IP and UDP headers
// in octets, first says that none was sent yet.
func Interval(random, average float64, first bool) float64 {
	least := reportLeast
	if first {
		least /= 2
	}
	t := max(2*average/(reportShare/8), least)
	return t * (random + 0.5) / compensate
}
