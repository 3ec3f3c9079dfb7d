package sound

import (
	"math"
	"testing"
)

// listen feeds samples as packets of 20 ms and writes down what begins.
func listen(d *Detector, samples []int16) (heard string, lengths []int) {
	var last byte
	for len(samples) > 0 {
		n := min(Frame, len(samples))
		d.Feed(samples[:n])
		samples = samples[n:]
		event, length, ok := d.Heard()
		key := byte(0)
		if ok {
			key = KeyOf(event)
		}
		if key != last && key != 0 {
			heard, lengths = heard+string(key), append(lengths, 0)
		}
		if key != 0 {
			lengths[len(lengths)-1] = length
		}
		last = key
	}
	return heard, lengths
}

// dial is keys of so many milliseconds with as long pauses; twist is by how many dB
// the higher tone is louder, off by which share the frequencies are wrong.
func dial(text string, ms int, twist, off, volume float64) []int16 {
	var out []int16
	for _, key := range []byte(text) {
		event, _ := EventOf(key)
		r, c, _ := frequencies(event)
		low := volume * math.Pow(10, -twist/40)
		high := volume * math.Pow(10, twist/40)
		for i := range ms * 8 {
			t := float64(i) / Rate
			out = append(out, int16(low*math.Sin(2*math.Pi*r*(1+off)*t)+high*math.Sin(2*math.Pi*c*(1+off)*t)))
		}
		out = append(out, make([]int16, ms*8)...)
	}
	return out
}

func TestEveryKeyIsHeard(t *testing.T) {
	const all = "0123456789*#ABCD1111"
	for _, c := range []struct {
		name               string
		ms                 int
		twist, off, volume float64
	}{
		{"as made by most", 100, 2, 0, 8000},
		{"as short as Q.24 has it", 45, 0, 0, 8000},
		{"loud", 80, 0, 0, 16000},
		{"faint", 80, 0, 0, 700},
		{"higher tone louder", 80, 7, 0, 6000},
		{"lower tone louder", 80, -7, 0, 6000},
		{"1.5 % too high", 80, 0, 0.015, 6000},
		{"1.5 % too low", 80, 0, -0.015, 6000},
	} {
		for _, codec := range []Codec{PCMA, PCMU, G722} {
			voice := dial(all, c.ms, c.twist, c.off, c.volume)
			octets := make([]byte, len(voice))
			var e Encoder
			var d Decoder
			e.Encode(codec, octets, voice)
			d.Decode(codec, voice, octets)
			var det Detector
			got, lengths := listen(&det, voice)
			if got != all {
				t.Errorf("%s, codec %d: heard %q", c.name, codec, got)
				continue
			}
			for i, n := range lengths {
				if off := n - c.ms*8; off > 2*block || off < -2*block-block/2 {
					t.Errorf("%s, codec %d: %c lasted %d ms of %d", c.name, codec, all[i], n/8, c.ms)
				}
			}
		}
	}
}

func TestWhatIsNoKeyIsNotHeard(t *testing.T) {
	tone := func(hz ...float64) []int16 {
		out := make([]int16, Rate)
		for i := range out {
			for _, f := range hz {
				out[i] += int16(6000 * math.Sin(2*math.Pi*f*float64(i)/Rate))
			}
		}
		return out
	}
	for name, voice := range map[string][]int16{
		"silence": make([]int16, Rate), "one tone": tone(697), "dial tone": tone(425), "two rows": tone(697, 852),
		"three tones": tone(697, 1209, 1477), "a chord": tone(440, 880, 1320), "6 % off": tone(697*1.06, 1209*1.06), "fax": tone(2100),
		"twist of 14 dB": dial("123", 100, 14, 0, 6000), "speech": narrow(speechlike(10)), "music": decoded(Music()),
		"20 ms": dial("123456", 18, 0, 0, 8000),
	} {
		var det Detector
		if got, _ := listen(&det, voice); got != "" {
			t.Errorf("%s: heard %q", name, got)
		}
	}
}

func decoded(octets []byte) []int16 {
	out := make([]int16, len(octets))
	for i, b := range octets {
		out[i] = DecodeALaw(b)
	}
	return out
}

func TestKeysAreHeardOverSpeechFromTheFarEnd(t *testing.T) {
	const text = "0493811#"
	voice := dial(text, 100, 2, 0, 9000)
	echo := narrow(speechlike(float64(len(voice)) / Rate))
	for i := range voice {
		voice[i] += echo[i] / 16 // -24 dB
	}
	var det Detector
	if got, _ := listen(&det, voice); got != text {
		t.Errorf("heard %q", got)
	}
}

func TestPressIsWhatTheDetectorHears(t *testing.T) {
	for _, key := range []byte(keys) {
		event, ok := EventOf(key)
		if !ok || KeyOf(event) != key {
			t.Fatalf("%c is %d", key, event)
		}
		p := NewPress(event)
		var det Detector
		var frame [Frame]int16
		for range 4 {
			p.Next(&frame)
			det.Feed(frame[:])
		}
		if got, _, ok := det.Heard(); !ok || got != event {
			t.Errorf("%c: heard %d, %v", key, got, ok)
		}
	}
	if e, ok := EventOf('!'); !ok || e != Flash || KeyOf(17) != 0 {
		t.Error("flash, or what is none")
	}
	if _, ok := EventOf('x'); ok {
		t.Error("x is no key")
	}
	p := NewPress(Flash)
	var frame [Frame]int16
	if p.Next(&frame); frame != [Frame]int16{} {
		t.Error("a flash has no sound")
	}
}

func BenchmarkDetect(b *testing.B) {
	var det Detector
	var frame [Frame]int16
	b.ReportAllocs()
	for b.Loop() {
		det.Feed(frame[:])
	}
}
