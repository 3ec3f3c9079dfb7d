package media

import "math/bits"

// encodeALaw is one 16 bit linear sample as G.711 A-law.
func encodeALaw(v int16) byte {
	sign, x := byte(0x80), int(v)>>3
	if x < 0 {
		sign, x = 0, -x-1
	}
	if x < 32 {
		return (sign | byte(x>>1)) ^ 0x55
	}
	segment := bits.Len(uint(x)) - 5
	return (sign | byte(segment<<4) | byte(x>>segment)&0x0f) ^ 0x55
}

// decodeALaw is the inverse, at the middle of the step.
func decodeALaw(b byte) int16 {
	b ^= 0x55
	x := int(b&0x0f)<<4 + 8
	if segment := int(b >> 4 & 7); segment > 0 {
		x = (x + 0x100) << (segment - 1)
	}
	if b&0x80 == 0 {
		x = -x
	}
	return int16(x)
}

// encodeMuLaw is one 16 bit linear sample as G.711 µ-law.
func encodeMuLaw(v int16) byte {
	const bias, clip = 132, 32635
	sign, x := byte(0), int(v)
	if x < 0 {
		sign, x = 0x80, -x
	}
	x = min(x, clip) + bias
	segment := bits.Len(uint(x)) - 8
	return ^(sign | byte(segment<<4) | byte(x>>(segment+3))&0x0f)
}

// decodeMuLaw is the inverse, at the middle of the step.
func decodeMuLaw(b byte) int16 {
	b = ^b
	x := (int(b&0x0f)<<3+132)<<(b>>4&7) - 132
	if b&0x80 != 0 {
		x = -x
	}
	return int16(x)
}
