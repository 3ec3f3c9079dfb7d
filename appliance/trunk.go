package appliance

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"

	"linekeeper/appliance/config"
	"linekeeper/sbc"
	"linekeeper/sbc/resolve"
	"linekeeper/sbc/sip"
	"linekeeper/sbc/wire"
	"linekeeper/sbc/wire/cert"
)

// buildWire makes the guard and the zones: the LAN and the trunk.
func (b *Box) buildWire(site *config.Site) error {
	b.guard = wire.NewGuard(wire.Rules{})
	b.configureGuard(site)
	// A UC server carries many lines: one wrong password among them must not bar the rest.
	b.guard.Trusted(func(a netip.Addr) bool {
		_, client := b.site.Load().ClientAt(a)
		return client || b.bindings.Trusted(a) || b.sw != nil && b.sw.Knows(a)
	})
	var err error
	if b.lanCert, err = cert.Open(filepath.Join(b.opts.Settings.DataDir, "ca")); err != nil {
		return fmt.Errorf("certificate for the lan: %w", err)
	}
	trunk, err := b.trunkZoneOf(site)
	if err != nil {
		return err
	}
	b.wire = wire.New(wire.Deps{Zones: []wire.Zone{b.lanZoneOf(site), trunk}, Log: b.log, Guard: b.guard, Late: b.late})
	return nil
}

// lanZoneOf is the sockets toward the phones.
func (b *Box) lanZoneOf(site *config.Site) wire.Zone {
	z := wire.Zone{Name: sbc.LAN, ServerTLS: b.lanCert.Config(), DSCP: uint8(site.Network.QoS.Signalling)}
	for _, l := range site.LAN.SIP {
		z.Listen = append(z.Listen, wire.Listen{Transport: l.Transport, Addr: l.AddrPort()})
	}
	return z
}

// trunkZoneOf is the sockets toward the cloud. Error: a certificate file can't
// be used.
func (b *Box) trunkZoneOf(site *config.Site) (wire.Zone, error) {
	client, err := clientTLS(site)
	return wire.Zone{Name: trunkZone, Closed: true, Names: b.servers.of, Source: site.WAN.Address, Port: trunkPort, ClientTLS: client,
		DSCP: uint8(site.Network.QoS.Signalling), KeepAlive: site.Provider.Register.NATRefresh.D()}, err
}

func (b *Box) configureGuard(site *config.Site) {
	b.guard.Set(wire.Rules{Allow: prefixes(site.Security.Allow), Deny: prefixes(site.Security.Deny), After: site.Security.Ban.After, For: site.Security.Ban.For.D()})
}

func prefixes(ps []config.Prefix) []netip.Prefix {
	out := make([]netip.Prefix, len(ps))
	for i, p := range ps {
		out[i] = p.Prefix
	}
	return out
}

// clientTLS is how the box proves the provider, and itself to it.
func clientTLS(site *config.Site) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: serverName(site)}
	t := site.Provider.TLS
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("provider.tls.ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("provider.tls.ca: no certificate in %s", t.CA)
		}
	}
	if t.Certificate != "" {
		pair, err := tls.LoadX509KeyPair(t.Certificate, t.Key)
		if err != nil {
			return nil, fmt.Errorf("provider.tls.certificate: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// servers are the names of the provider's servers by address.
type servers struct {
	m atomic.Pointer[map[netip.AddrPort][]string]
}

// of are the names of which a server's certificate must carry one; none where
// nothing is known of it.
func (s *servers) of(remote netip.AddrPort) []string {
	if m := s.m.Load(); m != nil {
		return (*m)[remote]
	}
	return nil
}

// learn takes the names of the targets: the host as the site names the server, or the
// domain (RFC 5922 4). A name that the site demands stands alone.
func (s *servers) learn(site *config.Site, ts []resolve.Target) {
	m := make(map[netip.AddrPort][]string)
	demanded := site.Provider.TLS.ServerName
	for _, t := range ts {
		names := []string{demanded}
		if demanded == "" {
			names = []string{t.ServerName, domain(site)}
			if _, err := netip.ParseAddr(t.ServerName); err == nil { // certificates rarely carry addresses
				slices.Reverse(names)
			}
		}
		for _, n := range names {
			if n != "" && !slices.Contains(m[t.Addr], n) {
				m[t.Addr] = append(m[t.Addr], n)
			}
		}
	}
	s.m.Store(&m)
}

// source is where the provider's addresses come from.
func source(site *config.Site) resolve.Source {
	p := site.Profile()
	src := resolve.Source{Domain: site.Provider.Domain, Transport: site.Provider.Transport, Port: p.Port(site.Provider.Transport)}
	for _, s := range site.Provider.Servers {
		src.Servers = append(src.Servers, resolve.Server{Transport: s.Transport, Host: s.Host, Port: s.Port})
	}
	return src
}

// pinger sends keep-alives over the wire.
type pinger struct{ w *wire.Wire }

// Ping keeps a NAT's mapping toward the cloud.
func (p pinger) Ping(flow sip.Flow) { _ = p.w.Ping(flow) } // a dead connection is told by Lost
