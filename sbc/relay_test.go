package sbc

import (
	"context"
	"net/netip"
	"testing"

	"linekeeper/sbc/media"
	"linekeeper/sbc/sdp"
)

// TestRelayOpensAndJoinsStreamsOfARealEngine runs on real sockets of loopback.
func TestRelayOpensAndJoinsStreamsOfARealEngine(t *testing.T) {
	e, err := media.New(media.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	ready := make(chan struct{})
	go func() { gone <- e.Run(ctx, func() { close(ready) }) }()
	<-ready
	m := Relay(e)
	side := media.Side{Leg: "lan", Addr: netip.MustParseAddr("127.83.7.1"), Low: 10000, High: 64999}
	a, err := m.Open(side, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := m.Open(side, a)
	if err != nil {
		t.Fatal(err)
	}
	if a.Local() == b.Local() || a.Local().Port()%2 != 0 {
		t.Errorf("ports %s and %s", a.Local(), b.Local())
	}
	if err := a.Set(sdp.Flow{Remote: b.Local(), Send: true, Recv: true}); err != nil {
		t.Error(err)
	}
	m.Bridge(a, b)
	m.Bridge(a, nil)                             // no stream of this engine
	side.Addr = netip.MustParseAddr("192.0.2.1") // not ours
	if st, err := m.Open(side, nil); err == nil || st != nil {
		t.Errorf("opened %v: %v", st, err)
	}
	a.Close()
	b.Close()
	stop()
	if err := <-gone; err != nil && ctx.Err() == nil {
		t.Error(err)
	}
}
