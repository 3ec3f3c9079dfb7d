package media

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/turn/v5"

	"linekeeper/sbc/sdp"
)

// maxHops bounds the peers that one relayed address forwards.
const maxHops = 16

// Relayed is an address at a TURN server (RFC 8656) through which one stream can be
// reached. The stream knows nothing of TURN: each peer behind the server is a hop, a
// socket beside the stream's own whose address stands for the peer's. The worker
// sends there and hears from there as from anybody, and packets that go this way pay
// for the two goroutines in between; those of other calls don't.
//
//	worker - stream's RTP socket <-> hop <-> channel or indication <-> server <-> peer
//
// What pion/turn does: allocation and its refresh, long-term credentials and new
// nonces, permissions, channels.
type Relayed struct {
	of     *Relays
	client *turn.Client
	socket tied
	conn   net.PacketConn // of the allocation
	addr   netip.AddrPort
	born   time.Time

	mu     sync.Mutex
	closed bool
	to     netip.AddrPort // the stream
	hops   map[netip.AddrPort]*hop
	behind map[netip.AddrPort]netip.AddrPort // hop's address → peer
}

// hop stands for a peer beside the stream.
type hop struct {
	peer *net.UDPAddr
	conn *net.UDPConn
	at   netip.AddrPort
}

// Addr is the address at the server.
func (a *Relayed) Addr() netip.AddrPort { return a.addr }

// listen takes what the server sends; what it can't read it passes over.
func (a *Relayed) listen() {
	for b := make([]byte, packetRoom); ; {
		n, err := a.socket.Read(b)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err == nil:
			_, _ = a.client.HandleInbound(b[:n], a.socket.RemoteAddr())
		}
	}
}

// serve gives what comes for the relayed address to a stream's RTP port.
func (a *Relayed) serve(to netip.AddrPort) {
	a.mu.Lock()
	a.to = to
	a.mu.Unlock()
	a.of.begin(func() {
		for b := make([]byte, packetRoom); ; {
			n, from, err := a.conn.ReadFrom(b)
			if err != nil {
				return // closed; there is no deadline
			}
			u, ok := from.(*net.UDPAddr)
			if !ok {
				continue
			}
			if h := a.hop(u.AddrPort()); h != nil {
				_, _ = h.conn.Write(b[:n])
			}
		}
	})
}

// hop finds or makes the one of a peer; nil: there are too many, or no socket.
func (a *Relayed) hop(peer netip.AddrPort) *hop {
	peer = netip.AddrPortFrom(peer.Addr().Unmap(), peer.Port())
	a.mu.Lock()
	defer a.mu.Unlock()
	if h := a.hops[peer]; h != nil {
		return h
	}
	if a.closed || len(a.hops) == maxHops {
		return nil
	}
	conn, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a.to.Addr(), 0)), net.UDPAddrFromAddrPort(a.to))
	if err != nil {
		return nil
	}
	at := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	h := &hop{peer: net.UDPAddrFromAddrPort(peer), conn: conn, at: netip.AddrPortFrom(at.Addr().Unmap(), at.Port())}
	if !a.of.begin(func() { a.forward(h) }) {
		_ = conn.Close()
		return nil
	}
	a.hops[peer], a.behind[h.at] = h, peer
	return h
}

// forward sends on to a peer what the stream sends to its hop. The first packet waits
// until the server has the permission (RFC 8656 9), the rest behind it in the socket.
func (a *Relayed) forward(h *hop) {
	for b := make([]byte, packetRoom); ; {
		n, err := h.conn.Read(b)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err == nil:
			_, _ = a.conn.WriteTo(b[:n], h.peer)
		}
	}
}

// peerOf is whom a hop's address stands for.
func (a *Relayed) peerOf(at netip.AddrPort) (netip.AddrPort, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	peer, ok := a.behind[at]
	return peer, ok
}

// viaRelay marks a candidate of the peer as seen through its hop.
const viaRelay = "hop"

// reach adds to what a peer described how its RTP is reached through the server.
func (a *Relayed) reach(c *sdp.Checks) *sdp.Checks {
	out := *c
	out.Remote.Candidates = append([]sdp.Candidate(nil), c.Remote.Candidates...)
	for _, cand := range c.Remote.Candidates {
		if cand.Component != 1 || cand.Addr.Addr().Is4() != a.addr.Addr().Is4() {
			continue
		}
		if h := a.hop(cand.Addr); h != nil {
			cand.Addr, cand.Type = h.at, viaRelay
			out.Remote.Candidates = append(out.Remote.Candidates, cand)
		}
	}
	return &out
}

// Close gives the address back. It does not wait; again is fine.
func (a *Relayed) Close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return
	}
	a.closed = true
	if !a.of.begin(a.giveBack) {
		a.giveBackLocked()
	}
}

func (a *Relayed) giveBack() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.giveBackLocked()
}

func (a *Relayed) giveBackLocked() {
	_ = a.conn.Close() // a Refresh with lifetime 0, not waited for
	a.client.Close()
	for _, h := range a.hops {
		_ = h.conn.Close()
	}
	_ = a.socket.Close()
	a.of.mu.Lock()
	delete(a.of.live, a)
	a.of.mu.Unlock()
}
