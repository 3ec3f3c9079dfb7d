package wire_test

import (
	"net"
	"net/netip"
	"sync"
	"testing"

	"linekeeper/sbc/sip"
	"linekeeper/sbc/wire"
)

func TestThoseWhoAskAtOnceShareAConnection(t *testing.T) {
	zone, _ := server(t, sip.TCP)
	box, _ := run(t, wire.Limits{}, zone)
	to := box.Listening("lan")[0].Addr
	phone, _ := run(t, wire.Limits{}, wire.Zone{Name: "wan"})
	var all sync.WaitGroup
	flows := make([]sip.Flow, 20)
	for i := range flows {
		all.Go(func() {
			flow, err := phone.Flow("wan", sip.TCP, to)
			if err != nil {
				t.Error(err)
			}
			flows[i] = flow
		})
	}
	all.Wait()
	for _, flow := range flows {
		if flow != flows[0] {
			t.Fatalf("%v and %v", flow, flows[0])
		}
	}
}

// Two zones want the same port toward the same peer: the kernel gives it to
// one, the other must do with any.
func TestPortThatIsTakenTowardThePeerIsReplaced(t *testing.T) {
	zone, _ := server(t, sip.TCP)
	box, heard := run(t, wire.Limits{}, zone)
	to := box.Listening("lan")[0].Addr
	spare, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := spare.Addr().(*net.TCPAddr).AddrPort().Port()
	spare.Close()
	phone, _ := run(t, wire.Limits{}, wire.Zone{Name: "a", Port: port}, wire.Zone{Name: "b", Port: port})
	for _, name := range []string{"a", "b"} {
		flow, err := phone.Flow(name, sip.TCP, to)
		if err != nil {
			t.Fatal(err)
		}
		if own := flow.Local.Port() == port; own != (name == "a") {
			t.Errorf("zone %s leaves from %s", name, flow.Local)
		}
		if err := phone.Send(flow, request(t, name)); err != nil {
			t.Fatal(err)
		}
		if a := heard.next(t); a.err != nil || a.flow.Remote != flow.Local {
			t.Fatalf("heard %v %v, want it from %s", a.flow, a.err, flow.Local)
		}
	}
}

// A source address that the host does not have must be an error, not a wait.
func TestForeignSourceAddressIsAnError(t *testing.T) {
	box, _ := run(t, wire.Limits{}, wire.Zone{Name: "wan", Source: netip.MustParseAddr("192.0.2.1"), Port: 5060})
	for _, transport := range []sip.Transport{sip.UDP, sip.TCP} {
		if flow, err := box.Flow("wan", transport, netip.MustParseAddrPort("127.0.0.1:5060")); err == nil {
			t.Errorf("%s gave %v", transport, flow)
		}
	}
}
