package wire

import (
	"net/netip"
	"strconv"
	"strings"

	"linekeeper/sbc/sip"
)

// Arrived notes in the top Via of a request where it really came from: received
// when that differs from what the sender wrote or when it asked for rport
// (RFC 3261 18.2.1, RFC 3581 4).
func Arrived(req *sip.Request, from netip.AddrPort) {
	via := req.Via()
	if via == nil {
		return
	}
	addr := from.Addr().WithZone("").Unmap()
	_, asked := via.Params.Get("rport")
	if asked {
		via.Params.Add("rport", strconv.Itoa(int(from.Port())))
	}
	sent, err := netip.ParseAddr(strings.Trim(via.Host, "[]"))
	if asked || err != nil || sent.Unmap() != addr {
		via.Params.Add("received", addr.String())
		return
	}
	// What a sender wrote there itself would lead the answer astray.
	via.Params.Remove("received")
}

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
