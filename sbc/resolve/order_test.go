package resolve

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"testing"

	"linekeeper/sbc/sip"
)

func single(n byte, weight uint16) entry {
	return entry{weight, []Target{{sip.UDP, netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, n}), 5060), "pbx.test"}}}
}

func TestServersOfOnePriorityAreDrawnByWeight(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	const draws = 20000
	first := map[byte]int{}
	for range draws {
		list := order([]group{{single(1, 60), single(2, 30), single(3, 10), single(4, 0)}, {single(5, 65535)}}, nil, rnd.IntN)
		if len(list) != 5 || list[4].Addr.Addr().As4()[3] != 5 {
			t.Fatalf("a lower priority came before a higher one: %v", list)
		}
		first[list[0].Addr.Addr().As4()[3]]++
	}
	for n, share := range map[byte]float64{1: 0.6, 2: 0.3, 3: 0.1, 4: 0.01} {
		if got := float64(first[n]) / draws; math.Abs(got-share) > 0.02 {
			t.Errorf("server %d is first in %.3f of draws, want about %.2f", n, got, share)
		}
	}
}

func TestDrawSurvivesAnyShot(t *testing.T) {
	for _, weights := range [][]uint16{{0}, {0, 0, 0}, {65535, 65535, 0}, {1, 0, 1}} {
		for _, shot := range []func(int) int{func(int) int { return 0 }, func(n int) int { return n - 1 }, func(n int) int { return n / 2 }} {
			var g group
			for i, w := range weights {
				g = append(g, single(byte(i+1), w))
			}
			if got := draw(g, shot); len(got) != len(weights) {
				t.Errorf("%v: %d drawn", weights, len(got))
			}
		}
	}
}

func TestDoublesAreListedOnce(t *testing.T) {
	if got := order([]group{{single(1, 0)}, {single(1, 0), single(2, 0)}}, nil, func(int) int { return 0 }); len(got) != 2 {
		t.Errorf("got %v", got)
	}
}
