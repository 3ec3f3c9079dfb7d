package main

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// plug is one UDP socket of the call load, never waited on but by poll.
type plug struct {
	fd    int
	local netip.AddrPort
	buf   [16 << 10]byte
}

const plugBuffer = 8 << 20 // octets: the load must not lose what the target sends

func openPlug(at netip.Addr) (*plug, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socket of the call load: %w", err)
	}
	p := &plug{fd: fd}
	if err := p.bind(at); err != nil {
		return nil, errors.Join(fmt.Errorf("socket of the call load at %s: %w", at, err), unix.Close(fd))
	}
	return p, nil
}

func (p *plug) bind(at netip.Addr) error {
	if err := unix.SetsockoptInt(p.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, plugBuffer); err != nil {
		if err := unix.SetsockoptInt(p.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, plugBuffer); err != nil {
			return err
		}
	}
	if err := unix.Bind(p.fd, &unix.SockaddrInet4{Addr: at.As4()}); err != nil {
		return err
	}
	name, err := unix.Getsockname(p.fd)
	if err != nil {
		return err
	}
	in4, ok := name.(*unix.SockaddrInet4)
	if !ok {
		return errors.New("not an address of IPv4")
	}
	p.local = netip.AddrPortFrom(at, uint16(in4.Port))
	return nil
}

// read is the next datagram, nil if there is none. It is good until the next read.
func (p *plug) read() ([]byte, unix.Sockaddr) {
	n, from, err := unix.Recvfrom(p.fd, p.buf[:], 0)
	if err != nil || n <= 0 {
		return nil, nil // EAGAIN; a port unreachable says nothing that a timer will not
	}
	return p.buf[:n], from
}

// write sends a datagram; one that the kernel does not take is lost like any other.
func (p *plug) write(msg []byte, to unix.Sockaddr) { _ = unix.Sendto(p.fd, msg, 0, to) }

func (p *plug) close() error { return unix.Close(p.fd) }
