package sbc

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"linekeeper/sbc/sip"
)

func TestRegistrationsKeepTheirDistanceThoughATimerIsLate(t *testing.T) {
	var p pace
	const spacing = 300 * time.Millisecond
	at := func(ms int) time.Time { return time.Unix(0, 0).Add(time.Duration(ms) * time.Millisecond) }
	for _, step := range []struct {
		ms   int
		who  string
		turn bool
		want int
	}{
		{1000, "a", false, 0},   // the first goes
		{1000, "b", false, 300}, // three at once queue up
		{1000, "c", false, 600},
		{1000, "d", false, 900},
		{1100, "a", false, 1100}, // and the first once more
		{1450, "b", true, 0},     // the second is 150 ms late
		{1600, "c", true, 150},   // so the third waits on
		{1750, "c", true, 0},
		{1900, "d", true, 150},
		{2050, "d", true, 0},
		{2350, "a", true, 0},
		{2700, "a", false, 0}, // tries another server at once: nobody else waits
		{2800, "a", false, 0},
		{2850, "b", false, 250},
		{2860, "a", false, 540}, // now somebody does
		{9000, "b", true, 0},
		{9900, "c", false, 0}, // long after, nobody waits
	} {
		if got := p.wait(at(step.ms), spacing, step.who, step.turn); got != time.Duration(step.want)*time.Millisecond {
			t.Errorf("at %d ms: wait %s, want %d ms", step.ms, got, step.want)
		}
	}
}

func TestLinesRefreshNoSoonerAfterEachOtherThanTheProviderBears(t *testing.T) {
	more := func(c *Config) {
		for i := range 20 {
			n := fmt.Sprintf("a%d", i)
			c.Lines = append(c.Lines, Line{Account: n, Auth: n, Password: "cloud", Extension: "24"})
		}
	}
	inWorld(t, more, func(t *testing.T, w *world) {
		cloud := w.cloud(5)
		var last time.Time
		seen := 0
		stop := time.Now().Add(30 * time.Minute)
		w.s.SetTargets([]Target{cloud.target()})
		for time.Now().Before(stop) {
			select {
			case m := <-cloud.in:
				req, ok := m.(*sip.Request)
				if !ok || req.Method != sip.REGISTER {
					continue
				}
				if gap := time.Since(last); seen > 0 && gap < w.cfg.Trunk.Spacing {
					t.Fatalf("registration %d came %s after the one before", seen, gap)
				}
				last = time.Now()
				seen++
				cloud.grants(req)
			case <-time.After(time.Minute):
			}
		}
		if seen < 3*22 {
			t.Errorf("%d registrations in half an hour", seen)
		}
		synctest.Wait()
	})
}
