package main

import (
	"math/bits"
	"time"
)

// hist is a log-linear histogram of durations: 32 buckets an octave, about 3 % wide.
type hist struct {
	buckets [64 * 32]uint64
	count   uint64
	max     time.Duration
}

func bucketOf(v uint64) int {
	if v < 32 {
		return int(v)
	}
	e := bits.Len64(v) - 6
	return (e+1)*32 + int(v>>e) - 32
}

func valueOf(i int) uint64 {
	if i < 32 {
		return uint64(i)
	}
	return uint64(i%32+32) << (i/32 - 1)
}

func (h *hist) add(d time.Duration) {
	d = max(d, 0) // clocks of kernel and process differ by a few ns
	h.buckets[bucketOf(uint64(d))]++
	h.count++
	h.max = max(h.max, d)
}

// merge adds what another has seen.
func (h *hist) merge(o *hist) {
	for i, n := range o.buckets {
		h.buckets[i] += n
	}
	h.count += o.count
	h.max = max(h.max, o.max)
}

// quantile is the value below which the share q of all lies.
func (h *hist) quantile(q float64) time.Duration {
	if h.count == 0 {
		return 0
	}
	want := min(uint64(q*float64(h.count)), h.count-1)
	var seen uint64
	for i, n := range h.buckets {
		if seen += n; seen > want {
			return time.Duration(valueOf(i))
		}
	}
	return h.max
}
