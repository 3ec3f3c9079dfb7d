package wire

import (
	"net/netip"
	"sync"
)

// crowd counts accepted connections by source.
type crowd struct {
	mu    sync.Mutex
	total int
	each  map[netip.Addr]int
}

func (c *crowd) enter(addr netip.Addr, l Limits, g *Guard) bool {
	known := g.known(addr)
	k := key(addr)
	c.mu.Lock()
	if c.each == nil {
		c.each = make(map[netip.Addr]int)
	}
	ok := c.total < l.Conns && (known || c.total < l.Conns-l.Conns/4 && c.each[k] < l.ConnsPerSource)
	if ok {
		c.total++
		c.each[k]++
	}
	c.mu.Unlock()
	if !ok {
		g.count(Crowd)
	}
	return ok
}

func (c *crowd) leave(addr netip.Addr) {
	k := key(addr)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total--
	if c.each[k]--; c.each[k] <= 0 {
		delete(c.each, k)
	}
}
