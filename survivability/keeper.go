package survivability

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"linekeeper/appliance/loop"
	"linekeeper/survivability/mode"
)

// Prober asks one of the provider's servers for a sign of life. It must not
// block; done is called once with the code of the answer, or not at all.
type Prober interface {
	Probe(target int, done func(code int, rtt time.Duration))
}

// inboxDepth bounds the evidence that waits for the mode's owner.
const inboxDepth = 256

// Keeper owns the mode: it feeds the machine with evidence, sends its probes,
// and tells what the mode has become.
type Keeper struct {
	log    *slog.Logger
	prober Prober
	became func(mode.View)
	fast   time.Duration
	m      *mode.Machine
	loop   *loop.Loop[mode.Input, mode.Effect]
	view   atomic.Pointer[mode.View]

	done atomic.Bool // Run has returned
	// probes are the probe timers by target; they belong to the owner's goroutine.
	probes map[int]*time.Timer
}

// NewKeeper makes the owner of a mode. became is called from its goroutine at
// every change and must not block.
func NewKeeper(cfg mode.Config, p Prober, log *slog.Logger, became func(mode.View)) *Keeper {
	cfg.Rand = rand.Float64
	if cfg.Fast <= 0 {
		cfg.Fast = time.Second
	}
	k := &Keeper{log: log, prober: p, became: became, fast: cfg.Fast, m: mode.New(cfg), probes: make(map[int]*time.Timer)}
	k.loop = loop.New[mode.Input, mode.Effect](k.m, inboxDepth, k.perform)
	v := k.m.View()
	k.view.Store(&v)
	k.Tell(mode.Start{}) // first of all, whatever evidence comes before Run
	return k
}

// Name is the room's name.
func (k *Keeper) Name() string { return "mode" }

// Run keeps the mode until ctx ends.
func (k *Keeper) Run(ctx context.Context, ready func()) error {
	ready()
	defer k.done.Store(true)
	defer func() {
		for _, t := range k.probes {
			t.Stop()
		}
	}()
	return k.loop.Run(ctx)
}

// Tell hands in a piece of evidence. It never blocks; what an overloaded owner
// can't take is lost, the probes will find out.
func (k *Keeper) Tell(in mode.Input) {
	if err := k.loop.Post(in); err != nil {
		k.log.Debug("evidence dropped", "err", err)
	}
}

// report tells what became of a probe. Unlike other evidence it is never lost:
// the machine orders a target's next probe only after it.
func (k *Keeper) report(in mode.Input) {
	if errors.Is(k.loop.Post(in), loop.ErrBusy) && !k.done.Load() {
		time.AfterFunc(k.fast/10, func() { k.report(in) })
	}
}

// View is the mode now.
func (k *Keeper) View() mode.View { return *k.view.Load() }

func (k *Keeper) perform(_ context.Context, tm *loop.Timers[mode.Input], e mode.Effect) []mode.Input {
	v := k.m.View()
	k.view.Store(&v)
	switch e := e.(type) {
	case mode.ProbeAfter:
		k.arm(e.Target, e.D)
	case mode.WakeAfter:
		tm.Arm("wake", e.D, mode.Due{})
	case mode.Became:
		k.log.Info("mode", "mode", e.Mode.String(), "cause", e.Cause.String())
		k.became(v)
	}
	return nil
}

// arm sets the one probe timer of a target.
func (k *Keeper) arm(target int, d time.Duration) {
	if t := k.probes[target]; t != nil {
		t.Stop()
	}
	k.probes[target] = time.AfterFunc(d, func() { k.probe(target) })
}

// probe asks a target and reports a miss after Fast. An answer that comes later
// still counts: it proves that the target is there.
func (k *Keeper) probe(target int) {
	var once atomic.Bool
	late := time.AfterFunc(k.fast, func() {
		if once.CompareAndSwap(false, true) {
			k.report(mode.Missed{Target: target})
		}
	})
	k.prober.Probe(target, func(code int, rtt time.Duration) {
		if once.CompareAndSwap(false, true) {
			late.Stop()
		}
		k.report(mode.Answered{Target: target, Code: code, RTT: rtt})
	})
}
