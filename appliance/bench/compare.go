package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A comparison is made at these loads, which both carry easily: what a thing costs
// depends on how much of it there is, so only equal loads compare.
const (
	compareRegisters = 500 // a second
	compareCalls     = 200 // a second
	compareRounds    = 2   // by turns, so that a noisy minute falls on both
)

// spent is processor time over a number of things done.
type spent struct {
	time   time.Duration
	done   int
	failed int
}

func (s *spent) add(d time.Duration, done, failed int) {
	s.time += d
	s.done += done
	s.failed += failed
}

func (s *spent) each() float64 { return perUnit(s.time, s.done) }

// compare measures Kamailio by the same load in the same minute. A peer that is missing
// or does not start is told and is no fault of the daemon's.
func (b *bench) compare(ctx context.Context) (err error) {
	k, err := startKamailio(ctx, b.peerDir, b.at, b.site)
	if err != nil {
		b.report.note("kamailio: %v", err)
		return nil
	}
	defer func() { err = errors.Join(err, k.stop()) }()
	if err := k.site.openPhones(ctx); err != nil {
		b.report.note("kamailio: phones: %v\n%s", err, k.processes[len(k.processes)-1].lastWords())
		return nil
	}
	sites := []*site{b.site, k.site}
	var registers, calls [2]spent
	for range compareRounds {
		for i, s := range sites {
			if err := b.compareRegister(ctx, s, &registers[i]); err != nil {
				return err
			}
		}
		for i, s := range sites {
			b.compareCall(ctx, s, &calls[i])
		}
	}
	b.versus(fmt.Sprintf("REGISTER at %d/s", compareRegisters), k.site.target.Name, registers)
	b.versus(fmt.Sprintf("call at %d/s", compareCalls), k.site.target.Name, calls)
	return nil
}

func (b *bench) compareRegister(ctx context.Context, s *site, sum *spent) error {
	phones, err := s.registrants(ctx, "udp")
	if err != nil {
		return err
	}
	before := b.usageOf(s.target)
	res := registerPaced(ctx, phones, compareRegisters, b.effort.comparing)
	sum.add(b.usageOf(s.target)-before, res.Done, res.Failed)
	if err := closeAll(phones); err != nil {
		b.report.note("registrations at %s: leaving: %v", s.target.Name, err)
	}
	if res.FirstError != nil {
		b.report.note("registrations at %s: %v", s.target.Name, res.FirstError)
	}
	return nil
}

func (b *bench) compareCall(ctx context.Context, s *site, sum *spent) {
	before := b.usageOf(s.target)
	res := callLoad(ctx, s.phones, func(int) string { return outside }, compareCalls, b.effort.comparing)
	sum.add(b.usageOf(s.target)-before, res.Done, res.Failed)
	if res.FirstError != nil {
		b.report.note("calls at %s: %v", s.target.Name, res.FirstError)
	}
}

// versus adds what one thing costs here and there, and the ratio.
func (b *bench) versus(what, peer string, sums [2]spent) {
	in := "compare"
	b.report.add(in, what+", processor time here", sums[0].each(), "us")
	b.report.add(in, what+", "+peer, sums[1].each(), "us")
	b.report.none(in, what+", failed here", float64(sums[0].failed))
	b.report.add(in, what+", failed there", float64(sums[1].failed), "")
	if there := sums[1].each(); there > 0 {
		b.report.add(in, what+", ratio", sums[0].each()/there, "")
	}
}
