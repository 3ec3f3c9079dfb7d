package appliance

import (
	"net/netip"
	"slices"
	"testing"

	"linekeeper/appliance/config"
	"linekeeper/sbc/resolve"
	"linekeeper/sbc/sip"
)

func TestEachServerOfTheProviderHasItsOwnName(t *testing.T) {
	at := func(n int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}), 5061)
	}
	targets := []resolve.Target{
		{Transport: sip.TLS, Addr: at(1), ServerName: "sip1.provider.example"},
		{Transport: sip.TLS, Addr: at(2), ServerName: "sip2.provider.example"},
		{Transport: sip.TLS, Addr: at(3), ServerName: "192.0.2.3"},
		{Transport: sip.TLS, Addr: at(4), ServerName: "praxis.example"},
	}
	var s servers
	site := &config.Site{}
	site.Provider.Domain = "praxis.example"
	if s.of(at(1)) != nil {
		t.Error("names before anything is known")
	}
	s.learn(site, targets)
	for n, want := range map[int][]string{
		1: {"sip1.provider.example", "praxis.example"}, 2: {"sip2.provider.example", "praxis.example"},
		3: {"praxis.example", "192.0.2.3"}, 4: {"praxis.example"}, 5: nil,
	} {
		if got := s.of(at(n)); !slices.Equal(got, want) {
			t.Errorf("server %d: %v, want %v", n, got, want)
		}
	}
	site.Provider.TLS.ServerName = "edge.provider.example"
	s.learn(site, targets)
	if got := s.of(at(1)); !slices.Equal(got, []string{"edge.provider.example"}) {
		t.Errorf("demanded: %v", got)
	}
}
