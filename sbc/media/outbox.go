package media

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	ipHeaderLen  = 20
	udpHeaderLen = 8
	timeToLive   = 64
	// maxParcel is the largest packet that goes through the raw socket, which
	// doesn't fragment: larger ones take the stream's own socket.
	maxParcel = 1200
)

// outbox collects IPv4 packets of all streams and sends up to 64 with one
// system call through a raw socket, under headers of our own: an UDP socket
// could send from its own port only. Without CAP_NET_RAW there is none, and
// each packet costs a system call of its own.
type outbox struct {
	fd    int // -1: none
	dscp  uint8
	n     int
	items [batch]parcel
	heads [batch]manyHeader
}

// parcel is one packet that waits to be sent.
type parcel struct {
	headers [ipHeaderLen + udpHeaderLen]byte
	to      sockaddr
	pieces  [2]unix.Iovec
	packet  []byte
	via, of *Stream // whose socket it leaves by, and from whom it came
	size    int     // of the payload
}

// newOutbox opens the raw socket. The error says why there is none; the outbox
// is of use all the same.
func newOutbox(dscp uint8, plain bool) (*outbox, error) {
	o := &outbox{fd: -1, dscp: dscp}
	for i := range o.items {
		p, h := &o.items[i], &o.heads[i]
		p.headers[0], p.headers[1] = 4<<4|ipHeaderLen/4, dscp<<2
		p.headers[6] = 0x40 // don't fragment, as UDP sockets say
		p.headers[8], p.headers[9] = timeToLive, unix.IPPROTO_UDP
		p.pieces[0].Base = &p.headers[0]
		p.pieces[0].SetLen(len(p.headers))
		h.Iov = &p.pieces[0]
		h.SetIovlen(len(p.pieces))
		h.Name = &p.to.raw[0]
		h.Namelen = unix.SizeofSockaddrInet4
	}
	if plain {
		return o, nil
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return o, fmt.Errorf("raw media socket: %w", err)
	}
	if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PRIORITY, voicePriority); err == nil {
		// What waits here is a tick of all calls.
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, sharedBuffer)
	}
	if err != nil {
		_ = unix.Close(fd)
		return o, fmt.Errorf("raw media socket: %w", err)
	}
	o.fd = fd
	return o, nil
}

func (o *outbox) close() {
	if o.fd >= 0 {
		_ = unix.Close(o.fd)
		o.fd = -1
	}
}

// takes says whether a packet of this stream can go this way.
func (o *outbox) takes(s *Stream, b []byte) bool {
	return o.fd >= 0 && s.pair.bound4 && s.live.latch.dest.len == unix.SizeofSockaddrInet4 && len(b) <= maxParcel
}

// add queues a packet, which must stay where it is until flush; the box is
// flushed before it can overflow, since no more packets than that are under way.
func (o *outbox) add(s, of *Stream, b []byte, size int) {
	p := &o.items[o.n]
	o.n++
	p.via, p.of, p.packet, p.size = s, of, b, size
	p.to = s.live.latch.dest
	p.pieces[1].Base = &b[0]
	p.pieces[1].SetLen(len(b))
	h := p.headers[:]
	binary.BigEndian.PutUint16(h[2:], uint16(len(h)+len(b)))
	copy(h[12:16], s.pair.ip[:])
	copy(h[16:20], p.to.raw[4:8])
	binary.BigEndian.PutUint16(h[20:], s.pair.port)
	copy(h[22:24], p.to.raw[2:4])
	binary.BigEndian.PutUint16(h[24:], uint16(udpHeaderLen+len(b)))
	binary.LittleEndian.PutUint16(h[26:], 0)
	binary.LittleEndian.PutUint16(h[26:], udpChecksum(h, b))
}

// flush sends what waits. What the raw socket refuses is tried on the stream's
// own socket, which may know better (and hears of a route's error).
func (w *worker) flush() {
	o := w.out
	for first := 0; first < o.n; {
		r, _, e := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(o.fd), uintptr(unsafe.Pointer(&o.heads[first])), uintptr(o.n-first), unix.MSG_DONTWAIT, 0, 0)
		sent := int(r)
		if e != 0 {
			sent = 0
		}
		for i := first; i < first+sent; i++ {
			p := &o.items[i]
			p.via.delivered(p.of, p.size)
		}
		first += sent
		if first < o.n && (e != 0 || sent == 0) {
			p := &o.items[first]
			p.via.deliver(p.of, p.packet, p.size)
			first++
		}
	}
	o.n = 0
	w.in.used = 0
}

// udpChecksum is RFC 768's over the pseudo header, the UDP header and the
// packet, in the byte order of the wire when stored little endian: the sum does
// not care (RFC 1071).
func udpChecksum(headers, packet []byte) uint16 {
	var sum, carry uint64
	sum, carry = bits.Add64(binary.LittleEndian.Uint64(headers[12:]), binary.LittleEndian.Uint64(headers[20:]), 0)
	sum, carry = bits.Add64(sum, uint64(unix.IPPROTO_UDP)<<8+uint64(binary.LittleEndian.Uint16(headers[24:])), carry)
	for len(packet) >= 8 {
		sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(packet), carry)
		packet = packet[8:]
	}
	var tail [8]byte
	copy(tail[:], packet)
	sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(tail[:]), carry)
	sum, carry = bits.Add64(sum, 0, carry)
	sum += carry
	sum = sum>>32 + sum&0xffffffff
	sum = sum>>32 + sum&0xffffffff
	sum = sum>>16 + sum&0xffff
	sum = sum>>16 + sum&0xffff
	if sum = ^sum & 0xffff; sum == 0 {
		return 0xffff
	}
	return uint16(sum)
}
