package wire

import (
	"net/netip"
	"strings"

	"linekeeper/sbc/sip"
)

// Leaving fills what the sender of a request left open in its top Via: sent-by
// and transport of the flow that the request leaves on (RFC 3261 18.1.1).
func Leaving(req *sip.Request, flow sip.Flow) {
	via := req.Via()
	if via == nil {
		return
	}
	if via.ProtocolName == "" {
		via.ProtocolName, via.ProtocolVersion = "SIP", "2.0"
	}
	if via.Transport == "" {
		via.Transport = strings.ToUpper(string(flow.Transport))
	}
	if via.Host == "" {
		via.Host, via.Port = hostText(flow.Local.Addr()), int(flow.Local.Port())
	}
}

// hostText is an address as it stands in a URI or a Via: IPv6 in brackets,
// without the name of an interface.
func hostText(addr netip.Addr) string {
	addr = addr.WithZone("").Unmap()
	if addr.Is6() {
		return "[" + addr.String() + "]"
	}
	return addr.String()
}
