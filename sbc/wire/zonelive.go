package wire

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"

	"linekeeper/sbc/sip"
)

// peer names whom a connection leads to.
type peer struct {
	transport sip.Transport
	remote    netip.AddrPort
}

// zone is a Zone that lives.
type zone struct {
	wire *Wire

	change sync.Mutex // one set at a time
	dials  sync.Mutex // one connection is begun at a time

	mu        sync.Mutex
	conf      Zone
	gone      bool
	sockets   []*datagrams
	listeners []*listener
	conns     map[uint64]*conn
	peers     map[peer]*conn // the youngest connection to each
}

func newZone(w *Wire, conf Zone) *zone {
	return &zone{wire: w, conf: conf, conns: make(map[uint64]*conn), peers: make(map[peer]*conn)}
}

// settled is the zone with TLS no older than 1.2.
func (z Zone) settled() Zone {
	z.Source = z.Source.Unmap()
	z.Listen = slices.Clone(z.Listen)
	z.ServerTLS, z.ClientTLS = modern(z.ServerTLS), modern(z.ClientTLS)
	return z
}

func modern(conf *tls.Config) *tls.Config {
	if conf == nil {
		return nil
	}
	conf = conf.Clone()
	conf.MinVersion = max(conf.MinVersion, tls.VersionTLS12)
	return conf
}

func (z *zone) config() Zone {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.conf
}

// set opens what want asks for beyond what is open, then closes the rest.
func (z *zone) set(want Zone) error {
	z.change.Lock()
	defer z.change.Unlock()
	got, err := z.acquire(want)
	if err != nil {
		return err
	}
	z.mu.Lock()
	if z.gone {
		z.mu.Unlock()
		closeAll(got.fresh)
		return ErrNoZone
	}
	had := z.conf
	old := z.adoptLocked(want, got)
	sockets, listeners, conns := z.sockets, z.listeners, slices.Collect(maps.Values(z.conns))
	z.mu.Unlock()
	closeAll(old)
	for _, f := range got.fresh {
		f.serve()
	}
	if had.movedTo(want) {
		for _, c := range conns {
			if c.dialled {
				c.fail(fmt.Errorf("source address changed: %w", ErrNoZone))
			}
		}
	}
	if had.DSCP != want.DSCP {
		for _, s := range sockets {
			s.remark(want.DSCP)
		}
		for _, l := range listeners {
			l.remark(want.DSCP)
		}
		for _, c := range conns {
			c.remark(want.DSCP)
		}
	}
	return nil
}

// movedTo says whether what the zone begins itself leaves from elsewhere in
// want.
func (z Zone) movedTo(want Zone) bool { return z.Source != want.Source || z.Port != want.Port }

// adoptLocked makes what was acquired the zone's own, and returns what it needs
// no longer. A socket that was opened for sending stays unless it moves.
func (z *zone) adoptLocked(want Zone, got *holding) []closer {
	var old []closer
	for _, s := range z.sockets {
		switch {
		case slices.Contains(got.sockets, s):
		case s.borrowed && !z.conf.movedTo(want):
			got.sockets = append(got.sockets, s)
		default: // asked for no longer
			old = append(old, s)
		}
	}
	for _, l := range z.listeners {
		if !slices.Contains(got.listeners, l) {
			old = append(old, l)
		}
	}
	z.conf, z.sockets, z.listeners = want, got.sockets, got.listeners
	return old
}

// close ends everything that the zone holds.
func (z *zone) close(cause error) {
	z.mu.Lock()
	z.gone = true
	sockets, listeners := z.sockets, z.listeners
	z.sockets, z.listeners = nil, nil
	conns := slices.Collect(maps.Values(z.conns))
	z.mu.Unlock()
	for _, s := range sockets {
		s.close()
	}
	for _, l := range listeners {
		l.close()
	}
	for _, c := range conns {
		c.fail(cause)
	}
}

func (z *zone) listening() []Listen {
	z.mu.Lock()
	defer z.mu.Unlock()
	var all []Listen
	for _, s := range z.sockets {
		all = append(all, Listen{sip.UDP, s.bound})
	}
	for _, l := range z.listeners {
		all = append(all, Listen{l.transport, l.bound})
	}
	return all
}

// source is the local address for something new toward remote.
func (z *zone) source(remote netip.Addr) (netip.Addr, error) {
	if from := z.config().Source; from.IsValid() {
		if from.Is4() != remote.Is4() {
			return netip.Addr{}, fmt.Errorf("reach %s from %s: not the same family of addresses", remote, from)
		}
		return from, nil
	}
	return z.wire.routes.toward(remote)
}

// standing finds the connection that a flow means, or makes one where the flow
// leaves the choice.
func (z *zone) standing(flow sip.Flow) (*conn, error) {
	if flow.Conn == 0 {
		return z.connection(flow.Transport, flow.Remote)
	}
	if c := z.find(flow); c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("connection %d to %s: %w", flow.Conn, flow.Remote, ErrGone)
}

// connection is one to remote that stands, or a new one being made.
func (z *zone) connection(t sip.Transport, remote netip.AddrPort) (*conn, error) {
	if t != sip.TCP && t != sip.TLS {
		return nil, fmt.Errorf("connect to %s: transport %q is not known", remote, t)
	}
	if !remote.IsValid() || remote.Port() == 0 {
		return nil, fmt.Errorf("connect to %s: not a full address", remote)
	}
	z.dials.Lock() // who asks at the same time gets the same connection
	defer z.dials.Unlock()
	if c := z.find(sip.Flow{Transport: t, Remote: remote}); c != nil {
		return c, nil
	}
	local, err := z.source(remote.Addr())
	if err != nil {
		return nil, err
	}
	return z.dial(t, netip.AddrPortFrom(local, z.config().Port), remote)
}

// enter adds a connection to the zone's tables.
func (z *zone) enter(c *conn) error {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.gone {
		return ErrNoZone
	}
	z.conns[c.flow.Conn] = c
	z.peers[peer{c.flow.Transport, c.flow.Remote}] = c
	z.wire.stats.conns.Add(1)
	return nil
}

// leave removes it.
func (z *zone) leave(c *conn) {
	z.mu.Lock()
	defer z.mu.Unlock()
	delete(z.conns, c.flow.Conn)
	key := peer{c.flow.Transport, c.flow.Remote}
	if z.peers[key] == c {
		delete(z.peers, key)
	}
	z.wire.stats.conns.Add(-1)
}

// tlsConfig is what a connection of the zone shakes hands with.
func (z *zone) tlsConfig(dialled bool, remote netip.AddrPort) (*tls.Config, error) {
	conf := z.config()
	if dialled && conf.ClientTLS != nil {
		if conf.Names == nil {
			return conf.ClientTLS, nil
		}
		return named(conf.ClientTLS, conf.Names(remote)), nil
	}
	if !dialled && conf.ServerTLS != nil {
		return conf.ServerTLS, nil
	}
	return nil, errors.New("zone has no tls settings for this direction")
}
