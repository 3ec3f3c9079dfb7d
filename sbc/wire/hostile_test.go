package wire_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"linekeeper/sbc/sip"
	"linekeeper/sbc/wire"
)

// responder answers every request and notes every end.
type responder struct {
	box  *wire.Wire
	lost chan error
}

func (r *responder) Receive(m sip.Message, flow sip.Flow) {
	if req, ok := m.(*sip.Request); ok {
		_ = r.box.Send(flow, sip.Respond(req, 200, "OK", "x"))
	}
}

func (r *responder) Lost(_ sip.Flow, err error) { r.lost <- err }

func (r *responder) next(t *testing.T) error {
	t.Helper()
	select {
	case err := <-r.lost:
		return err
	case <-time.After(10 * time.Second):
		t.Fatal("no connection ended")
		return nil
	}
}

func respond(t *testing.T, limits wire.Limits, guard *wire.Guard, zones ...wire.Zone) *responder {
	r := &responder{lost: make(chan error, 8192)}
	start(t, r, limits, guard, zones...)
	return r
}

// asks has phone ask and wants the answer.
func asks(t *testing.T, phone *wire.Wire, answers inbox, flow sip.Flow, times int) {
	t.Helper()
	for i := range times {
		id := fmt.Sprintf("ask%d", i)
		if err := phone.Send(flow, request(t, id)); err != nil {
			t.Fatal(err)
		}
		if a := answers.next(t); a.err != nil || sip.CallIDOf(a.m) != id {
			t.Fatalf("answer to %s: %v %v", id, a.m, a.err)
		}
	}
}

// census counts what leaks.
func census(t *testing.T) (goroutines, files int) {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return runtime.NumGoroutine(), len(all)
}

// until polls, for what only the kernel or the runtime can tell.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(15 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never: %s", what)
		}
	}
}

type attack struct {
	name      string
	transport sip.Transport
	bytes     func(send io.Writer) // what the attacker does with its connection
	want      error
}

// limits are short only where they are what ends the attack: the machine that
// tests may be slow.
func (a attack) limits() wire.Limits {
	switch {
	case errors.Is(a.want, wire.ErrHalf):
		return wire.Limits{Half: 200 * time.Millisecond}
	case errors.Is(a.want, wire.ErrIdle), errors.Is(a.want, context.DeadlineExceeded):
		return wire.Limits{Greeting: time.Second}
	default: // ended by what it says
		return wire.Limits{}
	}
}

func attacks() []attack {
	begin := []byte("INVITE sip:x@box SIP/2.0\r\nVia: SIP/2.0/TCP ")
	return []attack{
		{"half a message and then silence", sip.TCP, func(w io.Writer) { _, _ = w.Write(begin) }, wire.ErrHalf},
		{"one octet at a time", sip.TCP, func(w io.Writer) {
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			for i := 0; ; i++ {
				<-tick.C
				if _, err := w.Write(begin[i%len(begin) : i%len(begin)+1]); err != nil {
					return
				}
			}
		}, wire.ErrHalf},
		{"nothing at all", sip.TCP, func(io.Writer) {}, wire.ErrIdle},
		{"only keep-alives", sip.TCP, func(w io.Writer) {
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			for range tick.C {
				if _, err := w.Write([]byte("\r\n\r\n")); err != nil {
					return
				}
			}
		}, wire.ErrIdle},
		{"a header without end", sip.TCP, func(w io.Writer) {
			_, _ = w.Write(append(begin, bytes.Repeat([]byte("a"), 200<<10)...))
		}, wire.ErrFraming},
		{"a body of four gigabytes", sip.TCP, func(w io.Writer) {
			_, _ = w.Write([]byte("OPTIONS sip:x SIP/2.0\r\nContent-Length: 4294967296\r\n\r\n"))
		}, wire.ErrFraming},
		{"garbage", sip.TCP, func(w io.Writer) { _, _ = w.Write(bytes.Repeat([]byte{1, 0xff, '\r', 0, '\n', 'x'}, 50000)) }, wire.ErrFraming},
		{"a handshake that never begins", sip.TLS, func(io.Writer) {}, context.DeadlineExceeded},
		{"a handshake that never ends", sip.TLS, func(w io.Writer) { _, _ = w.Write([]byte{22, 3, 1, 0, 200, 1}) }, context.DeadlineExceeded},
		{"no handshake", sip.TLS, func(w io.Writer) { _, _ = w.Write([]byte("GET / HTTP/1.1\r\nHost: box\r\n\r\n")) }, nil},
	}
}

func TestHostilePeersAreEndedWhileOthersAreServed(t *testing.T) {
	for _, a := range attacks() {
		t.Run(a.name, func(t *testing.T) {
			zone, client := server(t, a.transport)
			box := respond(t, a.limits(), wire.NewGuard(wire.Rules{}), zone)
			to := box.box.Listening("lan")[0].Addr
			phone, answers := run(t, wire.Limits{}, wire.Zone{Name: "wan", ClientTLS: client, Source: netip.MustParseAddr("127.0.0.9")})
			flow, err := phone.Flow("wan", a.transport, to)
			if err != nil {
				t.Fatal(err)
			}
			asks(t, phone, answers, flow, 1)
			goroutines, files := census(t)

			const peers = 20
			done := make(chan struct{}, peers)
			for range peers {
				go func() {
					defer func() { done <- struct{}{} }()
					peer, err := net.Dial("tcp", to.String())
					if err != nil {
						t.Error(err)
						return
					}
					defer peer.Close()
					a.bytes(peer)
					_, _ = io.Copy(io.Discard, peer) // until the box ends it
				}()
			}
			asks(t, phone, answers, flow, 50)
			for range peers {
				if err := box.next(t); err == nil || a.want != nil && !errors.Is(err, a.want) {
					t.Errorf("ended with %v, want %v", err, a.want)
				}
			}
			for range peers {
				<-done
			}
			asks(t, phone, answers, flow, 1)
			until(t, "all is as before", func() bool {
				g, f := census(t)
				return g <= goroutines && f <= files && box.box.Stats().Conns == 1
			})
		})
	}
}

func TestTwoThousandConnectionsOfOneSourceTakeNoMoreThanItsShare(t *testing.T) {
	zone, _ := server(t, sip.TCP)
	guard := wire.NewGuard(wire.Rules{Rate: 1e6, Burst: 1e6})
	box := respond(t, wire.Limits{ConnsPerSource: 300}, guard, zone)
	to := box.box.Listening("lan")[0].Addr
	phone, answers := run(t, wire.Limits{}, wire.Zone{Name: "wan", Source: netip.MustParseAddr("127.0.0.9")})
	flow, err := phone.Flow("wan", sip.TCP, to)
	if err != nil {
		t.Fatal(err)
	}
	asks(t, phone, answers, flow, 1)
	goroutines, files := census(t)
	var peers []net.Conn
	for range 2000 {
		peer, err := net.Dial("tcp", to.String())
		if err != nil {
			continue // reset while connecting
		}
		peers = append(peers, peer)
	}
	until(t, "all were judged", func() bool { return guard.Rejected()[wire.Crowd] == 1700 })
	if n := box.box.Stats().Conns; n != 301 {
		t.Errorf("%d connections stand, want 300 and the phone's", n)
	}
	asks(t, phone, answers, flow, 20)
	for _, peer := range peers {
		peer.Close()
	}
	until(t, "all is as before", func() bool {
		g, f := census(t)
		return g <= goroutines && f <= files && box.box.Stats().Conns == 1
	})
	again, err := net.Dial("tcp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	until(t, "the source may come again", func() bool { return box.box.Stats().Conns == 2 })
}

func TestLastQuarterOfConnectionsIsKeptForTrustedSources(t *testing.T) {
	zone, _ := server(t, sip.TCP)
	guard := wire.NewGuard(wire.Rules{})
	friend := netip.MustParseAddr("127.0.0.9")
	guard.Trusted(func(addr netip.Addr) bool { return addr == friend })
	box := respond(t, wire.Limits{Conns: 8}, guard, zone)
	to := box.box.Listening("lan")[0].Addr
	for range 8 {
		peer, err := net.Dial("tcp", to.String())
		if err == nil {
			defer peer.Close()
		}
	}
	until(t, "two were turned away", func() bool { return guard.Rejected()[wire.Crowd] == 2 })
	phone, answers := run(t, wire.Limits{}, wire.Zone{Name: "wan", Source: friend})
	flow, err := phone.Flow("wan", sip.TCP, to)
	if err != nil {
		t.Fatal(err)
	}
	asks(t, phone, answers, flow, 3)
}

func TestGarbageDatagramsLeaveNoMemoryBehind(t *testing.T) {
	box := respond(t, wire.Limits{}, wire.NewGuard(wire.Rules{Rate: 1e6, Burst: 1e6}),
		wire.Zone{Name: "lan", Listen: []wire.Listen{{Transport: sip.UDP, Addr: netip.MustParseAddrPort("127.0.0.1:0")}}})
	to := box.box.Listening("lan")[0].Addr
	phone, answers := run(t, wire.Limits{}, wire.Zone{Name: "wan", Source: netip.MustParseAddr("127.0.0.9")})
	flow, err := phone.Flow("wan", sip.UDP, to)
	if err != nil {
		t.Fatal(err)
	}
	asks(t, phone, answers, flow, 1)
	peer, err := net.Dial("udp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	kinds := [][]byte{
		[]byte("\x01garbage that is not sip\xff"), bytes.Repeat([]byte("A"), 8000), []byte("INVITE sip:x SIP/2.0\r\n"),
		[]byte("OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK1\r\nCSeq: x\r\n\r\n"), {0}, []byte("\r\n\r\n"),
	}
	before, goroutines := heap(), runtime.NumGoroutine()
	for i := range 10000 {
		if _, err := peer.Write(kinds[i%len(kinds)]); err != nil {
			t.Fatal(err)
		}
		if i%20 == 0 { // before the kernel's buffer is full
			asks(t, phone, answers, flow, 1)
		}
	}
	asks(t, phone, answers, flow, 1)
	if n := box.box.Stats().Malformed; n < 6000 { // without the keep-alives
		t.Errorf("only %d were looked at", n)
	}
	if after := heap(); after > before+1<<20 {
		t.Errorf("heap grew from %d to %d octets", before, after)
	}
	if n := runtime.NumGoroutine(); n > goroutines {
		t.Errorf("%d goroutines, %d before", n, goroutines)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
