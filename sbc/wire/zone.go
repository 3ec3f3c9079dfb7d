package wire

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"linekeeper/sbc/sip"
)

// Zone is a group of sockets that belong together: the LAN, or one trunk
// toward the cloud. Zones never share a connection.
type Zone struct {
	// Name is the zone's name in every sip.Flow; it must not be empty.
	Name string
	// Listen are the addresses on which the zone accepts messages. A zone
	// without any still sends: UDP from a port of the kernel's choice.
	Listen []Listen
	// Source is the local address of everything that the zone begins itself;
	// the zero value lets the kernel's routes decide.
	Source netip.Addr
	// Port is the local port of what the zone begins itself: its own UDP socket
	// where it listens on none, and the connections that it dials. It keeps a
	// Contact the same over a restart; where it cannot be had, and for 0, any
	// port serves.
	Port uint16
	// ServerTLS is what TLS listeners show. GetCertificate or
	// GetConfigForClient let certificates change under way.
	ServerTLS *tls.Config
	// ClientTLS is used toward TLS peers; set ServerName to the name that the
	// peer's certificate must carry (RFC 5922 7.1).
	ClientTLS *tls.Config
	// Names, if set, are the names of a TLS peer: its certificate must carry one of
	// them, the first is asked for (RFC 6066 3). None: ClientTLS says it. It must
	// not block.
	Names func(remote netip.AddrPort) []string
	// DSCP marks all that the zone sends, 0 to 63; 40 is CS5.
	DSCP uint8
	// Closed keeps the zone silent toward whoever the guard neither allows nor
	// trusts: not even what is malformed is answered.
	Closed bool
	// KeepAlive is the interval of the double CRLF on connections that the zone
	// dialled (RFC 5626 4.4.1); 0 switches it off.
	KeepAlive time.Duration
}

// Listen is one address that a zone accepts messages on. An address that is
// the zero value or "::" means every address of the host, IPv4 and IPv6;
// "0.0.0.0" means every IPv4 address. Port 0 takes a free port (see
// Wire.Listening).
type Listen struct {
	Transport sip.Transport
	Addr      netip.AddrPort
}

// check names everything that is wrong with the zone.
func (z Zone) check() error {
	var errs []error
	if z.Name == "" {
		errs = append(errs, errors.New("a zone needs a name"))
	}
	if z.DSCP > 63 {
		errs = append(errs, fmt.Errorf("dscp %d: must be 0 to 63", z.DSCP))
	}
	if z.KeepAlive < 0 {
		errs = append(errs, fmt.Errorf("keep-alive %s: must not be negative", z.KeepAlive))
	}
	for _, l := range z.Listen {
		switch l.Transport {
		case sip.UDP, sip.TCP:
		case sip.TLS:
			if z.ServerTLS == nil {
				errs = append(errs, fmt.Errorf("listen %s %s: the zone has no server certificate", l.Transport, l.Addr))
			}
		default:
			errs = append(errs, fmt.Errorf("listen %s: transport %q is not known", l.Addr, l.Transport))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("zone %q: %w", z.Name, err)
	}
	return nil
}

// addresses expands a wildcard into one address per family. Sockets are kept
// to one family each, so that addresses never appear in the mapped form.
func (l Listen) addresses() []netip.AddrPort {
	addr := l.Addr.Addr().Unmap()
	if !addr.IsValid() || addr == netip.IPv6Unspecified() {
		return []netip.AddrPort{
			netip.AddrPortFrom(netip.IPv4Unspecified(), l.Addr.Port()),
			netip.AddrPortFrom(netip.IPv6Unspecified(), l.Addr.Port()),
		}
	}
	return []netip.AddrPort{netip.AddrPortFrom(addr, l.Addr.Port())}
}
