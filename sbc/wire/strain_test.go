package wire

import (
	"testing"
	"time"
)

func TestOnlyStrainThatLastsMakesLate(t *testing.T) {
	const most = 200 * time.Millisecond
	var s strain
	start := time.Now()
	for _, c := range []struct {
		at, waited int // milliseconds
		late       bool
		why        string
	}{
		{0, 5, false, "in time"},
		{1000, 900, false, "held up"},
		{1300, 300, false, "still reading what waited"},
		{1350, 150, false, "in time again"},
		{2000, 250, false, "late"},
		{2399, 250, false, "and later"},
		{2400, 250, true, "for too long"},
		{2410, 250, true, "goes on"},
		{2420, 190, false, "in time"},
		{2500, 210, true, "strained still"},
		{4499, 210, true, "strained still"},
		{5000, 10, false, "in time"},
		{6499, 210, false, "that is over"},
		{6899, 210, true, "for too long again"},
	} {
		if got := s.late(start.Add(time.Duration(c.at)*time.Millisecond), time.Duration(c.waited)*time.Millisecond, most); got != c.late {
			t.Errorf("at %d ms, %s: late is %t", c.at, c.why, got)
		}
	}
}
