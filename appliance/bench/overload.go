package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// settling is how long nothing is offered after a load that was too much: peers
// repeat for so long what they got no answer to.
const settling = 3 * time.Second

// sustained looks for the highest rate that is carried whole, and offers three times
// as much then.
func (s *signalling) sustained(ctx context.Context) error {
	r := s.bench.report
	s.rig.aim(s.daemon.target.UDP, true)
	best := 0
	for _, rate := range s.effort.ramp {
		carried := s.carries(ctx, rate)
		if !carried { // once more: the machine may have been busy with something else
			carried = s.carries(ctx, rate)
		}
		if !carried {
			break
		}
		best = rate
	}
	most := s.effort.ramp[len(s.effort.ramp)-1]
	r.atLeast("sustained", "highest rate without a failure", float64(best), float64(min(callSustained, most)), "/s")
	if best == 0 {
		return context.Cause(ctx)
	}
	return s.overload(ctx, best)
}

// carries offers a rate and tells whether it was carried: every call completed, and
// hardly anything had to be said twice.
func (s *signalling) carries(ctx context.Context, rate int) bool {
	res, _ := s.load(ctx, "sustained", s.daemon.target, shape{rate, s.effort.span, s.effort.hold})
	s.rig.lingering(ctx, time.Second)
	return res.Done == res.Offered && res.Repeats*1000 <= res.Offered
}

// overload offers a multiple of what is carried and tells what still completes.
func (s *signalling) overload(ctx context.Context, best int) error {
	r := s.bench.report
	span := s.effort.overSpan
	var res rigResult
	share := 0.0
	for range 2 { // again: other work on the machine may have had the core
		res, _ = s.load(ctx, "overload", s.daemon.target, shape{overFactor * best, span, s.effort.hold})
		s.rig.lingering(ctx, settling)
		share = float64(res.Done) / span.Seconds() / float64(best)
		if share >= overShare && res.Failed+res.Rude == 0 {
			break
		}
	}
	in := "overload"
	r.atLeast(in, fmt.Sprintf("completed a second at %d/s offered, share of %d/s", overFactor*best, best), share, overShare, "")
	r.add(in, "turned away with 503 and Retry-After", float64(res.Shed), "")
	r.none(in, "turned away without Retry-After", float64(res.Rude))
	r.none(in, "neither completed nor turned away", float64(res.Failed))
	after, _ := s.load(ctx, "after overload", s.daemon.target, shape{callRate, s.effort.span, s.effort.hold})
	r.none("after overload", fmt.Sprintf("calls at %d/s not completed", callRate), float64(after.Offered-after.Done))
	return context.Cause(ctx)
}

// memory tells what a standing call holds: what the collector found alive, and stacks.
// Garbage and what the process keeps in reserve are the process's, not the call's; the
// transactions that made the call have been forgotten by then.
func (s *signalling) memory(ctx context.Context) error {
	r := s.bench.report
	share, err := mediaShare(ctx)
	if err != nil {
		return err
	}
	s.rig.aim(s.daemon.target.UDP, true)
	s.rig.lingering(ctx, s.effort.settle) // for those of the lines' and phones' registrations
	before, err := attended(ctx, s.rig, s.daemon.held)
	if err != nil {
		return err
	}
	span := time.Duration(s.effort.standing) * time.Second / callRate
	type outcome struct {
		figures memoryFigures
		err     error
	}
	got := make(chan outcome, 1)
	s.rig.after(time.Now(), span+s.effort.settle, func(time.Time) {
		go func() {
			f, err := s.daemon.held(ctx)
			got <- outcome{f, err}
		}()
	})
	res := s.rig.run(ctx, shape{callRate, span, span + s.effort.settle + askingTime})
	var after memoryFigures
	select {
	case o := <-got:
		if after = o.figures; o.err != nil {
			return o.err
		}
	default:
		return errors.New("metrics of the daemon came too late")
	}
	r.none("memory", fmt.Sprintf("of %d standing calls, failed", res.Offered), float64(res.Offered-res.Done))
	held := float64(after.held-before.held) / 1024 / float64(res.Offered)
	r.add("memory", "held by a standing call", held, "KiB")
	r.add("memory", "of it by its media", share, "KiB")
	r.add("memory", "of it by stacks", float64(after.stacks-before.stacks)/1024/float64(res.Offered), "KiB")
	r.below("memory", "held by a standing call besides media", held-share, callMemory, "KiB")
	r.add("memory", "resident before", float64(before.resident)/1e6, "MB")
	r.add("memory", fmt.Sprintf("resident with %d standing calls", res.Offered), float64(after.resident)/1e6, "MB")
	return nil
}

// memoryFigures are a daemon's, in octets.
type memoryFigures struct {
	held     int64 // alive for the collector, and stacks
	stacks   int64
	resident int64
}

// askingTime is how long the daemon may be asked until its collector looks.
const (
	askingTime  = 30 * time.Second
	askingPause = 20 * time.Millisecond
)

// held tells the daemon's memory once its collector has looked again: being asked for
// its metrics makes enough garbage for that. It is asked at leisure, since garbage that
// is made while the collector looks counts as alive.
func (d *daemon) held(ctx context.Context) (memoryFigures, error) {
	first, err := d.figures(ctx)
	if err != nil {
		return memoryFigures{}, err
	}
	for end := time.Now().Add(askingTime - time.Second); sleepTo(ctx, time.Now().Add(askingPause)) && time.Now().Before(end); {
		now, err := d.figures(ctx)
		if err != nil {
			return memoryFigures{}, err
		}
		if now["go_gc_duration_seconds_count"] >= first["go_gc_duration_seconds_count"]+1 {
			rss, err := resident(d.pid())
			stacks := int64(now["go_memstats_stack_inuse_bytes"])
			return memoryFigures{int64(now["go_gc_heap_live_bytes"]) + stacks, stacks, rss}, err
		}
	}
	return memoryFigures{}, errors.New("the daemon's collector never looked")
}

// figures reads the daemon's figures that have no labels.
func (d *daemon) figures(ctx context.Context) (map[string]float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.metrics.String()+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("metrics of the daemon: %w", err)
	}
	defer func() { _ = resp.Body.Close() }() // read to its end
	figures := make(map[string]float64)
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			figures[name] = v
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("metrics of the daemon: %w", err)
	}
	for _, name := range []string{"go_gc_heap_live_bytes", "go_memstats_stack_inuse_bytes", "go_gc_duration_seconds_count"} {
		if _, ok := figures[name]; !ok {
			return nil, fmt.Errorf("metrics of the daemon do not tell %s", name)
		}
	}
	return figures, nil
}
