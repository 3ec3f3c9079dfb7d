package sound

import (
	"encoding/binary"
	"math"
	"testing"
	"time"
)

// level is the amplitude of one frequency in samples.
func level(samples []int16, hertz float64) float64 {
	var re, im float64
	for i, v := range samples {
		w := 2 * math.Pi * hertz * float64(i) / Rate
		re += float64(v) * math.Cos(w)
		im += float64(v) * math.Sin(w)
	}
	return 2 * math.Hypot(re, im) / float64(len(samples))
}

func frames(s Source, n int) (out []int16) {
	var f [Frame]int16
	for range n {
		if !s.Next(&f) {
			break
		}
		out = append(out, f[:]...)
	}
	return out
}

// cadence lists how long sound and silence last in turn, in milliseconds.
func cadence(samples []int16) (ms []int) {
	sounding, since, quiet := true, 0, 0
	for i, v := range samples {
		if v > 100 || v < -100 {
			if !sounding {
				ms = append(ms, (i-since)/8)
				sounding, since = true, i
			}
			quiet = 0
			continue
		}
		if quiet++; sounding && quiet == 80 { // 10 ms
			ms = append(ms, (i-79-since)/8)
			sounding, since = false, i-79
		}
	}
	return ms
}

func TestTonesHaveTheirCadence(t *testing.T) {
	de := TonesOf("DE")
	for _, c := range []struct {
		name  string
		tone  *Tone
		hertz []float64
		ms    []int
	}{
		{"ring-back", de.RingBack(), []float64{425}, []int{1000, 4000, 1000, 4000}},
		{"busy", de.Busy(), []float64{425}, []int{480, 480, 480, 480}},
		{"congestion", de.Congestion(), []float64{425}, []int{240, 240, 240, 240}},
		{"waiting", de.Waiting(), []float64{425}, []int{200, 200, 200, 5000, 200}},
		{"special", de.Special(), []float64{950, 1400, 1800}, nil},
		{"an unknown country", TonesOf("XX").Busy(), []float64{425}, []int{480, 480}},
		{"Great Britain", TonesOf("GB").RingBack(), []float64{400, 450}, []int{400, 200, 400, 2000}},
		{"America", TonesOf("US").Busy(), []float64{480, 620}, []int{500, 500}},
		{"Austria", TonesOf("AT").RingBack(), []float64{420}, []int{1000, 5000}},
		{"Switzerland", TonesOf("CH").Busy(), []float64{425}, []int{500, 500}},
	} {
		got := frames(c.tone, 600)
		for i, ms := range cadence(got)[:len(c.ms)] {
			if d := ms - c.ms[i]; d > 12 || d < -12 {
				t.Errorf("%s: part %d lasts %d ms, not %d", c.name, i, ms, c.ms[i])
			}
		}
		for i, hz := range c.hertz {
			piece := got[800:1600]
			if len(c.hertz) == 3 {
				piece = got[i*330*8+400 : i*330*8+2000]
			}
			if l := level(piece, hz); l < 2000 {
				t.Errorf("%s: %v Hz at %v", c.name, hz, l)
			}
		}
	}
	dial := frames(de.Dial(), 500)
	if l := level(dial, 425); l < 5700 || l > 5900 {
		t.Errorf("dial tone: %v", l)
	}
	if n := len(cadence(dial)); n != 0 {
		t.Errorf("dial tone breaks %d times", n)
	}
}

func TestHoldMusicIsMusic(t *testing.T) {
	octets := Music()
	if n := len(octets); n != 20*Rate {
		t.Errorf("%d octets", n)
	}
	loudest, energy := 0, 0.0
	for _, v := range decoded(octets) {
		loudest = max(loudest, int(v), -int(v))
		energy += float64(v) * float64(v)
	}
	if rms := math.Sqrt(energy / float64(len(octets))); loudest > 20000 || rms < 800 || rms > 5000 {
		t.Errorf("peak %d, effective %.0f", loudest, rms)
	}
	if len(cadence(decoded(octets))) > 4 {
		t.Error("it has holes")
	}
	c := NewClip(octets, 0).From(len(octets) - 100)
	if got := frames(c, 1001); len(got) != 1001*Frame {
		t.Errorf("for ever ended after %d", len(got))
	}
}

func TestClipsEnd(t *testing.T) {
	octets := make([]byte, 2*Frame+40)
	for i := range octets {
		octets[i] = EncodeALaw(1000)
	}
	twice := frames(NewClip(octets, 2), 100)
	if len(twice) != 5*Frame || twice[4*Frame+79] == 0 || twice[4*Frame+80] != 0 {
		t.Errorf("%d samples", len(twice))
	}
	all := frames(NewSequence(NewClip(octets, 1), NewClip(nil, 1), NewClip(octets, 1)), 100)
	if len(all) != 6*Frame {
		t.Errorf("two clips are %d samples", len(all))
	}
}

func TestRecorderKeepsTimeAndItsBound(t *testing.T) {
	r := NewRecorder(time.Second)
	voice := make([]int16, Frame)
	for i := range voice {
		voice[i] = 1000
	}
	start := uint32(math.MaxUint32 - 100) // over the wrap
	r.Take(start, voice)
	r.Take(start, voice)           // doubled
	r.Take(start+3*Frame, voice)   // two lost
	r.Take(start+3*Frame/2, voice) // too late
	if n := len(r.ALaw()); n != 4*Frame {
		t.Fatalf("%d samples", n)
	}
	if r.ALaw()[2*Frame] != PCMA.Silence() || r.ALaw()[3*Frame] == PCMA.Silence() {
		t.Error("the gap is not where it was")
	}
	for i := range 100 {
		r.Take(start+uint32(4+i)*Frame, voice)
	}
	if !r.Full() || r.Length() != time.Second || len(r.ALaw()) != Rate {
		t.Errorf("bound: %v, %d", r.Length(), len(r.ALaw()))
	}
	r.Take(1<<31, voice)
	wav := r.WAV()
	if string(wav[:4]) != "RIFF" || string(wav[8:16]) != "WAVEfmt " || int(binary.LittleEndian.Uint32(wav[4:])) != len(wav)-8 ||
		binary.LittleEndian.Uint32(wav[24:]) != Rate || len(wav) != 44+2*Rate {
		t.Errorf("% x", wav[:44])
	}
}

func TestRecordingIsAFileThatOthersRead(t *testing.T) {
	voice := narrow(speechlike(1))
	r := NewRecorder(2 * time.Second)
	for at := 0; at+Frame <= len(voice); at += Frame {
		r.Take(uint32(at), voice[at:at+Frame])
	}
	got := samplesOf(ffmpeg(t, r.WAV(), "-f", "wav", "-i", "-", "-f", "s16le", "-"))
	if db, _ := ratio(voice, got, 0); db < 30 {
		t.Errorf("%.1f dB", db)
	}
}

func TestRecordingAllocatesNothing(t *testing.T) {
	r := NewRecorder(time.Minute)
	voice, at := make([]int16, Frame), uint32(0)
	if n := testing.AllocsPerRun(100, func() { r.Take(at, voice); at += Frame }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// party says one frequency, and keeps what it hears.
type party struct {
	seat  *Seat
	tone  *Tone
	hertz float64
	heard []int16
}

func gather(t *testing.T, m *Mixer, n int) (list []*party) {
	t.Helper()
	for i := range n {
		s, err := m.Join()
		if err != nil {
			t.Fatal(err)
		}
		hz := 300 + 150*float64(i)
		list = append(list, &party{seat: s, tone: Sine(hz), hertz: hz})
	}
	return list
}

// talk lets everybody talk for so many frames; late swaps packets, every so many
// is lost, and the clocks differ from each other.
func talk(list []*party, n int, late bool, lost int) {
	var f [Frame]int16
	for k := range n {
		for i, p := range list {
			switch at := uint32(k*Frame) + uint32(i)*100000; {
			case lost > 0 && (k+i)%lost == 0:
				p.tone.Next(&f)
			case late && k%2 == 1: // two at once, in the wrong order
				var g [Frame]int16
				p.tone.Next(&g)
				p.tone.Next(&f)
				p.seat.Take(at, f[:])
				p.seat.Take(at-Frame, g[:])
			case !late:
				p.tone.Next(&f)
				p.seat.Take(at, f[:])
			}
		}
		for _, p := range list {
			p.seat.Next(&f)
			p.heard = append(p.heard, f[:]...)
		}
	}
}

func TestEachHearsAllOthersAndNotItself(t *testing.T) {
	for _, n := range []int{2, 3, MaxSeats} {
		for _, late := range []bool{false, true} {
			var m Mixer
			list := gather(t, &m, n)
			for _, p := range list {
				p.tone.volume = 1500 // 16 of them fit
			}
			talk(list, 60, late, 0)
			for i, p := range list {
				rest := p.heard[10*Frame : 60*Frame]
				for j, q := range list {
					l := level(rest, q.hertz)
					if i == j && l > 30 {
						t.Errorf("%d of %d hears itself at %.0f (late %v)", i, n, l, late)
					}
					if i != j && math.Abs(l-1500) > 60 {
						t.Errorf("%d of %d hears %d at %.0f (late %v)", i, n, j, l, late)
					}
				}
			}
		}
	}
}

func TestMixerSaturatesAndSurvivesLoss(t *testing.T) {
	var m Mixer
	list := gather(t, &m, MaxSeats)
	for _, p := range list {
		p.tone.volume = 30000
	}
	talk(list, 100, false, 7)
	for _, v := range list[0].heard {
		if v == math.MinInt16 || v == math.MaxInt16 {
			return
		}
	}
	t.Error("16 at full scale did not reach the bound: they must have wrapped")
}

func TestSeatsComeAndGo(t *testing.T) {
	var m Mixer
	list := gather(t, &m, MaxSeats)
	if _, err := m.Join(); err == nil {
		t.Error("a seventeenth came in")
	}
	list[3].seat.Leave()
	list[3].seat.Leave()
	var f [Frame]int16
	if list[3].seat.Next(&f) {
		t.Error("who has left hears on")
	}
	if _, err := m.Join(); err != nil {
		t.Error(err)
	}
	talk(list[:2], 50, false, 0)
	if l := level(list[0].heard[20*Frame:], list[1].hertz); l < 5000 {
		t.Errorf("the rest hears %.0f", l)
	}
}

func TestFastClocksDontPileUp(t *testing.T) {
	var j jitter
	var f [Frame]int16
	at := uint32(0)
	for k := range 5000 {
		j.put(at, f[:])
		at += Frame
		if k%50 == 0 { // 2 % too fast
			j.put(at, f[:])
			at += Frame
		}
		j.get(&f)
		if w := j.end - j.at; w > thick+3*Frame {
			t.Fatalf("%d ms wait", w/8)
		}
	}
}

func TestMixingAllocatesNothing(t *testing.T) {
	var m Mixer
	list := gather(t, &m, MaxSeats)
	var f [Frame]int16
	at := uint32(0)
	if n := testing.AllocsPerRun(100, func() {
		for _, p := range list {
			p.seat.Take(at, f[:])
			p.seat.Next(&f)
		}
		at += Frame
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkMixSixteen(b *testing.B) {
	var m Mixer
	var seats [MaxSeats]*Seat
	for i := range seats {
		seats[i], _ = m.Join()
	}
	var f [Frame]int16
	at := uint32(0)
	b.ReportAllocs()
	for b.Loop() {
		for _, s := range seats {
			s.Take(at, f[:])
			s.Next(&f)
		}
		at += Frame
	}
}
