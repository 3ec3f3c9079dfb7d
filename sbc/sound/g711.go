package sound

import "math/bits"

// EncodeALaw is one 16 bit linear sample as G.711 A-law.
func EncodeALaw(v int16) byte {
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

// DecodeALaw is the inverse, at the middle of the step.
func DecodeALaw(b byte) int16 {
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

// EncodeMuLaw is one 16 bit linear sample as G.711 µ-law.
func EncodeMuLaw(v int16) byte {
	const bias, clip = 132, 32635
	sign, x := byte(0), int(v)
	if x < 0 {
		sign, x = 0x80, -x
	}
	x = min(x, clip) + bias
	segment := bits.Len(uint(x)) - 8
	return ^(sign | byte(segment<<4) | byte(x>>(segment+3))&0x0f)
}

// DecodeMuLaw is the inverse, at the middle of the step.
func DecodeMuLaw(b byte) int16 {
	b = ^b
	x := (int(b&0x0f)<<3+132)<<(b>>4&7) - 132
	if b&0x80 != 0 {
		x = -x
	}
	return int16(x)
}

// ALawToMuLaw and MuLawToALaw recode an octet: each becomes the value of the
// other law that is nearest to it (G.711 tables 3 and 4 do the same but for ties).
var (
	ALawToMuLaw = recoding(DecodeALaw, EncodeMuLaw)
	MuLawToALaw = recoding(DecodeMuLaw, EncodeALaw)
	aLaw        = decoding(DecodeALaw)
	muLaw       = decoding(DecodeMuLaw)
)

func recoding(decode func(byte) int16, encode func(int16) byte) (table [256]byte) {
	for i := range table {
		table[i] = encode(decode(byte(i)))
	}
	return table
}

func decoding(decode func(byte) int16) (table [256]int16) {
	for i := range table {
		table[i] = decode(byte(i))
	}
	return table
}
