package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"linekeeper/sbc/sip"
)

const readChunk = 4096 // per standing connection, so not larger

// conn is one stream connection.
type conn struct {
	zone    *zone
	flow    sip.Flow
	dialled bool
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

func (c *conn) ended() bool { return c.life.Err() != nil }

// fail ends the connection; the first cause is the one that is told. The
// reader wakes, closes the socket and reports.
func (c *conn) fail(cause error) {
	c.mu.Lock()
	if c.cause == nil {
		c.cause = cause
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

// dial begins a connection: its local port is settled when dial returns, the
// rest happens in the background.
func (z *zone) dial(t sip.Transport, local netip.Addr, port uint16, remote netip.AddrPort) (*conn, error) {
	conf := z.config()
	if t == sip.TLS && conf.ClientTLS == nil {
		return nil, fmt.Errorf("connect to %s: zone %q has no tls settings", remote, conf.Name)
	}
	bound := make(chan error, 1)
	var addr netip.AddrPort
	dialer := net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 20 * time.Second, Interval: 5 * time.Second, Count: 3},
		Control: rawControl(func(fd int) error {
			err := prepareStream(fd, local.Is6(), conf.DSCP, z.wire.limits.Dead)
			if err == nil {
				addr, err = bindNear(fd, netip.AddrPortFrom(local, port))
			}
			// Connecting here shows whether the port still belongs to an old
			// connection to the same peer; Go's own connect then finds it under way.
			if err == nil && errors.Is(unix.Connect(fd, sockaddr(remote)), unix.EADDRNOTAVAIL) {
				err = unix.EADDRNOTAVAIL
			}
			bound <- err
			return err
		}),
	}
	type result struct {
		sock net.Conn
		err  error
	}
	done := make(chan result, 1)
	life, cancel := context.WithTimeout(context.Background(), z.wire.limits.Dial)
	started := z.wire.spawn(func() {
		sock, err := dialer.DialContext(life, family("tcp", remote), remote.String())
		done <- result{sock, err}
	})
	if !started {
		cancel()
		return nil, ErrClosed
	}
	var early *result
	select {
	case err := <-bound:
		if err != nil {
			cancel()
			<-done
			if errors.Is(err, unix.EADDRNOTAVAIL) && port != 0 {
				return z.dial(t, local, 0, remote)
			}
			return nil, fmt.Errorf("connect to %s: %w", remote, err)
		}
	case r := <-done:
		select {
		case err := <-bound:
			if err != nil {
				cancel()
				if errors.Is(err, unix.EADDRNOTAVAIL) && port != 0 {
					return z.dial(t, local, 0, remote)
				}
				return nil, fmt.Errorf("connect to %s: %w", remote, err)
			}
			early = &r
		default:
			cancel()
			return nil, fmt.Errorf("connect to %s: %w", remote, r.err)
		}
	}
	c := newConn(z, sip.Flow{Zone: conf.Name, Transport: t, Local: addr, Remote: remote}, true)
	drop := func() {
		cancel()
		r := result{}
		if early != nil {
			r = *early
		} else {
			r = <-done
		}
		if r.sock != nil {
			_ = r.sock.Close()
		}
	}
	if err := z.enter(c); err != nil {
		drop()
		return nil, err
	}
	ok := z.wire.spawn(func() {
		defer cancel()
		stopCancel := context.AfterFunc(c.life, cancel)
		defer stopCancel()
		var r result
		if early != nil {
			r = *early
		} else {
			r = <-done
		}
		if r.err != nil {
			c.fail(fmt.Errorf("connect to %s: %w", remote, r.err))
			c.finish()
			return
		}
		c.run(life, r.sock.(*net.TCPConn))
	})
	if !ok {
		z.leave(c)
		drop()
		return nil, ErrClosed
	}
	return c, nil
}

// accept takes connections until the listener is closed.
func (l *listener) accept() {
	w := l.zone.wire
	for {
		raw, err := l.sock.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Out of descriptors, most likely: give others time to close theirs.
			w.bad.add(fmt.Errorf("accept: %w", err), l.bound.String())
			pause := time.NewTimer(50 * time.Millisecond)
			<-pause.C
			continue
		}
		l.take(raw)
	}
}

// take serves an accepted connection if the guard and the limits allow it.
func (l *listener) take(raw *net.TCPConn) {
	z, w := l.zone, l.zone.wire
	remote := raw.RemoteAddr().(*net.TCPAddr).AddrPort()
	remote = netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())
	local := raw.LocalAddr().(*net.TCPAddr).AddrPort()
	if w.guard.Admit(remote.Addr(), time.Now()) != Admitted || !w.accepts.enter(remote.Addr(), w.limits, w.guard) {
		_ = raw.SetLinger(0)
		_ = raw.Close()
		return
	}
	conf := z.config()
	c := newConn(z, sip.Flow{Zone: conf.Name, Transport: l.transport, Local: local, Remote: remote}, false)
	err := control(raw, func(fd int) error { return prepareStream(fd, local.Addr().Is6(), conf.DSCP, w.limits.Unacked) })
	if err == nil {
		err = raw.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3})
	}
	if err == nil {
		err = z.enter(c)
	}
	if err != nil {
		w.accepts.leave(remote.Addr())
		_ = raw.Close()
		return
	}
	ok := w.spawn(func() {
		defer w.accepts.leave(remote.Addr())
		greet, cancel := context.WithTimeout(c.life, w.limits.Greeting)
		defer cancel()
		c.run(greet, raw)
	})
	if !ok {
		z.leave(c)
		w.accepts.leave(remote.Addr())
		_ = raw.Close()
	}
}

// run shakes hands, reads until the connection ends, and reports that.
func (c *conn) run(shake context.Context, raw *net.TCPConn) {
	defer c.finish()
	var sock net.Conn = raw
	if !c.attach(raw, nil) {
		_ = raw.Close()
		return
	}
	if c.flow.Transport == sip.TLS {
		conf, err := c.zone.tlsConfig(c.dialled)
		if err != nil {
			c.fail(err)
			_ = raw.Close()
			return
		}
		secure := tls.Server(raw, conf)
		if c.dialled {
			secure = tls.Client(raw, conf)
		}
		if err := secure.HandshakeContext(shake); err != nil {
			c.fail(fmt.Errorf("tls with %s: %w", c.flow.Remote, err))
			_ = raw.Close()
			return
		}
		sock = secure
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
