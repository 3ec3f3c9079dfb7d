package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"linekeeper/sbc/sip"
)

const datagramMax = 65535

// datagrams is one UDP socket.
type datagrams struct {
	zone         *zone
	asked, bound netip.AddrPort
	borrowed     bool // opened for sending, in a zone that does not listen
	sock         *net.UDPConn
	raw          syscall.RawConn
	strain       strain    // the reader's
	out          departure // guarded by raw.Write, which lets in one at a time
}

// departure is the room for one sendmsg; the kernel reads it where it is.
type departure struct {
	head  unix.Msghdr
	name  [unix.SizeofSockaddrInet6]byte
	piece unix.Iovec
}

// send makes one system call that never blocks, so the scheduler need not hear of
// it (see batch).
func (d *departure) send(fd uintptr, b, oob []byte, to netip.AddrPort) error {
	d.piece.Base = unsafe.SliceData(b)
	d.piece.SetLen(len(b))
	d.head = unix.Msghdr{Name: &d.name[0], Namelen: putName(&d.name, to), Iov: &d.piece, Control: unsafe.SliceData(oob)}
	d.head.SetIovlen(1)
	d.head.SetControllen(len(oob))
	_, _, fault := unix.RawSyscall(unix.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(&d.head)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	d.piece.Base, d.head.Control = nil, nil
	if fault != 0 {
		return fault
	}
	return nil
}

func rawControl(set func(fd int) error) func(string, string, syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var inner error
		if err := c.Control(func(fd uintptr) { inner = set(int(fd)) }); err != nil {
			return err
		}
		return inner
	}
}

func openDatagrams(z *zone, addr netip.AddrPort, dscp uint8) (*datagrams, error) {
	conf := net.ListenConfig{Control: rawControl(func(fd int) error {
		return prepareUDP(fd, addr, dscp, z.wire.limits.ReadBuffer)
	})}
	pc, err := conf.ListenPacket(context.Background(), family("udp", addr), addr.String())
	if err != nil {
		return nil, err
	}
	sock := pc.(*net.UDPConn)
	raw, err := sock.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, sock.Close())
	}
	return &datagrams{zone: z, asked: addr, bound: sock.LocalAddr().(*net.UDPAddr).AddrPort(), sock: sock, raw: raw}, nil
}

func noFamily(err error) bool {
	return errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL)
}

func (s *datagrams) close() { _ = s.sock.Close() }

func (s *datagrams) serve() {
	if !s.zone.wire.spawn(s.read) {
		s.close()
	}
}

func (s *datagrams) remark(dscp uint8) {
	if err := control(s.sock, func(fd int) error { return mark(fd, s.bound.Addr().Is6(), dscp) }); err != nil {
		s.zone.wire.bad.add(err, s.bound.String())
	}
}

// keepAlive says whether a datagram only holds a NAT binding open: nothing,
// line ends, zeros, or the four octets that some phones send.
func keepAlive(b []byte) bool {
	if len(b) > 4 {
		return false
	}
	for _, c := range b {
		if c != '\r' && c != '\n' && c != 0 && c != ' ' {
			return string(b) == "jaK"
		}
	}
	return true
}

// write sends without ever waiting for the kernel.
func (s *datagrams) write(b []byte, local netip.Addr, remote netip.AddrPort) error {
	var oob []byte
	if s.bound.Addr().IsUnspecified() && local.IsValid() && !local.IsUnspecified() {
		oob = origin(local)
	}
	var inner error
	err := s.raw.Write(func(fd uintptr) bool {
		inner = s.out.send(fd, b, oob, remote)
		return true
	})
	switch {
	case err != nil:
		return fmt.Errorf("send to %s: %w", remote, err)
	case errors.Is(inner, unix.EAGAIN), errors.Is(inner, unix.ENOBUFS):
		s.zone.wire.stats.blocked.Add(1)
		return fmt.Errorf("send to %s: %w", remote, ErrBusy)
	case errors.Is(inner, unix.EMSGSIZE):
		return fmt.Errorf("send %d octets to %s: %w", len(b), remote, ErrTooLarge)
	case inner != nil:
		return fmt.Errorf("send to %s: %w", remote, inner)
	}
	return nil
}

// socket finds the one that owns local, else any of the right family.
func (z *zone) socket(local netip.AddrPort, remote netip.Addr) (*datagrams, error) {
	z.mu.Lock()
	var best *datagrams
	score := 0
	for _, s := range z.sockets {
		if s.bound.Addr().Is4() != remote.Is4() {
			continue
		}
		points := 1
		if s.bound.Port() == local.Port() {
			points = 2
		}
		if s.bound.Addr() == local.Addr() {
			points += 2
		} else if !s.bound.Addr().IsUnspecified() && local.Addr().IsValid() {
			points = 0 // the datagram would leave from another address
		}
		if s.bound.Addr().IsUnspecified() && points == 2 {
			points = 3
		}
		if points > score {
			best, score = s, points
		}
	}
	z.mu.Unlock()
	if best != nil {
		return best, nil
	}
	return z.borrow(local.Addr(), remote)
}

// borrow opens a socket on a free port, for a zone that listens on none of
// that kind.
func (z *zone) borrow(local, remote netip.Addr) (*datagrams, error) {
	z.change.Lock()
	defer z.change.Unlock()
	if !local.IsValid() {
		var err error
		if local, err = z.source(remote); err != nil {
			return nil, err
		}
	}
	z.mu.Lock()
	for _, s := range z.sockets {
		if s.bound.Addr() == local {
			z.mu.Unlock()
			return s, nil
		}
	}
	conf := z.conf
	z.mu.Unlock()
	s, err := openDatagrams(z, netip.AddrPortFrom(local, conf.Port), conf.DSCP)
	if err != nil && conf.Port != 0 {
		s, err = openDatagrams(z, netip.AddrPortFrom(local, 0), conf.DSCP)
	}
	if err != nil {
		return nil, fmt.Errorf("open socket toward %s: %w", remote, err)
	}
	s.borrowed = true
	z.mu.Lock()
	if z.gone || len(z.sockets) >= 64 {
		z.mu.Unlock()
		s.close()
		return nil, ErrNoZone
	}
	z.sockets = append(z.sockets, s)
	z.mu.Unlock()
	s.serve()
	return s, nil
}

func (z *zone) datagramFlow(remote netip.AddrPort) (sip.Flow, error) {
	if !remote.IsValid() || remote.Port() == 0 {
		return sip.Flow{}, fmt.Errorf("send to %s: not a full address", remote)
	}
	local, err := z.source(remote.Addr())
	if err != nil {
		return sip.Flow{}, err
	}
	s, err := z.socket(netip.AddrPortFrom(local, 0), remote.Addr())
	if err != nil {
		return sip.Flow{}, err
	}
	return sip.Flow{Zone: z.config().Name, Transport: sip.UDP, Local: netip.AddrPortFrom(local, s.bound.Port()), Remote: remote}, nil
}

// way is the socket that a flow leaves through, and the flow with its Local
// filled in.
func (z *zone) way(flow sip.Flow) (*datagrams, sip.Flow, error) {
	flow.Remote = netip.AddrPortFrom(flow.Remote.Addr().Unmap(), flow.Remote.Port())
	if !flow.Local.Addr().IsValid() || flow.Local.Port() == 0 {
		whole, err := z.datagramFlow(flow.Remote)
		if err != nil {
			return nil, flow, err
		}
		flow = whole
	}
	s, err := z.socket(flow.Local, flow.Remote.Addr())
	return s, flow, err
}

func (z *zone) sendDatagram(flow sip.Flow, m sip.Message) error {
	s, flow, err := z.way(flow)
	if err != nil {
		return err
	}
	req, ok := m.(*sip.Request)
	if !ok {
		return s.put(sip.Bytes(m), flow)
	}
	Leaving(req, flow)
	raw, small := fits(sip.Bytes(req))
	if !small {
		if err := z.larger(flow, req, len(raw), func() error { return s.put(raw, flow) }); err != nil {
			return z.instead(err, req)
		}
	}
	return s.put(raw, flow)
}

// put writes one datagram.
func (s *datagrams) put(raw []byte, flow sip.Flow) error {
	w := s.zone.wire
	w.observe(Out, flow, raw)
	if err := s.write(raw, flow.Local.Addr(), flow.Remote); err != nil {
		return err
	}
	w.stats.sent.Add(1)
	return nil
}
