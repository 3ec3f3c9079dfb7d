package wire

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"linekeeper/sbc/sip"
)

const (
	// largest is the most octets of a request over UDP where the MTU of the way
	// isn't known (RFC 3261 18.1.1).
	largest = 1300
	// unstreamed is how long a peer that takes no TCP is not asked again.
	unstreamed = 10 * time.Minute
	// unstreamedCount bounds whom that is known of.
	unstreamedCount = 4096
)

// Larger is the error of Send for a request that is too large for UDP and whose
// peer may take it over TCP. Nothing was sent.
type Larger struct {
	flow   sip.Flow
	octets int
	anyway func() error
}

// Error says what was not sent.
func (e *Larger) Error() string {
	return fmt.Sprintf("%d octets are too many for a datagram to %s", e.octets, e.flow.Remote)
}

// Over is the flow to send it on instead. When it is lost, the datagram is better
// than nothing: Send takes it then.
func (e *Larger) Over() sip.Flow { return e.flow }

// Anyway sends the datagram that it was meant to be, whatever its size: for who
// has seen the other flow fail.
func (e *Larger) Anyway() error { return e.anyway() }

// datagramOnly are the peers that take no TCP.
type datagramOnly struct {
	mu    sync.Mutex
	until map[netip.AddrPort]time.Time
}

func (d *datagramOnly) has(a netip.AddrPort, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return now.Before(d.until[a])
}

func (d *datagramOnly) note(a netip.AddrPort, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.until == nil || len(d.until) >= unstreamedCount {
		d.until = make(map[netip.AddrPort]time.Time)
	}
	d.until[a] = now.Add(unstreamed)
}

// larger looks for a way over TCP for a request of so many octets (RFC 3261
// 18.1.1); nil says that the datagram has to do. An ACK has no transaction that
// could fall back: it takes a connection that stands or none.
func (z *zone) larger(flow sip.Flow, req *sip.Request, octets int, anyway func() error) error {
	if octets <= largest {
		return nil
	}
	w := z.wire
	if req.Method == sip.ACK {
		if c := z.find(sip.Flow{Transport: sip.TCP, Remote: flow.Remote}); c != nil && c.stands() {
			return &Larger{c.flow, octets, anyway}
		}
	} else if !w.unstreamed.has(flow.Remote, time.Now()) {
		if c, err := z.try(flow.Remote); err == nil {
			w.stats.largeStream.Add(1)
			return &Larger{c.flow, octets, anyway}
		}
		w.unstreamed.note(flow.Remote, time.Now())
	}
	w.stats.largeDatagram.Add(1)
	w.big.add(fmt.Errorf("%s of %d octets sent as a datagram in fragments, the peer takes no tcp: firewalls may drop it", req.Method, octets), flow.Remote.String())
	return nil
}

// try is a connection to a peer that may have none for us: it has little time.
func (z *zone) try(remote netip.AddrPort) (*conn, error) {
	c, err := z.connection(sip.TCP, remote)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil { // refused before anybody could look
		return nil, c.cause
	}
	if c.sock == nil && !c.tried {
		c.tried = true
		time.AfterFunc(z.wire.limits.Try, func() {
			if !c.stands() {
				c.fail(fmt.Errorf("connect to %s for a large message: no answer: %w", remote, ErrGone))
			}
		})
	}
	return c, nil
}

// stands says whether messages flow over the connection.
func (c *conn) stands() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sock != nil && c.cause == nil
}

// instead sends a large ACK over the connection that was found; any other request
// is for its transaction to send, which knows what to do when that fails.
func (z *zone) instead(found error, req *sip.Request) error {
	var l *Larger
	if req.Method != sip.ACK || !errors.As(found, &l) {
		return found
	}
	if v := req.Via(); v != nil {
		v.Transport = strings.ToUpper(string(l.flow.Transport))
	}
	return z.wire.Send(l.flow, req)
}
