package wire_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"linekeeper/sbc/sip"
	"linekeeper/sbc/wire"
)

// leaves is a request as the exchange hands it over: sent-by is the wire's to fill in.
func leaves(t *testing.T, id string) *sip.Request {
	t.Helper()
	req := request(t, id)
	sip.RemoveHeader(req, "Via")
	req.PrependHeader(&sip.Via{Params: sip.Params{{K: "branch", V: sip.MagicCookie + id}}})
	return req
}

func TestBothSidesMayUseAConnectionOnWhichBothHaveProvedThemselves(t *testing.T) {
	for name, c := range map[string]struct {
		transport   sip.Transport
		certificate bool
		alias       bool
	}{
		"tls, both prove themselves": {sip.TLS, true, true},
		"tls, the server alone does": {sip.TLS, false, false},
		"tcp, nobody does":           {sip.TCP, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			zone, client := server(t, c.transport)
			cert, pool := clientCertificate(t)
			if c.certificate {
				client.Certificates = []tls.Certificate{cert}
				zone.ServerTLS.ClientAuth, zone.ServerTLS.ClientCAs = tls.RequireAndVerifyClientCert, pool
			}
			cloud, came := run(t, wire.Limits{}, zone)
			box, in := run(t, wire.Limits{}, wire.Zone{Name: "wan", ClientTLS: client})
			flow, err := box.Flow("wan", c.transport, cloud.Listening("lan")[0].Addr)
			if err != nil {
				t.Fatal(err)
			}
			req := leaves(t, "out")
			for range 2 { // said once, however often it is sent
				if err := box.Send(flow, req); err != nil {
					t.Fatal(err)
				}
			}
			came.next(t)
			a := came.next(t)
			via := a.m.Via()
			if n := strings.Count(via.Value(), ";alias"); n != map[bool]int{true: 1}[c.alias] || via.Params.Has("alias") != c.alias {
				t.Errorf("via %q", via.Value())
			}
			// The sent-by is the address that the connection leads back to.
			at := netip.AddrPortFrom(netip.MustParseAddr(via.Host), uint16(via.Port))
			if at != a.flow.Remote {
				t.Errorf("sent-by %s on a connection from %s", at, a.flow.Remote)
			}
			back, err := cloud.Flow("lan", c.transport, at)
			if err != nil {
				t.Fatal(err)
			}
			if err := cloud.Send(back, leaves(t, "back")); err != nil {
				t.Fatal(err)
			}
			if got := in.next(t); got.m == nil || sip.CallIDOf(got.m) != "back" || got.flow.Conn != flow.Conn {
				t.Errorf("heard %v %v", got.m, got.err)
			}
		})
	}
}

// A peer that calls its connection another one's address gets nothing that is for that one.
func TestAliasOfSomebodyElsesAddressIsIgnored(t *testing.T) {
	for _, transport := range []sip.Transport{sip.TCP, sip.TLS} {
		t.Run(string(transport), func(t *testing.T) {
			zone, client := server(t, transport)
			zone.ClientTLS = client
			box, in := run(t, wire.Limits{}, zone)
			victim, err := net.Listen("tcp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer victim.Close()
			at := victim.Addr().(*net.TCPAddr).AddrPort()

			thief, heard := run(t, wire.Limits{}, wire.Zone{Name: "wan", ClientTLS: client})
			flow, err := thief.Flow("wan", transport, box.Listening("lan")[0].Addr)
			if err != nil {
				t.Fatal(err)
			}
			req := leaves(t, "claim")
			req.Via().Host, req.Via().Port = at.Addr().String(), int(at.Port())
			req.Via().Params.Add("alias", "")
			if err := thief.Send(flow, req); err != nil {
				t.Fatal(err)
			}
			a := in.next(t)
			if via := a.m.Via(); !via.Params.Has("alias") || via.Port != int(at.Port()) {
				t.Fatalf("the claim came as %q", via.Value())
			}
			if err := box.Send(a.flow, sip.Respond(a.m.(*sip.Request), 200, "", "box")); err != nil {
				t.Fatal(err)
			}
			if got := heard.next(t); got.m == nil { // an answer goes where the request came from
				t.Fatalf("told %v", got.err)
			}
			way, err := box.Flow("lan", transport, at)
			if err != nil {
				t.Fatal(err)
			}
			if way.Conn == a.flow.Conn || way.Remote != at {
				t.Errorf("what is for %s would go to %s", at, way.Remote)
			}
			if err := box.Send(way, leaves(t, "private")); err != nil {
				t.Fatal(err)
			}
			if err := victim.(*net.TCPListener).SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			peer, err := victim.Accept()
			if err != nil {
				t.Fatal(fmt.Errorf("the box has not called the address itself: %w", err))
			}
			peer.Close()
			select {
			case got := <-heard:
				t.Errorf("the thief heard %v", got.m)
			default:
			}
		})
	}
}
