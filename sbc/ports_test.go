package sbc

import (
	"log/slog"
	"testing"

	"linekeeper/sbc/call"
)

func TestMediaPastTheBoxIsNotMissedInIt(t *testing.T) {
	o := &owner{log: slog.New(slog.DiscardHandler), bridged: [2]call.LegID{0, 1}, legs: map[call.LegID]*port{0: {leg: 0, sends: true}, 1: {leg: 1, sends: true}}}
	for _, past := range []bool{false, true, false} {
		o.perform(t.Context(), nil, call.Direct{On: past})
		for _, p := range *o.ports.Load() {
			if p.sends == past {
				t.Errorf("past the box: %v, leg %d is expected to be heard: %v", past, p.leg, p.sends)
			}
		}
	}
}
