package wire

import (
	"container/list"
	"maps"
	"net/netip"
	"strings"
	"sync"
	"time"

	"linekeeper/sbc/sip"
)

// Reason says why a source was not heard; Admitted says that it was.
type Reason string

// The reasons, as they stand in linekeeper_guard_rejected_total.
const (
	Admitted Reason = ""
	Denied   Reason = "deny"
	Banned   Reason = "ban"
	Rate     Reason = "rate"
	Scanner  Reason = "scanner"
	Garbage  Reason = "garbage"
	Crowd    Reason = "connections"
)

const (
	sourcesMax = 16384 // sources that the guard remembers
	bansMax    = 4096
)

// Rules are what a guard goes by. Zero fields take the values in brackets.
type Rules struct {
	// Allow are prefixes that are always heard; they win over Deny and bans.
	Allow, Deny []netip.Prefix
	// Rate is messages per second of one source [500], Burst how many may come
	// at once [2000].
	Rate, Burst float64
	// After is the number of failures within For that bans a source [5], and
	// For is how long a ban lasts [15m].
	After int
	For   time.Duration
}

// Guard decides cheaply, before parsing, whether a source is heard. Sources
// are IPv4 addresses and IPv6 /64 networks.
type Guard struct {
	mu      sync.Mutex
	rules   Rules
	trusted func(netip.Addr) bool
	sources map[netip.Addr]*list.Element // of *source
	recent  list.List                    // front: heard last
	bans    map[netip.Addr]time.Time
	counts  map[Reason]uint64
}

type source struct {
	addr   netip.Addr
	tokens float64
	filled time.Time
	fails  int
	since  time.Time // of the first failure
}

// NewGuard makes a guard.
func NewGuard(rules Rules) *Guard {
	g := &Guard{
		sources: make(map[netip.Addr]*list.Element),
		bans:    make(map[netip.Addr]time.Time),
		counts:  make(map[Reason]uint64),
	}
	g.Set(rules)
	return g
}

// Set changes the rules; bans stay, except of what is allowed now.
func (g *Guard) Set(rules Rules) {
	if rules.Rate <= 0 {
		rules.Rate = 500
	}
	if rules.Burst <= 0 {
		rules.Burst = 2000
	}
	if rules.After <= 0 {
		rules.After = 5
	}
	if rules.For <= 0 {
		rules.For = 15 * time.Minute
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rules = rules
	maps.DeleteFunc(g.bans, func(addr netip.Addr, _ time.Time) bool { return within(rules.Allow, addr) })
}

// Trusted names who knows the addresses that registered phones and trunks use.
// f is called from readers: it must be quick and must not call the guard. What
// it trusts is never limited and never banned.
func (g *Guard) Trusted(f func(netip.Addr) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.trusted = f
}

// key is what a source is counted under: a host owns a whole IPv6 /64.
func key(addr netip.Addr) netip.Addr {
	addr = addr.WithZone("").Unmap()
	if addr.Is4() {
		return addr
	}
	return netip.PrefixFrom(addr, 64).Masked().Addr()
}

func within(all []netip.Prefix, addr netip.Addr) bool {
	for _, p := range all {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// Admit says whether a message from addr is heard now, and counts if not.
func (g *Guard) Admit(addr netip.Addr, now time.Time) Reason {
	addr = addr.WithZone("").Unmap()
	g.mu.Lock()
	reason := g.judgeLocked(addr, now)
	trusted := g.trusted
	g.mu.Unlock()
	if reason == Admitted {
		return Admitted
	}
	if reason != Denied && trusted != nil && trusted(addr) {
		return Admitted
	}
	g.count(reason)
	return reason
}

func (g *Guard) judgeLocked(addr netip.Addr, now time.Time) Reason {
	if within(g.rules.Allow, addr) {
		return Admitted
	}
	if within(g.rules.Deny, addr) {
		return Denied
	}
	k := key(addr)
	if until, ok := g.bans[k]; ok {
		if now.Before(until) {
			return Banned
		}
		delete(g.bans, k)
	}
	s := g.sourceLocked(k, now)
	s.tokens = min(g.rules.Burst, s.tokens+now.Sub(s.filled).Seconds()*g.rules.Rate)
	s.filled = now
	if s.tokens < 1 {
		return Rate
	}
	s.tokens--
	return Admitted
}

// sourceLocked finds a source, forgetting the one heard longest ago for it.
func (g *Guard) sourceLocked(k netip.Addr, now time.Time) *source {
	if e, ok := g.sources[k]; ok {
		g.recent.MoveToFront(e)
		return e.Value.(*source)
	}
	if len(g.sources) >= sourcesMax {
		oldest := g.recent.Back()
		delete(g.sources, oldest.Value.(*source).addr)
		g.recent.Remove(oldest)
	}
	s := &source{addr: k, tokens: g.rules.Burst, filled: now}
	g.sources[k] = g.recent.PushFront(s)
	return s
}

// Punish notes a failure of addr, a wrong password say. Enough of them ban it,
// unless it is allowed or trusted. It reports whether addr is banned now.
func (g *Guard) Punish(addr netip.Addr) bool { return g.punish(addr, time.Now()) }

func (g *Guard) punish(addr netip.Addr, now time.Time) bool {
	addr = addr.WithZone("").Unmap()
	if g.known(addr) {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.sourceLocked(key(addr), now)
	if now.Sub(s.since) > g.rules.For {
		s.fails, s.since = 0, now
	}
	s.fails++
	if s.fails < g.rules.After {
		return false
	}
	s.fails = 0
	if len(g.bans) >= bansMax {
		for old := range g.bans {
			delete(g.bans, old)
			break
		}
	}
	g.bans[s.addr] = now.Add(g.rules.For)
	return true
}

// known says whether addr is allowed or trusted.
func (g *Guard) known(addr netip.Addr) bool {
	g.mu.Lock()
	allowed, trusted := within(g.rules.Allow, addr), g.trusted
	g.mu.Unlock()
	return allowed || trusted != nil && trusted(addr)
}

// Forgive lifts a ban and forgets failures, after a good password say.
func (g *Guard) Forgive(addr netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	k := key(addr)
	delete(g.bans, k)
	if e, ok := g.sources[k]; ok {
		e.Value.(*source).fails = 0
	}
}

// Bans are the banned sources and when their bans end.
func (g *Guard) Bans() map[netip.Addr]time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.bans)
}

// Rejected counts what was not heard, by reason.
func (g *Guard) Rejected() map[Reason]uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.counts)
}

func (g *Guard) count(reason Reason) {
	g.mu.Lock()
	g.counts[reason]++
	g.mu.Unlock()
}

// garbage counts input that was no SIP.
func (g *Guard) garbage(netip.Addr) { g.count(Garbage) }

// expire forgets bans that are over.
func (g *Guard) expire(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	maps.DeleteFunc(g.bans, func(_ netip.Addr, until time.Time) bool { return now.After(until) })
}

// scanner says whether a request names a tool that looks for open boxes. It
// gets silence, which tells it least.
func (g *Guard) scanner(req *sip.Request, from netip.Addr) bool {
	agent := strings.ToLower(sip.HeaderValue(req, "User-Agent"))
	for _, tool := range [...]string{"friendly-scanner", "sipvicious", "sipcli", "sip-scan", "sipsak", "vaxsipuseragent", "pplsip", "sundayddr"} {
		if strings.HasPrefix(agent, tool) && !g.known(from) {
			g.count(Scanner)
			g.punish(from, time.Now())
			return true
		}
	}
	return false
}
