package wire_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"testing"
	"time"

	"linekeeper/sbc/sip"
	"linekeeper/sbc/wire"
)

type arrival struct {
	m    sip.Message
	flow sip.Flow
	err  error
}

type inbox chan arrival

func (i inbox) Receive(m sip.Message, flow sip.Flow) { i <- arrival{m: m, flow: flow} }
func (i inbox) Lost(flow sip.Flow, err error)        { i <- arrival{flow: flow, err: err} }

func (i inbox) next(t *testing.T) arrival {
	t.Helper()
	select {
	case a := <-i:
		return a
	case <-time.After(10 * time.Second):
		t.Fatal("nothing came")
		return arrival{}
	}
}

func run(t *testing.T, limits wire.Limits, zones ...wire.Zone) (*wire.Wire, inbox) {
	t.Helper()
	in := make(inbox, 4096)
	return start(t, in, limits, wire.NewGuard(wire.Rules{}), zones...), in
}

// start runs a wire until the test ends.
func start(t *testing.T, h wire.Handler, limits wire.Limits, guard *wire.Guard, zones ...wire.Zone) *wire.Wire {
	t.Helper()
	w := wire.New(wire.Deps{Zones: zones, Log: slog.New(slog.DiscardHandler), Guard: guard, Limits: limits})
	if r, ok := h.(*responder); ok {
		r.box = w
	}
	w.Handle(h)
	ctx, stop := context.WithCancel(t.Context())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- w.Run(ctx, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-done:
		stop()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return w
}

func request(t *testing.T, id string) *sip.Request {
	t.Helper()
	text := "OPTIONS sip:box.example SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5060;rport;branch=z9hG4bK" + id +
		"\r\nMax-Forwards: 70\r\nFrom: <sip:a@example>;tag=1\r\nTo: <sip:b@example>\r\nCall-ID: " + id +
		"\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
	m, err := sip.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return m.(*sip.Request)
}

func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"box.example"}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, form, form, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, pool
}

func server(t *testing.T, transport sip.Transport) (wire.Zone, *tls.Config) {
	cert, pool := certificate(t)
	return wire.Zone{
		Name: "lan", DSCP: 40,
		Listen:    []wire.Listen{{Transport: transport, Addr: netip.MustParseAddrPort("127.0.0.1:0")}},
		ServerTLS: &tls.Config{Certificates: []tls.Certificate{cert}},
	}, &tls.Config{RootCAs: pool, ServerName: "box.example"}
}

func TestRequestsAndAnswersTravelOnTheirFlow(t *testing.T) {
	for _, transport := range []sip.Transport{sip.UDP, sip.TCP, sip.TLS} {
		t.Run(string(transport), func(t *testing.T) {
			zone, client := server(t, transport)
			box, heard := run(t, wire.Limits{}, zone)
			phone, answers := run(t, wire.Limits{}, wire.Zone{Name: "wan", ClientTLS: client})
			flow, err := phone.Flow("wan", transport, box.Listening("lan")[0].Addr)
			if err != nil {
				t.Fatal(err)
			}
			for i := range 50 {
				req := request(t, fmt.Sprintf("id%d", i))
				req.Via().Host, req.Via().Port = "", 0
				if err := phone.Send(flow, req); err != nil {
					t.Fatal(err)
				}
				if req.Via().Port != int(flow.Local.Port()) {
					t.Errorf("sent-by port %d, flow %v", req.Via().Port, flow)
				}
			}
			for i := range 50 {
				a := heard.next(t)
				if a.err != nil || sip.CallIDOf(a.m) != fmt.Sprintf("id%d", i) || a.flow.Remote != flow.Local {
					t.Fatalf("message %d: %v on %v, sent on %v", i, a.m, a.flow, flow)
				}
				if err := box.Send(a.flow, sip.Respond(a.m.(*sip.Request), 200, "OK", "x")); err != nil {
					t.Fatal(err)
				}
				back := answers.next(t)
				if back.err != nil || back.flow != flow {
					t.Fatalf("answer %v %v on %v, want %v", back.m, back.err, back.flow, flow)
				}
			}
		})
	}
}

func TestWildcardListenerAnswersFromTheAddressThatWasAsked(t *testing.T) {
	box, heard := run(t, wire.Limits{}, wire.Zone{Name: "lan", Listen: []wire.Listen{{Transport: sip.UDP}}})
	port := box.Listening("lan")[0].Addr.Port()
	for _, host := range []string{"127.0.0.7", "::1"} {
		phone, answers := run(t, wire.Limits{}, wire.Zone{Name: "wan"})
		to := netip.AddrPortFrom(netip.MustParseAddr(host), port)
		flow, err := phone.Flow("wan", sip.UDP, to)
		if err != nil {
			t.Fatal(err)
		}
		if err := phone.Send(flow, request(t, "w")); err != nil {
			t.Fatal(err)
		}
		a := heard.next(t)
		if a.flow.Local != to {
			t.Errorf("came to %s, want %s", a.flow.Local, to)
		}
		if err := box.Send(a.flow, sip.Respond(a.m.(*sip.Request), 200, "OK", "x")); err != nil {
			t.Fatal(err)
		}
		if back := answers.next(t); back.flow.Remote != to {
			t.Errorf("answered from %s, want %s", back.flow.Remote, to)
		}
	}
}

func TestHalfAMessageEndsItsConnectionOnce(t *testing.T) {
	zone, _ := server(t, sip.TCP)
	box, heard := run(t, wire.Limits{Half: 200 * time.Millisecond}, zone)
	peer, err := net.Dial("tcp", box.Listening("lan")[0].Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	if _, err := peer.Write([]byte("\r\n\r\nOPTIONS sip:x SIP/2.0\r\nVia: ")); err != nil {
		t.Fatal(err)
	}
	if a := heard.next(t); !errors.Is(a.err, wire.ErrHalf) {
		t.Fatalf("lost with %v", a.err)
	}
	got, err := io.ReadAll(peer)
	if err != nil || string(got) != "\r\n" {
		t.Errorf("peer read %q, %v", got, err)
	}
	if n := box.Stats().Conns; n != 0 {
		t.Errorf("%d connections left", n)
	}
}

func TestRefusedConnectionIsLost(t *testing.T) {
	spare, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	to := spare.Addr().(*net.TCPAddr).AddrPort()
	spare.Close()
	phone, told := run(t, wire.Limits{}, wire.Zone{Name: "wan"})
	flow, err := phone.Flow("wan", sip.TCP, to)
	if err != nil {
		t.Fatal(err)
	}
	a := told.next(t)
	if a.err == nil || a.flow != flow {
		t.Fatalf("told %v of %v, want %v", a.err, a.flow, flow)
	}
	if err := phone.Send(flow, request(t, "z")); !errors.Is(err, wire.ErrGone) {
		t.Errorf("send after the end: %v", err)
	}
}

func TestDialledConnectionsKeepThePortOfTheirZone(t *testing.T) {
	spare, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := spare.Addr().(*net.TCPAddr).AddrPort().Port()
	spare.Close()
	zone, _ := server(t, sip.TCP)
	box, heard := run(t, wire.Limits{}, zone)
	phone, _ := run(t, wire.Limits{}, wire.Zone{Name: "wan", Port: port})
	var flow sip.Flow
	for i := range 2 { // the second finds the first one's port in TIME_WAIT, perhaps
		flow, err = phone.Flow("wan", sip.TCP, box.Listening("lan")[0].Addr)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 && flow.Local.Port() != port {
			t.Errorf("left from port %d, want %d", flow.Local.Port(), port)
		}
		if err := phone.Send(flow, request(t, "p")); err != nil {
			t.Fatal(err)
		}
		if a := heard.next(t); a.err != nil || a.flow.Remote != flow.Local {
			t.Fatalf("heard %v %v", a.flow, a.err)
		}
		phone.RemoveZone("wan")
		if a := heard.next(t); a.err == nil {
			t.Fatalf("heard %v instead of the end", a.m)
		}
		if err := phone.SetZone(wire.Zone{Name: "wan", Port: port}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTenThousandGarbageDatagramsCostOneSourceItsVoiceAndNothingElse(t *testing.T) {
	box, heard := run(t, wire.Limits{}, wire.Zone{Name: "lan", Listen: []wire.Listen{{Transport: sip.UDP, Addr: netip.MustParseAddrPort("127.0.0.1:0")}}})
	to := box.Listening("lan")[0].Addr
	peer, err := net.Dial("udp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	for range 10000 {
		if _, err := peer.Write([]byte("\x01garbage that is not sip\xff")); err != nil {
			t.Fatal(err)
		}
	}
	phone, _ := run(t, wire.Limits{}, wire.Zone{Name: "wan", Source: netip.MustParseAddr("127.0.0.9")})
	flow, err := phone.Flow("wan", sip.UDP, to)
	if err != nil {
		t.Fatal(err)
	}
	if err := phone.Send(flow, request(t, "good")); err != nil {
		t.Fatal(err)
	}
	if a := heard.next(t); a.err != nil || sip.CallIDOf(a.m) != "good" {
		t.Errorf("heard %v %v", a.m, a.err)
	}
	if n := box.Stats().Malformed; n < 1000 || n > 9000 {
		t.Errorf("%d of 10000 were looked at, want about a burst", n)
	}
}
