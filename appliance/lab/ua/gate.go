package ua

import (
	"net"
	"sync"
	"sync/atomic"
)

// Gate is a switch in an agent's network path. While it is shut nothing passes, yet
// no socket closes: datagrams vanish, streams stall and deliver later, like a link
// that is gone and comes back. The zero value is open.
type Gate struct {
	shut  atomic.Bool
	mu    sync.Mutex
	opens chan struct{} // closed when the gate opens; nil while it is open
}

// Shut turns the black hole on or off.
func (g *Gate) Shut(on bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut.Swap(on) == on {
		return
	}
	if on {
		g.opens = make(chan struct{})
		return
	}
	close(g.opens)
	g.opens = nil
}

// Blocked says whether the gate is shut.
func (g *Gate) Blocked() bool { return g != nil && g.shut.Load() }

// pass waits until the gate is open or done is closed.
func (g *Gate) pass(done <-chan struct{}) {
	if !g.Blocked() {
		return
	}
	g.mu.Lock()
	opens := g.opens
	g.mu.Unlock()
	if opens == nil {
		return
	}
	select {
	case <-opens:
	case <-done:
	}
}

// gatedPackets loses datagrams while the gate is shut. The first read tells that
// sipgo has taken the socket into its pool.
type gatedPackets struct {
	net.PacketConn
	gate  *Gate
	taken chan struct{}
	once  sync.Once
}

func (c *gatedPackets) ReadFrom(b []byte) (int, net.Addr, error) {
	c.once.Do(func() { close(c.taken) })
	for {
		n, from, err := c.PacketConn.ReadFrom(b)
		if err != nil || !c.gate.Blocked() {
			return n, from, err
		}
	}
}

func (c *gatedPackets) WriteTo(b []byte, to net.Addr) (int, error) {
	if c.gate.Blocked() {
		return len(b), nil
	}
	return c.PacketConn.WriteTo(b, to)
}

// gatedConn stalls while the gate is shut.
type gatedConn struct {
	net.Conn
	gate   *Gate
	closed chan struct{}
	once   sync.Once
	forget func(*gatedConn)
}

func (c *gatedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.gate.pass(c.closed)
	return n, err
}

func (c *gatedConn) Write(b []byte) (int, error) {
	c.gate.pass(c.closed)
	return c.Conn.Write(b)
}

// Close also ends a read or write that waits for the gate.
func (c *gatedConn) Close() error {
	c.once.Do(func() { close(c.closed); c.forget(c) })
	return c.Conn.Close()
}

// gatedListener wraps what it accepts and remembers it, so that all of it can be closed.
type gatedListener struct {
	net.Listener
	gate *Gate
	mu   sync.Mutex
	open map[*gatedConn]struct{}
}

// maxConns bounds the connections that one agent accepts.
const maxConns = 4096

func (l *gatedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if w := l.wrap(c); w != nil {
			return w, nil
		}
		_ = c.Close() // over the limit: the peer sees it
	}
}

func (l *gatedListener) wrap(c net.Conn) *gatedConn {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) >= maxConns {
		return nil
	}
	w := &gatedConn{Conn: c, gate: l.gate, closed: make(chan struct{})}
	w.forget = func(w *gatedConn) {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.open, w)
	}
	l.open[w] = struct{}{}
	return w
}

// reset closes every connection at once, with RST so that the peer sees it.
func (l *gatedListener) reset() {
	l.mu.Lock()
	conns := make([]*gatedConn, 0, len(l.open))
	for c := range l.open {
		conns = append(conns, c)
	}
	l.mu.Unlock()
	for _, c := range conns {
		if tcp, ok := c.Conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // the peer learns of it either way
		}
		_ = c.Close() // nothing can be done about a socket that does not close
	}
}
