package resolve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"linekeeper/sbc/sip"
)

const (
	// maxQuestions bounds what one round asks.
	maxQuestions = 96
	// maxServers bounds the servers taken from a source.
	maxServers = 16
	// maxTargets bounds the list of targets.
	maxTargets = 64
	// hostsTTL is how long a line of the hosts file is believed.
	hostsTTL = time.Minute
)

var errTooMany = errors.New("too many names to ask for")

// cache holds the last answer to each question of the last good round.
type cache map[question]answer

// round looks a source up once. Without an asker it does so from what is known.
type round struct {
	asker  *asker
	hosts  string
	usable func(netip.Addr) bool
	old    cache
	fresh  cache // answered in this round
	stale  cache // not answered, and known from before
	failed map[question]error

	named    bool          // something had to be asked
	answered int           // targets whose address was answered in this round
	recalled int           // targets from an old answer
	ttl      time.Duration // the shortest
	cause    error         // the last thing that went wrong
}

func newRound(d Deps, a *asker, old cache) *round {
	return &round{
		asker: a, hosts: d.Hosts, usable: d.Usable, old: old,
		fresh: cache{}, stale: cache{}, failed: map[question]error{}, ttl: maxRefresh,
	}
}

// entry is one server of a group: its addresses, in the order to be tried.
type entry struct {
	weight  uint16
	targets []Target
}

// group is the servers of one priority, to be spread over by weight.
type group []entry

// source turns a source into groups, best first.
func (r *round) source(ctx context.Context, s Source) []group {
	if len(s.Servers) == 0 && s.Domain == "" {
		r.cause = errNothing
		return nil
	}
	if len(s.Servers) == 0 {
		return r.domain(ctx, s)
	}
	var all []group
	for _, v := range s.Servers[:min(len(s.Servers), maxServers)] {
		all = append(all, r.server(ctx, v)...)
	}
	return all
}

func (r *round) server(ctx context.Context, v Server) []group {
	if _, is := literal(v.Host); v.Port == 0 && !is {
		if found, done := r.srv(ctx, v.Transport, service(v.Transport, v.Host), v.Host); done {
			return found
		}
	}
	return []group{{entry{targets: r.host(ctx, v.Transport, v.Host, portOr(v.Port, v.Transport), v.Host)}}}
}

// domain goes the way of RFC 3263 4.1 and 4.2.
func (r *round) domain(ctx context.Context, s Source) []group {
	if _, is := literal(s.Domain); is {
		return r.bare(ctx, s)
	}
	if found, done := r.naptr(ctx, s); done {
		return found
	}
	wanted := []sip.Transport{s.Transport}
	if s.Transport == "" {
		wanted = []sip.Transport{sip.TLS, sip.TCP, sip.UDP}
	}
	var all []group
	done := false
	for _, t := range wanted {
		found, exists := r.srv(ctx, t, service(t, s.Domain), s.Domain)
		all, done = append(all, found...), done || exists
	}
	if done {
		return all
	}
	return r.bare(ctx, s)
}

// bare is the domain's own addresses.
func (r *round) bare(ctx context.Context, s Source) []group {
	t := cmp.Or(s.Transport, sip.UDP)
	return []group{{entry{targets: r.host(ctx, t, s.Domain, portOr(s.Port, t), s.Domain)}}}
}

// naptr follows the domain's pointers to SRV records of the transport. Not
// every forwarder knows the type, so that no answer counts as none.
func (r *round) naptr(ctx context.Context, s Source) (all []group, done bool) {
	cause := r.cause
	a, _, err := r.ask(ctx, s.Domain, dns.TypeNAPTR)
	if err != nil {
		r.cause = cause
		return nil, false
	}
	var pointers []*dns.NAPTR
	for _, rr := range a.records {
		p, ok := rr.(*dns.NAPTR)
		if !ok || !strings.EqualFold(p.Flags, "s") || p.Regexp != "" {
			continue
		}
		if t, known := offers(p.Service); known && (s.Transport == "" || s.Transport == t) {
			pointers = append(pointers, p)
		}
	}
	slices.SortStableFunc(pointers, func(a, b *dns.NAPTR) int {
		return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.Preference, b.Preference))
	})
	for _, p := range pointers {
		t, _ := offers(p.Service)
		found, exists := r.srv(ctx, t, p.Replacement, s.Domain)
		all, done = append(all, found...), done || exists
	}
	return all, done
}

// srv looks up servers by priority; done says that the answer, even an empty
// one, ends the search: the records exist, or nobody could be asked for them
// (and the hosts file doesn't know the domain itself either).
func (r *round) srv(ctx context.Context, t sip.Transport, name, domain string) (all []group, done bool) {
	a, _, err := r.ask(ctx, name, dns.TypeSRV)
	if err != nil {
		return nil, len(fromHosts(r.hosts, domain)) == 0
	}
	var servers []*dns.SRV
	for _, rr := range a.records {
		if v, ok := rr.(*dns.SRV); ok {
			servers = append(servers, v)
		}
	}
	slices.SortStableFunc(servers, func(a, b *dns.SRV) int { return cmp.Compare(a.Priority, b.Priority) })
	for i, v := range servers {
		if v.Target == "." || v.Port == 0 {
			r.cause = fmt.Errorf("%s says that the service is not available", name) // RFC 2782, Target
			continue
		}
		e := entry{weight: v.Weight, targets: r.host(ctx, t, v.Target, v.Port, domain)}
		if len(all) == 0 || servers[i-1].Priority != v.Priority {
			all = append(all, nil)
		}
		all[len(all)-1] = append(all[len(all)-1], e)
	}
	return all, len(servers) > 0
}

// host finds a name's addresses. IPv4 comes before IPv6 since an IPv6 route
// that leads nowhere is what sites have more often than the reverse; addresses
// without a route come last.
func (r *round) host(ctx context.Context, t sip.Transport, host string, port uint16, serverName string) []Target {
	addrs, old := r.addresses(ctx, host)
	slices.SortStableFunc(addrs, func(a, b netip.Addr) int {
		return cmp.Or(after(r.usable(a), r.usable(b)), after(a.Is4(), b.Is4()))
	})
	var found []Target
	for _, a := range addrs {
		found = append(found, Target{Transport: t, Addr: netip.AddrPortFrom(a, port), ServerName: strings.Trim(serverName, "[]")})
	}
	if old {
		r.recalled += len(found)
	}
	return found
}

func after(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	default:
		return 1
	}
}

func (r *round) addresses(ctx context.Context, host string) (addrs []netip.Addr, old bool) {
	if a, is := literal(host); is {
		if !reachable(a) {
			r.cause = fmt.Errorf("%v is no server's address", a)
			return nil, false
		}
		return []netip.Addr{a}, false
	}
	if listed := fromHosts(r.hosts, host); len(listed) > 0 {
		r.ttl = min(r.ttl, hostsTTL)
		return listed, false
	}
	missing := true
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		a, stale, err := r.ask(ctx, host, kind)
		missing = missing && err == nil
		for _, rr := range a.records {
			if addr, ok := address(rr); ok && reachable(addr) {
				addrs = append(addrs, addr)
				if stale {
					old = true
				} else {
					r.answered++
				}
			}
		}
	}
	if len(addrs) == 0 && missing {
		r.cause = fmt.Errorf("%s has no address", host)
	}
	return addrs, old
}

func address(rr dns.RR) (netip.Addr, bool) {
	switch v := rr.(type) {
	case *dns.A:
		a, ok := netip.AddrFromSlice(v.A)
		return a.Unmap(), ok
	case *dns.AAAA:
		a, ok := netip.AddrFromSlice(v.AAAA)
		return a.Unmap(), ok
	default:
		return netip.Addr{}, false
	}
}

// ask puts one question, once a round; where nobody answers, an old answer
// stands (RFC 8767) and stale is true.
func (r *round) ask(ctx context.Context, name string, kind uint16) (a answer, stale bool, err error) {
	q := question{strings.ToLower(dns.Fqdn(name)), kind}
	if _, ok := dns.IsDomainName(q.name); !ok {
		r.cause = fmt.Errorf("%q is no domain name", name)
		return answer{}, false, r.cause
	}
	r.named = true
	if known, ok := r.fresh[q]; ok {
		return known, false, nil
	}
	if err = r.failed[q]; err == nil {
		a, err = r.put(ctx, q)
	}
	if err == nil {
		r.fresh[q] = a
		r.ttl = min(r.ttl, a.ttl)
		return a, false, nil
	}
	r.failed[q], r.cause = err, err
	if a, ok := r.old[q]; ok {
		r.stale[q] = a
		return a, true, nil
	}
	return answer{}, false, err
}

func (r *round) put(ctx context.Context, q question) (answer, error) {
	if r.asker == nil || len(r.fresh)+len(r.failed) >= maxQuestions {
		return answer{}, errTooMany
	}
	return r.asker.query(ctx, q)
}

// known is what the next round may fall back on.
func (r *round) known() cache {
	maps.Copy(r.fresh, r.stale)
	return r.fresh
}
