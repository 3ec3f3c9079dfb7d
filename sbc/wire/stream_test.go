package wire_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"linekeeper/sbc/sip"
	"linekeeper/sbc/wire"
)

// reached lets box dial a listener of the test's own.
func reached(t *testing.T, box *wire.Wire) (sip.Flow, net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	flow, err := box.Flow("wan", sip.TCP, listener.Addr().(*net.TCPAddr).AddrPort())
	if err != nil {
		t.Fatal(err)
	}
	peer, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	if err := peer.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return flow, peer
}

func wantPing(t *testing.T, peer net.Conn) {
	t.Helper()
	b := make([]byte, 4)
	if _, err := io.ReadFull(peer, b); err != nil || string(b) != "\r\n\r\n" {
		t.Fatalf("want a keep-alive, got %q %v", b, err)
	}
}

func TestPeerThatStopsAnsweringKeepAlivesIsLost(t *testing.T) {
	box, told := run(t, wire.Limits{Pong: 100 * time.Millisecond}, wire.Zone{Name: "wan", KeepAlive: 20 * time.Millisecond})
	flow, peer := reached(t, box)
	for range 3 {
		wantPing(t, peer)
		if _, err := peer.Write([]byte("\r\n")); err != nil {
			t.Fatal(err)
		}
	}
	if a := told.next(t); !errors.Is(a.err, wire.ErrIdle) || a.flow != flow {
		t.Errorf("told %v of %v", a.err, a.flow)
	}
}

func TestPeerThatNeverAnsweredAKeepAliveStays(t *testing.T) {
	box, told := run(t, wire.Limits{Pong: 30 * time.Millisecond}, wire.Zone{Name: "wan", KeepAlive: 20 * time.Millisecond})
	flow, peer := reached(t, box)
	for range 10 {
		wantPing(t, peer)
	}
	if _, err := peer.Write([]byte(text("OPTIONS sip:b@x SIP/2.0", "1 OPTIONS"))); err != nil {
		t.Fatal(err)
	}
	if a := told.next(t); a.err != nil || a.flow != flow {
		t.Errorf("told %v %v", a.m, a.err)
	}
}

func TestKeepAliveOfAPeerIsAnswered(t *testing.T) {
	zone, _ := server(t, sip.TCP)
	box, _ := run(t, wire.Limits{}, zone)
	peer, err := net.Dial("tcp", box.Listening("lan")[0].Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	if err := peer.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := peer.Write([]byte("\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 2)
		if _, err := io.ReadFull(peer, b); err != nil || string(b) != "\r\n" {
			t.Fatalf("%q %v", b, err)
		}
	}
}

func TestPeerThatDoesNotReadFillsOnlyItsOwnQueue(t *testing.T) {
	box, told := run(t, wire.Limits{Queue: 16, Write: 300 * time.Millisecond}, wire.Zone{Name: "wan"})
	flow, _ := reached(t, box)
	other, reader := reached(t, box)
	lines := bufio.NewReader(reader)
	big := request(t, "big")
	sip.SetBody(big, "text/plain", make([]byte, 60000))
	busy := 0
	until(t, "the connection ends", func() bool {
		for {
			switch err := box.Send(flow, big); {
			case err == nil:
			case errors.Is(err, wire.ErrBusy):
				busy++
				return false
			case errors.Is(err, wire.ErrGone):
				return true
			default: // no other error has a reason
				t.Fatal(err)
			}
			if err := box.Send(other, request(t, "small")); err != nil {
				t.Fatal(err)
			}
			if line, err := lines.ReadString('\n'); err != nil || line != "OPTIONS sip:box.example SIP/2.0\r\n" {
				t.Fatalf("%q %v", line, err)
			}
			for line := ""; line != "\r\n"; {
				var err error
				if line, err = lines.ReadString('\n'); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
	if busy == 0 {
		t.Error("the queue has no end")
	}
	if a := told.next(t); !errors.Is(a.err, os.ErrDeadlineExceeded) || a.flow != flow {
		t.Errorf("told %v of %v", a.err, a.flow)
	}
	if err := box.Send(flow, big); !errors.Is(err, wire.ErrGone) {
		t.Errorf("send after the end: %v", err)
	}
	if err := box.Send(other, request(t, "small")); err != nil {
		t.Error(err)
	}
}

func TestOctetsOfAQueueAreBounded(t *testing.T) {
	box, _ := run(t, wire.Limits{QueueOctets: 10000}, wire.Zone{Name: "wan"})
	flow, _ := reached(t, box)
	big := request(t, "big")
	sip.SetBody(big, "text/plain", make([]byte, 10000))
	if err := box.Send(flow, big); !errors.Is(err, wire.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}

func TestMessagesCutAnywhereArriveWhole(t *testing.T) {
	zone, _ := server(t, sip.TCP)
	box, heard := run(t, wire.Limits{}, zone)
	peer, err := net.Dial("tcp", box.Listening("lan")[0].Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	all := []byte(text("OPTIONS sip:b@x SIP/2.0", "1 OPTIONS") + "\r\n\r\n" + text("OPTIONS sip:b@x SIP/2.0", "2 OPTIONS"))
	for size := 1; size < len(all); size += 13 {
		for rest := all; len(rest) > 0; rest = rest[min(size, len(rest)):] {
			if _, err := peer.Write(rest[:min(size, len(rest))]); err != nil {
				t.Fatal(err)
			}
		}
		for want := uint32(1); want <= 2; want++ {
			a := heard.next(t)
			if a.err != nil {
				t.Fatal(a.err)
			}
			if seq, _ := sip.Seq(a.m.(*sip.Request)); seq != want {
				t.Fatalf("pieces of %d: got %d, want %d", size, seq, want)
			}
		}
	}
}

func TestConnectionThatIsNeverMadeIsLostInTime(t *testing.T) {
	// Nobody accepts: the kernel connects, but no handshake is answered.
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	to := listener.Addr().(*net.TCPAddr).AddrPort()
	_, client := server(t, sip.TLS)
	box, told := run(t, wire.Limits{Dial: 150 * time.Millisecond}, wire.Zone{Name: "wan", ClientTLS: client, Source: netip.MustParseAddr("127.0.0.1")})
	flow, err := box.Flow("wan", sip.TLS, to)
	if err != nil {
		t.Fatal(err)
	}
	if err := box.Send(flow, request(t, "q")); err != nil {
		t.Fatal(err)
	}
	if a := told.next(t); a.err == nil || a.flow != flow {
		t.Errorf("told %v", a.m)
	}
}
