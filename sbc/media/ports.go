package media

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// pair is the two sockets of a stream.
type pair struct {
	addr      netip.Addr
	port      uint16 // of RTP; RTCP has the next one
	rtp, rtcp int
	bound4    bool // to one IPv4 address
	ip        [4]byte
}

// portKey names a pair that is taken or rests.
type portKey struct {
	addr netip.Addr
	port uint16
}

// ports hands out port pairs. A random start and a rest after closing keep
// stragglers of an old call away from the next one.
type ports struct {
	rand io.Reader
	rest time.Duration

	mu    sync.Mutex
	taken map[portKey]time.Time // zero: in use; else free again then
}

func newPorts(rand io.Reader, rest time.Duration) *ports {
	return &ports{rand: rand, rest: rest, taken: make(map[portKey]time.Time)}
}

// open tries the pairs of the range in turn from a random one on.
func (p *ports) open(side Side, dscp uint8) (pair, error) {
	low := uint32(side.Low) + uint32(side.Low)&1
	if uint32(side.High) < low+1 {
		return pair{}, fmt.Errorf("%w: range %d-%d holds no even port with its odd one", ErrNoPorts, side.Low, side.High)
	}
	pairs := (uint32(side.High) - low + 1) / 2
	var b [4]byte
	if _, err := io.ReadFull(p.rand, b[:]); err != nil {
		return pair{}, fmt.Errorf("random port: %w", err)
	}
	start := binary.BigEndian.Uint32(b[:]) % pairs
	for i := range pairs {
		port := uint16(low + 2*((start+i)%pairs))
		key := portKey{side.Addr, port}
		if !p.take(key) {
			continue
		}
		got, err := bindPair(side.Addr, port, dscp)
		if err == nil {
			return got, nil
		}
		p.give(key, -1)
		if !errors.Is(err, unix.EADDRINUSE) {
			return pair{}, err
		}
	}
	return pair{}, fmt.Errorf("%w: all %d pairs of %d-%d are taken or resting", ErrNoPorts, pairs, side.Low, side.High)
}

func (p *ports) take(key portKey) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if until, ok := p.taken[key]; ok && (until.IsZero() || time.Now().Before(until)) {
		return false
	}
	p.taken[key] = time.Time{}
	return true
}

func (p *ports) give(key portKey, rest time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if rest <= 0 {
		delete(p.taken, key)
		return
	}
	p.taken[key] = time.Now().Add(rest)
}

// close closes the sockets and lets the ports rest.
func (p *ports) close(c pair) {
	closeSocket(c.rtp)
	closeSocket(c.rtcp)
	p.give(portKey{c.addr, c.port}, p.rest)
}

func bindPair(addr netip.Addr, port uint16, dscp uint8) (pair, error) {
	a, err := bind(addr, port, dscp)
	if err != nil {
		return pair{}, err
	}
	b, err := bind(addr, port+1, dscp)
	if err != nil {
		closeSocket(a)
		return pair{}, err
	}
	got := pair{addr: addr, port: port, rtp: a, rtcp: b, bound4: addr.Is4() && !addr.IsUnspecified()}
	if got.bound4 {
		got.ip = addr.As4()
	}
	return got, nil
}
