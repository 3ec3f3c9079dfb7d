package tone

import "math/bits"

// Rate is the sampling rate of G.711 in samples a second.
const Rate = 8000

// Frame is the number of samples (and G.711 octets) in 20 ms.
const Frame = Rate / 50

// Law is a G.711 companding law; its value is the static RTP payload type (RFC 3551 6).
type Law uint8

// The two companding laws of ITU-T G.711.
const (
	Mu Law = 0 // PCMU
	A  Law = 8 // PCMA
)

// String is the encoding name of RFC 3551.
func (l Law) String() string {
	if l == A {
		return "PCMA"
	}
	return "PCMU"
}

// Silence is the octet that codes the smallest sample.
func (l Law) Silence() byte {
	if l == A {
		return 0xd5
	}
	return 0xff
}

// Encode codes one 16-bit sample.
func (l Law) Encode(sample int16) byte {
	if l == A {
		return encodeA(int(sample))
	}
	return encodeMu(int(sample))
}

// Decode gives the 16-bit sample that octet stands for.
func (l Law) Decode(octet byte) int16 {
	if l == A {
		return decodeA(octet)
	}
	return decodeMu(octet)
}

// encodeA follows ITU-T G.711 table 1: 3-bit segment, 4-bit step, even bits inverted.
func encodeA(s int) byte {
	sign := byte(0x80)
	if s < 0 {
		s, sign = -s-1, 0
	}
	m := min(s>>4, 0x7ff)
	if m < 16 {
		return (sign | byte(m)) ^ 0x55
	}
	segment := bits.Len(uint(m)) - 4
	return (sign | byte(segment<<4) | byte(m>>(segment-1))&0x0f) ^ 0x55
}

func decodeA(b byte) int16 {
	b ^= 0x55
	segment, m := int(b>>4)&7, int(b&0x0f)<<4+8
	if segment > 0 {
		m = (m + 0x100) << (segment - 1)
	}
	if b&0x80 == 0 {
		m = -m
	}
	return int16(m)
}

// encodeMu follows ITU-T G.711 table 2: bias 33 on 14 bits, all bits inverted.
func encodeMu(s int) byte {
	sign := byte(0)
	if s < 0 {
		s, sign = -s, 0x80
	}
	m := min(s>>2+33, 0x1fff)
	segment := bits.Len(uint(m)) - 6
	return ^(sign | byte(segment<<4) | byte(m>>(segment+1))&0x0f)
}

func decodeMu(b byte) int16 {
	b = ^b
	m := ((int(b&0x0f)<<1 + 33) << (int(b>>4) & 7)) - 33
	if b&0x80 != 0 {
		m = -m
	}
	return int16(m << 2)
}
