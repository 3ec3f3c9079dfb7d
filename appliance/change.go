package appliance

import (
	"reflect"
	"slices"

	"linekeeper/appliance/api"
	"linekeeper/appliance/config"
	"linekeeper/appliance/events"
	"linekeeper/sbc/wire"
)

// inForce makes a new site document take effect while calls go on. What can
// fail is made ready first: on an error the old document goes on serving. The
// findings say what waits for the daemon's next start.
func (b *Box) inForce(site *config.Site) ([]api.Finding, error) {
	trunk, err := b.trunkZoneOf(site)
	if err != nil {
		return nil, refused("provider.tls", err)
	}
	was := b.site.Load()
	if err := b.wire.SetZone(b.lanZoneOf(site)); err != nil {
		return nil, refused("lan.sip", err)
	}
	if err := b.moveTrunk(was, site, trunk); err != nil {
		// These listeners were open a moment ago.
		if back := b.wire.SetZone(b.lanZoneOf(was)); back != nil {
			b.log.Error("the lan's listeners could not be put back", "err", back)
		}
		return nil, refused("wan.address", err)
	}
	b.configureGuard(site)
	b.site.Store(site)
	b.servers.learn(site, b.names.Targets())
	for _, e := range was.Extensions {
		if _, still := site.Extension(e.Number); !still {
			b.bindings.Forget(e.Number)
		}
	}
	b.sw.Configure(switchConfig(site, b.agent()))
	if was.WAN.Address != site.WAN.Address || !slices.Equal(was.Provider.STUN, site.Provider.STUN) {
		b.public.Configure(publicConfig(site))
	}
	if now := turnConfig(site); !reflect.DeepEqual(turnConfig(was), now) {
		b.relays.Configure(now)
	}
	b.names.SetSource(source(site))
	b.news.publish(events.SiteRevision, events.Info, nil, "a new site document is in force")
	return waiting(was, site), nil
}

// moveTrunk changes the sockets toward the cloud, if they must be others.
func (b *Box) moveTrunk(was, site *config.Site, trunk wire.Zone) error {
	if was.WAN.Address == site.WAN.Address && was.Provider.TLS == site.Provider.TLS && serverName(was) == serverName(site) &&
		was.Provider.Register.NATRefresh == site.Provider.Register.NATRefresh && was.Network.QoS == site.Network.QoS {
		return nil
	}
	return b.wire.SetZone(trunk)
}

func refused(path string, err error) error {
	return &api.InvalidError{Findings: []api.Finding{{Path: path, Severity: config.Error.String(), Text: err.Error()}}}
}

// waiting lists what a running daemon can't change.
func waiting(was, site *config.Site) []api.Finding {
	var out []api.Finding
	note := func(path string) {
		out = append(out, api.Finding{Path: path, Severity: config.Note.String(), Text: "takes effect when the daemon starts anew"})
	}
	if was.Survivability.Probe != site.Survivability.Probe {
		note("survivability.probe")
	}
	if was.Network.QoS.Media != site.Network.QoS.Media {
		note("network.qos.media")
	}
	return out
}
