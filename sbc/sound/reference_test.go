package sound

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// speechlike is a voice of no language at 16000 Hz: a gliding pitch with three
// formants, in syllables, between pauses.
func speechlike(seconds float64) []int16 {
	out := make([]int16, int(seconds*16000))
	phase, noise := 0.0, uint32(1)
	for i := range out {
		t := float64(i) / 16000
		pitch := 120 + 30*math.Sin(2*math.Pi*0.7*t)
		phase += 2 * math.Pi * pitch / 16000
		v := 0.0
		for h := 1; h <= 24; h++ {
			hz := pitch * float64(h)
			gain := 0.0
			for _, f := range [3][2]float64{{500 + 200*math.Sin(2*math.Pi*1.3*t), 80}, {1500 + 400*math.Sin(2*math.Pi*0.9*t), 120}, {2700, 200}} {
				gain += 1 / (1 + math.Pow((hz-f[0])/f[1], 2))
			}
			v += gain * math.Sin(float64(h)*phase)
		}
		noise = noise*1664525 + 1013904223
		v += 0.3 * (float64(noise>>16)/32768 - 1) * math.Max(0, math.Sin(2*math.Pi*2.1*t))
		syllable := math.Max(0, math.Sin(2*math.Pi*3*t))
		out[i] = int16(3000 * v * syllable)
	}
	return out
}

func narrow(in []int16) []int16 {
	var h Halver
	out := make([]int16, len(in)/2)
	for i := range out {
		out[i] = h.Halve(in[2*i], in[2*i+1])
	}
	return out
}

func pcm(samples []int16) []byte {
	var b []byte
	for _, v := range samples {
		b = binary.LittleEndian.AppendUint16(b, uint16(v))
	}
	return b
}

func samplesOf(b []byte) []int16 {
	out := make([]int16, len(b)/2)
	for i := range out {
		out[i] = int16(binary.LittleEndian.Uint16(b[2*i:]))
	}
	return out
}

// ffmpeg runs a stranger's codec. In the lab a missing one is a failure.
func ffmpeg(t *testing.T, in []byte, args ...string) []byte {
	t.Helper()
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		if os.Getenv("CI") == "true" || strings.Contains(os.Getenv("LINEKEEPER_MUST"), "lab") {
			t.Fatal("ffmpeg is missing: make setup installs it")
		}
		t.Skip("ffmpeg is missing: make setup installs it")
	}
	c := exec.Command(path, append([]string{"-v", "error", "-bitexact"}, args...)...)
	c.Stdin = bytes.NewReader(in)
	var complaint bytes.Buffer
	c.Stderr = &complaint
	out, err := c.Output()
	if err != nil {
		t.Fatalf("ffmpeg %v: %v\n%s", args, err, complaint.String())
	}
	return out
}

// ratio is how far a signal is above its difference to another one, in dB, at the
// best of the shifts up to most samples.
func ratio(want, got []int16, most int) (best float64, shift int) {
	best = math.Inf(-1)
	for s := -most; s <= most; s++ {
		var signal, noise float64
		for i := 400; i < len(want)-200 && i+s < len(got); i++ {
			if i+s < 0 {
				continue
			}
			d := float64(want[i]) - float64(got[i+s])
			signal += float64(want[i]) * float64(want[i])
			noise += d * d
		}
		if r := 10 * math.Log10(signal/(noise+1e-9)); r > best {
			best, shift = r, s
		}
	}
	return best, shift
}

func wideEncode(in []int16) []byte {
	w := NewWideband()
	out := make([]byte, len(in)/2)
	for i := range out {
		out[i] = w.Encode(in[2*i], in[2*i+1])
	}
	return out
}

func wideDecode(in []byte) []int16 {
	w := NewWideband()
	out := make([]int16, 0, 2*len(in))
	for _, b := range in {
		x, y := w.Decode(b)
		out = append(out, x, y)
	}
	return out
}

func TestG722AgreesWithFFmpeg(t *testing.T) {
	voice := speechlike(1)
	ours := wideEncode(voice)
	theirs := ffmpeg(t, pcm(voice), "-f", "s16le", "-ar", "16000", "-ac", "1", "-i", "-", "-c:a", "g722", "-f", "g722", "-")
	heard := samplesOf(ffmpeg(t, ours, "-f", "g722", "-i", "-", "-f", "s16le", "-"))
	for name, got := range map[string][]int16{
		"ours decoded by ffmpeg": heard, "ffmpeg's decoded by us": wideDecode(theirs), "ours decoded by us": wideDecode(ours),
	} {
		if db, shift := ratio(voice, got, 24); db < 18 {
			t.Errorf("%s: %.1f dB at a shift of %d", name, db, shift)
		} else {
			t.Logf("%s: %.1f dB at a shift of %d", name, db, shift)
		}
	}
	// The decoders have no freedom: what they make of the same octets is the same.
	if db, _ := ratio(heard, wideDecode(ours), 0); db < 60 {
		t.Errorf("the decoders differ: %.1f dB", db)
	}
	if !bytes.Equal(ours, theirs) {
		t.Error("the encoders differ")
	}
}

func TestG711AgreesWithFFmpeg(t *testing.T) {
	ramp := make([]int16, 0, 1<<16)
	for v := -32768; v <= 32767; v++ {
		ramp = append(ramp, int16(v))
	}
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for _, c := range []struct {
		codec  Codec
		name   string
		decode func(byte) int16
	}{{PCMA, "alaw", DecodeALaw}, {PCMU, "mulaw", DecodeMuLaw}} {
		theirs := ffmpeg(t, pcm(ramp), "-f", "s16le", "-ar", "8000", "-ac", "1", "-i", "-", "-c:a", "pcm_"+c.name, "-f", c.name, "-")
		var e Encoder
		ours, differ := make([]byte, len(ramp)), 0
		e.Encode(c.codec, ours, ramp)
		for i := range ramp {
			// ffmpeg takes the nearest value, G.711 has edges of its own where the steps grow.
			d := int(ramp[i]) - int(c.decode(ours[i]))
			if size := max(int(ramp[i]), -int(ramp[i])); ours[i] != theirs[i] && max(d, -d) > (size+132)/32+8 && size < 32000 {
				t.Fatalf("%s: %d is %#x here and %#x there", c.name, ramp[i], ours[i], theirs[i])
			}
			if ours[i] != theirs[i] {
				differ++
			}
		}
		if differ > len(ramp)/50 {
			t.Errorf("%s: %d of %d values differ", c.name, differ, len(ramp))
		}
		back := samplesOf(ffmpeg(t, all, "-f", c.name, "-ar", "8000", "-ac", "1", "-i", "-", "-f", "s16le", "-"))
		for i, v := range back {
			if got := c.decode(byte(i)); got != v {
				t.Errorf("%s %#x: %d here, %d there", c.name, i, got, v)
			}
		}
	}
}

// The reference was made by ffmpeg's encoder out of the first 400 ms of the voice:
// the decoder is held against a stranger also where there is none.
func TestG722ReferenceIsUnderstood(t *testing.T) {
	voice := speechlike(0.4)
	octets, err := os.ReadFile("testdata/voice.g722")
	if err != nil {
		t.Fatal(err)
	}
	if db, shift := ratio(voice, wideDecode(octets), 24); db < 18 || shift != 22 {
		t.Errorf("%.1f dB at a shift of %d", db, shift)
	}
	if db, _ := ratio(voice, wideDecode(wideEncode(voice)), 24); db < 18 {
		t.Errorf("both ends ours: %.1f dB", db)
	}
}

func TestG722LimitsHold(t *testing.T) {
	loud := make([]int16, 16000)
	for i := range loud {
		loud[i] = int16(32767 * (1 - 2*(i/20%2))) // a square of full scale
	}
	for _, v := range wideDecode(wideEncode(loud)) {
		_ = v // it must not panic, and stays within 16 bit by type
	}
	back := wideDecode(wideEncode(make([]int16, 16000)))
	for i, v := range back[2000:] {
		if v > 40 || v < -40 {
			t.Fatalf("silence became %d at %d", v, i)
		}
	}
	w := NewWideband()
	for i := range 1 << 16 { // any octets at all
		x, y := w.Decode(byte(i * 2654435761 >> 13))
		_, _ = x, y
		if w.lower.step > 32767 || w.upper.step > 32767 || w.lower.step <= 0 || w.upper.step <= 0 {
			t.Fatalf("steps %d %d", w.lower.step, w.upper.step)
		}
	}
}

func TestTranscodingKeepsTheVoice(t *testing.T) {
	voice := narrow(speechlike(0.4))
	for _, c := range []struct {
		from, to Codec
		least    float64
	}{{PCMA, PCMU, 30}, {PCMU, PCMA, 30}, {PCMA, G722, 17}, {G722, PCMA, 17}, {PCMU, G722, 17}, {G722, PCMU, 17}} {
		var e Encoder
		octets := make([]byte, len(voice))
		e.Encode(c.from, octets, voice)
		var tr Transcoder
		for at := 0; at < len(octets); at += 240 { // 30 ms
			tr.Transcode(c.from, c.to, octets[at:min(at+240, len(octets))])
		}
		var d Decoder
		got := make([]int16, len(voice))
		d.Decode(c.to, got, octets)
		if db, shift := ratio(voice, got, 48); db < c.least {
			t.Errorf("%d to %d: %.1f dB at a shift of %d", c.from, c.to, db, shift)
		}
	}
}

func TestRatesKeepTheBandAndNothingElse(t *testing.T) {
	level := func(hz float64, rate int) (in, out float64) {
		var h Halver
		var d Doubler
		for i := range 8000 {
			if rate == 16000 {
				x, y := 8000*math.Sin(2*math.Pi*hz*float64(2*i)/16000), 8000*math.Sin(2*math.Pi*hz*float64(2*i+1)/16000)
				z := float64(h.Halve(int16(x), int16(y)))
				in, out = in+x*x, out+z*z
				continue
			}
			x := 8000 * math.Sin(2*math.Pi*hz*float64(i)/8000)
			y, z := d.Double(int16(x))
			in, out = in+2*x*x, out+float64(y)*float64(y)+float64(z)*float64(z)
		}
		return in, out
	}
	for _, hz := range []float64{300, 1000, 2000, 3000, 3400} {
		for _, rate := range []int{8000, 16000} {
			if in, out := level(hz, rate); math.Abs(10*math.Log10(out/in)) > 1 {
				t.Errorf("%v Hz from %d: %.1f dB", hz, rate, 10*math.Log10(out/in))
			}
		}
	}
	for _, hz := range []float64{4800, 5500, 7000} {
		if in, out := level(hz, 16000); 10*math.Log10(out/in) > -35 {
			t.Errorf("%v Hz comes through with %.1f dB", hz, 10*math.Log10(out/in))
		}
	}
}

func BenchmarkTranscodeG722(b *testing.B) {
	var tr Transcoder
	octets := make([]byte, Frame)
	b.ReportAllocs()
	for b.Loop() {
		tr.Transcode(PCMA, G722, octets)
	}
}
