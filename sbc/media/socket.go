package media

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// socketBuffer bounds what the kernel keeps for one socket in each direction:
// 256 KiB are four seconds of a call, and a burst of hundreds of foreign packets.
const socketBuffer = 256 << 10

// voicePriority is SO_PRIORITY of media, TC_PRIO_INTERACTIVE.
const voicePriority = 6

// bind makes one non-blocking UDP socket at addr and port.
func bind(addr netip.Addr, port uint16, dscp uint8) (fd int, err error) {
	family := unix.AF_INET
	if addr.Is6() {
		family = unix.AF_INET6
	}
	fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("media socket: %w", err)
	}
	made := fd // what is returned with an error is -1
	defer func() {
		if err != nil {
			closeSocket(made)
		}
	}()
	if err = mark(fd, addr, dscp); err != nil {
		return -1, fmt.Errorf("mark media socket: %w", err)
	}
	for _, opt := range [...]int{unix.SO_RCVBUF, unix.SO_SNDBUF} {
		if err = setOption(fd, unix.SOL_SOCKET, opt, socketBuffer); err != nil {
			return -1, fmt.Errorf("size media socket buffer: %w", err)
		}
	}
	// An address without a port is one to bind to as well, so not by sockaddrOf.
	at := sockaddrAt(netip.AddrPortFrom(addr, port))
	if err = bindTo(fd, &at); err != nil {
		return -1, fmt.Errorf("bind media socket to %s: %w", netip.AddrPortFrom(addr, port), err)
	}
	return fd, nil
}

// mark sets DSCP and the priority of the queueing discipline.
func mark(fd int, addr netip.Addr, dscp uint8) error {
	if addr.Is6() {
		if err := setOption(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return err
		}
		if err := setOption(fd, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, int(dscp)<<2); err != nil {
			return err
		}
	} else if err := setOption(fd, unix.IPPROTO_IP, unix.IP_TOS, int(dscp)<<2); err != nil {
		return err
	}
	return setOption(fd, unix.SOL_SOCKET, unix.SO_PRIORITY, voicePriority)
}

// sockaddr is a destination in the kernel's form, made once per route.
type sockaddr struct {
	raw [unix.SizeofSockaddrInet6]byte
	len uint32
}

// sockaddrOf is empty for an address that nothing can be sent to.
func sockaddrOf(a netip.AddrPort) sockaddr {
	if !a.IsValid() || a.Port() == 0 || a.Addr().IsUnspecified() {
		return sockaddr{}
	}
	return sockaddrAt(a)
}

// sockaddrAt is any address in the kernel's form.
func sockaddrAt(a netip.AddrPort) (s sockaddr) {
	binary.BigEndian.PutUint16(s.raw[2:], a.Port())
	if a.Addr().Is4() {
		binary.NativeEndian.PutUint16(s.raw[:], unix.AF_INET)
		ip := a.Addr().As4()
		copy(s.raw[4:], ip[:])
		s.len = unix.SizeofSockaddrInet4
		return s
	}
	binary.NativeEndian.PutUint16(s.raw[:], unix.AF_INET6)
	ip := a.Addr().As16()
	copy(s.raw[8:], ip[:])
	s.len = unix.SizeofSockaddrInet6
	return s
}

// send writes one datagram without blocking or allocating. The raw system
// calls are used since none ever blocks: the scheduler need not hear of them.
func send(fd int, b []byte, to *sockaddr) bool {
	_, _, e := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)),
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, uintptr(unsafe.Pointer(&to.raw)), uintptr(to.len))
	return e == 0
}

// addrPort reads a source address.
func (s *sockaddr) addrPort() netip.AddrPort {
	port := binary.BigEndian.Uint16(s.raw[2:])
	if s.len == unix.SizeofSockaddrInet4 {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(s.raw[4:8])), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte(s.raw[8:24])), port)
}
