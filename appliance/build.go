package appliance

import (
	"cmp"
	"slices"
	"time"

	"linekeeper/appliance/config"
	"linekeeper/sbc"
	"linekeeper/sbc/event"
	"linekeeper/sbc/media"
	"linekeeper/sbc/number"
	"linekeeper/sbc/provider"
	"linekeeper/sbc/sdp"
)

// trunkZone names the zone of the sockets toward the cloud.
const trunkZone = "wan"

const (
	// lanMinExpires and lanMaxExpires bound a phone's registration.
	lanMinExpires = 30 * time.Second
	lanMaxExpires = time.Hour
	// ringTime is how long an extension rings.
	ringTime = 2 * time.Minute
)

// switchConfig is the switchboard's part of the site document.
func switchConfig(site *config.Site, agent string) *sbc.Config {
	p := site.Profile()
	c := &sbc.Config{
		Agent: agent, Realm: "linekeeper", Extensions: make(map[string]sbc.Extension, len(site.Extensions)),
		MaxCalls: site.Quality.MaxCalls, MinMOS: site.Quality.MinMOS, MinExpires: lanMinExpires, MaxExpires: lanMaxExpires,
		Trunk: sbc.Trunk{
			Zone: trunkZone, Domain: domain(site), Expires: site.Provider.Register.Expires.D(),
			Spacing: site.Provider.Register.Spacing.D(), Refresh: site.Provider.Register.NATRefresh.D(), Exclusive: p.Exclusive, Outbound: p.Register.Outbound,
			Summary: slices.Contains(p.Subscribe, string(event.Summary)),
		},
		Sides: map[string]sbc.MediaSide{
			sbc.LAN: agreed(sbc.MediaSide{Low: site.LAN.MediaPorts.Low, High: site.LAN.MediaPorts.High, Addr: site.LAN.MediaAddress, Direct: site.LAN.DirectMedia,
				Transcode: site.Quality.Transcode, Presses: true}, site.LAN.SRTP, site.LAN.Keying, site.LAN.ICE),
			trunkZone: agreed(sbc.MediaSide{Codecs: site.Provider.Codecs, Low: site.WAN.MediaPorts.Low, High: site.WAN.MediaPorts.High, Addr: site.WAN.Address,
				Transcode: site.Quality.Transcode, Presses: true}, site.Provider.SRTP, site.Provider.Keying, site.Provider.ICE),
		},
		Book: number.NewBook(site.Plan()), Country: site.Site.Country, Profile: p, Internal: site.Provider.Internal,
		PassThrough: site.LAN.PassThrough, CallTimeout: site.Survivability.CallTimeout.D(), Ring: ringTime, MainNumber: site.Site.MainNumber,
	}
	for _, cl := range site.LAN.Clients {
		x := clientOf(cl)
		c.Clients = append(c.Clients, x)
		srtp, keying, ice := cl.Media(site.LAN)
		side := agreed(c.Sides[sbc.LAN], srtp, keying, ice)
		side.Codecs = x.Profile.Codecs
		c.Sides[x.Side()] = side
	}
	for _, e := range site.Extensions {
		x := sbc.Extension{Number: e.Number, Name: e.Name, Password: e.Password.Reveal(), Public: e.Public, Class: e.Class, PickupGroup: e.PickupGroup}
		switch {
		case e.Cloud.Used() && c.PassThrough && e.Cloud.Password.IsZero(): // its phone holds the password
			x.Passage = e.Cloud.Account
		case e.Cloud.Used():
			x.Account = e.Cloud.Account
			c.Lines = append(c.Lines, sbc.Line{Account: e.Cloud.Account, Auth: e.Cloud.AuthName(), Password: e.Cloud.Password.Reveal(), Extension: e.Number})
		}
		c.Extensions[e.Number] = x
	}
	return c
}

// clientOf is a UC server of the LAN as the switchboard knows it.
func clientOf(c config.Client) sbc.Client {
	t, peer := c.Peer()
	return sbc.Client{
		Name: c.Name, Profile: c.Is(), Address: c.Address, Transport: t, Peer: peer,
		Auth: c.AuthName(), Password: c.Password.Reveal(), Extensions: c.Extensions,
	}
}

// domain is what the accounts belong to: the provider's domain, or the first
// server's name where none is given.
func domain(site *config.Site) string {
	if site.Provider.Domain != "" || len(site.Provider.Servers) == 0 {
		return site.Provider.Domain
	}
	return site.Provider.Servers[0].Host
}

// serverName is what the provider's certificate must carry.
func serverName(site *config.Site) string {
	return cmp.Or(site.Provider.TLS.ServerName, domain(site))
}

// agreed is a side with what is wanted of its keys and paths.
func agreed(side sbc.MediaSide, srtp provider.SRTP, keying provider.Keying, ice provider.ICE) sbc.MediaSide {
	side.SRTP, side.DTLS, side.Sole, side.ICE = policy(srtp), keying == provider.DTLS, keying != provider.Either, candidates(ice)
	return side
}

func candidates(i provider.ICE) sdp.ICEPolicy {
	switch i {
	case provider.ICERequired:
		return sdp.ICERequired
	case provider.ICEOffered:
		return sdp.ICEFull
	case provider.ICEAnswered:
		return sdp.ICELite
	default: // off
	}
	return sdp.ICEOff
}

// publicConfig is whom to ask for the public address. It is of use with candidates only.
func publicConfig(site *config.Site) media.PublicConfig {
	return media.PublicConfig{Servers: site.Provider.STUN, From: site.WAN.Address}
}

// turnConfig is who relays for us. A relayed address is of use as a candidate only.
func turnConfig(site *config.Site) media.TURNConfig {
	t := site.Provider.TURN
	if !site.Provider.ICE.Offers() || len(t.Servers) == 0 {
		return media.TURNConfig{}
	}
	return media.TURNConfig{Servers: t.Servers, User: t.User, Password: t.Password.Reveal(), From: site.WAN.Address}
}

func policy(p provider.SRTP) sdp.Policy {
	switch p {
	case provider.Required:
		return sdp.Required
	case provider.Preferred:
		return sdp.Preferred
	default: // off
	}
	return sdp.Off
}
