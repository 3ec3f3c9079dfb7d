package media

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/pion/stun/v3"
)

const (
	// publicEvery is how often the public address is asked for again; publicRetry
	// where nobody answered.
	publicEvery = 5 * time.Minute
	publicRetry = 20 * time.Second
	// publicTimeout is the first RTO, publicTries how often one address of a server
	// is asked (RFC 8489 6.2.1, with fewer tries: there are other servers).
	publicTimeout = 500 * time.Millisecond
	publicTries   = 4
	// maxServerAddrs bounds the addresses of one server's name.
	maxServerAddrs = 4
	stunPort       = "3478"
)

// PublicConfig says whom to ask for our public address.
type PublicConfig struct {
	// Servers are hosts, with a port or without (3478), in the order they are asked.
	Servers []string
	// From is the address that media leaves from; invalid: by route.
	From netip.Addr
}

// Public knows the address that the world sees us at (RFC 8489). It asks ahead, and
// again after a while or when it is told of a change: no call ever waits for it. An
// address stays known until another one is told.
type Public struct {
	log   *slog.Logger
	conf  atomic.Pointer[PublicConfig]
	seen  atomic.Pointer[netip.Addr]
	again chan struct{}
}

// NewPublic makes one that knows nothing yet.
func NewPublic(log *slog.Logger) *Public {
	p := &Public{log: log, again: make(chan struct{}, 1)}
	p.conf.Store(&PublicConfig{})
	return p
}

// Configure says whom to ask from now on; what was learnt from others is forgotten.
func (p *Public) Configure(c PublicConfig) {
	p.conf.Store(&c)
	p.seen.Store(nil)
	p.Refresh()
}

// Refresh has it asked again soon: the address may have changed.
func (p *Public) Refresh() {
	select {
	case p.again <- struct{}{}:
	default: // it will be
	}
}

// Addr is the address as last seen; invalid: not known, or there is nobody to ask.
func (p *Public) Addr() netip.Addr {
	if a := p.seen.Load(); a != nil {
		return *a
	}
	return netip.Addr{}
}

// Run asks until ctx ends.
func (p *Public) Run(ctx context.Context, ready func()) error {
	if ready != nil {
		ready()
	}
	for {
		wait := publicEvery
		if c := p.conf.Load(); len(c.Servers) > 0 && !p.ask(ctx, c) {
			wait = publicRetry
		}
		due := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			due.Stop()
			return nil
		case <-p.again:
		case <-due.C:
		}
		due.Stop()
	}
}

// ask asks the servers in turn until one answers.
func (p *Public) ask(ctx context.Context, c *PublicConfig) bool {
	var errs []error
	for _, s := range c.Servers {
		got, local, err := Reflexive(ctx, s, c.From)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if p.conf.Load() != c { // others are to be asked
			p.Refresh()
			return true
		}
		if old := p.Addr(); old != got.Addr() {
			p.log.Info("public address", "addr", got.Addr(), "before", old, "server", s)
		}
		if got.Addr() != local.Addr() && got.Port() != local.Port() {
			p.log.Warn("the router changes the ports of what is sent: candidates with the public address will not be reached", "local", local.Port(), "public", got.Port())
		}
		a := got.Addr()
		p.seen.Store(&a)
		return true
	}
	if ctx.Err() == nil {
		p.log.Warn("public address is not known", "err", errors.Join(errs...))
	}
	return false
}

// Reflexive asks one server where it sees us at, and from where it was asked.
func Reflexive(ctx context.Context, server string, from netip.Addr) (seen, local netip.AddrPort, err error) {
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		host, port = server, stunPort
	}
	family := "ip4"
	if from.Is6() {
		family = "ip6"
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, family, host)
	if err != nil {
		return seen, local, fmt.Errorf("stun server: %w", err)
	}
	number, err := net.DefaultResolver.LookupPort(ctx, "udp", port)
	if err != nil {
		return seen, local, fmt.Errorf("stun server %s: %w", server, err)
	}
	for _, a := range addrs[:min(len(addrs), maxServerAddrs)] {
		if seen, local, err = askAt(ctx, netip.AddrPortFrom(a.Unmap(), uint16(number)), from); err == nil {
			return seen, local, nil
		}
	}
	return seen, local, fmt.Errorf("stun server %s: %w", server, err)
}

func askAt(ctx context.Context, at netip.AddrPort, from netip.Addr) (seen, local netip.AddrPort, err error) {
	d := net.Dialer{}
	if from.IsValid() {
		d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	}
	conn, err := d.DialContext(ctx, "udp", at.String())
	if err != nil {
		return seen, local, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	var id [stun.TransactionIDSize]byte
	if _, err := rand.Read(id[:]); err != nil {
		return seen, local, err
	}
	ask, err := stun.Build(stun.NewTransactionIDSetter(id), stun.BindingRequest)
	if err != nil {
		return seen, local, err
	}
	wait := publicTimeout
	for range publicTries {
		if _, err = conn.Write(ask.Raw); err != nil {
			return seen, local, err
		}
		_ = conn.SetReadDeadline(time.Now().Add(wait))
		if ctx.Err() != nil {
			return seen, local, ctx.Err()
		}
		if seen, err = readReflexive(conn, id); err == nil {
			local, _ := netip.ParseAddrPort(conn.LocalAddr().String())
			return seen, local, nil
		}
		wait *= 2
	}
	return seen, local, err
}

// readReflexive reads until the answer to a request, or the deadline.
func readReflexive(conn net.Conn, id [stun.TransactionIDSize]byte) (netip.AddrPort, error) {
	for b := make([]byte, 1500); ; {
		n, err := conn.Read(b)
		if err != nil {
			return netip.AddrPort{}, err
		}
		m := &stun.Message{Raw: b[:n]}
		if m.Decode() != nil || m.TransactionID != id {
			continue
		}
		if m.Type != stun.BindingSuccess {
			return netip.AddrPort{}, errors.New("refused")
		}
		at, ok := mapped(m)
		if !ok {
			return netip.AddrPort{}, errors.New("an answer without an address")
		}
		return at, nil
	}
}

// mapped is the address in an answer, in the form of RFC 8489 or the classic one.
func mapped(m *stun.Message) (netip.AddrPort, bool) {
	var x stun.XORMappedAddress
	var old stun.MappedAddress
	ip, port := net.IP(nil), 0
	switch {
	case x.GetFrom(m) == nil:
		ip, port = x.IP, x.Port
	case old.GetFrom(m) == nil:
		ip, port = old.IP, old.Port
	}
	a, ok := netip.AddrFromSlice(ip)
	return netip.AddrPortFrom(a.Unmap(), uint16(port)), ok && port != 0
}
