package resolve

import (
	"net/netip"
	"strconv"
	"strings"

	"linekeeper/sbc/sip"
)

// key writes the source so that equal keys mean equal sources.
func (s Source) key() string {
	var b strings.Builder
	if len(s.Servers) == 0 {
		b.WriteString("domain " + string(s.Transport) + "://" + strings.ToLower(s.Domain) + " " + strconv.Itoa(int(s.Port)))
		return b.String()
	}
	b.WriteString("servers")
	for _, v := range s.Servers {
		b.WriteString(" " + string(v.Transport) + "://" + strings.ToLower(v.Host) + " " + strconv.Itoa(int(v.Port)))
	}
	return b.String()
}

// literal reads a host that is an address already.
func literal(host string) (netip.Addr, bool) {
	bare := strings.TrimSuffix(host, ".") // an SRV target may, wrongly, be one
	if strings.HasPrefix(bare, "[") && strings.HasSuffix(bare, "]") {
		bare = bare[1 : len(bare)-1]
	}
	a, err := netip.ParseAddr(bare)
	return a.Unmap(), err == nil
}

// standardPort is where a transport's servers listen (RFC 3261 19.1.2).
func standardPort(t sip.Transport) uint16 {
	if t == sip.TLS {
		return 5061
	}
	return 5060
}

func portOr(port uint16, t sip.Transport) uint16 {
	if port != 0 {
		return port
	}
	return standardPort(t)
}

// service is the SRV name of a transport (RFC 3263 4.1).
func service(t sip.Transport, domain string) string {
	switch t {
	case sip.TLS:
		return "_sips._tcp." + domain
	case sip.TCP:
		return "_sip._tcp." + domain
	default:
		return "_sip._udp." + domain
	}
}

// offers says which transport a NAPTR service field means (RFC 3263 4.1).
func offers(field string) (sip.Transport, bool) {
	switch strings.ToUpper(field) {
	case "SIPS+D2T":
		return sip.TLS, true
	case "SIP+D2T":
		return sip.TCP, true
	case "SIP+D2U":
		return sip.UDP, true
	default:
		return "", false
	}
}

// reachable refuses what can't be a server's address: DNS filters answer
// 0.0.0.0 for what they block.
func reachable(a netip.Addr) bool {
	return a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}
