package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"linekeeper/sbc/sip"
)

// batchSize is how many datagrams are taken from the kernel at once. A flood
// costs about a quarter less processor time then, see BenchmarkDatagramToHandler.
// Each has a buffer of 64 KiB, for each socket.
const batchSize = 8

// controlRoom holds the control messages of a datagram: when it came, and IP_PKTINFO
// or IPV6_PKTINFO.
const controlRoom = 128

// manyHeader is struct mmsghdr.
type manyHeader struct {
	unix.Msghdr
	n uint32
}

// batch is the room for what one recvmmsg takes. It must not be copied: the
// headers point into it.
//
// The raw system call is used since it never blocks: told of each one, Go's
// scheduler wakes its monitor thread, which then polls for a while, and that costs
// more than taking the datagrams (a fifth of all processor time at 300 calls/s).
type batch struct {
	heads   [batchSize]manyHeader
	names   [batchSize][unix.SizeofSockaddrInet6]byte
	pieces  [batchSize]unix.Iovec
	control [batchSize][controlRoom]byte
	rooms   [batchSize][datagramMax]byte
}

func newBatch() *batch {
	b := &batch{}
	for i := range b.heads {
		b.pieces[i].Base = &b.rooms[i][0]
		b.pieces[i].SetLen(datagramMax)
		h := &b.heads[i]
		h.Iov = &b.pieces[i]
		h.SetIovlen(1)
		h.Name = &b.names[i][0]
		h.Control = &b.control[i][0]
	}
	return b
}

// take waits for datagrams and reads as many as have come.
func (b *batch) take(raw syscall.RawConn) (n int, err error) {
	for i := range b.heads {
		b.heads[i].Namelen = unix.SizeofSockaddrInet6
		b.heads[i].SetControllen(controlRoom)
	}
	var fault unix.Errno
	err = raw.Read(func(fd uintptr) bool {
		var r uintptr
		r, _, fault = unix.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&b.heads[0])), batchSize, unix.MSG_DONTWAIT, 0, 0)
		n = int(r)
		return fault != unix.EAGAIN && fault != unix.EINTR
	})
	switch {
	case err != nil:
		return 0, err
	case fault != 0:
		return 0, fault
	}
	return n, nil
}

// from is where datagram i came from.
func (b *batch) from(i int) netip.AddrPort {
	name := &b.names[i]
	port := binary.BigEndian.Uint16(name[2:])
	switch binary.NativeEndian.Uint16(name[:]) {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(name[4:8])), port)
	case unix.AF_INET6:
		addr := netip.AddrFrom16([16]byte(name[8:24]))
		if scope := binary.NativeEndian.Uint32(name[24:]); scope != 0 && addr.IsLinkLocalUnicast() {
			addr = addr.WithZone(strconv.Itoa(int(scope)))
		}
		return netip.AddrPortFrom(addr.Unmap(), port)
	}
	return netip.AddrPort{}
}

// read hands up datagrams until the socket is closed.
func (s *datagrams) read() {
	b := newBatch()
	name := s.zone.config().Name
	for {
		n, err := b.take(s.raw)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			s.zone.wire.bad.add(fmt.Errorf("read datagram: %w", err), s.bound.String())
			continue
		}
		for i := range n {
			if from := b.from(i); from.IsValid() {
				s.take(name, b.rooms[i][:b.heads[i].n], b.control[i][:b.heads[i].Controllen], from)
			}
		}
		if n == batchSize { // more waits: what these began comes first, else it waits unseen
			runtime.Gosched()
		}
	}
}

// take hands up one datagram if it is wanted and is a message.
func (s *datagrams) take(zone string, raw, ancillary []byte, from netip.AddrPort) {
	w := s.zone.wire
	now := time.Now()
	if w.guard.Admit(from.Addr(), now) != Admitted || keepAlive(raw) {
		return
	}
	local := s.bound
	to, came := origins(ancillary)
	if to.IsValid() {
		local = netip.AddrPortFrom(to, s.bound.Port())
	}
	flow := sip.Flow{Zone: zone, Transport: sip.UDP, Local: local, Remote: from}
	if s.keptAlive(flow, raw) {
		return
	}
	w.observe(In, flow, raw)
	m, err := sip.Parse(raw)
	if err != nil {
		w.malformed(m, flow, err)
		return
	}
	late := !came.IsZero() && s.strain.late(now, now.Sub(came), w.limits.Stale)
	w.deliver(m, flow, late && w.late != nil)
}
