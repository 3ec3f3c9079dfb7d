package mode_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"linekeeper/appliance/loop"
	"linekeeper/survivability/mode"
)

// town is a provider that can be cut off, and the room's part of the probing.
type town struct {
	*mode.Machine
	owner *loop.Loop[mode.Input, mode.Effect]
	cut   bool

	mu      sync.Mutex
	changes []change
}

func (w *town) note(m mode.Mode) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.changes); n == 0 || w.changes[n-1].mode != m {
		w.changes = append(w.changes, change{time.Now(), m})
	}
}

func (w *town) history() []change {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.changes)
}

type change struct {
	at   time.Time
	mode mode.Mode
}

// Inputs and effects of the town itself.
type (
	probe struct {
		mode.Due
		target int
	}
	sendProbe struct {
		mode.WakeAfter
		target int
	}
	cut struct {
		mode.Due
		on bool
	}
)

func (w *town) Step(now time.Time, in mode.Input) []mode.Effect {
	switch in := in.(type) {
	case probe:
		return []mode.Effect{sendProbe{target: in.target}}
	case cut:
		w.cut = in.on
		return nil
	}
	return w.Machine.Step(now, in)
}

func (w *town) perform(_ context.Context, tm *loop.Timers[mode.Input], e mode.Effect) []mode.Input {
	switch e := e.(type) {
	case mode.ProbeAfter:
		tm.Arm("probe", e.D, probe{target: e.Target})
	case sendProbe:
		if w.cut {
			tm.Arm("answer", time.Second, mode.Missed{Target: e.target})
			return nil
		}
		return []mode.Input{mode.Answered{Target: e.target, Code: 200}}
	case mode.WakeAfter:
		tm.Arm("wake", e.D, mode.Due{})
	case mode.Became:
		w.note(e.Mode)
		if e.Mode == mode.Recovering { // ten lines, 300 ms apart
			tm.Arm("lines", 3*time.Second, mode.Lines{Registered: 10, Total: 10})
		}
		if e.Mode == mode.Survival {
			tm.Disarm("lines")
			return []mode.Input{mode.Lines{Total: 10}}
		}
	}
	return nil
}

// run plays act in a town of its own; what happened is in the town afterwards.
func run(t *testing.T, act func(w *town)) {
	synctest.Test(t, func(t *testing.T) {
		w := &town{Machine: mode.New(mode.Config{Targets: 1, Rand: func() float64 { return 1 }})}
		w.owner = loop.New(w, 64, w.perform)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.owner.Run(ctx) }()
		_ = w.owner.Post(mode.Lines{Registered: 10, Total: 10})
		_ = w.owner.Post(mode.Start{})
		time.Sleep(time.Minute + 4*time.Second)
		synctest.Wait()
		if h := w.history(); len(h) == 0 || h[len(h)-1].mode != mode.Online {
			t.Errorf("not online after a minute: %v", h)
		}
		w.mu.Lock()
		w.changes = nil
		w.mu.Unlock()
		act(w)
		synctest.Wait()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func (w *town) when(m mode.Mode) time.Time {
	for _, c := range w.history() {
		if c.mode == m {
			return c.at
		}
	}
	return time.Time{}
}

func within(t *testing.T, what string, from, to time.Time, most time.Duration) {
	t.Helper()
	if d := to.Sub(from); to.IsZero() || d < 0 || d > most {
		t.Errorf("%s after %v, want at most %v", what, d, most)
	}
}

func TestSilentCutIsFoundWithinFiveSecondsWithTraffic(t *testing.T) {
	run(t, func(w *town) {
		began := time.Now()
		_ = w.owner.Post(cut{on: true})
		time.Sleep(2 * time.Second) // call_timeout of a call dialled at the cut
		_ = w.owner.Post(mode.Silent{Target: 0, Call: true})
		time.Sleep(time.Minute)
		synctest.Wait()
		within(t, "survival", began, w.when(mode.Survival), 5*time.Second)
	})
}

func TestSilentCutIsFoundWithin35SecondsInSilenceAndTheReturnWithin15(t *testing.T) {
	run(t, func(w *town) {
		began := time.Now()
		_ = w.owner.Post(cut{on: true})
		time.Sleep(time.Hour)
		synctest.Wait()
		within(t, "survival", began, w.when(mode.Survival), 35*time.Second)
		back := time.Now()
		_ = w.owner.Post(cut{on: false})
		time.Sleep(time.Hour)
		synctest.Wait()
		within(t, "online", back, w.when(mode.Online), 15*time.Second)
		if h := w.history(); len(h) != 3 {
			t.Errorf("changes: %v", h)
		}
	})
}

func TestPulledCableIsFoundAtOnce(t *testing.T) {
	run(t, func(w *town) {
		began := time.Now()
		_ = w.owner.Post(cut{on: true})
		_ = w.owner.Post(mode.Link{Up: false})
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		within(t, "survival", began, w.when(mode.Survival), 0)
		back := time.Now()
		_ = w.owner.Post(cut{on: false})
		_ = w.owner.Post(mode.Link{Up: true})
		time.Sleep(time.Minute)
		synctest.Wait()
		within(t, "online", back, w.when(mode.Online), 10*time.Second)
	})
}

func TestFlappingEverySevenSecondsSettlesInSurvival(t *testing.T) {
	run(t, func(w *town) {
		for range 43 { // five minutes
			_ = w.owner.Post(cut{on: true})
			_ = w.owner.Post(mode.Link{Up: false})
			time.Sleep(7 * time.Second)
			_ = w.owner.Post(cut{on: false})
			_ = w.owner.Post(mode.Link{Up: true})
			time.Sleep(7 * time.Second)
		}
		synctest.Wait()
		if h := w.history(); len(h) > 5 {
			t.Errorf("%d changes of mode: %v", len(h), h)
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if h := w.history(); len(h) == 0 || h[len(h)-1].mode != mode.Online {
			t.Errorf("never came back: %v", h)
		}
	})
}
