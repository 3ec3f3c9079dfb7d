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
func measureCalls(ctx context.Context, b *bench, binary, dir string, effort callEffort, cases []string) (err error) {
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
	known := map[string]func(context.Context) error{"memory": s.memory, "price": s.price, "sustained": s.sustained}
	for _, c := range cases {
		if known[c] == nil {
			return fmt.Errorf("case %q: memory, price and sustained are known", c)
		}
		fmt.Fprintf(os.Stderr, "bench: %s...\n", c)
		if err := known[c](ctx); err != nil {
			return fmt.Errorf("%s: %w", c, err)
		}
	}
	if text := s.daemon.lastWords(); b.report.missed() > 0 && text != "" {
		b.report.note("the daemon's last words:\n%s", text)
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

// contestant is a system whose calls have a price.
type contestant struct {
	target  target
	program *kamailio // of a peer
	prove   bool
	prices  []float64 // of the rounds that it carried whole
}

// price tells the processor time of a call, here and at the peers, by turns, so that a
// noisy minute falls on all.
func (s *signalling) price(ctx context.Context) (err error) {
	all := []*contestant{{target: s.daemon.target, prove: true}}
	for _, k := range s.peers {
		p, err := attended(ctx, s.rig, func(ctx context.Context) (*contestant, error) { return s.peer(ctx, k) })
		if err != nil {
			s.bench.report.note("%s: %v", k.name, err)
			continue
		}
		defer func() {
			_, stopErr := attended(ctx, s.rig, func(context.Context) (any, error) { return nil, p.program.stop() })
			err = errors.Join(err, stopErr)
		}()
		all = append(all, p)
	}
	failed := 0
	for range s.effort.rounds {
		for i, c := range all {
			s.rig.aim(c.target.UDP, c.prove)
			s.rig.run(ctx, shape{100, 500 * time.Millisecond, 0}) // learns a nonce, wakes caches
			res, run := s.load(ctx, "price", c.target, shape{callRate, s.effort.span, s.effort.hold})
			if res.Done == res.Offered { // what broke down has no price
				c.prices = append(c.prices, run.CPU)
			}
			if i == 0 {
				failed += res.Offered - res.Done
			}
		}
	}
	s.judgePrices(all, failed)
	return context.Cause(ctx)
}

// peer launches a kind of peer in front of the rig's cloud.
func (s *signalling) peer(ctx context.Context, k kind) (*contestant, error) {
	dir, err := os.MkdirTemp(s.bench.peerDir, "peer")
	if err != nil {
		return nil, err
	}
	p, t, err := launchKamailio(ctx, dir, s.bench.at, k, "sip:"+s.rig.far.local.String(), "")
	if err != nil {
		return nil, err
	}
	return &contestant{target: t, program: p}, nil
}

// judgePrices compares the lowest prices: what others take of a core only ever adds.
func (s *signalling) judgePrices(all []*contestant, failed int) {
	r := s.bench.report
	r.none("price", "calls failed", float64(failed))
	r.note("asterisk: not in Debian 12; when it was built by hand (22.10) it took 3.3 ms a call at 100/s on a machine of this kind")
	if len(all[0].prices) == 0 {
		return
	}
	mine := slices.Min(all[0].prices)
	r.below("price", fmt.Sprintf("processor time of a call at %d/s", callRate), mine, millis(callPrice), "ms")
	for _, c := range all[1:] {
		if len(c.prices) == 0 {
			r.note("%s did not carry %d calls a second", c.target.Name, callRate)
			continue
		}
		theirs := slices.Min(c.prices)
		r.add("price", c.target.Name, theirs, "ms")
		if last := s.peers[len(s.peers)-1]; c.target.Name == last.name {
			r.atMost("price", "ratio to "+c.target.Name, mine/theirs, callShare, "")
		} else {
			r.add("price", "ratio to "+c.target.Name, mine/theirs, "")
		}
	}
	for i := range r.Runs {
		if run := &r.Runs[i]; run.Case == "price" && run.Who != all[0].target.Name && run.CPU > 0 {
			run.Ratio = mine / run.CPU
		}
	}
}
