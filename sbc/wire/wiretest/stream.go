package wiretest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"linekeeper/sbc/sip"
	"linekeeper/sbc/wire"
)

var errReset = errors.New("connection reset by peer")

// end is one side of a stream connection.
type end struct {
	node *Node
	flow sip.Flow
	out  pipe // what it sends
	told pipe // its end, not held up by a cut path

	mu   sync.Mutex
	peer *end // nil until the connection is made
	over bool
	// tried says that it was begun for a large request, by who else sends datagrams.
	tried bool
}

func (n *Node) find(flow sip.Flow) *end {
	n.mu.Lock()
	defer n.mu.Unlock()
	if flow.Conn != 0 {
		return n.conns[flow.Conn]
	}
	var found *end
	for _, e := range n.conns {
		same := e.flow.Zone == flow.Zone && e.flow.Transport == flow.Transport && e.flow.Remote == flow.Remote
		if same && (found == nil || e.flow.Conn > found.flow.Conn) {
			found = e
		}
	}
	return found
}

func (n *Node) join(flow sip.Flow, peer *end) *end {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.numbers++
	flow.Conn = n.numbers
	e := &end{node: n, flow: flow, peer: peer}
	n.conns[flow.Conn] = e
	return e
}

// connection is one that stands, or a new one being made.
func (z *zone) connection(t sip.Transport, remote netip.AddrPort) *end {
	n := z.node
	n.dials.Lock()
	defer n.dials.Unlock()
	flow := sip.Flow{Zone: z.name, Transport: t, Remote: remote}
	if e := n.find(flow); e != nil {
		return e
	}
	n.mu.Lock()
	n.port++
	flow.Local = netip.AddrPortFrom(z.addr.Addr(), n.port)
	n.mu.Unlock()
	e := n.join(flow, nil)
	there, _ := n.fabric.depart(e.way())
	back, _ := n.fabric.depart(e.back())
	e.out.put(there.Add(time.Until(back)), e.connect)
	return e
}

func (e *end) way() way  { return way{e.flow.Local.Addr(), e.flow.Remote.Addr()} }
func (e *end) back() way { return way{e.flow.Remote.Addr(), e.flow.Local.Addr()} }

// connect is the first thing in a dialled connection's pipe.
func (e *end) connect() {
	f := e.node.fabric
	if !f.passes(e.way(), Dial) || !f.passes(e.back(), Dial) {
		e.end(fmt.Errorf("connect to %s: %w", e.flow.Remote, context.DeadlineExceeded))
		return
	}
	to := f.at(e.flow.Transport, e.flow.Remote)
	if to == nil {
		e.end(fmt.Errorf("connect to %s: %w", e.flow.Remote, syscall.ECONNREFUSED))
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.over {
		e.peer = to.node.join(sip.Flow{Zone: to.name, Transport: e.flow.Transport, Local: e.flow.Remote, Remote: e.flow.Local}, e)
	}
}

// send puts octets on their way, none for a keep-alive.
func (e *end) send(raw []byte) error {
	e.mu.Lock()
	over := e.over
	e.mu.Unlock()
	if over {
		return fmt.Errorf("connection %d to %s: %w", e.flow.Conn, e.flow.Remote, wire.ErrGone)
	}
	arrives, lost := e.node.fabric.depart(e.way())
	if lost {
		arrives = arrives.Add(Resend)
	}
	e.out.put(arrives, func() { e.arrive(raw) })
	return nil
}

// arrive delivers octets to the other side, once the path lets them through.
func (e *end) arrive(raw []byte) {
	if !e.node.fabric.passes(e.way(), Dead) {
		e.end(fmt.Errorf("write to %s: %w", e.flow.Remote, syscall.ETIMEDOUT))
		return
	}
	e.mu.Lock()
	peer, over := e.peer, e.over
	e.mu.Unlock()
	if over || peer == nil {
		return
	}
	peer.mu.Lock()
	gone := peer.over
	peer.mu.Unlock()
	if gone {
		e.end(errReset)
		return
	}
	if len(raw) > 0 {
		peer.node.hear(raw, peer.flow)
	}
}

// end ends this side alone, and reports it once.
func (e *end) end(cause error) {
	e.mu.Lock()
	was, none := e.over, e.tried && e.peer == nil
	e.over = true
	e.mu.Unlock()
	if was {
		return
	}
	e.node.mu.Lock()
	delete(e.node.conns, e.flow.Conn)
	if none {
		e.node.unstreamed[e.flow.Remote] = true
	}
	e.node.mu.Unlock()
	e.told.put(time.Now(), func() { e.node.lost(e.flow, cause) })
}

// close ends this side, and the other one when it hears of it.
func (e *end) close(cause error) {
	e.mu.Lock()
	peer, over := e.peer, e.over
	e.mu.Unlock()
	if over {
		return
	}
	e.end(cause)
	if peer == nil {
		return
	}
	arrives, _ := e.node.fabric.depart(e.way())
	e.out.put(arrives, func() {
		if e.node.fabric.passes(e.way(), Dead) {
			peer.end(fmt.Errorf("read from %s: %w", e.flow.Local, io.EOF))
		}
	})
}
