package rtp

import (
	"math"
	"math/rand/v2"
	"testing"

	pionrtcp "github.com/pion/rtcp"
)

// TestScoresAreThoseOfG107 holds the scale against Table B.1 of ITU-T G.107.
func TestScoresAreThoseOfG107(t *testing.T) {
	for r, mos := range map[float64]float64{90: 4.34, 80: 4.03, 70: 3.60, 60: 3.10, 50: 2.58} {
		if got := MOS(r); math.Abs(got-mos) > 0.0065 { // the table is rounded up
			t.Errorf("R %v is %.3f, want %v", r, got, mos)
		}
	}
}

// TestBurstsAreWorseThanChance: eq. 7-29 with BurstR 2 at 5 % is 475/(2.5+25.1).
func TestBurstsAreWorseThanChance(t *testing.T) {
	p := Path{Loss: 0.05, Burst: 2, Codec: CodecOf("PCMA")}
	if got := R(p); math.Abs(got-(93.2-17.21)) > 0.01 {
		t.Errorf("R %.3f", got)
	}
}

// burstsByDefinition reads RFC 3611 4.7.2 literally: a burst is the longest run that
// begins and ends with a loss and in which fewer than gmin packets in a row came;
// a loss alone belongs to the gap.
func burstsByDefinition(lost []bool) (bursts, inBurst, lostInBurst, lostInGap int) {
	for i := 0; i < len(lost); i++ {
		if !lost[i] {
			continue
		}
		end, n := i, 1
		for j, came := i+1, 0; j < len(lost) && came < gmin; j++ {
			if came++; lost[j] {
				end, came = j, 0
				n++
			}
		}
		if n == 1 {
			lostInGap++
		} else {
			bursts, inBurst, lostInBurst = bursts+1, inBurst+end-i+1, lostInBurst+n
		}
		i = end
	}
	return bursts, inBurst, lostInBurst, lostInGap
}

func TestBurstsAreThoseOfTheDefinition(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for round := range 300 {
		enter, leave := rng.Float64()/20, 0.1+rng.Float64()*0.9
		var u Bursts
		var all []bool
		bad := false
		for range 2000 {
			if bad {
				bad = rng.Float64() >= leave
			} else {
				bad = rng.Float64() < enter
			}
			all = append(all, bad)
			if bad {
				u.Missed()
			} else {
				u.Got()
			}
		}
		n, in, lost, alone := burstsByDefinition(all)
		m, got := u.Metrics(), BurstMetrics{GapLength: float64(len(all) - in)}
		got.GapLoss = float64(alone) / got.GapLength
		if n > 0 {
			got.BurstLoss, got.BurstLength, got.GapLength = float64(lost)/float64(in), float64(in)/float64(n), got.GapLength/float64(n)
		}
		if math.Abs(m.BurstLoss-got.BurstLoss) > 1e-9 || math.Abs(m.GapLoss-got.GapLoss) > 1e-9 || math.Abs(m.BurstLength-got.BurstLength) > 1e-9 || math.Abs(m.GapLength-got.GapLength) > 1e-9 {
			t.Fatalf("round %d: %+v, want %+v", round, m, got)
		}
	}
}

// TestBurstRatioIsThatOfTheModel: of a chain that leaves loss with q and enters it
// with p, BurstR is 1/(p+q) (G.107 3.7).
func TestBurstRatioIsThatOfTheModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct{ p, q float64 }{{0.02, 0.98}, {0.02, 0.5}, {0.01, 0.2}} {
		var u Bursts
		bad := false
		for range 400000 {
			if bad {
				bad = rng.Float64() >= c.q
			} else {
				bad = rng.Float64() < c.p
			}
			if bad {
				u.Missed()
			} else {
				u.Got()
			}
		}
		if want := 1 / (c.p + c.q); math.Abs(u.Ratio()-want) > want/20 {
			t.Errorf("p %v q %v: %.3f, want %.3f", c.p, c.q, u.Ratio(), want)
		}
	}
}

// TestTrackTellsTheBurstsWhateverTheOrder: late packets are not lost, doubles of any
// age are none.
func TestTrackTellsTheBurstsWhateverTheOrder(t *testing.T) {
	var tr Track
	seq := uint16(65000)
	for i := range 2000 {
		n := seq + uint16(i)
		switch {
		case i%500 == 100 || i%500 == 102: // lost, one between them
			continue
		case i%10 == 3: // a packet that is overtaken by the next five
			continue
		}
		feed(&tr, 7, n)
		if i%10 == 8 {
			if v := feed(&tr, 7, n-5); v != Good && i%500 != 107 {
				t.Fatalf("late packet %d: %d", i, v)
			}
			if v := feed(&tr, 7, n-5); v != Double {
				t.Fatalf("double of %d: %d", i, v)
			}
		}
	}
	if tr.Lost() != 8 || tr.Doubles() != 200 {
		t.Errorf("lost %d, doubles %d", tr.Lost(), tr.Doubles())
	}
	m := tr.Bursts().Metrics()
	if math.Abs(m.BurstLoss-2.0/3) > 1e-9 || m.BurstLength != 3 || m.GapLoss != 0 {
		t.Errorf("%+v", m)
	}
}

func TestLossBeyondTheWindowIsTold(t *testing.T) {
	var tr Track
	feed(&tr, 7, 0)
	feed(&tr, 7, 1000)
	for i := uint16(1001); i < 1100; i++ {
		feed(&tr, 7, i)
	}
	if u := tr.Bursts(); tr.Lost() != 999 || u.lost != 999 || u.runs != 1 {
		t.Errorf("lost %d, told %d in %d runs", tr.Lost(), u.lost, u.runs)
	}
}

func TestDriftIsThatOfTheClocks(t *testing.T) {
	for _, ppm := range []float64{-200, 0, 80} {
		rng := rand.New(rand.NewPCG(5, 6))
		var tr Track
		for i := range 6000 { // two minutes, up to 30 ms late
			sent := float64(i) * 160 / (1 + ppm/1e6)
			tr.Packet(Header{SSRC: 1, Sequence: uint16(i), Timestamp: uint32(i * 160)}, uint32(sent+240*rng.Float64()))
		}
		if got := tr.Drift(8000); math.Abs(got-ppm) > 20 {
			t.Errorf("%v ppm are told as %.1f", ppm, got)
		}
	}
}

// TestIntervalsAreThoseOfRFC3550 checks the least time, its half for the first report,
// the spread and its mean (6.3.1).
func TestIntervalsAreThoseOfRFC3550(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for _, first := range []bool{true, false} {
		least, sum := 5.0, 0.0
		if first {
			least = 2.5
		}
		for range 10000 {
			v := Interval(rng.Float64(), 120, first)
			if v < least*0.5/1.21829 || v > least*1.5/1.21828 {
				t.Fatalf("%v s", v)
			}
			sum += v
		}
		if mean := sum / 10000; math.Abs(mean-least/1.21828) > least/50 {
			t.Errorf("mean %v s of %v", mean, least)
		}
	}
	if v := Interval(0.5, 4000, false); math.Abs(v-20/1.21828) > 0.01 {
		t.Errorf("large reports every %v s", v) // 2 * 4000 octets at 400 a second
	}
}

func TestExtendedReportsAgreeWithPion(t *testing.T) {
	m := VoIPMetrics{SSRC: 6, Loss: 0.25, Bursts: BurstMetrics{0.5, 0.125, 100, 3000}, RoundTrip: 70, EndDelay: 40, R: 80, ListeningMOS: 4.1, ConversationalMOS: 3.8}
	r := Report{SSRC: 5}
	b := r.Append(nil, "x")
	b = m.Append(b, 5)
	b = AppendBye(b, 5)
	list, err := pionrtcp.Unmarshal(b)
	if err != nil {
		t.Fatal(err)
	}
	v := list[2].(*pionrtcp.ExtendedReport).Reports[0].(*pionrtcp.VoIPMetricsReportBlock)
	if v.SSRC != 6 || v.LossRate != 64 || v.BurstDensity != 128 || v.GapDensity != 32 || v.BurstDuration != 100 || v.GapDuration != 3000 || v.RoundTripDelay != 70 ||
		v.EndSystemDelay != 40 || v.Gmin != 16 || v.RFactor != 80 || v.ExtRFactor != 127 || v.MOSLQ != 41 || v.MOSCQ != 38 || v.SignalLevel != 127 {
		t.Errorf("%+v", v)
	}
	if bye := list[3].(*pionrtcp.Goodbye); bye.Sources[0] != 5 {
		t.Errorf("%+v", bye)
	}
	if x := ParseExtended(b); !x.Bye || !x.HasVoIP || x.VoIP != m {
		t.Errorf("%+v", x)
	}
}

func FuzzParseExtended(f *testing.F) {
	m := VoIPMetrics{SSRC: 6, R: 80}
	f.Add(m.Append(nil, 5))
	f.Fuzz(func(t *testing.T, b []byte) {
		if x := ParseExtended(b); x.HasVoIP && len(b) < 44 {
			t.Error(x)
		}
	})
}
