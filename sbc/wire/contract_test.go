package wire_test

import (
	"net/netip"
	"testing"

	"linekeeper/sbc/sip"
	"linekeeper/sbc/wire"
	"linekeeper/sbc/wire/wiretest"
)

func TestWireKeepsTheContract(t *testing.T) {
	cert, client := server(t, sip.TLS)
	wiretest.Contract(t, func(t *testing.T, h wire.Handler, zone string, listen sip.Transport) (wiretest.Wire, netip.AddrPort) {
		w := start(t, h, wire.Limits{}, wire.NewGuard(wire.Rules{}), wire.Zone{
			Name: zone, ServerTLS: cert.ServerTLS, ClientTLS: client,
			Listen: []wire.Listen{{Transport: listen, Addr: netip.MustParseAddrPort("127.0.0.1:0")}},
		})
		return w, w.Listening(zone)[0].Addr
	})
}
