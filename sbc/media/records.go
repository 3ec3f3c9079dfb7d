package media

import (
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// recordConn is the socket that a handshake thinks it has: what arrives was put
// into its association by the worker, what leaves is asked of the worker.
type recordConn struct {
	a      *association
	muted  atomic.Bool
	closed chan struct{}
	once   sync.Once

	mu   sync.Mutex
	over chan struct{} // closed once the read deadline has passed
	set  int           // counts deadlines: a timer of an earlier one means nothing
}

func newRecordConn(a *association) *recordConn {
	return &recordConn{a: a, closed: make(chan struct{}), over: make(chan struct{})}
}

// mute lets nothing out any more.
func (c *recordConn) mute() { c.muted.Store(true) }

func (c *recordConn) ReadFrom(b []byte) (int, net.Addr, error) {
	c.mu.Lock()
	over := c.over
	c.mu.Unlock()
	select {
	case <-over:
		return 0, nil, os.ErrDeadlineExceeded
	case <-c.closed:
		return 0, nil, net.ErrClosed
	default:
	}
	select {
	case p := <-c.a.in:
		return copy(b, p), c.RemoteAddr(), nil
	case <-over:
		return 0, nil, os.ErrDeadlineExceeded
	case <-c.closed:
		return 0, nil, net.ErrClosed
	}
}

// WriteTo asks the worker to send; what it can't take is lost and sent again.
func (c *recordConn) WriteTo(b []byte, _ net.Addr) (int, error) {
	if !c.muted.Load() {
		c.a.s.ask(command{kind: doRecord, s: c.a.s, keys: c.a, packet: append([]byte(nil), b...)})
	}
	return len(b), nil
}

func (c *recordConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

func (c *recordConn) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(c.a.s.Local()) }

// RemoteAddr is a name only: where the peer is, the worker knows.
func (c *recordConn) RemoteAddr() net.Addr { return &net.UDPAddr{IP: net.IPv4zero, Port: 9} }

func (c *recordConn) SetDeadline(t time.Time) error    { return c.SetReadDeadline(t) }
func (c *recordConn) SetWriteDeadline(time.Time) error { return nil } // it never blocks

func (c *recordConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.set++
	select {
	case <-c.over:
		c.over = make(chan struct{})
	default:
	}
	switch set, wait := c.set, time.Until(t); {
	case t.IsZero():
	case wait <= 0:
		close(c.over)
	default:
		time.AfterFunc(wait, func() { c.expire(set) })
	}
	return nil
}

func (c *recordConn) expire(set int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.set == set {
		close(c.over)
	}
}
