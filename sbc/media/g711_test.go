package media

import "testing"

func TestG711RoundTripIsWithinItsStep(t *testing.T) {
	for v := -32768; v <= 32767; v++ {
		for name, got := range map[string]int{"A": int(decodeALaw(encodeALaw(int16(v)))), "mu": int(decodeMuLaw(encodeMuLaw(int16(v))))} {
			size := max(v, -v)
			if d := max(got-v, v-got); d > size/16+20 && size < 32600 {
				t.Fatalf("%s: %d became %d", name, v, got)
			}
		}
	}
	for b := range 256 {
		if got := encodeALaw(decodeALaw(byte(b))); got != byte(b) {
			t.Errorf("A-law %#x became %#x", b, got)
		}
		if got := encodeMuLaw(decodeMuLaw(byte(b))); got != byte(b) && b != 0x7f { // two zeros
			t.Errorf("mu-law %#x became %#x", b, got)
		}
	}
	// Values of ITU-T G.191: silence, and the ends.
	if encodeALaw(0) != 0xd5 || encodeMuLaw(0) != 0xff || encodeALaw(32767) != 0xaa || encodeMuLaw(32767) != 0x80 {
		t.Errorf("%#x %#x %#x %#x", encodeALaw(0), encodeMuLaw(0), encodeALaw(32767), encodeMuLaw(32767))
	}
}
