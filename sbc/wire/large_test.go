package wire_test

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"linekeeper/sbc/exchange"
	"linekeeper/sbc/sip"
	"linekeeper/sbc/wire"
)

// lan is a zone that listens on the transports given, at one port of 127.0.0.1.
func lan(name string, addr string, transports ...sip.Transport) wire.Zone {
	z := wire.Zone{Name: name}
	for _, t := range transports {
		z.Listen = append(z.Listen, wire.Listen{Transport: t, Addr: netip.MustParseAddrPort(addr)})
	}
	return z
}

// bulky is a request of more octets than a datagram should have.
func bulky(t *testing.T, id string, octets int) *sip.Request {
	req := request(t, id)
	sip.SetBody(req, "text/plain", []byte(strings.Repeat("x", octets)))
	return req
}

// freePort is a port of 127.0.0.1 that is free for both transports.
func freePort(t *testing.T) string {
	t.Helper()
	for range 50 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := l.Addr().String()
		u, err := net.ListenPacket("udp", addr)
		_ = l.Close()
		if err == nil {
			_ = u.Close()
			return addr
		}
	}
	t.Fatal("no port is free for both")
	return ""
}

// answering answers every request with 200.
type answering struct {
	inbox
	box atomic.Pointer[wire.Wire]
}

func (a *answering) Receive(m sip.Message, flow sip.Flow) {
	a.inbox <- arrival{m: m, flow: flow}
	if req, ok := m.(*sip.Request); ok {
		_ = a.box.Load().Send(flow, sip.Respond(req, 200, "", "t"))
	}
}

// exchanging runs an exchange over a wire.
func exchanging(t *testing.T) (*exchange.Exchange, *wire.Wire) {
	t.Helper()
	h := &relaying{}
	w := start(t, h, wire.Limits{}, wire.NewGuard(wire.Rules{}), lan("lan", "127.0.0.1:0", sip.UDP))
	x, err := exchange.New(exchange.Deps{Sender: w, Log: slog.New(slog.DiscardHandler), Rand: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	h.x.Store(x)
	return x, w
}

// relaying gives an exchange what comes.
type relaying struct {
	x atomic.Pointer[exchange.Exchange]
}

func (r *relaying) Receive(m sip.Message, flow sip.Flow) { r.x.Load().Receive(m, flow) }
func (r *relaying) Lost(flow sip.Flow, err error)        { r.x.Load().Lost(flow, err) }

func TestLargeRequestReachesThePeerByTCPOrInFragments(t *testing.T) {
	for name, c := range map[string]struct {
		transports []sip.Transport
		want       sip.Transport
	}{
		"peer with TCP":      {[]sip.Transport{sip.UDP, sip.TCP}, sip.TCP},
		"peer with UDP only": {[]sip.Transport{sip.UDP}, sip.UDP},
	} {
		t.Run(name, func(t *testing.T) {
			at := freePort(t)
			peer := &answering{inbox: make(inbox, 64)}
			peer.box.Store(start(t, peer, wire.Limits{}, wire.NewGuard(wire.Rules{}), lan("lan", at, c.transports...)))
			x, box := exchanging(t)
			for i := range 3 {
				flow, err := box.Flow("lan", sip.UDP, netip.MustParseAddrPort(at))
				if err != nil {
					t.Fatal(err)
				}
				done := make(chan exchange.ClientEvent, 1)
				began := time.Now()
				x.Do(bulky(t, "big"+string(rune('a'+i)), 1000+10000*i), flow, func(ev exchange.ClientEvent) { done <- ev })
				got := peer.next(t)
				if want := c.want; i == 0 && got.flow.Transport != sip.UDP || i > 0 && got.flow.Transport != want {
					t.Errorf("request %d came by %s", i, got.flow.Transport)
				}
				if ev := <-done; ev.Err != nil || ev.Response.StatusCode != 200 {
					t.Errorf("request %d: %+v", i, ev)
				}
				if took := time.Since(began); took > 3*time.Second {
					t.Errorf("request %d took %v", i, took)
				}
			}
			s := box.Stats()
			if c.want == sip.TCP && (s.LargeStreams != 2 || s.LargeDatagrams != 0) || c.want == sip.UDP && (s.LargeStreams > 1 || s.LargeDatagrams < 2) {
				t.Errorf("counted %d by stream, %d by datagram", s.LargeStreams, s.LargeDatagrams)
			}
		})
	}
}

func TestConnectionForALargeRequestHasLittleTime(t *testing.T) {
	box, in := run(t, wire.Limits{Try: 50 * time.Millisecond}, lan("lan", "127.0.0.1:0", sip.UDP))
	hole := blackHole(t)
	flow, err := box.Flow("lan", sip.UDP, hole)
	if err != nil {
		t.Fatal(err)
	}
	err = box.Send(flow, bulky(t, "lost", 2000))
	var larger *wire.Larger
	if !errors.As(err, &larger) || larger.Over().Transport != sip.TCP {
		t.Fatalf("send: %v", err)
	}
	if lost := in.next(t); lost.err == nil || lost.flow.Conn != larger.Over().Conn {
		t.Fatalf("told %+v", lost)
	}
	if err := box.Send(flow, bulky(t, "again", 2000)); err != nil {
		t.Errorf("the datagram that should do: %v", err)
	}
}

// blackHole is a TCP port that answers no SYN: its queue of connections is full.
func blackHole(t *testing.T) netip.AddrPort {
	t.Helper()
	fd := descriptorListening(t)
	for range 8 {
		c, err := net.DialTimeout("tcp", fd.String(), 100*time.Millisecond)
		if err != nil {
			return fd
		}
		t.Cleanup(func() { _ = c.Close() })
	}
	t.Fatal("the port answers all the same")
	return fd
}

func TestLargeDatagramsAreReceivedWhole(t *testing.T) {
	box, in := run(t, wire.Limits{}, lan("lan", "127.0.0.1:0", sip.UDP))
	to := box.Listening("lan")[0].Addr
	sock, err := net.Dial("udp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	defer sock.Close()
	for _, n := range []int{1400, 9000, 60000} {
		if _, err := sock.Write(sip.Bytes(bulky(t, "whole", n))); err != nil {
			t.Fatal(err)
		}
		if got := in.next(t); got.m == nil || len(got.m.Body()) != n {
			t.Errorf("of %d octets came %+v", n, got.m)
		}
	}
}

// descriptorListening opens a listener with room for one waiting connection.
func descriptorListening(t *testing.T) netip.AddrPort {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return addrOf(name)
}

// TestRefusedConnectionIsNotTriedTwice refuses at once, before or after Send
// has looked: the datagram has to do from then on.
func TestRefusedConnectionIsNotTriedTwice(t *testing.T) {
	box, in := run(t, wire.Limits{}, lan("lan", "127.0.0.1:0", sip.UDP))
	for range 100 {
		peer, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()
		flow, err := box.Flow("lan", sip.UDP, peer.LocalAddr().(*net.UDPAddr).AddrPort())
		if err != nil {
			t.Fatal(err)
		}
		var larger *wire.Larger
		if err := box.Send(flow, bulky(t, "first", 2000)); err != nil && !errors.As(err, &larger) {
			t.Fatal(err)
		}
		in.next(t) // the connection is lost
		if err := box.Send(flow, bulky(t, "second", 2000)); err != nil {
			t.Fatal(err)
		}
		if larger != nil {
			if err := larger.Anyway(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
