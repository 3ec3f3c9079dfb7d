package resolve

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"linekeeper/sbc/sip"
)

// Server is a server of the provider as the site names it.
type Server struct {
	Transport sip.Transport
	// Host is a name, or an address with or without brackets.
	Host string
	// Port 0 asks for SRV records of Host and takes the transport's standard
	// port if there are none (RFC 3263 4.2).
	Port uint16
}

// Source is what is to be resolved: a list of servers, best first, or else a
// domain by NAPTR, SRV and addresses.
type Source struct {
	Servers []Server
	// Domain counts if there are no Servers.
	Domain string
	// Transport to be used for the domain; empty: what the domain offers.
	Transport sip.Transport
	// Port of the domain's own addresses, where it has no SRV records; 0: the
	// transport's standard port.
	Port uint16
}

// Target is an address at which a server can be reached. Targets are comparable.
type Target struct {
	Transport sip.Transport  `json:"transport"`
	Addr      netip.AddrPort `json:"addr"`
	// ServerName is what the server's certificate must carry: the domain, or
	// the host as the site names it (RFC 5922 4), never what DNS led to.
	ServerName string `json:"server_name"`
}

// Saved is the last good answer, as it is kept over a restart.
type Saved struct {
	// Source says in text what the targets were found for.
	Source  string    `json:"source"`
	Targets []Target  `json:"targets"`
	At      time.Time `json:"at"`
}

// Saver keeps the last good answer. Both are called from Run's goroutine only
// and may sync a disk.
type Saver interface {
	Save(Saved) error
	// Load returns a zero Saved where nothing was saved yet.
	Load() (Saved, error)
}

// Verdict is how DNS does.
type Verdict uint8

// The verdicts.
const (
	// Unknown: not asked yet, or nothing needs DNS.
	Unknown Verdict = iota
	// Good: the targets stand on fresh answers.
	Good
	// Bad: no name could be resolved; the targets, if any, are old ones.
	Bad
)

// String writes the verdict.
func (v Verdict) String() string {
	switch v {
	case Good:
		return "good"
	case Bad:
		return "bad"
	default:
		return "unknown"
	}
}

// Health is how the look-ups do.
type Health struct {
	Verdict Verdict
	// Cause says in a sentence what is wrong; it may be set while the verdict is
	// Good, when some of several names fail.
	Cause string
	// Since is when the verdict became this one, Answered when DNS last was Good.
	Since, Answered time.Time
}

// Deps is what a Resolver needs. Log is required.
type Deps struct {
	Log *slog.Logger
	// Changed is told each new list of targets, best first, possibly empty. It
	// is called from Run's goroutine and must not block. The list is shared:
	// never change it.
	Changed func([]Target)
	// Judged is told when the verdict changes; from Run's goroutine as well.
	Judged func(Health)
	// Saver keeps the last good answer over a restart; nil: nobody does.
	Saver Saver
	// Servers are the name servers to ask, read anew for every round; nil: those
	// of /etc/resolv.conf.
	Servers func() []netip.AddrPort
	// Hosts is the path of a hosts file; empty: /etc/hosts.
	Hosts string
	// Usable says whether the box has a way to an address; targets without one
	// come after the server's others. nil: the kernel's routes say it.
	Usable func(netip.Addr) bool
	// IntN draws from [0, n) for SRV weights; nil: math/rand/v2.
	IntN func(n int) int
}

// Resolver keeps the targets of one source known. It is a room.
type Resolver struct {
	deps     Deps
	exchange exchanger
	wake     chan struct{} // a new source, or a kick
	targets  atomic.Pointer[[]Target]
	health   atomic.Pointer[Health]

	mu     sync.Mutex
	source Source
	serial uint64 // of source
	kicked bool
}

// New makes a resolver without a source. It panics if Deps lacks a Log.
func New(d Deps) *Resolver {
	if d.Log == nil {
		panic("resolve: Deps.Log is missing")
	}
	if d.Changed == nil {
		d.Changed = func([]Target) {}
	}
	if d.Judged == nil {
		d.Judged = func(Health) {}
	}
	if d.Servers == nil {
		d.Servers = func() []netip.AddrPort { return nameServers(resolvConf) }
	}
	if d.Hosts == "" {
		d.Hosts = hostsFile
	}
	if d.Usable == nil {
		d.Usable = routed
	}
	if d.IntN == nil {
		d.IntN = rand.IntN
	}
	r := &Resolver{deps: d, exchange: overSocket, wake: make(chan struct{}, 1)}
	r.targets.Store(&[]Target{})
	r.health.Store(&Health{})
	return r
}

// Name implements the appliance's Room.
func (r *Resolver) Name() string { return "resolve" }

// SetSource says what is to be resolved from now on. Targets of the old source
// are dropped at once, unless the new one leads to them too. The same source
// again changes nothing.
func (r *Resolver) SetSource(s Source) {
	s.Servers = slices.Clone(s.Servers)
	r.mu.Lock()
	if r.serial == 0 || r.source.key() != s.key() {
		r.source = s
		r.serial++
	}
	r.mu.Unlock()
	r.poke()
}

// Kick asks again now, as when the line came back. Kicks in quick succession
// count as one.
func (r *Resolver) Kick() {
	r.mu.Lock()
	r.kicked = true
	r.mu.Unlock()
	r.poke()
}

// Targets is the list as of now, best first; never change it.
func (r *Resolver) Targets() []Target { return *r.targets.Load() }

// Health is how the look-ups do.
func (r *Resolver) Health() Health { return *r.health.Load() }

func (r *Resolver) poke() {
	select {
	case r.wake <- struct{}{}:
	default: // one is waiting already
	}
}

// orders takes what was ordered since the last call.
func (r *Resolver) orders() (source Source, serial uint64, kicked bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kicked, r.kicked = r.kicked, false
	return r.source, r.serial, kicked
}

// errNothing says that there is neither a server nor a domain.
var errNothing = errors.New("no server and no domain to resolve; name one under provider")
