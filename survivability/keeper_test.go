package survivability

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"linekeeper/survivability/mode"
)

// provider is a cloud whose servers answer probes, or not.
type provider struct {
	mu   sync.Mutex
	cut  bool
	asks int
}

func (p *provider) Probe(_ int, done func(int, time.Duration)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asks++
	if !p.cut {
		time.AfterFunc(20*time.Millisecond, func() { done(200, 20*time.Millisecond) })
	}
}

func (p *provider) set(cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = cut
}

func (p *provider) asked() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asks
}

// kept is a keeper at work.
type kept struct {
	*Keeper
	t    *testing.T
	p    *provider
	news chan mode.View
	end  context.CancelFunc
	gone chan error
}

func keep(t *testing.T, before func(*Keeper)) *kept {
	t.Helper()
	k := &kept{t: t, p: &provider{}, news: make(chan mode.View, 64), gone: make(chan error, 1)}
	k.Keeper = NewKeeper(mode.Config{Targets: 2}, k.p, slog.New(slog.DiscardHandler), func(v mode.View) { k.news <- v })
	if before != nil {
		before(k.Keeper)
	}
	ctx, end := context.WithCancel(context.Background())
	k.end = end
	ready := make(chan struct{})
	go func() { k.gone <- k.Run(ctx, func() { close(ready) }) }()
	<-ready
	return k
}

func (k *kept) stop() {
	k.t.Helper()
	k.end()
	if err := <-k.gone; err != nil {
		k.t.Error(err)
	}
}

// reaches waits for a mode and says how long that took.
func (k *kept) reaches(m mode.Mode) time.Duration {
	k.t.Helper()
	began := time.Now()
	for {
		select {
		case v := <-k.news:
			if v.Mode == m {
				if got := k.View(); got.Mode != m {
					k.t.Errorf("told %s, view says %s", m, got.Mode)
				}
				return time.Since(began)
			}
		case <-time.After(10 * time.Minute):
			k.t.Fatalf("never %s: %+v", m, k.View())
		}
	}
}

func TestCutInSilenceIsSurvivalWithin35SecondsAndReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t, nil)
		defer k.stop()
		k.reaches(mode.Online)
		for range 5 { // at different phases of the probes
			<-time.After(137 * time.Second / 10)
			k.p.set(true)
			if took := k.reaches(mode.Survival); took > 35*time.Second {
				t.Errorf("survival after %s", took)
			}
			if k.View().Cause != mode.ProviderDown {
				t.Errorf("cause %s", k.View().Cause)
			}
			<-time.After(20 * time.Second)
			k.p.set(false)
			k.reaches(mode.Online)
			<-time.After(10 * time.Minute) // calm again
		}
	})
}

func TestCutDuringACallIsSurvivalWithin5SecondsAndBackWithin15(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t, nil)
		defer k.stop()
		k.reaches(mode.Online)
		<-time.After(13 * time.Second)
		k.p.set(true)
		<-time.After(time.Second) // the media watch's suspicion
		k.Tell(mode.Media{Dead: 1})
		if took := k.reaches(mode.Survival) + time.Second; took > 5*time.Second {
			t.Errorf("survival after %s", took)
		}
		<-time.After(15 * time.Second)
		k.p.set(false)
		if took := k.reaches(mode.Online); took > 15*time.Second {
			t.Errorf("online after %s", took)
		}
	})
}

func TestOverflowOfEvidenceNeverStopsTheProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t, func(k *Keeper) { // before it runs nothing takes the evidence
			for range 4 * inboxDepth {
				k.Tell(mode.CallHeard{Target: 0})
			}
		})
		defer k.stop()
		k.reaches(mode.Online)
		<-time.After(time.Minute)
		if k.p.asked() < 10 {
			t.Errorf("%d probes in a minute", k.p.asked())
		}
	})
}

func TestReportOfAProbeSurvivesAFullInbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stuck sync.Mutex
		p := &provider{}
		entered := make(chan struct{}, 64)
		release := make(chan struct{})
		first := true
		k := NewKeeper(mode.Config{Targets: 1}, p, slog.New(slog.DiscardHandler), func(v mode.View) {
			stuck.Lock()
			defer stuck.Unlock()
			if v.Mode == mode.Online && first { // the owner is slow for once
				first = false
				entered <- struct{}{}
				<-release
			}
		})
		ctx, end := context.WithCancel(context.Background())
		gone := make(chan error, 1)
		go func() { gone <- k.Run(ctx, func() {}) }()
		<-entered
		for range 2 * inboxDepth {
			k.Tell(mode.CallHeard{Target: 0})
		}
		k.probe(0) // its answer finds the inbox full
		<-time.After(5 * time.Second)
		close(release)
		before := p.asked()
		<-time.After(time.Minute)
		if p.asked() < before+4 {
			t.Errorf("%d probes in a minute", p.asked()-before)
		}
		end()
		if err := <-gone; err != nil {
			t.Error(err)
		}
	})
}

func TestProbeMayBeAnsweredLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := proberFunc(func(_ int, done func(int, time.Duration)) {
			time.AfterFunc(1500*time.Millisecond, func() { done(200, 1500*time.Millisecond) })
		})
		news := make(chan mode.View, 64)
		k := NewKeeper(mode.Config{Targets: 1}, late, slog.New(slog.DiscardHandler), func(v mode.View) { news <- v })
		ctx, end := context.WithCancel(context.Background())
		gone := make(chan error, 1)
		go func() { gone <- k.Run(ctx, func() {}) }()
		<-time.After(3 * time.Minute)
		if got := k.View().Mode; got != mode.Online {
			t.Errorf("a slow provider makes %s", got)
		}
		end()
		if err := <-gone; err != nil {
			t.Error(err)
		}
		<-time.After(time.Minute) // what was under way ends without harm
		if k.Name() != "mode" {
			t.Error(k.Name())
		}
	})
}

type proberFunc func(int, func(int, time.Duration))

func (f proberFunc) Probe(target int, done func(int, time.Duration)) { f(target, done) }
