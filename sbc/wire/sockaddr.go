package wire

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// sockaddr is an address in the kernel's form.
func sockaddr(addr netip.AddrPort) unix.Sockaddr {
	if addr.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(addr.Port()), Addr: addr.Addr().As16(), ZoneId: scope(addr.Addr())}
}

// putName writes an address where a message header points, and tells its length.
func putName(name *[unix.SizeofSockaddrInet6]byte, addr netip.AddrPort) uint32 {
	binary.BigEndian.PutUint16(name[2:], addr.Port())
	if addr.Addr().Is4() {
		ip := addr.Addr().As4()
		binary.NativeEndian.PutUint16(name[:], unix.AF_INET)
		copy(name[4:8], ip[:])
		return unix.SizeofSockaddrInet4
	}
	ip := addr.Addr().As16()
	binary.NativeEndian.PutUint16(name[:], unix.AF_INET6)
	clear(name[4:8]) // flow information
	copy(name[8:24], ip[:])
	binary.NativeEndian.PutUint32(name[24:], scope(addr.Addr()))
	return unix.SizeofSockaddrInet6
}

// scope is the number of the interface that a link-local address belongs to.
func scope(addr netip.Addr) uint32 {
	if addr.Zone() == "" {
		return 0
	}
	if n, err := strconv.ParseUint(addr.Zone(), 10, 32); err == nil {
		return uint32(n)
	}
	link, err := net.InterfaceByName(addr.Zone())
	if err != nil {
		return 0
	}
	return uint32(link.Index)
}

// origins reads from control messages which local address a datagram came to
// (IP_PKTINFO, IPV6_PKTINFO) and when (SO_TIMESTAMPNS); zero values where they do
// not say.
func origins(control []byte) (to netip.Addr, came time.Time) {
	for len(control) > 0 {
		header, data, rest, err := unix.ParseOneSocketControlMessage(control)
		if err != nil {
			break
		}
		switch {
		case header.Level == unix.SOL_SOCKET && header.Type == unix.SO_TIMESTAMPNS && len(data) >= 16:
			came = time.Unix(int64(binary.NativeEndian.Uint64(data)), int64(binary.NativeEndian.Uint64(data[8:])))
		case header.Level == unix.IPPROTO_IP && header.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			to = netip.AddrFrom4([4]byte(data[4:8])) // ipi_spec_dst: never a broadcast address
		case header.Level == unix.IPPROTO_IPV6 && header.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			to = netip.AddrFrom16([16]byte(data[:16]))
			if to.IsLinkLocalUnicast() {
				to = to.WithZone(strconv.Itoa(int(binary.NativeEndian.Uint32(data[16:20]))))
			}
		}
		control = rest
	}
	return to, came
}

// origin is the control message that makes a datagram leave from local.
func origin(local netip.Addr) []byte {
	if local.Is4() {
		return unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: local.As4()})
	}
	return unix.PktInfo6(&unix.Inet6Pktinfo{Addr: local.As16(), Ifindex: scope(local)})
}

func family(network string, addr netip.AddrPort) string {
	if addr.Addr().Is4() {
		return network + "4"
	}
	return network + "6"
}
