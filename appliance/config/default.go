package config

import (
	"slices"
	"time"

	"linekeeper/sbc/provider"
	"linekeeper/sbc/sip"
)

// Default is a site with every key at its default and nothing required filled
// in: the profile is generic, there is no extension.
func Default() *Site {
	s := bare("DE")
	s.Provider.Profile = provider.Generic
	s.fill(mustProfile(provider.Generic))
	s.settle(mustProfile(provider.Generic))
	return s
}

// mustProfile is the profile, or the generic one if there is none.
func mustProfile(name provider.Name) provider.Profile {
	p, ok := provider.Lookup(name)
	if !ok {
		p, _ = provider.Lookup(provider.Generic)
	}
	return p
}

// bare has the defaults that don't depend on the provider.
func bare(country string) *Site {
	return &Site{
		Site: Place{Country: country, Timezone: "Europe/Berlin", Language: "de"},
		LAN: LAN{
			SIP:        []Listen{{Transport: sip.UDP, Port: 5060}, {Transport: sip.TCP, Port: 5060}, {Transport: sip.TLS, Port: 5061}},
			MediaPorts: PortRange{20000, 23999},
			SRTP:       provider.Preferred,
			Keying:     provider.Either,
			ICE:        provider.ICEAnswered,
		},
		WAN:      WAN{MediaPorts: PortRange{30000, 33000}},
		Dialplan: Dialplan{Emergency: emergency(country)},
		Survivability: Survivability{
			Probe:        Probe{Interval: Duration(10 * time.Second), Fast: Duration(time.Second), Fail: 3, Recover: 5},
			CallTimeout:  Duration(2 * time.Second),
			HoldExternal: Duration(30 * time.Second),
			Announce:     true,
		},
		Quality:  Quality{MinMOS: 3.6, Transcode: true},
		Security: Security{Ban: Ban{After: 5, For: Duration(15 * time.Minute)}},
		Network: Network{
			WAN: WANLink{Interface: "eth0", Mode: "dhcp"},
			LAN: LANLink{Interface: "eth1"},
			QoS: QoS{Media: 46, Signalling: 40},
		},
		UI: UI{Listen: ":8443"},
	}
}

// emergency are a country's emergency numbers. 112 works everywhere in Europe
// and on every mobile network.
func emergency(country string) []string {
	switch country {
	case "DE":
		return []string{"110", "112"}
	case "AT":
		return []string{"112", "122", "133", "144"}
	case "CH", "LI":
		return []string{"112", "117", "118", "144"}
	case "GB", "IE":
		return []string{"112", "999"}
	case "US", "CA":
		return []string{"911"}
	}
	return []string{"112"}
}

// fill sets what the provider's profile says; the document comes after it.
func (s *Site) fill(p provider.Profile) {
	s.Provider.ICE = provider.ICEOff
	if p.ICE {
		s.Provider.ICE = provider.ICEOffered
	}
	s.Provider.Register = Register{
		Expires:    Duration(p.Register.Expires),
		Spacing:    Duration(p.Register.Spacing),
		NATRefresh: Duration(p.Register.NATRefresh),
	}
	s.Provider.Codecs = slices.Clone(p.Codecs)
	s.Dialplan.OutsidePrefix = p.OutsidePrefix
	s.Dialplan.Blocked = slices.Clone(p.Blocked)
}

// settle replaces what was written as "" by what the profile says.
func (s *Site) settle(p provider.Profile) {
	if s.Provider.Transport == "" {
		s.Provider.Transport = p.Transport()
		if len(s.Provider.Servers) > 0 {
			s.Provider.Transport = s.Provider.Servers[0].Transport
		}
	}
	if s.Provider.SRTP == "" {
		s.Provider.SRTP = p.SRTP
	}
	if s.Provider.Keying == "" {
		s.Provider.Keying = p.Keying
	}
	if s.Provider.Internal == "" {
		s.Provider.Internal = p.Internal
	}
}

// Profile is the profile of the site's provider.
func (s *Site) Profile() provider.Profile { return mustProfile(s.Provider.Profile) }

// CallLimit is how many calls at a time the line carries; 0: no limit is
// known. It is quality.max_calls, or else what fits into the bandwidth with a
// tenth of it left to everything else.
func (s *Site) CallLimit() int {
	if s.Quality.MaxCalls > 0 {
		return s.Quality.MaxCalls
	}
	least := s.WAN.Bandwidth.Up
	if d := s.WAN.Bandwidth.Down; d != 0 && (least == 0 || d < least) {
		least = d
	}
	if least == 0 {
		return 0
	}
	return max(1, int(uint64(least)*9/10/s.Profile().Thresholds.Voice))
}
