package wire

import (
	"fmt"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// control runs set on the descriptor of a socket.
func control(sock syscall.Conn, set func(fd int) error) error {
	raw, err := sock.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = set(int(fd)) }); err != nil {
		return err
	}
	return inner
}

// mark sets the DSCP of a socket and the kernel's priority that goes with it.
func mark(fd int, v6 bool, dscp uint8) error {
	level, option := unix.IPPROTO_IP, unix.IP_TOS
	if v6 {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_TCLASS
	}
	if err := unix.SetsockoptInt(fd, level, option, int(dscp)<<2); err != nil {
		return fmt.Errorf("set dscp %d: %w", dscp, err)
	}
	// After the DSCP, which sets a priority of its own. 7 would need a privilege.
	class := min(int(dscp>>3), 6)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PRIORITY, class); err != nil {
		return fmt.Errorf("set socket priority %d: %w", class, err)
	}
	return nil
}

// prepareUDP sets the options of a UDP socket that is about to be bound.
func prepareUDP(fd int, local netip.AddrPort, dscp uint8, buffer int) error {
	v6 := local.Addr().Is6()
	if err := mark(fd, v6, dscp); err != nil {
		return err
	}
	growBuffers(fd, buffer)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
		return fmt.Errorf("ask for times of arrival: %w", err)
	}
	level, pmtu, dont, info := unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT, unix.IP_PKTINFO
	if v6 {
		level, pmtu, dont, info = unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DONT, unix.IPV6_RECVPKTINFO
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return fmt.Errorf("keep socket to ipv6: %w", err)
		}
	}
	if err := unix.SetsockoptInt(fd, level, pmtu, dont); err != nil {
		return fmt.Errorf("allow fragments: %w", err)
	}
	if !local.Addr().IsUnspecified() {
		return nil
	}
	if err := unix.SetsockoptInt(fd, level, info, 1); err != nil {
		return fmt.Errorf("ask for packet addresses: %w", err)
	}
	return nil
}

// growBuffers enlarges the receive buffer, past the system's limit where the
// process may do that. It is an improvement, not a condition: errors are the
// kernel's way of giving less.
func growBuffers(fd, octets int) {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, octets) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, octets)
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, octets) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, octets)
	}
}

// prepareListener sets the options of a listening stream socket.
func prepareListener(fd int, v6 bool, dscp uint8) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return fmt.Errorf("allow address reuse: %w", err)
	}
	if v6 {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return fmt.Errorf("keep socket to ipv6: %w", err)
		}
	}
	return mark(fd, v6, dscp)
}

// prepareStream sets the options of a connection, accepted or about to be made.
func prepareStream(fd int, v6 bool, dscp uint8, unacked time.Duration) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(unacked.Milliseconds())); err != nil {
		return fmt.Errorf("bound unacknowledged data: %w", err)
	}
	return mark(fd, v6, dscp)
}

// bindNear binds a socket that is about to connect, so that its port is known
// before the peer answers: to the port asked for, else to any.
func bindNear(fd int, local netip.AddrPort) (netip.AddrPort, error) {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return netip.AddrPort{}, fmt.Errorf("allow address reuse: %w", err)
	}
	err := unix.Bind(fd, sockaddr(local))
	if err != nil && local.Port() != 0 {
		err = unix.Bind(fd, sockaddr(netip.AddrPortFrom(local.Addr(), 0)))
	}
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("bind to %s: %w", local.Addr(), err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("read local address: %w", err)
	}
	switch name := name.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(local.Addr(), uint16(name.Port)), nil
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(local.Addr(), uint16(name.Port)), nil
	}
	return netip.AddrPort{}, fmt.Errorf("read local address: family of %T is not known", name)
}
