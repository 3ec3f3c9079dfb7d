package wire_test

import (
	"net"
	"net/netip"
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"linekeeper/sbc/sip"
	"linekeeper/sbc/wire"
)

// descriptor finds one of the process's own sockets by its addresses, as the
// kernel knows them; remote is the zero value for one without a peer.
func descriptor(t *testing.T, kind int, local, remote netip.AddrPort) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range all {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil {
			t.Fatal(err)
		}
		if k, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); err != nil || k != kind {
			continue
		}
		own, err := unix.Getsockname(fd)
		if err != nil || addrOf(own) != local {
			continue
		}
		var far netip.AddrPort
		if peer, err := unix.Getpeername(fd); err == nil {
			far = addrOf(peer)
		}
		if far == remote {
			return fd
		}
	}
	t.Fatalf("no socket %s to %s", local, remote)
	return -1
}

func addrOf(name unix.Sockaddr) netip.AddrPort {
	switch name := name.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(name.Addr), uint16(name.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(name.Addr), uint16(name.Port))
	default: // not a network socket
		return netip.AddrPort{}
	}
}

func option(t *testing.T, fd, level, name int) int {
	t.Helper()
	v, err := unix.GetsockoptInt(fd, level, name)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func marked(t *testing.T, fd int, dscp int) {
	t.Helper()
	if tos := option(t, fd, unix.IPPROTO_IP, unix.IP_TOS); tos>>2 != dscp {
		t.Errorf("dscp is %d, want %d", tos>>2, dscp)
	}
	if class := option(t, fd, unix.SOL_SOCKET, unix.SO_PRIORITY); class != dscp>>3 {
		t.Errorf("priority is %d, want %d", class, dscp>>3)
	}
}

func TestEverySocketIsMarkedAndFollowsAChange(t *testing.T) {
	zone := wire.Zone{Name: "lan", DSCP: 40, Listen: []wire.Listen{
		{Transport: sip.UDP, Addr: netip.MustParseAddrPort("127.0.0.1:0")},
		{Transport: sip.TCP, Addr: netip.MustParseAddrPort("127.0.0.1:0")},
	}}
	box, heard := run(t, wire.Limits{Unacked: 7 * time.Second}, zone)
	udp, tcp := box.Listening("lan")[0].Addr, box.Listening("lan")[1].Addr
	out := wire.Zone{Name: "wan", DSCP: 24}
	phone, _ := run(t, wire.Limits{Dead: 3 * time.Second}, out)
	stream, err := phone.Flow("wan", sip.TCP, tcp)
	if err != nil {
		t.Fatal(err)
	}
	datagram, err := phone.Flow("wan", sip.UDP, udp)
	if err != nil {
		t.Fatal(err)
	}
	for _, flow := range []sip.Flow{stream, datagram} {
		if err := phone.Send(flow, request(t, "m")); err != nil {
			t.Fatal(err)
		}
		heard.next(t)
	}
	none := netip.AddrPort{}
	accepted := descriptor(t, unix.SOCK_STREAM, tcp, stream.Local)
	dialled := descriptor(t, unix.SOCK_STREAM, stream.Local, tcp)
	inside := []int{descriptor(t, unix.SOCK_DGRAM, udp, none), descriptor(t, unix.SOCK_STREAM, tcp, none), accepted}
	outside := []int{descriptor(t, unix.SOCK_DGRAM, datagram.Local, none), dialled}
	for _, fd := range inside {
		marked(t, fd, 40)
	}
	for _, fd := range outside {
		marked(t, fd, 24)
	}
	// A path that swallows packets cannot be had on loopback; what bounds it can
	// be read back.
	if ms := option(t, accepted, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT); ms != 7000 {
		t.Errorf("accepted connection gives up after %d ms", ms)
	}
	if ms := option(t, dialled, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT); ms != 3000 {
		t.Errorf("dialled connection gives up after %d ms", ms)
	}

	zone.Listen = []wire.Listen{{sip.UDP, netip.AddrPortFrom(udp.Addr(), 0)}, {sip.TCP, netip.AddrPortFrom(tcp.Addr(), 0)}}
	zone.DSCP, out.DSCP = 46, 0
	if err := box.SetZone(zone); err != nil {
		t.Fatal(err)
	}
	if err := phone.SetZone(out); err != nil {
		t.Fatal(err)
	}
	for _, fd := range inside {
		marked(t, fd, 46)
	}
	for _, fd := range outside {
		marked(t, fd, 0)
	}
	again, err := phone.Flow("wan", sip.TCP, tcp)
	if err != nil || again != stream {
		t.Errorf("flow is %v, %v; want the same as before, %v", again, err, stream)
	}
}

func TestListenersComeAndGoWhileConnectionsStay(t *testing.T) {
	free := netip.MustParseAddrPort("127.0.0.1:0")
	other := netip.MustParseAddrPort("127.0.0.2:0")
	zone := wire.Zone{Name: "lan", Listen: []wire.Listen{{sip.TCP, free}}}
	r := respond(t, wire.Limits{}, wire.NewGuard(wire.Rules{}), zone)
	first := r.box.Listening("lan")[0].Addr
	phone, answers := run(t, wire.Limits{}, wire.Zone{Name: "wan"})
	flow, err := phone.Flow("wan", sip.TCP, first)
	if err != nil {
		t.Fatal(err)
	}
	asks(t, phone, answers, flow, 1)

	zone.Listen = []wire.Listen{{sip.TCP, free}, {sip.UDP, other}, {sip.TCP, other}}
	if err := r.box.SetZone(zone); err != nil {
		t.Fatal(err)
	}
	all := r.box.Listening("lan")
	if len(all) != 3 || all[1].Addr != first {
		t.Fatalf("listens on %v, want %s among them", all, first)
	}
	asks(t, phone, answers, flow, 1)
	for _, l := range []wire.Listen{all[0], all[2]} {
		added, err := phone.Flow("wan", l.Transport, l.Addr)
		if err != nil {
			t.Fatal(err)
		}
		asks(t, phone, answers, added, 1)
	}

	zone.Listen = zone.Listen[1:]
	if err := r.box.SetZone(zone); err != nil {
		t.Fatal(err)
	}
	asks(t, phone, answers, flow, 1) // it was accepted before
	if peer, err := net.Dial("tcp", first.String()); err == nil {
		peer.Close()
		t.Error("removed listener still accepts")
	}

	zone.Listen = append(zone.Listen, wire.Listen{Transport: sip.UDP, Addr: netip.MustParseAddrPort("192.0.2.1:5060")})
	if err := r.box.SetZone(zone); err == nil {
		t.Error("a foreign address was taken")
	}
	if now := r.box.Listening("lan"); len(now) != 2 {
		t.Errorf("a failed change left %v", now)
	}
	asks(t, phone, answers, flow, 1)

	r.box.RemoveZone("lan")
	if a := answers.next(t); a.err == nil {
		t.Errorf("got %v instead of the end", a.m)
	}
}

func TestAnswersLeaveFromTheAddressThatWasAsked(t *testing.T) {
	for _, c := range []struct {
		name   string
		listen []string
	}{{"wildcard", []string{"0.0.0.0:0"}}, {"each its own", []string{"127.0.0.2:0", "127.0.0.3:0", "127.0.0.77:0"}}} {
		t.Run(c.name, func(t *testing.T) {
			zone := wire.Zone{Name: "lan"}
			for _, l := range c.listen {
				zone.Listen = append(zone.Listen, wire.Listen{Transport: sip.UDP, Addr: netip.MustParseAddrPort(l)})
			}
			r := respond(t, wire.Limits{}, wire.NewGuard(wire.Rules{}), zone)
			phone, answers := run(t, wire.Limits{}, wire.Zone{Name: "wan"})
			all := r.box.Listening("lan")
			for i, host := range []string{"127.0.0.2", "127.0.0.3", "127.0.0.77"} {
				to := netip.AddrPortFrom(addr(host), all[i%len(all)].Addr.Port())
				flow, err := phone.Flow("wan", sip.UDP, to)
				if err != nil {
					t.Fatal(err)
				}
				if err := phone.Send(flow, request(t, host)); err != nil {
					t.Fatal(err)
				}
				if a := answers.next(t); a.flow.Remote != to {
					t.Errorf("asked %s, answered from %s", to, a.flow.Remote)
				}
			}
		})
	}
}
