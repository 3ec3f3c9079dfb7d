package wire

import (
	"crypto/tls"
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

// proves says whether the box has a certificate to show to a server. Only then both
// sides have proved themselves, and each may use the connection for requests of its
// own (RFC 5923 8.2, 9.2): what a peer says of its sent-by over anything else is no proof
// of who is there, so an alias parameter that comes in is never acted on. TCP and the
// box's own TLS listeners, which ask for no certificate, have registrations and their
// flows instead (RFC 5626).
func proves(conf *tls.Config) bool {
	return conf != nil && (len(conf.Certificates) > 0 || conf.GetClientCertificate != nil)
}

// alias tells the peer that the connection leads back to the sent-by of the top Via
// (RFC 5923 8.1).
func alias(req *sip.Request) {
	if via := req.Via(); via != nil && !via.Params.Has("alias") {
		via.Params.Add("alias", "")
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
