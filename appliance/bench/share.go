package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"runtime"
	"time"

	"linekeeper/sbc/media"
	"linekeeper/sbc/sdp"
)

const (
	sharedCalls = 200
	shareAddr   = "127.0.0.9" // nobody else's in the bench
)

// mediaShare is what the media of a standing call holds on the heap, in KiB: two
// streams as the daemon opens them, RTP toward the phone and SRTP toward the cloud.
// It is measured here, since nothing outside can tell it apart in the daemon.
func mediaShare(ctx context.Context) (float64, error) {
	e, err := media.New(media.Config{})
	if err != nil {
		return 0, fmt.Errorf("media engine: %w", err)
	}
	life, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	up := make(chan struct{})
	go func() { ended <- e.Run(life, func() { close(up) }) }()
	defer func() { stop(); <-ended }()
	select {
	case <-up:
	case err := <-ended:
		ended <- err
		return 0, fmt.Errorf("media engine: %w", err)
	}
	before := alive()
	streams := make([]*media.Stream, 0, 2*sharedCalls)
	defer func() {
		for _, s := range streams {
			s.Close()
		}
	}()
	for i := range sharedCalls {
		a, err := openShare(e, "lan", nil, i, false)
		if err != nil {
			return 0, err
		}
		b, err := openShare(e, "wan", a, i, true)
		if err != nil {
			return 0, err
		}
		e.Bridge(a, b)
		streams = append(streams, a, b)
	}
	time.Sleep(300 * time.Millisecond) // the worker does what it was asked
	return float64(alive()-before) / 1024 / sharedCalls, nil
}

// alive is the heap once the collector has looked twice: what has a finalizer goes
// with the second look.
func alive() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func openShare(e *media.Engine, leg string, with *media.Stream, i int, secure bool) (*media.Stream, error) {
	s, err := e.Open(media.Side{Leg: leg, Addr: netip.MustParseAddr(shareAddr), Low: 50000, High: 59999, With: with})
	if err != nil {
		return nil, fmt.Errorf("media port: %w", err)
	}
	peer := netip.AddrPortFrom(netip.MustParseAddr(shareAddr), uint16(40000+2*i))
	f := sdp.Flow{Remote: peer, RemoteRTCP: netip.AddrPortFrom(peer.Addr(), peer.Port()+1), Send: true, Recv: true, Ptime: 20,
		Formats: []sdp.FlowFormat{{Format: sdp.Format{Number: 8, Name: "PCMA", Clock: 8000, Channels: 1}, Out: 8},
			{Format: sdp.Format{Number: 101, Name: "telephone-event", Clock: 8000, Channels: 1}, Out: 101}}}
	if secure {
		for _, k := range []**sdp.Key{&f.In, &f.Out} {
			*k = &sdp.Key{Suite: sdp.AES128SHA80, Material: make([]byte, sdp.AES128SHA80.KeyLen()+sdp.AES128SHA80.SaltLen())}
			_, _ = rand.Read((*k).Material)
		}
	}
	if err := s.Set(f); err != nil {
		s.Close()
		return nil, fmt.Errorf("media flow: %w", err)
	}
	return s, nil
}
