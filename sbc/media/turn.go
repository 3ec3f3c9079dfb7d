package media

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/pion/turn/v5"
)

const (
	// spareRelays is how many relayed addresses wait for calls.
	spareRelays = 4
	// spareAge is how long one waits: half the lifetime of an allocation (RFC 8656 7.2),
	// so that a server that has forgotten it is noticed.
	spareAge = 5 * time.Minute
	// relayRetry is the pause after no server has given one, relayTimeout how long
	// one is waited for.
	relayRetry   = 20 * time.Second
	relayTimeout = 5 * time.Second
)

// TURNConfig says which servers relay for us.
type TURNConfig struct {
	// Servers are hosts, with a port or without (3478), in the order they are asked.
	Servers []string
	// User and Password are the long-term credentials.
	User, Password string
	// From is the address that we ask from; invalid: by route.
	From netip.Addr
}

// Relays keeps a few relayed addresses of TURN servers ready (RFC 8656, over UDP), so
// that no call waits for one: where none is ready a call goes without.
type Relays struct {
	log   *slog.Logger
	again chan struct{}

	mu    sync.Mutex
	conf  *TURNConfig
	spare []*Relayed
	live  map[*Relayed]struct{} // those in use too
	ended bool
	tasks sync.WaitGroup
}

// NewRelays makes one without servers.
func NewRelays(log *slog.Logger) *Relays {
	return &Relays{log: log, again: make(chan struct{}, 1), conf: &TURNConfig{}, live: make(map[*Relayed]struct{})}
}

// Configure says whom to ask from now on. Calls keep what they have.
func (r *Relays) Configure(c TURNConfig) {
	r.mu.Lock()
	old := r.spare
	r.conf, r.spare = &c, nil
	r.mu.Unlock()
	for _, a := range old {
		a.Close()
	}
	r.soon()
}

// Renew replaces what waits: the way to the servers may be another one.
func (r *Relays) Renew() {
	r.mu.Lock()
	c := *r.conf
	r.mu.Unlock()
	r.Configure(c)
}

// soon has it look again whether enough are ready.
func (r *Relays) soon() {
	select {
	case r.again <- struct{}{}:
	default: // it will
	}
}

// Take is a relayed address that is the caller's from now on; nil: none is ready.
func (r *Relays) Take() *Relayed {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.spare) == 0 {
		return nil
	}
	a := r.spare[0]
	r.spare = r.spare[1:]
	r.soon()
	return a
}

// Run keeps them ready until ctx ends; then all are given back.
func (r *Relays) Run(ctx context.Context, ready func()) error {
	if ready != nil {
		ready()
	}
	defer r.end()
	for {
		due := time.NewTimer(r.fill(ctx))
		select {
		case <-ctx.Done():
			due.Stop()
			return nil
		case <-r.again:
		case <-due.C:
		}
		due.Stop()
	}
}

// end gives everything back and waits for all goroutines.
func (r *Relays) end() {
	r.mu.Lock()
	var all []*Relayed
	for a := range r.live {
		all = append(all, a)
	}
	r.spare = nil
	r.mu.Unlock()
	for _, a := range all {
		a.Close()
	}
	r.mu.Lock()
	r.ended = true
	r.mu.Unlock()
	r.tasks.Wait()
}

// begin runs f on a goroutine that end waits for; false: it has ended.
func (r *Relays) begin(f func()) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return false
	}
	r.tasks.Go(f)
	return true
}

// fill replaces what has waited too long and asks for what is missing. It yields when
// to look again.
func (r *Relays) fill(ctx context.Context) time.Duration {
	r.mu.Lock()
	c, stale := r.conf, []*Relayed(nil)
	for len(r.spare) > 0 && time.Since(r.spare[0].born) >= spareAge {
		stale, r.spare = append(stale, r.spare[0]), r.spare[1:]
	}
	missing := spareRelays - len(r.spare)
	r.mu.Unlock()
	for _, a := range stale {
		a.Close()
	}
	if len(c.Servers) == 0 {
		return spareAge
	}
	servers := slices.Clone(c.Servers)
	for range missing {
		a, err := r.allocate(ctx, c, servers)
		if err != nil {
			if ctx.Err() == nil {
				r.log.Warn("no relayed address: calls that need one are without", "err", err)
			}
			return relayRetry
		}
		r.mu.Lock()
		kept := r.conf == c
		if kept {
			r.spare = append(r.spare, a)
		}
		r.mu.Unlock()
		if !kept { // others are to be asked
			a.Close()
			return 0
		}
	}
	return spareAge / 2
}

// allocate asks the servers in turn until one gives an address; that one comes first
// from then on.
func (r *Relays) allocate(ctx context.Context, c *TURNConfig, servers []string) (*Relayed, error) {
	var errs []error
	for i, s := range servers {
		a, err := r.allocateAt(ctx, c, s)
		if err == nil {
			servers[0], servers[i] = servers[i], servers[0]
			return a, nil
		}
		errs = append(errs, fmt.Errorf("turn server %s: %w", s, err))
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}

func (r *Relays) allocateAt(ctx context.Context, c *TURNConfig, server string) (*Relayed, error) {
	ctx, cancel := context.WithTimeout(ctx, relayTimeout)
	defer cancel()
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		host, port = server, stunPort
	}
	d := net.Dialer{}
	if c.From.IsValid() {
		d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(c.From, 0))
	}
	conn, err := d.DialContext(ctx, "udp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, err
	}
	socket := tied{conn.(*net.UDPConn)}
	client, err := turn.NewClient(&turn.ClientConfig{
		TURNServerAddr: conn.RemoteAddr().String(), Username: c.User, Password: c.Password, Conn: socket,
	})
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	a := &Relayed{of: r, client: client, socket: socket, born: time.Now(), hops: make(map[netip.AddrPort]*hop), behind: make(map[netip.AddrPort]netip.AddrPort)}
	if !r.begin(a.listen) {
		_ = conn.Close()
		return nil, ErrClosed
	}
	if a.conn, err = client.AllocateWithContext(ctx); err != nil {
		client.Close()
		_ = conn.Close()
		return nil, err
	}
	at, err := netip.ParseAddrPort(a.conn.LocalAddr().String())
	if err != nil {
		client.Close()
		_ = conn.Close()
		return nil, fmt.Errorf("relayed address: %w", err)
	}
	a.addr = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	r.mu.Lock()
	r.live[a] = struct{}{}
	r.mu.Unlock()
	return a, nil
}

// tied is a socket that hears and reaches one server only, whatever address it is given.
type tied struct{ *net.UDPConn }

// WriteTo writes to the server.
func (t tied) WriteTo(b []byte, _ net.Addr) (int, error) { return t.Write(b) }
