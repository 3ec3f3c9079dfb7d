package wire

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	routeAge   = 2 * time.Second // a changed address of the WAN is seen after this
	routeCount = 1024
)

// routes remembers for a moment which local address the kernel uses toward a
// peer.
type routes struct {
	mu    sync.Mutex
	known map[netip.Addr]route
}

type route struct {
	local netip.Addr
	until time.Time
}

// toward is the local address that packets to remote leave from. It asks the
// kernel, sends nothing and does not wait.
func (r *routes) toward(remote netip.Addr) (netip.Addr, error) {
	now := time.Now()
	r.mu.Lock()
	found, ok := r.known[remote]
	r.mu.Unlock()
	if ok && now.Before(found.until) {
		return found.local, nil
	}
	// Connecting a datagram socket only looks the route up.
	sock, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(remote, 9)))
	if err != nil {
		return netip.Addr{}, fmt.Errorf("find route to %s: %w", remote, err)
	}
	local := sock.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
	if err := sock.Close(); err != nil {
		return netip.Addr{}, fmt.Errorf("find route to %s: %w", remote, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil || len(r.known) >= routeCount {
		r.known = make(map[netip.Addr]route)
	}
	r.known[remote] = route{local: local, until: now.Add(routeAge)}
	return local, nil
}
