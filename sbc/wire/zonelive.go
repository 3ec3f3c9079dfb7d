package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
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
	sockets, listeners, fresh, err := z.acquire(want)
	if err != nil {
		return err
	}
	z.mu.Lock()
	if z.gone {
		z.mu.Unlock()
		closeAll(fresh)
		return ErrNoZone
	}
	var old []closer
	for _, s := range z.sockets {
		if !slices.Contains(sockets, s) && (!s.borrowed || (z.conf.Source != want.Source || z.conf.Port != want.Port)) {
			old = append(old, s)
		} else if s.borrowed {
			sockets = append(sockets, s)
		}
	}
	for _, l := range z.listeners {
		if !slices.Contains(listeners, l) {
			old = append(old, l)
		}
	}
	var moved []*conn
	if z.conf.Source != want.Source || z.conf.Port != want.Port {
		for _, c := range z.conns {
			if c.dialled {
				moved = append(moved, c)
			}
		}
	}
	remark := z.conf.DSCP != want.DSCP
	z.conf, z.sockets, z.listeners = want, sockets, listeners
	conns := make([]*conn, 0, len(z.conns))
	for _, c := range z.conns {
		conns = append(conns, c)
	}
	z.mu.Unlock()
	closeAll(old)
	for _, c := range moved {
		c.fail(fmt.Errorf("source address changed: %w", ErrNoZone))
	}
	for _, f := range fresh {
		f.serve()
	}
	if remark {
		for _, s := range sockets {
			s.remark(want.DSCP)
		}
		for _, c := range conns {
			c.remark(want.DSCP)
		}
	}
	return nil
}

// closer is a socket of a zone, open but perhaps not served yet.
type closer interface {
	close()
	serve()
}

func closeAll(all []closer) {
	for _, c := range all {
		c.close()
	}
}

// acquire finds or opens a socket for each address; fresh are the new ones.
func (z *zone) acquire(want Zone) (udp []*datagrams, tcp []*listener, fresh []closer, err error) {
	z.mu.Lock()
	sockets, listeners := slices.Clone(z.sockets), slices.Clone(z.listeners)
	z.mu.Unlock()
	for _, l := range want.Listen {
		wildcard := len(l.addresses()) > 1
		var port uint16
		for i, addr := range l.addresses() {
			if i > 0 && addr.Port() == 0 {
				addr = netip.AddrPortFrom(addr.Addr(), port)
			}
			made, err := z.open(l.Transport, addr, want, &udp, &tcp, sockets, listeners)
			if err != nil {
				if wildcard && i > 0 && noFamily(err) {
					continue // a host without IPv6
				}
				closeAll(fresh)
				return nil, nil, nil, fmt.Errorf("listen on %s %s: %w", l.Transport, addr, err)
			}
			if made != nil {
				fresh = append(fresh, made)
			}
			if l.Transport == sip.UDP {
				port = udp[len(udp)-1].bound.Port()
			} else {
				port = tcp[len(tcp)-1].bound.Port()
			}
		}
	}
	return udp, tcp, fresh, nil
}

func (z *zone) open(t sip.Transport, addr netip.AddrPort, want Zone, udp *[]*datagrams, tcp *[]*listener, sockets []*datagrams, listeners []*listener) (closer, error) {
	if t == sip.UDP {
		if i := slices.IndexFunc(sockets, func(s *datagrams) bool { return s.asked == addr && !s.borrowed }); i >= 0 {
			*udp = append(*udp, sockets[i])
			return nil, nil
		}
		s, err := openDatagrams(z, addr, want.DSCP)
		if err != nil {
			return nil, err
		}
		*udp = append(*udp, s)
		return s, nil
	}
	if i := slices.IndexFunc(listeners, func(l *listener) bool { return l.asked == addr && l.transport == t }); i >= 0 {
		*tcp = append(*tcp, listeners[i])
		return nil, nil
	}
	l, err := openListener(z, t, addr, want.DSCP)
	if err != nil {
		return nil, err
	}
	*tcp = append(*tcp, l)
	return l, nil
}

// close ends everything that the zone holds.
func (z *zone) close(cause error) {
	z.mu.Lock()
	z.gone = true
	sockets, listeners := z.sockets, z.listeners
	z.sockets, z.listeners = nil, nil
	conns := make([]*conn, 0, len(z.conns))
	for _, c := range z.conns {
		conns = append(conns, c)
	}
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
	if c := z.find(sip.Flow{Transport: t, Remote: remote}); c != nil {
		return c, nil
	}
	local, err := z.source(remote.Addr())
	if err != nil {
		return nil, err
	}
	return z.dial(t, local, z.config().Port, remote)
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

// listener accepts connections on one address.
type listener struct {
	zone         *zone
	transport    sip.Transport
	asked, bound netip.AddrPort
	sock         *net.TCPListener
}

func openListener(z *zone, t sip.Transport, addr netip.AddrPort, dscp uint8) (*listener, error) {
	conf := net.ListenConfig{Control: rawControl(func(fd int) error { return prepareListener(fd, addr.Addr().Is6(), dscp) })}
	sock, err := conf.Listen(context.Background(), family("tcp", addr), addr.String())
	if err != nil {
		return nil, err
	}
	tcp := sock.(*net.TCPListener)
	return &listener{zone: z, transport: t, asked: addr, bound: tcp.Addr().(*net.TCPAddr).AddrPort(), sock: tcp}, nil
}

func (l *listener) close() { _ = l.sock.Close() }

func (l *listener) serve() {
	if !l.zone.wire.spawn(l.accept) {
		l.close()
	}
}

func family(network string, addr netip.AddrPort) string {
	if addr.Addr().Is4() {
		return network + "4"
	}
	return network + "6"
}

// tlsConfig is what a connection of the zone shakes hands with.
func (z *zone) tlsConfig(dialled bool) (*tls.Config, error) {
	conf := z.config()
	if dialled && conf.ClientTLS != nil {
		return conf.ClientTLS, nil
	}
	if !dialled && conf.ServerTLS != nil {
		return conf.ServerTLS, nil
	}
	return nil, errors.New("zone has no tls settings for this direction")
}
