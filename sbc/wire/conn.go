package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"linekeeper/sbc/sip"
)

const readChunk = 4096 // per standing connection, so not larger

// conn is one stream connection.
type conn struct {
	zone    *zone
	flow    sip.Flow
	dialled bool
	aliased bool        // the peer may call the box over it
	greeted atomic.Bool // a whole message has come
	life    context.Context
	end     context.CancelCauseFunc

	mu      sync.Mutex
	raw     *net.TCPConn // nil while connecting
	sock    net.Conn     // raw, or TLS over it; nil until messages may flow
	queue   [][]byte
	octets  int
	writing bool
	cause   error // why it has ended
	wrote   time.Time
	tried   bool          // begun for a large message
	written chan struct{} // closed once nothing is left to write, for who waits
}

func newConn(z *zone, flow sip.Flow, dialled bool) *conn {
	flow.Conn = z.wire.numbers.Add(1)
	life, end := context.WithCancelCause(context.Background())
	return &conn{zone: z, flow: flow, dialled: dialled, life: life, end: end}
}

// send queues a message.
func (c *conn) send(b []byte) error {
	limits := c.zone.wire.limits
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.cause != nil:
		return fmt.Errorf("connection %d to %s: %w", c.flow.Conn, c.flow.Remote, ErrGone)
	case len(b) > limits.QueueOctets:
		return fmt.Errorf("send %d octets to %s: %w", len(b), c.flow.Remote, ErrTooLarge)
	case len(c.queue) >= limits.Queue || c.octets+len(b) > limits.QueueOctets:
		return fmt.Errorf("send to %s: %w", c.flow.Remote, ErrBusy)
	}
	c.queue = append(c.queue, b)
	c.octets += len(b)
	c.startLocked()
	return nil
}

// startLocked lets a writer run while there is something to write: an idle
// connection costs one goroutine, not two.
func (c *conn) startLocked() {
	if c.sock == nil || c.writing || len(c.queue) == 0 || c.cause != nil {
		return
	}
	c.writing = c.zone.wire.spawn(c.drain)
}

func (c *conn) drain() {
	for {
		c.mu.Lock()
		queue, sock := c.queue, c.sock
		if len(queue) == 0 || c.cause != nil {
			c.writing = false
			if c.written != nil {
				close(c.written)
				c.written = nil
			}
			c.mu.Unlock()
			return
		}
		c.queue, c.octets, c.wrote = nil, 0, time.Now()
		c.mu.Unlock()
		for _, b := range queue {
			if err := sock.SetWriteDeadline(time.Now().Add(c.zone.wire.limits.Write)); err != nil {
				c.fail(fmt.Errorf("write to %s: %w", c.flow.Remote, err))
				break
			}
			if c.ended() {
				break
			}
			if _, err := sock.Write(b); err != nil {
				c.fail(fmt.Errorf("write to %s: %w", c.flow.Remote, err))
				break
			}
			if len(b) > 4 {
				c.zone.wire.stats.sent.Add(1)
			}
		}
	}
}

// flush waits until what is queued has been written, or the connection has
// ended: the limit of a write bounds it.
func (c *conn) flush() {
	c.mu.Lock()
	if !c.writing {
		c.mu.Unlock()
		return
	}
	if c.written == nil {
		c.written = make(chan struct{})
	}
	written := c.written
	c.mu.Unlock()
	select {
	case <-written:
	case <-c.life.Done():
	}
}

func (c *conn) ended() bool { return c.life.Err() != nil }

// fail ends the connection; the first cause is the one that is told. The
// reader wakes, closes the socket and reports.
func (c *conn) fail(cause error) {
	c.mu.Lock()
	if c.cause == nil {
		c.cause = cause
	}
	if c.tried && !c.greeted.Load() { // it has no TCP, or none for SIP
		c.zone.wire.unstreamed.note(c.flow.Remote, time.Now())
	}
	raw := c.raw
	c.queue, c.octets = nil, 0
	c.mu.Unlock()
	c.end(cause)
	if raw != nil {
		_ = raw.SetDeadline(time.Unix(1, 0))
	}
}

// attach gives the connection its socket; false when it has ended meanwhile.
func (c *conn) attach(raw *net.TCPConn, sock net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw = raw
	if sock != nil {
		c.sock = sock
		c.startLocked()
	}
	return c.cause == nil
}

func (c *conn) remark(dscp uint8) {
	c.mu.Lock()
	raw := c.raw
	c.mu.Unlock()
	if raw != nil {
		_ = control(raw, func(fd int) error { return mark(fd, c.flow.Local.Addr().Is6(), dscp) })
	}
}

// run shakes hands, reads until the connection ends, and reports that.
func (c *conn) run(shake context.Context, raw *net.TCPConn) {
	defer c.finish()
	if !c.attach(raw, nil) {
		_ = raw.Close()
		return
	}
	sock, err := c.secure(shake, raw)
	if err != nil {
		c.fail(err)
		_ = raw.Close()
		return
	}
	if c.attach(raw, sock) {
		c.read(sock)
	}
	c.mu.Lock()
	cause := c.cause
	c.mu.Unlock()
	var late net.Error
	if errors.As(cause, &late) {
		_ = raw.Close() // a peer that takes nothing takes no farewell either
		return
	}
	_ = sock.Close()
}

// secure is what messages flow over: raw itself, or TLS over it once both
// sides have shaken hands.
func (c *conn) secure(shake context.Context, raw *net.TCPConn) (net.Conn, error) {
	if c.flow.Transport != sip.TLS {
		return raw, nil
	}
	conf, err := c.zone.tlsConfig(c.dialled, c.flow.Remote)
	if err != nil {
		return nil, err
	}
	sock := tls.Server(raw, conf)
	if c.dialled {
		sock = tls.Client(raw, conf)
	}
	if err := sock.HandshakeContext(shake); err != nil {
		return nil, fmt.Errorf("tls with %s: %w", c.flow.Remote, err)
	}
	return sock, nil
}

// finish reports the end, unless it is the box's own.
func (c *conn) finish() {
	c.mu.Lock()
	if c.cause == nil {
		c.cause = ErrGone
	}
	cause := c.cause
	c.mu.Unlock()
	c.end(cause)
	c.zone.leave(c)
	if !errors.Is(cause, ErrClosed) {
		c.zone.wire.handler.Lost(c.flow, cause)
	}
}
