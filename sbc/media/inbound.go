package media

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// batch is how many packets one system call moves.
	batch = 64
	// portBatch is how many packets are taken from a port's own socket at a time.
	portBatch = 4
	// sharedRounds bounds the batches of one pass, so that commands and tones
	// have their turn in a flood.
	sharedRounds = 32
	// sharedBuffer bounds what waits in a worker's shared socket: ten thousand
	// packets, so that a flood on one port cannot push out the other calls
	// before the next tick.
	sharedBuffer = 8 << 20
)

// manyHeader is struct mmsghdr.
type manyHeader struct {
	unix.Msghdr
	n uint32
}

// arrival is the room for one packet, and what the kernel tells about it.
type arrival struct {
	packet  [packetRoom]byte
	from    sockaddr
	control [64]byte // of IP_RECVORIGDSTADDR
	piece   unix.Iovec
}

// arrivals are the packets under way. They are worked on where they arrived
// until the outbox has sent them.
type arrivals struct {
	slots [batch]arrival
	heads [batch]manyHeader
	used  int
}

func newArrivals() *arrivals {
	a := &arrivals{}
	for i := range a.slots {
		s, h := &a.slots[i], &a.heads[i]
		s.piece.Base = &s.packet[0]
		s.piece.SetLen(len(s.packet))
		h.Iov = &s.piece
		h.SetIovlen(1)
		h.Name = &s.from.raw[0]
		h.Control = &s.control[0]
	}
	return a
}

// take reads up to most datagrams behind those under way; the first is slot
// number used-n. None is 0.
func (a *arrivals) take(fd, most int) (n int) {
	heads := a.heads[a.used : a.used+most]
	for i := range heads {
		heads[i].Namelen = uint32(len(a.slots[0].from.raw))
		heads[i].SetControllen(len(a.slots[0].control))
	}
	r, _, e := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&heads[0])), uintptr(most),
		unix.MSG_DONTWAIT|unix.MSG_TRUNC, 0, 0)
	if e != 0 {
		return 0
	}
	for i := range int(r) {
		a.slots[a.used+i].from.len = heads[i].Namelen
	}
	a.used += int(r)
	return int(r)
}

// portOf is where a packet of a shared socket was sent to, as a steerKey in a number.
func (a *arrivals) portOf(i int) (key uint64, ok bool) {
	c := a.slots[i].control[:]
	head := unix.CmsgLen(0)
	if uint64(a.heads[i].Controllen) < uint64(head+unix.SizeofSockaddrInet4) {
		return 0, false
	}
	return uint64(binary.BigEndian.Uint32(c[head+4:]))<<16 | uint64(binary.BigEndian.Uint16(c[head+2:])), true
}

// localKey is what portOf gives for an IPv4 address.
func localKey(at netip.AddrPort) uint64 {
	ip := at.Addr().As4()
	return uint64(binary.BigEndian.Uint32(ip[:]))<<16 | uint64(at.Port())
}

// bindShared makes the socket that steered packets come to. What is sent to its
// own address has no stream and is dropped; that is an odd one of the loopback
// network, so that its port takes none of the media range.
func bindShared() (fd int, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("shared media socket: %w", err)
	}
	made := fd // what is returned with an error is -1
	defer func() {
		if err != nil {
			_ = unix.Close(made)
		}
	}()
	if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, sharedBuffer); err != nil {
		return -1, fmt.Errorf("size shared media socket: %w", err)
	}
	if err = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_RECVORIGDSTADDR, 1); err != nil {
		return -1, fmt.Errorf("shared media socket: original destination: %w", err)
	}
	if err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 86, 79, 73}}); err != nil {
		return -1, fmt.Errorf("bind shared media socket: %w", err)
	}
	return fd, nil
}
