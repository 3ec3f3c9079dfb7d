package media

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"linekeeper/sbc/rtp"
	"linekeeper/sbc/sdp"
)

// network is the test's own relay between a phone and the box: it loses packets by a
// chain of two states, delays, overtakes and doubles them. Its time is the worker's,
// so an hour takes seconds.
type network struct {
	enter, leave float64 // chances to fall into loss and to leave it; leave 0: 1-enter
	jitter       time.Duration
	overtake     float64 // share that comes 50 ms late
	double       float64
	drift        float64 // ppm by which the sender's clock is fast
}

// injected is what the network did, by its own count.
type injected struct {
	lost, runs, doubled, sent int
	jitter                    float64 // RFC 3550 A.8 in floating point, in seconds
}

type flight struct {
	at  float64 // seconds
	seq uint16
}

// fly makes the arrivals of n packets of 20 ms.
func (n network) fly(rng *rand.Rand, packets int) (list []flight, did injected) {
	leave := n.leave
	if leave == 0 {
		leave = 1 - n.enter
	}
	bad := false
	for i := range packets {
		was := bad
		if bad {
			bad = rng.Float64() >= leave
		} else {
			bad = i > 0 && rng.Float64() < n.enter
		}
		did.sent++
		if i >= packets-100 || i < 1 {
			bad = false // what is not judged yet is not counted
		}
		if bad {
			did.lost++
			if !was {
				did.runs++
			}
			continue
		}
		at := 1 + float64(i)*0.02/(1+n.drift/1e6) + rng.Float64()*n.jitter.Seconds()
		if rng.Float64() < n.overtake {
			at += 0.05
		}
		list = append(list, flight{at, uint16(i)})
		if rng.Float64() < n.double {
			list = append(list, flight{at + 0.001, uint16(i)})
			did.doubled++
		}
	}
	slices.SortStableFunc(list, func(a, b flight) int { return cmp.Compare(a.at, b.at) })
	seen, last := make(map[uint16]bool), math.NaN()
	for _, f := range list {
		if seen[f.seq] {
			continue
		}
		seen[f.seq] = true
		transit := f.at - float64(f.seq)*0.02
		if !math.IsNaN(last) {
			did.jitter += (math.Abs(transit-last) - did.jitter) / 16
		}
		last = transit
	}
	return list, did
}

func TestReportedQualityIsWhatTheNetworkDid(t *testing.T) {
	for _, c := range []struct {
		name    string
		network network
		mos     float64 // by hand, G.107: G.711 with concealment
	}{
		{"nothing", network{}, 4.41},
		{"1 % at random", network{enter: 0.01}, 4.33},
		{"5 % at random", network{enter: 0.05}, 3.92},
		{"5 % in bursts", network{enter: 0.05 / 0.95 * 0.4, leave: 0.4}, 3.85}, // BurstR 2.37
		{"20 % at random", network{enter: 0.2}, 2.63},
		{"jitter", network{jitter: 30 * time.Millisecond}, 4.41},
		{"reordering and doubles", network{overtake: 0.02, double: 0.03}, 4.41},
		{"all", network{enter: 0.02, jitter: 20 * time.Millisecond, overtake: 0.01, double: 0.02, drift: 60}, 4.23},
	} {
		for _, suite := range []sdp.Suite{"", sdp.AES128SHA80} {
			if suite != "" && c.name != "all" {
				continue
			}
			r := newBare(t, "", false)
			enc := (*protection)(nil)
			if suite != "" {
				f := r.a.live.flow
				f.In, f.Out = testKey(suite, 1), testKey(suite, 2)
				set(t, r.a, f)
				r.w.commands()
				enc, _ = newProtection(*testKey(suite, 1))
			}
			const packets = 15000
			list, did := c.network.fly(rand.New(rand.NewPCG(11, 12)), packets)
			heard, wire := 0, make(map[uint16][]byte)
			for _, f := range list {
				b := wire[f.seq]
				if b == nil {
					b = make([]byte, rtp.HeaderLen+160, packetRoom)
					rtp.Header{Payload: 8, Sequence: f.seq, Timestamp: uint32(f.seq) * 160, SSRC: 9}.Put(b)
					if enc != nil {
						b = enc.protectRTP(b, rtp.HeaderLen)
					}
					wire[f.seq] = b
				}
				if !send(r.out, b, &r.boxRTP) {
					t.Fatal("not sent")
				}
				r.relayAt(int64(f.at * 1e9))
				for receive(r.in, r.buf[:], &r.from) > 0 {
					heard++
				}
			}
			st := r.a.Stats()
			if st.In.Lost != uint64(did.lost) || st.Dropped[Replayed] != uint64(did.doubled) || heard != packets-did.lost {
				t.Errorf("%s %s: %d lost, %d doubled, %d heard; the network lost %d and doubled %d", c.name, suite, st.In.Lost, st.Dropped[Replayed], heard, did.lost, did.doubled)
			}
			if j := st.In.Jitter.Seconds(); math.Abs(j-did.jitter) > 0.0005 {
				t.Errorf("%s %s: jitter %.2f ms, was %.2f", c.name, suite, j*1e3, did.jitter*1e3)
			}
			burst := 1.0
			if did.lost > 0 {
				burst = max(1, float64(did.lost)/float64(did.runs)*(1-float64(did.lost)/packets))
			}
			if math.Abs(st.In.Burst-burst) > 0.02 {
				t.Errorf("%s %s: burst ratio %.3f, was %.3f", c.name, suite, st.In.Burst, burst)
			}
			if mos := st.In.MOS("PCMA", 0); math.Abs(mos-c.mos) > 0.06 {
				t.Errorf("%s %s: MOS %.2f, want %.2f", c.name, suite, mos, c.mos)
			}
			if math.Abs(st.Drift-c.network.drift) > 15 {
				t.Errorf("%s %s: drift %.1f ppm, was %v", c.name, suite, st.Drift, c.network.drift)
			}
		}
	}
}
