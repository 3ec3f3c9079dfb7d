package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"
)

// The floors of a call's signalling, from the product's third issue.
const (
	callRate      = 300              // at which the price of a call is told
	callPrice     = time.Millisecond // processor time, the most
	callShare     = 0.5              // of what Kamailio with topology hiding and rtpengine takes
	callSustained = 800              // a second, on one core
	overFactor    = 3                // times the sustained rate
	overShare     = 0.8              // of the sustained rate that must still complete
	callMemory    = 25               // KiB held by a standing call
)

// callEffort is how long and how much of calls is measured.
type callEffort struct {
	rounds   int
	span     time.Duration // at each rate
	hold     time.Duration
	overSpan time.Duration
	standing int
	settle   time.Duration // longer than a transaction lingers
	ramp     []int
}

func fullCallEffort() callEffort {
	return callEffort{rounds: 3, span: 5 * time.Second, hold: 500 * time.Millisecond, overSpan: 8 * time.Second, standing: 1000, settle: 36 * time.Second,
		ramp: []int{600, 700, callSustained, 900, 1000, 1100, 1200, 1350, 1500, 1700, 2000}}
}

func quickCallEffort() callEffort {
	return callEffort{rounds: 1, span: time.Second, hold: 200 * time.Millisecond, overSpan: time.Second, standing: 50, settle: time.Second, ramp: []int{200}}
}

// signalling measures what a call costs when nothing but its signalling moves: two
// legs, media ports allocated, SRTP agreed with the cloud.
type signalling struct {
	bench  *bench
	rig    *rig
	effort callEffort
	daemon *daemon
	peers  []kind
}

// callRun is one load, as a line of the report.
type callRun struct {
	Case    string  `json:"case"`
	Who     string  `json:"who"`
	Rate    int     `json:"rate"`
	OK      int     `json:"ok"`
	Failed  int     `json:"failed"`
	Shed    int     `json:"shed"` // 503 with Retry-After
	Repeats int     `json:"repeats"`
	CPU     float64 `json:"cpu_ms_per_call"`
	Ratio   float64 `json:"ratio,omitempty"` // of ours to this peer's
	P50     float64 `json:"setup_p50_ms"`
	P99     float64 `json:"setup_p99_ms"`
}

// Addresses of the rig: its phones and its cloud.
const rigPhones, rigCloud = "127.0.0.2", "127.0.0.4"

// measureCalls runs the suite of calls. binary is a daemon that is built.
func measureCalls(ctx context.Context, b *bench, binary, dir string, effort callEffort) (err error) {
	g, err := newRig(netip.MustParseAddr(rigPhones), netip.MustParseAddr(rigCloud))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	s := &signalling{bench: b, rig: g, effort: effort, peers: []kind{
		{name: "Kamailio tm"}, {name: "Kamailio tm, dialog, topoh", dialog: true},
		{name: "Kamailio tm, dialog, topoh, rtpengine", dialog: true, relay: true},
	}}
	s.daemon, err = attended(ctx, g, func(ctx context.Context) (*daemon, error) {
		return startDaemon(ctx, binary, dir, b.at, trunk{transport: "udp", server: "udp://" + g.far.local.String()})
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.daemon.stop()) }()
	b.report.Against = s.daemon.target.Name
	if err := s.join(ctx); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{s.memory, s.price, s.sustained} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// attended runs something while the rig's cloud answers.
func attended[T any](ctx context.Context, g *rig, do func(context.Context) (T, error)) (T, error) {
	var (
		out  T
		err  error
		done = make(chan struct{})
	)
	go func() {
		defer close(done)
		out, err = do(ctx)
	}()
	g.serve(ctx, readyTimeout+time.Second, func() bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	})
	<-done
	return out, err
}

// join waits for the daemon's lines and registers the phones with it.
func (s *signalling) join(ctx context.Context) error {
	began := time.Now()
	s.rig.serve(ctx, readyTimeout, func() bool { return len(s.rig.lines) >= phoneCount })
	if len(s.rig.lines) < phoneCount {
		return fmt.Errorf("%d of %d lines registered at the cloud of the call load", len(s.rig.lines), phoneCount)
	}
	s.rig.aim(s.daemon.target.UDP, true)
	if err := s.rig.register(ctx); err != nil {
		return err
	}
	s.bench.report.note("%d lines and phones registered in %v", phoneCount, time.Since(began).Round(time.Millisecond))
	s.rig.run(ctx, shape{callRate, time.Second, 0}) // what comes first pays for what grows once
	return nil
}

// load offers calls and keeps what came of it.
func (s *signalling) load(ctx context.Context, in string, t target, with shape) (rigResult, *callRun) {
	before := s.bench.usageOf(t)
	res := s.rig.run(ctx, with)
	spent := s.bench.usageOf(t) - before
	run := callRun{Case: in, Who: t.Name, Rate: with.rate, OK: res.Done, Failed: res.Failed + res.Rude, Shed: res.Shed, Repeats: res.Repeats,
		CPU: perUnit(spent, res.Done) / 1000, P50: millis(res.Setup.quantile(0.5)), P99: millis(res.Setup.quantile(0.99))}
	s.bench.report.Runs = append(s.bench.report.Runs, run)
	if res.FirstError != "" {
		s.bench.report.note("%s, %s at %d/s: %s", in, t.Name, with.rate, res.FirstError)
	}
	if res.Late > 50*time.Millisecond {
		s.bench.report.note("%s, %s at %d/s: the load was up to %v late", in, t.Name, with.rate, res.Late.Round(time.Millisecond))
	}
	fmt.Fprintf(os.Stderr, "bench: %s, %s at %d/s: %d ok, %d failed, %d shed, %d repeats, %.3f ms, p99 %.1f ms\n",
		in, t.Name, with.rate, run.OK, run.Failed, run.Shed, run.Repeats, run.CPU, run.P99)
	return res, &s.bench.report.Runs[len(s.bench.report.Runs)-1]
}

// price tells the processor time of a call, here and at the peers, by turns.
func (s *signalling) price(ctx context.Context) error {
	r := s.bench.report
	with := shape{callRate, s.effort.span, s.effort.hold}
	ours := make([]float64, 0, s.effort.rounds)
	failed := 0
	for range s.effort.rounds {
		s.rig.aim(s.daemon.target.UDP, true)
		s.rig.run(ctx, shape{100, 300 * time.Millisecond, 0}) // learns a nonce
		res, run := s.load(ctx, "price", s.daemon.target, with)
		ours = append(ours, run.CPU)
		failed += res.Failed + res.Rude + res.Shed
	}
	mine := slices.Min(ours) // what others took of the core only ever adds
	r.below("price", fmt.Sprintf("processor time of a call at %d/s", callRate), mine, millis(callPrice), "ms")
	r.none("price", "calls failed", float64(failed))
	for i, k := range s.peers {
		theirs, err := s.peerPrice(ctx, k, with, mine)
		if err != nil {
			r.note("%s: %v", k.name, err)
			continue
		}
		r.add("price", k.name, theirs, "ms")
		if i < len(s.peers)-1 {
			r.add("price", "ratio to "+k.name, mine/theirs, "")
		} else {
			r.atMost("price", "ratio to "+k.name, mine/theirs, callShare, "")
		}
	}
	r.note("asterisk: not in Debian 12; when it was built by hand (22.10) it took 3.3 ms a call at 100/s on a machine of this kind")
	return context.Cause(ctx)
}

// peerPrice measures one kind of peer.
func (s *signalling) peerPrice(ctx context.Context, k kind, with shape, mine float64) (price float64, err error) {
	dir, err := os.MkdirTemp(s.bench.peerDir, "peer")
	if err != nil {
		return 0, err
	}
	p, t, err := launchKamailio(ctx, dir, s.bench.at, k, "sip:"+s.rig.far.local.String(), "")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	s.rig.aim(t.UDP, false)
	s.rig.run(ctx, shape{100, 500 * time.Millisecond, 0})
	var all []float64
	for range s.effort.rounds {
		res, run := s.load(ctx, "price", t, with)
		run.Ratio = mine / run.CPU
		if res.Done == res.Offered { // what broke down has no price
			all = append(all, run.CPU)
		}
	}
	if len(all) == 0 {
		return 0, fmt.Errorf("it did not carry %d calls a second in any of %d rounds", with.rate, s.effort.rounds)
	}
	return slices.Min(all), nil
}
