package kernel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// lookEvery is how often the way toward the peer is looked up anew: routes
// move without their links changing.
const lookEvery = 10 * time.Second

// Carrier watches the link over which a peer is reached.
type Carrier struct {
	log     *slog.Logger
	changed func(up bool)

	mu   sync.Mutex
	peer netip.Addr
	look chan struct{}

	// The rest belongs to Run's goroutine.
	index int // of the link; 0: not known
	up    bool
}

// NewCarrier makes a watch. changed is called from Run's goroutine with the
// first state found and at every change; it must not block.
func NewCarrier(log *slog.Logger, changed func(up bool)) *Carrier {
	return &Carrier{log: log, changed: changed, look: make(chan struct{}, 1)}
}

// Name is the room's name.
func (c *Carrier) Name() string { return "carrier" }

// Toward names the peer whose link is watched.
func (c *Carrier) Toward(peer netip.Addr) {
	c.mu.Lock()
	c.peer = peer
	c.mu.Unlock()
	select {
	case c.look <- struct{}{}:
	default:
	}
}

// Run watches until ctx ends. Where the kernel tells nothing of its links, or
// more than could be read in time, the link is looked at again every ten
// seconds; that is logged and no error, since probes find an outage too.
func (c *Carrier) Run(ctx context.Context, ready func()) error {
	ready()
	said := false
	for {
		err := c.watch(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if !said {
			c.log.Warn("the kernel tells nothing of its links, they are looked at from time to time", "every", lookEvery, "err", err)
			said = true
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(lookEvery):
		}
	}
}

// watch follows the kernel's link messages until ctx ends, or they do.
func (c *Carrier) watch(ctx context.Context) error {
	updates := make(chan netlink.LinkUpdate, 64)
	done := make(chan struct{})
	err := netlink.LinkSubscribeWithOptions(updates, done, netlink.LinkSubscribeOptions{ErrorCallback: func(err error) {
		c.log.Debug("link messages", "err", err)
	}})
	// What was missed before this subscription is looked up.
	c.route()
	if err != nil {
		close(done)
		return fmt.Errorf("subscribe to link messages: %w", err)
	}
	defer func() {
		close(done)
		for range updates { // until the reader has gone too
		}
	}()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.look:
			c.route()
		case <-tick.C:
			c.route()
		case u, ok := <-updates:
			if !ok {
				return errors.New("link messages ended")
			}
			if c.index != 0 && int(u.Index) == c.index {
				c.found(u.Header.Type != unix.RTM_DELLINK && carries(u.Link.Attrs()))
			}
		}
	}
}

// route finds the link toward the peer. A link that was known stays watched
// while there is no route: that is how a pulled cable looks.
func (c *Carrier) route() {
	c.mu.Lock()
	peer := c.peer
	c.mu.Unlock()
	if !peer.IsValid() {
		return
	}
	routes, err := netlink.RouteGet(net.IP(peer.AsSlice()))
	if err != nil || len(routes) == 0 {
		return
	}
	link, err := netlink.LinkByIndex(routes[0].LinkIndex)
	if err != nil {
		return
	}
	up := carries(link.Attrs())
	if c.index == 0 {
		c.up = !up // the first state is news whatever it is
	}
	c.index = routes[0].LinkIndex
	c.found(up)
}

// found tells a change once.
func (c *Carrier) found(up bool) {
	if up == c.up {
		return
	}
	c.up = up
	c.log.Info("link toward the provider", "up", up)
	c.changed(up)
}

// carries says whether a link is up and has a carrier.
func carries(a *netlink.LinkAttrs) bool {
	return a.Flags&net.FlagUp != 0 && a.Flags&net.FlagRunning != 0
}
