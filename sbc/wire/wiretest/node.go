package wiretest

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"linekeeper/sbc/sip"
	"linekeeper/sbc/wire"
)

// datagramMax is the most that IPv4 can carry in a datagram.
const datagramMax = 65507

// Node is a host of the fabric: what the real thing has as a *wire.Wire.
type Node struct {
	fabric  *Fabric
	hearing sync.Mutex // the handler is called once at a time
	dials   sync.Mutex // who dials the same peer at once gets the same connection

	mu      sync.Mutex
	handler wire.Handler
	zones   map[string]*zone
	conns   map[uint64]*end
	numbers uint64
	port    uint16 // of the connection that was dialled last
	// unstreamed are the peers that take no stream.
	unstreamed map[netip.AddrPort]bool
}

// zone is one address of a node.
type zone struct {
	node   *Node
	name   string
	addr   netip.AddrPort
	listen []sip.Transport

	mu    sync.Mutex
	pipes map[netip.AddrPort]*pipe // of datagrams, by who sent them
}

func (z *zone) listens(t sip.Transport) bool { return slices.Contains(z.listen, t) }

// Node adds a host that has no address yet.
func (f *Fabric) Node() *Node {
	return &Node{fabric: f, zones: make(map[string]*zone), conns: make(map[uint64]*end), port: 40000, unstreamed: make(map[netip.AddrPort]bool)}
}

// Handle names who receives. It must be called before anything can come.
func (n *Node) Handle(h wire.Handler) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.handler = h
}

// SetZone gives the node a zone with one address, on which it is reached over
// the transports given. A zone of that name is removed first.
func (n *Node) SetZone(name string, addr netip.AddrPort, listen ...sip.Transport) {
	n.RemoveZone(name)
	if !slices.Contains(listen, sip.UDP) {
		listen = append(slices.Clone(listen), sip.UDP) // who sends datagrams receives them
	}
	z := &zone{node: n, name: name, addr: addr, listen: listen, pipes: make(map[netip.AddrPort]*pipe)}
	n.mu.Lock()
	n.zones[name] = z
	n.mu.Unlock()
	n.fabric.mu.Lock()
	n.fabric.zones[addr] = z
	n.fabric.mu.Unlock()
}

// RemoveZone takes a zone away; its connections are reported lost to both
// sides.
func (n *Node) RemoveZone(name string) {
	n.mu.Lock()
	z := n.zones[name]
	delete(n.zones, name)
	var ends []*end
	for _, e := range n.conns {
		if e.flow.Zone == name {
			ends = append(ends, e)
		}
	}
	n.mu.Unlock()
	if z == nil {
		return
	}
	n.fabric.mu.Lock()
	delete(n.fabric.zones, z.addr)
	n.fabric.mu.Unlock()
	for _, e := range ends {
		e.close(wire.ErrNoZone)
	}
}

// Break resets a connection as its peer would.
func (n *Node) Break(flow sip.Flow) {
	if e := n.find(flow); e != nil {
		e.close(errReset)
	}
}

func (n *Node) zone(name string) (*zone, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if z := n.zones[name]; z != nil {
		return z, nil
	}
	return nil, fmt.Errorf("zone %q: %w", name, wire.ErrNoZone)
}

// Flow is the way to begin something new toward remote; see wire.Wire.Flow.
func (n *Node) Flow(name string, t sip.Transport, remote netip.AddrPort) (sip.Flow, error) {
	z, err := n.zone(name)
	if err != nil {
		return sip.Flow{}, err
	}
	if !remote.IsValid() || remote.Port() == 0 {
		return sip.Flow{}, fmt.Errorf("reach %s: not a full address", remote)
	}
	switch t {
	case sip.UDP:
		return sip.Flow{Zone: name, Transport: t, Local: z.addr, Remote: remote}, nil
	case sip.TCP, sip.TLS:
		return z.connection(t, remote).flow, nil
	default: // the fabric's users err as the wire's do
		return sip.Flow{}, fmt.Errorf("reach %s: transport %q is not known", remote, t)
	}
}

// Send sends a message; see wire.Wire.Send.
func (n *Node) Send(flow sip.Flow, m sip.Message) error {
	z, err := n.zone(flow.Zone)
	if err != nil {
		return err
	}
	var e *end
	if flow.Transport == sip.UDP {
		flow.Local = z.addr
	} else {
		if e = n.find(flow); e == nil && flow.Conn == 0 {
			e = z.connection(flow.Transport, flow.Remote)
		}
		if e == nil {
			return fmt.Errorf("connection %d to %s: %w", flow.Conn, flow.Remote, wire.ErrGone)
		}
		flow = e.flow
	}
	if req, ok := m.(*sip.Request); ok {
		wire.Leaving(req, flow)
	}
	raw := sip.Bytes(m)
	if e != nil {
		return e.send(raw)
	}
	if req, ok := m.(*sip.Request); ok {
		if done, err := z.larger(flow, req, raw); done || err != nil {
			return err
		}
	}
	if len(raw) > datagramMax {
		return fmt.Errorf("send %d octets to %s: %w", len(raw), flow.Remote, wire.ErrTooLarge)
	}
	z.datagram(flow, raw)
	return nil
}

// Ping sends a keep-alive that nobody hears of; see wire.Wire.Ping.
func (n *Node) Ping(flow sip.Flow) error {
	z, err := n.zone(flow.Zone)
	if err != nil {
		return err
	}
	if flow.Transport == sip.UDP {
		flow.Local = z.addr
		z.datagram(flow, nil)
		return nil
	}
	e := n.find(flow)
	if e == nil {
		return fmt.Errorf("keep %s to %s alive: %w", flow.Transport, flow.Remote, wire.ErrGone)
	}
	return e.send(nil)
}

// Write sends a datagram as it is, whatever it says.
func (n *Node) Write(flow sip.Flow, raw []byte) error {
	z, err := n.zone(flow.Zone)
	if err != nil {
		return err
	}
	flow.Local = z.addr
	z.datagram(flow, raw)
	return nil
}

// datagram sends octets, none for a keep-alive.
func (z *zone) datagram(flow sip.Flow, raw []byte) {
	f := z.node.fabric
	w := way{flow.Local.Addr(), flow.Remote.Addr()}
	arrives, lost := f.depart(w)
	if lost || f.blocked(w) != nil {
		return
	}
	to := f.at(sip.UDP, flow.Remote)
	if to == nil {
		return
	}
	to.pipe(flow.Local).put(arrives, func() {
		if f.blocked(w) != nil || f.at(sip.UDP, flow.Remote) != to || len(raw) == 0 {
			return
		}
		to.node.hear(raw, sip.Flow{Zone: to.name, Transport: sip.UDP, Local: flow.Remote, Remote: flow.Local})
	})
}

func (z *zone) pipe(from netip.AddrPort) *pipe {
	z.mu.Lock()
	defer z.mu.Unlock()
	p := z.pipes[from]
	if p == nil {
		p = &pipe{}
		z.pipes[from] = p
	}
	return p
}

// hear treats octets as the wire does: what is bad is answered or dropped here.
func (n *Node) hear(raw []byte, flow sip.Flow) {
	m, err := sip.Parse(raw)
	req, asked := m.(*sip.Request)
	if err == nil && asked {
		if reject := sip.Validate(req); reject != nil {
			err = reject
		}
	} else if resp, ok := m.(*sip.Response); err == nil && ok {
		err = sip.ValidateResponse(resp)
	}
	if err != nil {
		var reject *sip.Reject
		if asked && req != nil && errors.As(err, &reject) {
			n.refuse(req, flow, reject)
		}
		return
	}
	if asked {
		sip.Stamp(req, flow.Remote)
	}
	n.hearing.Lock()
	defer n.hearing.Unlock()
	n.receiver().Receive(m, flow)
}

func (n *Node) refuse(req *sip.Request, flow sip.Flow, reject *sip.Reject) {
	if req.Via() == nil {
		return
	}
	sip.Stamp(req, flow.Remote)
	if resp := reject.Response(req, "fabric"); resp != nil {
		_ = n.Send(flow, resp) // the peer may have gone meanwhile
	}
}

func (n *Node) lost(flow sip.Flow, err error) {
	n.hearing.Lock()
	defer n.hearing.Unlock()
	n.receiver().Lost(flow, err)
}

func (n *Node) receiver() wire.Handler {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.handler
}
