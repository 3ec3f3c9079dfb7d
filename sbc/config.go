package sbc

import (
	"net/netip"
	"time"

	"linekeeper/sbc/number"
	"linekeeper/sbc/provider"

	"linekeeper/sbc/sdp"
	"linekeeper/sbc/sip"
)

// Config is one generation of the switchboard's settings. It is immutable; a
// call keeps the generation that it was born with.
type Config struct {
	// Agent is the User-Agent and Server text.
	Agent string
	// Realm of the digest challenges toward phones.
	Realm string
	// Extensions by number.
	Extensions map[string]Extension
	// Lines are the cloud accounts.
	Lines []Line
	// Clients are the UC servers of the LAN.
	Clients []Client
	// Sides are the media policies by side name: "lan", "lan/" and a client's
	// name, and the trunk's zone.
	Sides map[string]MediaSide
	// MinMOS is the quality below which a call counts as bad; 0: 3.6.
	MinMOS float64
	// MaxCalls bounds calls at a time; 0 means the built-in bound.
	MaxCalls int
	// MinExpires, MaxExpires bound what a phone's registration may last.
	MinExpires, MaxExpires time.Duration
	// Trunk says how the cloud is reached.
	Trunk Trunk
	// Book understands what is dialled.
	Book *number.Book
	// Profile is the provider's.
	Profile provider.Profile
	// Country says by its ISO 3166 code whose tones are heard.
	Country string
	// Internal says where calls between extensions are signalled.
	Internal provider.Internal
	// CallTimeout is how long the cloud may give no sign before a call goes on inside.
	CallTimeout time.Duration
	// PassThrough lets phones that hold the cloud's own credentials register and
	// call through the box.
	PassThrough bool
	// Ring bounds how long an extension rings.
	Ring time.Duration
	// MainNumber is shown where an extension has no public number.
	MainNumber number.E164

	byAccount map[string]Line
	byPassage map[string]string
	byAddress map[netip.Addr]*Client
}

// prepare makes the look-up tables; Configure calls it.
func (c *Config) prepare() {
	c.byAccount = make(map[string]Line, len(c.Lines))
	for _, l := range c.Lines {
		c.byAccount[l.Account] = l
	}
	c.byPassage = make(map[string]string)
	for _, e := range c.Extensions {
		if e.Passage != "" {
			c.byPassage[e.Passage] = e.Number
		}
	}
	c.byAddress = make(map[netip.Addr]*Client, len(c.Clients))
	for i := range c.Clients {
		c.byAddress[c.Clients[i].Address.Unmap()] = &c.Clients[i]
	}
}

// Extension is a phone number of the site.
type Extension struct {
	Number, Name, Password string
	// Public is the number shown outside; empty: the site's main number.
	Public number.E164
	// Class is what the extension may dial.
	Class number.Class
	// PickupGroup names those whose ringing calls each other's phones may take.
	PickupGroup string
	// Account is the cloud account of its line; empty: none.
	Account string
	// Passage is the cloud account that the extension's phone registers itself,
	// through the box; empty: none, or one of the extension's number.
	Passage string
}

// Line is one cloud account to be kept registered.
type Line struct {
	Account, Auth, Password string
	// Extension rings when the line is called.
	Extension string
}

// MediaSide is the media policy of one side of the box.
type MediaSide struct {
	SRTP sdp.Policy
	// DTLS offers keys by DTLS-SRTP instead of SDES; Sole takes them in no other way.
	// ICE is what is done about candidates.
	DTLS, Sole bool
	ICE        sdp.ICEPolicy
	Suites     []sdp.Suite
	Codecs     []string
	Low, High  uint16
	// Transcode lets the relay convert between codecs that it knows where a call has
	// no common one, Presses key presses of one form into the other.
	Transcode, Presses bool
	// Direct lets media of two phones on one segment go past the box: on a /24 of
	// IPv4, a /64 of IPv6.
	Direct bool
	// Addr is the media address; invalid: the one that the signalling uses.
	Addr netip.Addr
}

// Trunk is the way to the cloud PBX.
type Trunk struct {
	// Zone is the name of its sockets in the wire.
	Zone string
	// Domain is the registrar's domain, host of the AORs.
	Domain string
	// Expires is what is asked for, Spacing the pause between two lines' first
	// registrations, Refresh the NAT keep-alive; zero values switch the latter two off.
	Expires, Spacing, Refresh time.Duration
	// Outbound asks the registrar to keep each line as a flow (RFC 5626).
	Outbound bool
	// Exclusive says that an account must be registered once only.
	Exclusive bool
	// Summary says that each line subscribes to its mailbox's lamp (RFC 3842).
	Summary bool
}

// Bounds of the switchboard.
const (
	// maxCalls bounds calls at a time where the site sets no bound of its own.
	maxCalls = 2000
	// maxOwners bounds calls with those that have ended and only wait for answers.
	maxOwners = 4*maxCalls + emergencyReserve
	// emergencyReserve is how many emergency calls go beyond the bound.
	emergencyReserve = 16
	// retryFull and retryDrain are the Retry-After of a call turned away because
	// of the bound, and because the box is about to restart.
	retryFull  = 2 * time.Second
	retryDrain = 10 * time.Second
	// retryOut is the Retry-After of a call for which there is no way out.
	retryOut = 10 * time.Second
	// maxWaysOut bounds the lines that one emergency call tries.
	maxWaysOut = 3
	// maxServiceRoutes bounds the routes that a registrar can make calls carry.
	maxServiceRoutes = 8
	// inboxDepth bounds what may wait for one call's owner.
	inboxDepth = 32
	// idleHands bounds the goroutines that wait for a call to work at.
	idleHands = 64
)

// lanZone says whether a zone is the phones' side.
func lanZone(zone string) bool { return zone == LAN }

// LAN is the name of the phones' zone.
const LAN = "lan"

// contactURI is our contact for a user at a flow's local address.
func contactURI(user string, flow sip.Flow) sip.URI {
	u := sip.URI{Scheme: "sip", User: user, Host: flow.Local.Addr().Unmap().String(), Port: int(flow.Local.Port())}
	if flow.Transport != sip.UDP {
		u.UriParams.Add("transport", string(flow.Transport))
	}
	return u
}
