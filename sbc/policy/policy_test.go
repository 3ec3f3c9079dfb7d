package policy

import (
	"errors"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"linekeeper/sbc/number"
)

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		out[i] = netip.MustParsePrefix(t)
	}
	return out
}

func acl(t *testing.T, allow, deny []netip.Prefix) ACL {
	t.Helper()
	a, err := NewACL(allow, deny)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAWhiteEntryWins(t *testing.T) {
	for name, c := range map[string]struct {
		allow, deny []netip.Prefix
		want        map[string]bool
	}{
		"empty lists let everybody in": {nil, nil, map[string]bool{"192.0.2.1": true, "2001:db8::1": true}},
		"a hole in a black network": {
			prefixes("10.1.0.0/16"), prefixes("10.0.0.0/8", "10.1.2.0/24"),
			map[string]bool{"10.1.2.3": true, "10.2.0.1": false, "10.0.0.0": false, "10.255.255.255": false, "11.0.0.0": true, "9.255.255.255": true},
		},
		"white entries alone keep nobody out": {
			prefixes("192.0.2.0/24"), nil,
			map[string]bool{"192.0.2.0": true, "192.0.3.0": true, "2001:db8::1": true},
		},
		"only the white ones": {
			prefixes("192.0.2.0/24"), prefixes("0.0.0.0/0", "::/0"),
			map[string]bool{"192.0.2.0": true, "192.0.2.255": true, "192.0.3.0": false, "2001:db8::1": false, "::ffff:192.0.2.7": true},
		},
		"only black entries": {
			nil, prefixes("192.0.2.0/24", "2001:db8::/32"),
			map[string]bool{"192.0.2.9": false, "192.0.3.0": true, "2001:db8::1": false, "2001:db9::": true, "::ffff:192.0.2.7": false},
		},
		"everybody is black": {
			prefixes("10.0.0.0/8"), prefixes("0.0.0.0/0", "::/0"),
			map[string]bool{"10.0.0.1": true, "192.0.2.1": false, "fe80::1%eth0": false},
		},
	} {
		a := acl(t, c.allow, c.deny)
		for text, want := range c.want {
			r := a.Check(netip.MustParseAddr(text))
			if (r == nil) != want {
				t.Errorf("%s: %s: %v, want allowed %v", name, text, r, want)
			}
			if r != nil && (r.Code != 403 || r.Reason != ByACL) {
				t.Errorf("%s: %s: %+v", name, text, r)
			}
		}
		if a.Check(netip.Addr{}) == nil {
			t.Errorf("%s: no address at all was let in", name)
		}
	}
}

func TestTheTableAgreesWithLookingAtEveryEntry(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		one := rapid.Custom(func(t *rapid.T) netip.Prefix {
			b := rapid.SliceOfN(rapid.ByteRange(0, 3), 4, 4).Draw(t, "octets")
			return netip.PrefixFrom(netip.AddrFrom4([4]byte(b)), rapid.IntRange(0, 32).Draw(t, "bits")).Masked()
		})
		allow := rapid.SliceOfN(one, 0, 8).Draw(t, "allow")
		deny := rapid.SliceOfN(one, 0, 8).Draw(t, "deny")
		addr := netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.ByteRange(0, 3), 4, 4).Draw(t, "addr")))
		a, err := NewACL(allow, deny)
		if err != nil {
			t.Fatal(err)
		}
		in := func(list []netip.Prefix) bool {
			for _, p := range list {
				if p.Contains(addr) {
					return true
				}
			}
			return false
		}
		want := in(allow) || !in(deny)
		if got := a.Judge(addr).Allowed; got != want {
			t.Fatalf("%s: %v, want %v", addr, got, want)
		}
	})
}

func TestAnACLIsBounded(t *testing.T) {
	if _, err := NewACL(make([]netip.Prefix, MaxPrefixes+1), nil); !errors.Is(err, errTooMany) {
		t.Errorf("%v", err)
	}
	if _, err := NewACL(nil, []netip.Prefix{{}}); !errors.Is(err, errInvalid) {
		t.Errorf("%v", err)
	}
}

func TestWhoMayDialWhat(t *testing.T) {
	for _, c := range []struct {
		name  string
		d     number.Dialled
		class number.Class
		code  int
		why   Reason
	}{
		{"emergency with no class", number.Dialled{Meaning: number.Emergency, Text: "112"}, "", 0, ""},
		{"emergency from an internal phone", number.Dialled{Meaning: number.Emergency, Text: "112"}, number.Internal, 0, ""},
		{"a colleague", number.Dialled{Meaning: number.Extension, Text: "22", Class: number.Internal}, number.Internal, 0, ""},
		{"a colleague with no class", number.Dialled{Meaning: number.Extension, Text: "22", Class: number.Internal}, "", 403, ByClass},
		{"a star code", number.Dialled{Meaning: number.Code, Text: "*73", Class: number.Internal}, number.Internal, 0, ""},
		{"local", number.Dialled{Meaning: number.Outside, Class: number.Local}, number.Local, 0, ""},
		{"too far", number.Dialled{Meaning: number.Outside, Class: number.International}, number.National, 403, ByClass},
		{"far enough", number.Dialled{Meaning: number.Outside, Class: number.International}, number.International, 0, ""},
		{"outside without a class", number.Dialled{Meaning: number.Outside}, number.International, 403, ByClass},
		{"blocked", number.Dialled{Meaning: number.Blocked, Text: "0900", Class: number.National}, number.International, 403, ByBlocked},
		{"nonsense", number.Dialled{}, number.International, 404, ByNumber},
		{"vacant", number.Dialled{Meaning: number.Vacant, Text: "24"}, number.Internal, 404, ByNumber},
		{"a meaning from the future", number.Dialled{Meaning: 99}, number.International, 404, ByNumber},
	} {
		r := Dial(c.d, c.class)
		switch {
		case c.code == 0 && r != nil:
			t.Errorf("%s: refused: %v", c.name, r)
		case c.code != 0 && (r == nil || r.Code != c.code || r.Reason != c.why || r.Detail == ""):
			t.Errorf("%s: %+v, want %d %s", c.name, r, c.code, c.why)
		}
	}
}

func BenchmarkACL(b *testing.B) {
	var deny []netip.Prefix
	for i := range 1000 {
		deny = append(deny, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 24))
	}
	a, err := NewACL(nil, deny)
	if err != nil {
		b.Fatal(err)
	}
	addr := netip.MustParseAddr("192.0.2.1")
	b.ReportAllocs()
	for b.Loop() {
		a.Judge(addr)
	}
}
