package announce

import (
	"io/fs"
	"math"
	"testing"

	"linekeeper/sbc/sound"
)

func TestEveryTextIsSaidAndNothingElse(t *testing.T) {
	texts := Texts()
	if len(texts) < 15 {
		t.Fatalf("%d texts", len(texts))
	}
	for _, x := range texts {
		for _, language := range []string{"de", "en"} {
			b, err := Octets(language, x.Name)
			if err != nil {
				t.Error(err)
				continue
			}
			energy, loudest, clipped := 0.0, 0, 0
			for _, o := range b {
				v := int(sound.DecodeALaw(o))
				energy += float64(v) * float64(v)
				loudest = max(loudest, v, -v)
				if v > 31000 || v < -31000 {
					clipped++
				}
			}
			level := math.Sqrt(energy / float64(len(b)))
			if seconds := float64(len(b)) / sound.Rate; seconds < 0.7 || seconds > 10 {
				t.Errorf("%s %s lasts %.1f s", language, x.Name, seconds)
			}
			if level < 700 || level > 6000 || loudest < 4000 || clipped > 0 {
				t.Errorf("%s %s: level %.0f, peak %d, %d clipped", language, x.Name, level, loudest, clipped)
			}
		}
	}
	for _, language := range []string{"de", "en"} {
		there, err := fs.ReadDir(files, language)
		if err != nil || len(there) != len(texts) {
			t.Errorf("%s: %d files for %d texts, %v", language, len(there), len(texts), err)
		}
	}
}

// TestSpeechIsNoKey is talk-off with two voices that read for a minute and a half.
func TestSpeechIsNoKey(t *testing.T) {
	for _, language := range []string{"de", "en"} {
		for _, codec := range []sound.Codec{sound.PCMU, sound.G722} {
			var det sound.Detector
			var enc sound.Encoder
			var dec sound.Decoder
			var frame [sound.Frame]int16
			var octets [sound.Frame]byte
			for _, x := range Texts() {
				s, err := Say(language, x.Name)
				if err != nil {
					t.Fatal(err)
				}
				for s.Next(&frame) {
					enc.Encode(codec, octets[:], frame[:])
					dec.Decode(codec, frame[:], octets[:])
					det.Feed(frame[:])
					if event, _, ok := det.Heard(); ok {
						t.Errorf("%s, codec %d: %c heard in %q", language, codec, sound.KeyOf(event), x.Name)
					}
				}
			}
		}
	}
}

func TestOneIsSaidAfterTheOther(t *testing.T) {
	s, err := Say("fr", "switched-on", "goodbye")
	if err != nil {
		t.Fatal(err)
	}
	var frame [sound.Frame]int16
	n := 0
	for s.Next(&frame) {
		n++
	}
	a, _ := Octets("de", "switched-on")
	b, _ := Octets("de", "goodbye")
	if want := (len(a)+159)/160 + (len(b)+159)/160; n != want {
		t.Errorf("%d frames, want %d", n, want)
	}
	if _, err := Say("de", "nothing"); err == nil {
		t.Error("nothing was said")
	}
}
