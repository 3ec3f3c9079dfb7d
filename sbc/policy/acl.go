package policy

import (
	"cmp"
	"net/netip"
	"slices"
)

// MaxPrefixes bounds an ACL; beyond it, call set-up would get slow.
const MaxPrefixes = 2000

// ACL is a list of networks that may (white) and that mayn't (black) talk to
// the box. A white entry wins over a black one, however narrow the black one
// is (PROVIDERS 5). An address in neither list may talk: to let only the white
// ones in, blacken everything. The zero ACL lets everybody in.
// It is read only and safe for concurrent use.
type ACL struct {
	allow, deny table
}

// NewACL makes an ACL of two lists. IPv4 networks also match IPv4-mapped IPv6
// addresses. Entries beyond MaxPrefixes in a list are an error.
func NewACL(allow, deny []netip.Prefix) (ACL, error) {
	a, err := newTable(allow)
	if err != nil {
		return ACL{}, err
	}
	d, err := newTable(deny)
	if err != nil {
		return ACL{}, err
	}
	return ACL{allow: a, deny: d}, nil
}

// Verdict is what an ACL says of an address.
type Verdict struct {
	Allowed bool
	// By is the entry that decided; zero: none did.
	By netip.Prefix
}

// Judge looks an address up. An invalid address is never allowed.
func (a ACL) Judge(addr netip.Addr) Verdict {
	if !addr.IsValid() {
		return Verdict{}
	}
	addr = addr.Unmap().WithZone("")
	if p, ok := a.allow.find(addr); ok {
		return Verdict{Allowed: true, By: p}
	}
	if p, ok := a.deny.find(addr); ok {
		return Verdict{By: p}
	}
	return Verdict{Allowed: true}
}

// table finds the network that an address is in by binary search. Networks
// either contain each other or have nothing in common, so that keeping the
// widest of each nest is enough to know whether an address is in any.
type table struct{ spans []netip.Prefix }

func newTable(list []netip.Prefix) (table, error) {
	if len(list) > MaxPrefixes {
		return table{}, errTooMany
	}
	sorted := make([]netip.Prefix, 0, len(list))
	for _, p := range list {
		if !p.IsValid() {
			return table{}, errInvalid
		}
		if p.Addr().Is4In6() {
			if p.Bits() < 96 {
				return table{}, errInvalid
			}
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		sorted = append(sorted, p.Masked())
	}
	slices.SortFunc(sorted, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	var t table
	for _, p := range sorted {
		if n := len(t.spans); n > 0 && t.spans[n-1].Contains(p.Addr()) {
			continue
		}
		t.spans = append(t.spans, p)
	}
	return t, nil
}

func (t table) find(addr netip.Addr) (netip.Prefix, bool) {
	i, exact := slices.BinarySearchFunc(t.spans, addr, func(p netip.Prefix, a netip.Addr) int {
		return p.Addr().Compare(a)
	})
	if !exact {
		i--
	}
	if i < 0 || !t.spans[i].Contains(addr) {
		return netip.Prefix{}, false
	}
	return t.spans[i], true
}
