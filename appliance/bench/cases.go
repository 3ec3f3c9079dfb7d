package main

import (
	"context"
	"fmt"
	"time"
)

// The floors of the product, from its second issue.
const (
	floorRegisters   = 500 // a second
	floorCalls       = 200 // a second
	floorMediaCalls  = 500 // SRTP calls on one core
	ceilingLatencyMS = 5
	ceilingMemoryMB  = 100
	memoryCalls      = 50
	moreCalls        = 500 // what a call holds is told by many: garbage hides few
)

// effort is how long and how much is measured.
type effort struct {
	registering, calling time.Duration
	warm, streaming      time.Duration
	holding              time.Duration // at the floor: longer than any transaction lives
	comparing            time.Duration
	mediaCalls           []int
	rates                []int
}

func fullEffort() effort {
	return effort{
		registering: 8 * time.Second, calling: 8 * time.Second, warm: 2 * time.Second, streaming: 15 * time.Second,
		holding: 35 * time.Second, comparing: 5 * time.Second,
		mediaCalls: []int{50, floorMediaCalls}, rates: []int{100, floorCalls, 300, 400, 600},
	}
}

func quickEffort() effort {
	return effort{
		registering: time.Second, calling: time.Second, warm: 500 * time.Millisecond, streaming: 2 * time.Second,
		holding: time.Second, comparing: time.Second,
		mediaCalls: []int{20}, rates: []int{50},
	}
}

// bench runs cases against one site.
type bench struct {
	site    *site
	effort  effort
	report  *report
	at      seat   // the target's, for whoever it is compared with
	peerDir string // of files of a peer
}

// usage is the target's processor time; 0 where it has no process of its own.
func (b *bench) usage() time.Duration { return b.usageOf(b.site.target) }

func (b *bench) usageOf(t target) (sum time.Duration) {
	for _, pid := range t.PIDs {
		d, err := cpuTime(pid)
		if err != nil {
			b.report.note("processor time: %v", err)
		}
		sum += d
	}
	return sum
}

// memory is the target's resident memory in MB.
func (b *bench) memory() float64 {
	var sum int64
	for _, pid := range b.site.target.PIDs {
		n, err := resident(pid)
		if err != nil {
			b.report.note("resident memory: %v", err)
		}
		sum += n
	}
	return float64(sum) / 1e6
}

// perUnit is processor time for each of n, in microseconds.
func perUnit(d time.Duration, n int) float64 {
	if n == 0 {
		return 0
	}
	return micros(d) / float64(n)
}

// cost adds a figure of the target's processor time, where it has a process.
func (b *bench) cost(in, name string, value float64, unit string) {
	if len(b.site.target.PIDs) > 0 {
		b.report.add(in, name, value, unit)
	}
}

// register measures REGISTER with digest: sustained from a few phones in parallel, then
// all phones at once, over UDP and TLS.
func (b *bench) register(ctx context.Context) error {
	for _, transport := range []string{"udp", "tls"} {
		in := "register " + transport
		began := time.Now()
		phones, err := b.site.registrants(ctx, transport)
		if err != nil {
			return err
		}
		if transport == "tls" {
			b.report.add(in, "connections with handshake", float64(len(phones))/time.Since(began).Seconds(), "/s")
		}
		before := b.usage()
		storm := registerAll(phones)
		b.report.add(in, fmt.Sprintf("%d phones at once, all done in", len(phones)), millis(storm.Took), "ms")
		b.report.add(in, "at once, slowest phone", millis(storm.Latency.max), "ms")
		b.report.none(in, "at once, failed", float64(storm.Failed))
		b.report.add(in, "at once, repeated requests", float64(storm.Repeats), "")
		load := registerFor(phones, b.effort.registering, 32)
		spent := b.usage() - before
		paced := registerPaced(ctx, phones, floorRegisters, b.effort.holding)
		rate := float64(load.Done) / load.Took.Seconds()
		b.report.atLeast(in, "sustained, 32 in parallel", rate, floorRegisters, "/s")
		b.report.add(in, "sustained, latency p50", millis(load.Latency.quantile(0.5)), "ms")
		b.report.add(in, "sustained, latency p99", millis(load.Latency.quantile(0.99)), "ms")
		b.report.none(in, "sustained, failed", float64(load.Failed))
		b.cost(in, "processor time of a registration", perUnit(spent, load.Done+storm.Done), "us")
		b.report.none(in, fmt.Sprintf("held at %d/s for %v, failed", floorRegisters, b.effort.holding), float64(paced.Failed))
		b.report.add(in, fmt.Sprintf("held at %d/s, latency p99", floorRegisters), millis(paced.Latency.quantile(0.99)), "ms")
		for _, err := range []error{storm.FirstError, load.FirstError, paced.FirstError} {
			if err != nil {
				b.report.note("%s: %v", in, err)
			}
		}
		if err := closeAll(phones); err != nil {
			b.report.note("%s: leaving: %v", in, err)
		}
	}
	return nil
}

// calls measures INVITE-200-ACK-BYE at rising rates, to the outside and inside.
func (b *bench) calls(ctx context.Context) error {
	kinds := map[string]func(i int) string{
		"calls outside": func(int) string { return outside },
		"calls inside":  func(i int) string { return extension((i + phoneCount/2) % phoneCount) },
	}
	for _, in := range []string{"calls outside", "calls inside"} {
		best := 0.0
		for _, rate := range b.effort.rates {
			if !b.callsAt(ctx, in, kinds[in], rate, b.effort.calling) && !b.callsAt(ctx, in+" (again)", kinds[in], rate, b.effort.calling) {
				break
			}
			best = max(best, float64(rate))
		}
		b.report.atLeast(in, "highest rate without a failure", best, min(floorCalls, float64(b.effort.rates[len(b.effort.rates)-1])), "/s")
	}
	in := fmt.Sprintf("calls outside for %v", b.effort.holding)
	held := b.callsAt(ctx, in, kinds["calls outside"], min(floorCalls, b.effort.rates[len(b.effort.rates)-1]), b.effort.holding)
	b.report.none(in, "not sustained", map[bool]float64{false: 1}[held])
	return nil
}

// callsAt offers one rate and tells whether it was carried. The caller tries a rate
// twice: other work on the machine may have had the core.
func (b *bench) callsAt(ctx context.Context, in string, number func(i int) string, rate int, d time.Duration) bool {
	before := b.usage()
	res := callLoad(ctx, b.site.phones, number, rate, d)
	spent := b.usage() - before
	b.report.add(in, fmt.Sprintf("at %d/s, failed of %d", rate, res.Offered), float64(res.Failed), "")
	b.report.add(in, fmt.Sprintf("at %d/s, set-up p50", rate), millis(res.Setup.quantile(0.5)), "ms")
	b.report.add(in, fmt.Sprintf("at %d/s, set-up p99", rate), millis(res.Setup.quantile(0.99)), "ms")
	b.cost(in, fmt.Sprintf("at %d/s, processor time of a call", rate), perUnit(spent, res.Done), "us")
	if res.FirstError != nil {
		b.report.note("%s at %d/s: %v", in, rate, res.FirstError)
	}
	return res.sustained()
}

// memoryUse measures resident memory: with all phones registered, and with calls up.
func (b *bench) memoryUse(ctx context.Context) error {
	if len(b.site.target.PIDs) == 0 {
		b.report.note("memory: %s has no process of its own", b.site.target.Name)
		return nil
	}
	b.report.add("memory", fmt.Sprintf("%d phones and lines registered", phoneCount), b.memory(), "MB")
	toOutside := func(int) string { return outside }
	calls, err := standingCalls(ctx, b.site.phones, toOutside, memoryCalls, 50)
	if err != nil {
		return err
	}
	few := b.memory()
	b.report.below("memory", fmt.Sprintf("and %d calls", memoryCalls), few, ceilingMemoryMB, "MB")
	more, err := standingCalls(ctx, b.site.phones, toOutside, moreCalls-memoryCalls, 100)
	if err != nil {
		return err
	}
	many := b.memory()
	b.report.add("memory", fmt.Sprintf("and %d calls", moreCalls), many, "MB")
	b.report.add("memory", "of an active call", (many-few)*1000/(moreCalls-memoryCalls), "kB")
	return hangUp(ctx, append(calls, more...))
}

// media measures calls from plain phones to a cloud that wants SRTP, in both directions.
func (b *bench) media(ctx context.Context) error {
	for _, n := range b.effort.mediaCalls {
		if err := b.mediaOf(ctx, n); err != nil {
			return fmt.Errorf("media of %d calls: %w", n, err)
		}
	}
	return nil
}

func (b *bench) mediaOf(ctx context.Context, n int) error {
	in := fmt.Sprintf("media %d calls", n)
	b.site.carry(true)
	defer b.site.carry(false)
	calls, err := standingCalls(ctx, b.site.phones, func(int) string { return outside }, n, 40)
	if err != nil {
		return err
	}
	var spent time.Duration
	res := b.site.engine.run(ctx, b.effort.warm, b.effort.streaming,
		func() { spent = b.usage() }, func() { spent = b.usage() - spent })
	if res.Endpoints != 2*n {
		b.report.note("%s: %d endpoints have media, want %d", in, res.Endpoints, 2*n)
	}
	b.report.none(in, fmt.Sprintf("packets lost of %d", res.Sent), float64(max(res.lost(), 0)))
	b.report.none(in, "packets that did not open or were not ours", float64(res.Broken+res.Alien))
	for _, side := range []struct {
		name string
		h    hist
	}{{"SRTP to RTP", res.ToPhone}, {"RTP to SRTP", res.ToCloud}} {
		b.report.add(in, side.name+", added latency p50", micros(side.h.quantile(0.5)), "us")
		b.report.below(in, side.name+", added latency p99", millis(side.h.quantile(0.99)), ceilingLatencyMS, "ms")
		b.report.add(in, side.name+", added latency max", millis(side.h.max), "ms")
	}
	b.cost(in, "processor time of a relayed packet", perUnit(spent, int(res.Received)), "us")
	b.cost(in, "core used by the daemon", 100*float64(spent)/float64(b.effort.streaming), "%")
	if res.Stalls > 0 || res.SendFails > 0 {
		b.report.note("%s: the generator was held up %d times and failed to send %d packets", in, res.Stalls, res.SendFails)
	}
	return hangUp(ctx, calls)
}
