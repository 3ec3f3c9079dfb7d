package looptest_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"linekeeper/appliance/loop"
	"linekeeper/appliance/loop/looptest"
)

// ticker asks to be woken after each of its waits, and notes when it was.
type ticker struct {
	waits []time.Duration
	woken []time.Time
}

func (m *ticker) Step(now time.Time, _ string) []time.Duration {
	m.woken = append(m.woken, now)
	if len(m.waits) == 0 {
		return nil
	}
	d := m.waits[0]
	m.waits = m.waits[1:]
	return []time.Duration{d}
}

func TestAdvanceGoesFromAlarmToAlarm(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	clock := looptest.New(start)
	m := &ticker{waits: []time.Duration{time.Minute, 2 * time.Minute, time.Hour}}
	begun := make(chan struct{}, 4)
	gone := make(chan error, 1)
	crew := loop.NewCrew(1)
	defer crew.Close()
	l := loop.NewResting(clock, crew, m, 4, func(_ context.Context, tm *loop.Timers[string], d time.Duration) []string {
		tm.Arm("next", d, "due")
		begun <- struct{}{}
		return nil
	}, func(err error) { gone <- err })
	l.Start(t.Context())
	if err := l.Post("begin"); err != nil {
		t.Fatal(err)
	}
	<-begun
	clock.Advance(10 * time.Minute)
	clock.Settle()
	l.Stop()
	if err := <-gone; err != nil {
		t.Fatal(err)
	}
	clock.Advance(2 * time.Hour) // nobody is left to be rung
	want := []time.Time{start, start.Add(time.Minute), start.Add(3 * time.Minute)}
	if !slices.EqualFunc(m.woken, want, time.Time.Equal) {
		t.Errorf("woken at %v, want %v", m.woken, want)
	}
}
