package sound

import "testing"

func TestG711RoundTripIsWithinItsStep(t *testing.T) {
	for v := -32768; v <= 32767; v++ {
		for name, got := range map[string]int{"A": int(DecodeALaw(EncodeALaw(int16(v)))), "mu": int(DecodeMuLaw(EncodeMuLaw(int16(v))))} {
			size := max(v, -v)
			if d := max(got-v, v-got); d > size/16+20 && size < 32600 {
				t.Fatalf("%s: %d became %d", name, v, got)
			}
		}
	}
	for b := range 256 {
		if got := EncodeALaw(DecodeALaw(byte(b))); got != byte(b) {
			t.Errorf("A-law %#x became %#x", b, got)
		}
		if got := EncodeMuLaw(DecodeMuLaw(byte(b))); got != byte(b) && b != 0x7f { // two zeros
			t.Errorf("mu-law %#x became %#x", b, got)
		}
	}
	// Values of ITU-T G.191: silence, and the ends.
	if EncodeALaw(0) != 0xd5 || EncodeMuLaw(0) != 0xff || EncodeALaw(32767) != 0xaa || EncodeMuLaw(32767) != 0x80 {
		t.Errorf("%#x %#x %#x %#x", EncodeALaw(0), EncodeMuLaw(0), EncodeALaw(32767), EncodeMuLaw(32767))
	}
}
