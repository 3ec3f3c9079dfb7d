package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"github.com/pion/srtp/v3"
	"golang.org/x/sys/unix"

	"linekeeper/appliance/lab/ua"
	"linekeeper/appliance/lab/voice"
)

const (
	ptime      = 20 * time.Millisecond
	headerLen  = 12
	payloadLen = 160
	packetLen  = headerLen + payloadLen
	magic      = 0x4c4b4250 // "LKBP"
	batch      = 4          // messages of one recvmmsg
	// grid is how far packets are moved to leave together: one wake-up of the
	// generator costs several packets' worth of processor in a virtual machine.
	grid = 200 * time.Microsecond
	// stall is how late the generator may be before it moves its schedule on instead of
	// sending a burst that the relay would be blamed for.
	stall = 4 * time.Millisecond
)

// endpoint is one end of a measured call: the media of a lab phone or of the lab cloud.
type endpoint struct {
	id     uint32 // the lowest bit is the side: 0 phone, 1 cloud
	fd     int
	engine *engine
	phase  time.Duration

	mu       sync.Mutex
	session  *voice.Session
	local    netip.AddrPort
	remote   unix.RawSockaddrInet4
	ready    bool
	closed   bool
	keys     [2]*voice.Crypto
	enc, dec *srtp.Context
	seq      uint16
	stamp    uint32
	count    uint32
	peer     uint32 // the first sender heard
	heard    bool

	sent, received, repeated, broken, alien uint64
	top                                     uint32
	window                                  uint64
}

// engine paces all endpoints from one thread. At an endpoint's time it first drains
// its socket and then sends one packet: nobody sleeps on the sockets, so the relay is
// not billed for waking the generator. Arrival is stamped by the kernel.
type engine struct {
	mu        sync.Mutex
	endpoints []*endpoint
	next      uint32

	measuring bool
	latency   [2]hist // by the side of the receiver
	stalls    int
	sendFails uint64
	plain     [packetLen]byte
	crypt     [2048]byte
	opened    [2048]byte
	messages  [batch]message
	vectors   [batch]unix.Iovec
	buffers   [batch][2048]byte
	controls  [batch][64]byte
}

type message struct {
	header unix.Msghdr
	length uint32
	_      [4]byte
}

func newEngine() *engine {
	en := &engine{}
	for i := range en.plain {
		en.plain[i] = byte(0xd5 ^ i)
	}
	return en
}

// endpoint opens a media socket at addr for one side of a call.
func (en *engine) endpoint(addr netip.Addr, side uint32, terms voice.Terms) (*endpoint, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("media socket: %w", err)
	}
	e := &endpoint{fd: fd, engine: en, seq: uint16(rand.IntN(1 << 15)), phase: rand.N(ptime)}
	if err := e.bind(addr, terms); err != nil {
		_ = unix.Close(fd) // the first error says more
		return nil, err
	}
	en.mu.Lock()
	defer en.mu.Unlock()
	e.id = en.next<<1 | side&1
	en.next++
	en.endpoints = append(en.endpoints, e)
	return e, nil
}

func (e *endpoint) bind(addr netip.Addr, terms voice.Terms) error {
	if err := unix.SetsockoptInt(e.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1<<18); err != nil {
		return fmt.Errorf("media socket buffer: %w", err)
	}
	if err := unix.SetsockoptInt(e.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
		return fmt.Errorf("media socket time stamps: %w", err)
	}
	if err := unix.Bind(e.fd, &unix.SockaddrInet4{Addr: addr.As4()}); err != nil {
		return fmt.Errorf("media socket at %s: %w", addr, err)
	}
	name, err := unix.Getsockname(e.fd)
	if err != nil {
		return fmt.Errorf("media socket at %s: %w", addr, err)
	}
	in4, ok := name.(*unix.SockaddrInet4)
	if !ok {
		return fmt.Errorf("media socket at %s is not of IPv4", addr)
	}
	e.local = netip.AddrPortFrom(addr, uint16(in4.Port))
	e.session, err = voice.NewSession(terms, e.local)
	return err
}

// Offer is the endpoint's SDP offer.
func (e *endpoint) Offer() []byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.session.Offer()
}

// Answer takes an offer.
func (e *endpoint) Answer(offer []byte) ([]byte, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	text, deal, err := e.session.Answer(offer)
	if err != nil {
		return nil, err
	}
	return text, e.agreeLocked(deal)
}

// Accept takes an answer.
func (e *endpoint) Accept(answer []byte) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	deal, err := e.session.Accept(answer)
	if err != nil {
		return err
	}
	return e.agreeLocked(deal)
}

// Hold is of no use in a load.
func (e *endpoint) Hold(bool) {}

// Close frees the socket.
func (e *endpoint) Close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		e.closed, e.ready = true, false
		_ = unix.Close(e.fd) // a datagram socket has nothing to lose
	}
}

func (e *endpoint) agreeLocked(deal voice.Deal) error {
	remote := deal.Remote
	if !remote.Addr().Is4() {
		return fmt.Errorf("media to %s: only IPv4 is measured", remote)
	}
	e.remote = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: remote.Port()<<8 | remote.Port()>>8, Addr: remote.Addr().As4()}
	e.ready = true
	for i, k := range []*voice.Crypto{deal.Out, deal.In} {
		if k == nil || (e.keys[i] != nil && string(e.keys[i].Key) == string(k.Key)) {
			continue
		}
		c, err := k.Context()
		if err != nil {
			return err
		}
		e.keys[i] = k
		if i == 0 {
			e.enc = c
		} else {
			e.dec = c
		}
	}
	return nil
}

// mediaResult is the outcome of a media load, of both directions together.
type mediaResult struct {
	Endpoints                               int
	Sent, Received, Repeated, Broken, Alien uint64
	ToPhone, ToCloud                        hist
	Stalls                                  int
	SendFails                               uint64
}

func (r *mediaResult) lost() int64 { return int64(r.Sent) - int64(r.Received) }

// run streams from all agreed endpoints: warm, then the measured time, then a drain.
// begin and end bracket the measured window.
func (en *engine) run(ctx context.Context, warm, measured time.Duration, begin, end func()) mediaResult {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// a finer timer slack only makes the schedule rounder
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1000, 0, 0, 0)
	var pin runtime.Pinner
	pin.Pin(en)
	defer pin.Unpin()
	en.prepare()
	live := en.live()
	for _, e := range live {
		e.forget()
	}
	first, last := int(warm/ptime), int((warm+measured)/ptime)
	base := monotonic() + 50*time.Millisecond
	for cycle := 0; cycle < last && ctx.Err() == nil; cycle++ {
		if cycle == first {
			begin()
			en.measuring = true
		}
		base += en.cycle(live, base)
		base += ptime
	}
	sleepUntil(base)
	end()
	en.measuring = false
	for range 10 {
		sleepUntil(monotonic() + 50*time.Millisecond)
		for _, e := range live {
			en.drain(e)
		}
	}
	return en.result(live)
}

// cycle serves every endpoint once and tells by how much the schedule moved.
func (en *engine) cycle(live []*endpoint, base time.Duration) (shift time.Duration) {
	now := monotonic()
	for _, e := range live {
		due := base + shift + e.phase
		if now < due {
			if now = monotonic(); now < due {
				sleepUntil((due + grid - 1) / grid * grid)
				now = monotonic()
			}
		}
		if late := now - due; late > stall {
			shift += late
			if en.measuring {
				en.stalls++
			}
		}
		en.drain(e)
		en.send(e)
	}
	return shift
}

func (en *engine) live() []*endpoint {
	en.mu.Lock()
	defer en.mu.Unlock()
	live := slices.DeleteFunc(slices.Clone(en.endpoints), func(e *endpoint) bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return !e.ready
	})
	slices.SortFunc(live, func(a, b *endpoint) int { return int(a.phase - b.phase) })
	return live
}

// forget begins the counts anew.
func (e *endpoint) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sent, e.received, e.repeated, e.broken, e.alien = 0, 0, 0, 0, 0
}

func (en *engine) prepare() {
	for i := range en.messages {
		en.vectors[i].Base = &en.buffers[i][0]
		en.vectors[i].SetLen(len(en.buffers[i]))
		en.messages[i].header.Iov = &en.vectors[i]
		en.messages[i].header.SetIovlen(1)
		en.messages[i].header.Control = &en.controls[i][0]
	}
	en.latency, en.stalls, en.sendFails = [2]hist{}, 0, 0
}

// drain reads all that has come in for e.
func (en *engine) drain(e *endpoint) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	for {
		for i := range en.messages {
			en.messages[i].header.SetControllen(len(en.controls[i]))
		}
		n, _, errno := syscall.RawSyscall6(unix.SYS_RECVMMSG, uintptr(e.fd), uintptr(unsafe.Pointer(&en.messages[0])), batch, unix.MSG_DONTWAIT, 0, 0)
		if errno != 0 {
			return
		}
		for i := range int(n) {
			en.takeLocked(e, en.buffers[i][:en.messages[i].length], en.controls[i][:])
		}
		if n < batch {
			return
		}
	}
}

// takeLocked judges one packet. The control buffer holds one cmsghdr (length, level,
// type) and a timespec.
func (en *engine) takeLocked(e *endpoint, packet, control []byte) {
	if len(packet) < headerLen {
		e.alien++
		return
	}
	if packet[1] >= 192 && packet[1] <= 223 {
		return // RTCP on the same port
	}
	if e.dec != nil {
		opened, err := e.dec.DecryptRTP(en.opened[:0], packet, nil)
		if err != nil {
			e.broken++
			return
		}
		packet = opened
	}
	payload := packet[headerLen:]
	if len(payload) < 24 || binary.BigEndian.Uint32(payload) != magic || !e.fromPeer(binary.BigEndian.Uint32(payload[4:])) {
		e.alien++
		return
	}
	if payload[20] != 1 || !e.fresh(binary.BigEndian.Uint32(payload[8:])) {
		return
	}
	e.received++
	if binary.LittleEndian.Uint32(control[8:]) == unix.SOL_SOCKET {
		arrived := int64(binary.LittleEndian.Uint64(control[16:]))*1e9 + int64(binary.LittleEndian.Uint64(control[24:]))
		en.latency[e.id&1].add(time.Duration(arrived - int64(binary.BigEndian.Uint64(payload[12:]))))
	}
}

// fromPeer says whether the sender is the other side of this call, the first one heard.
func (e *endpoint) fromPeer(id uint32) bool {
	if id&1 == e.id&1 {
		return false
	}
	if !e.heard {
		e.heard, e.peer = true, id
	}
	return id == e.peer
}

// fresh says whether the counter was not seen before.
func (e *endpoint) fresh(n uint32) bool {
	switch {
	case e.received == 0:
		e.top, e.window = n, 1
	case n > e.top:
		e.window = e.window<<min(n-e.top, 63) | 1
		e.top = n
	case e.top-n < 64 && e.window&(1<<(e.top-n)) != 0:
		e.repeated++
		return false
	case e.top-n < 64:
		e.window |= 1 << (e.top - n)
	}
	return true
}

// send sends e's next packet. The time stamp is taken before encryption, so that our
// own microsecond of it is in every figure alike.
func (en *engine) send(e *endpoint) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.ready {
		return
	}
	b := en.plain[:]
	b[0], b[1] = 0x80, 8
	binary.BigEndian.PutUint16(b[2:], e.seq)
	binary.BigEndian.PutUint32(b[4:], e.stamp)
	binary.BigEndian.PutUint32(b[8:], 0x10000000+e.id)
	p := b[headerLen:]
	binary.BigEndian.PutUint32(p, magic)
	binary.BigEndian.PutUint32(p[4:], e.id)
	binary.BigEndian.PutUint32(p[8:], e.count)
	p[20] = 0
	if en.measuring {
		p[20] = 1
		e.sent++
	}
	e.seq++
	e.stamp += payloadLen
	e.count++
	binary.BigEndian.PutUint64(p[12:], uint64(time.Now().UnixNano()))
	if e.enc != nil {
		var err error
		if b, err = e.enc.EncryptRTP(en.crypt[:0], b, nil); err != nil {
			en.sendFails++
			return
		}
	}
	_, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(e.fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)),
		unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(&e.remote)), unix.SizeofSockaddrInet4)
	if errno != 0 {
		en.sendFails++
	}
}

func (en *engine) result(live []*endpoint) mediaResult {
	r := mediaResult{Endpoints: len(live), ToPhone: en.latency[0], ToCloud: en.latency[1], Stalls: en.stalls, SendFails: en.sendFails}
	for _, e := range live {
		e.mu.Lock()
		r.Sent += e.sent
		r.Received += e.received
		r.Repeated += e.repeated
		r.Broken += e.broken
		r.Alien += e.alien
		e.mu.Unlock()
	}
	return r
}

func monotonic() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // cannot fail with this clock
	return time.Duration(ts.Nano())
}

func sleepUntil(at time.Duration) {
	ts := unix.NsecToTimespec(int64(at))
	for unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &ts, nil) == unix.EINTR {
		continue
	}
}

var _ ua.Media = (*endpoint)(nil)
