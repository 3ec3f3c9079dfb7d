package location_test

import (
	"net/netip"
	"testing"

	"linekeeper/sbc/location"
	"linekeeper/sbc/sip"
)

func TestContactWhoseConnectionIsGoneIsLookedForWhereItListens(t *testing.T) {
	flow := sip.Flow{Zone: "lan", Transport: sip.TCP, Remote: netip.MustParseAddrPort("10.0.0.1:40000"), Conn: 7}
	for _, row := range []struct{ name, uri, remote string }{
		{"listens elsewhere on the same host", "sip:22@10.0.0.1:6060;transport=tcp", "10.0.0.1:6060"},
		{"the usual port", "sip:22@10.0.0.1;transport=tcp", "10.0.0.1:5060"},
		{"behind a nat", "sip:22@192.168.1.5:5060;transport=tcp", "10.0.0.1:40000"},
		{"a name", "sip:22@phone.example;transport=tcp", "10.0.0.1:40000"},
	} {
		t.Run(row.name, func(t *testing.T) {
			table := location.New(nil)
			b := binding("22", "10.0.0.1", 1)
			b.URI, b.Flow = row.uri, flow
			must(t, table, b)
			must(t, table, binding("23", "10.0.0.2", 1))
			other := flow
			other.Conn = 8
			table.Lost(other)
			if got := table.Lookup(noon, "22"); got[0].Flow != flow {
				t.Errorf("another connection's end moved it to %v", got[0].Flow)
			}
			table.Lost(flow)
			got := table.Lookup(noon, "22")
			if len(got) != 1 || got[0].Flow.Remote.String() != row.remote || got[0].Flow.Conn != 0 {
				t.Errorf("now at %+v", got)
			}
			if !table.Trusted(flow.Remote.Addr()) {
				t.Error("its host is no longer trusted")
			}
		})
	}
}
