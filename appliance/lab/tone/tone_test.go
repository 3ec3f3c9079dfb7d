package tone

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// feed codes pcm by law and lets a detector hear it in packets of 20 ms.
func feed(law Law, pcm []int16, hz ...float64) *Detector {
	d := NewDetector(hz...)
	frame := make([]byte, 0, Frame)
	for _, s := range pcm {
		if frame = append(frame, law.Encode(s)); len(frame) == Frame {
			d.Write(law, frame)
			frame = frame[:0]
		}
	}
	return d
}

func sine(hz, level float64, d time.Duration) []int16 {
	pcm := make([]int16, int(d.Seconds()*Rate))
	NewGenerator(hz, level).Samples(pcm)
	return pcm
}

func noise(amplitude int, d time.Duration) []int16 {
	r := rand.New(rand.NewPCG(1, 2))
	pcm := make([]int16, int(d.Seconds()*Rate))
	for i := range pcm {
		pcm[i] = int16(r.IntN(2*amplitude+1) - amplitude)
	}
	return pcm
}

func mix(a, b []int16) []int16 {
	for i := range a {
		a[i] += b[i]
	}
	return a
}

func TestEachToneIsHeardAndNoOther(t *testing.T) {
	all := []float64{350, 425, 480, 620, 770, 941, 1100, 1400, 1633, 2100, 3000}
	for _, law := range []Law{A, Mu} {
		for _, hz := range all {
			for _, lvl := range []float64{-30, -10, 0} {
				d := feed(law, sine(hz, lvl, time.Second), all...)
				for _, h := range d.Tones() {
					switch {
					case h.Hz == hz && h.Longest < 950*time.Millisecond:
						t.Errorf("%v %g Hz at %g dBm0 was heard for %v of a second only", law, hz, lvl, h.Longest)
					case h.Hz != hz && h.Total > 0:
						t.Errorf("%v %g Hz at %g dBm0 was taken for %g Hz (%v)", law, hz, lvl, h.Hz, h.Total)
					}
				}
				if got, ok := d.Loudest(); !ok || got != hz {
					t.Errorf("%v loudest is %g, want %g", law, got, hz)
				}
			}
		}
	}
}

func TestWhatIsNoToneIsNotHeard(t *testing.T) {
	tests := map[string][]int16{
		"silence":                 make([]int16, Rate),
		"loud noise":              noise(20000, time.Second),
		"soft noise":              noise(40, time.Second),
		"another frequency":       sine(480, -10, time.Second),
		"a harmonic":              sine(880, -10, time.Second),
		"whispered tone":          sine(440, -50, time.Second),
		"tone buried in noise":    mix(sine(440, -20, time.Second), noise(8000, time.Second)),
		"two tones equally loud":  mix(sine(440, -10, time.Second), sine(620, -10, time.Second)),
		"constant offset of zero": sine(0, -10, time.Second),
	}
	for name, pcm := range tests {
		if h := feed(A, pcm, 440).Of(440); h.Total > 0 {
			t.Errorf("%s was heard as 440 Hz for %v", name, h.Total)
		}
	}
}

func TestToneInModerateNoiseIsStillHeard(t *testing.T) {
	d := feed(Mu, mix(sine(440, -10, time.Second), noise(800, time.Second)), 440)
	if got := d.Of(440).Longest; got < 900*time.Millisecond {
		t.Errorf("heard %v, want nearly a second", got)
	}
}

func TestShortBlipIsNotALongTone(t *testing.T) {
	for _, blip := range []time.Duration{20, 60, 100} {
		pcm := append(make([]int16, Rate/2), sine(440, -10, blip*time.Millisecond)...)
		pcm = append(pcm, make([]int16, Rate/2)...)
		h := feed(A, pcm, 440).Of(440)
		if h.Longest > blip*time.Millisecond+hopTime {
			t.Errorf("a blip of %d ms was heard for %v", blip, h.Longest)
		}
		if h.Run != 0 {
			t.Errorf("the run of a blip of %d ms did not end", blip)
		}
	}
}

func TestBrokenToneCountsItsRunsApart(t *testing.T) {
	pcm := sine(440, -10, 400*time.Millisecond)
	pcm = append(pcm, make([]int16, Rate/5)...)
	pcm = append(pcm, sine(440, -10, 200*time.Millisecond)...)
	h := feed(A, pcm, 440).Of(440)
	if h.Longest < 360*time.Millisecond || h.Longest > 420*time.Millisecond {
		t.Errorf("longest run %v, want about 400ms", h.Longest)
	}
	if h.Total < 500*time.Millisecond || h.Total > 620*time.Millisecond {
		t.Errorf("total %v, want about 600ms", h.Total)
	}
}

func TestGapEndsARun(t *testing.T) {
	d := NewDetector(440)
	d.WriteSamples(sine(440, -10, 400*time.Millisecond))
	d.Gap()
	if h := d.Of(440); h.Run != 0 || h.Longest == 0 {
		t.Errorf("after a gap: %+v", h)
	}
}

func TestG711KeepsEverySampleWithinItsStep(t *testing.T) {
	for _, law := range []Law{A, Mu} {
		for s := math.MinInt16; s <= math.MaxInt16; s++ {
			got := int(law.Decode(law.Encode(int16(s))))
			clipped := max(min(s, 32124), -32124)
			if off := math.Abs(float64(got - clipped)); off > math.Max(16, math.Abs(float64(s))/16) {
				t.Fatalf("%v %d comes back as %d", law, s, got)
			}
		}
		for b := range 256 { // every code is the code of its own sample
			if law == Mu && b == 0x7f {
				continue // negative zero
			}
			if got := law.Encode(law.Decode(byte(b))); got != byte(b) {
				t.Errorf("%v code %#x becomes %#x", law, b, got)
			}
		}
		if got := law.Encode(0); got != law.Silence() {
			t.Errorf("%v silence is %#x, encoder says %#x", law, law.Silence(), got)
		}
	}
}

func TestG711KnownCodes(t *testing.T) {
	tests := []struct {
		law    Law
		sample int16
		code   byte
	}{{A, 0, 0xd5}, {A, -1, 0x55}, {A, 32767, 0xaa}, {A, -32768, 0x2a}, {Mu, 0, 0xff}, {Mu, 32767, 0x80}, {Mu, -32768, 0x00}, {A, 1000, 0xfa}, {Mu, 1000, 0xce}}
	for _, tt := range tests {
		if got := tt.law.Encode(tt.sample); got != tt.code {
			t.Errorf("%v of %d is %#x, want %#x", tt.law, tt.sample, got, tt.code)
		}
	}
}

func TestLevelIsTold(t *testing.T) {
	d := NewDetector(1000)
	d.WriteSamples(sine(1000, -10, time.Second))
	if got := d.Level(); math.Abs(got+10) > 0.5 {
		t.Errorf("level %g dBm0, want -10", got)
	}
}
