package sbc

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"linekeeper/sbc/call"
	"linekeeper/sbc/dialog"
	"linekeeper/sbc/exchange"
	"linekeeper/sbc/number"
	"linekeeper/sbc/policy"
	"linekeeper/sbc/provider"
	"linekeeper/sbc/sip"
)

// Client is a UC server beside the phones. One that registers does so like many
// phones behind one address and needs nothing here but its media policy; a
// trunk-like one takes and makes the calls of its extensions.
type Client struct {
	Name    string
	Profile provider.Client
	// Address is where it speaks from.
	Address netip.Addr
	// Transport and Peer are where a trunk-like one takes calls.
	Transport sip.Transport
	Peer      netip.AddrPort
	// Auth and Password prove its calls; without a password its address is enough.
	Auth, Password string
	// Extensions are those whose calls a trunk-like one takes and makes.
	Extensions []string
}

// Side is the name of the client's media side in Config.Sides.
func (c *Client) Side() string { return LAN + "/" + c.Name }

// trunkLike says whether calls go to its address without a registration.
func (c *Client) trunkLike() bool { return !c.Profile.Registers }

// client is the UC server that a flow of the LAN comes from; nil if none.
func (c *Config) client(flow sip.Flow) *Client {
	if !lanZone(flow.Zone) || len(c.byAddress) == 0 {
		return nil
	}
	return c.byAddress[flow.Remote.Addr().Unmap()]
}

// clientCalls admits a call from a trunk-like client: by its address, and by
// digest where it has a password. The caller is the extension that it names.
func (s *Switch) clientCalls(tx *exchange.Server, req *sip.Request, flow sip.Flow, cfg *Config, c *Client) (call.Party, bool) {
	if c.Password != "" {
		password := func(user string) (string, bool) { return c.Password, user == c.Auth }
		if _, ok := s.prove(tx, req, flow, password); !ok {
			return call.Party{}, false
		}
	}
	if ct := req.Contact(); ct == nil || ct.Address.Host == "" {
		s.answer(tx, req, 400)
		return call.Party{}, false
	}
	ext, ok := cfg.speaker(req)
	ok = ok && slices.Contains(c.Extensions, ext)
	if !ok && len(c.Extensions) > 0 && cfg.Book.Emergency(dialled(&req.Recipient)) {
		ext, ok = c.Extensions[0], true // who calls for help is not asked twice
	}
	if !ok {
		s.watch.Refused("client "+c.Name+" calls for nobody of its extensions", flow, req)
		s.answer(tx, req, 403)
		return call.Party{}, false
	}
	return call.Party{Extension: ext, Number: ext, Display: cfg.Extensions[ext].Name, Anonymous: cfg.hides(req), Wish: cfg.wish(req, cfg.Extensions[ext])}, true
}

// speaker is the extension in whose name a client calls: its number or its
// public number, in the asserted or preferred identity or in From.
func (c *Config) speaker(req *sip.Request) (ext string, ok bool) {
	uris := append(sip.Identities(req, "P-Asserted-Identity"), sip.Identities(req, "P-Preferred-Identity")...)
	if f := req.From(); f != nil {
		uris = append(uris, f.Address)
	}
	all := []number.Style{number.WithPlus, number.WithZeros, number.WithArea, number.WithoutPlus}
	for i := range uris {
		user := dialled(&uris[i])
		if _, known := c.Extensions[user]; known {
			return user, true
		}
		if ext, ours := c.Book.Inside(c.Book.Read(user, all)); ours {
			return ext, true
		}
	}
	return "", false
}

// clientTargets are the trunk-like clients at which an extension rings as well.
func (s *Switch) clientTargets(cfg *Config, inv call.Invite, ext string) []call.Target {
	var out []call.Target
	for i := range cfg.Clients {
		c := &cfg.Clients[i]
		if !c.trunkLike() || !slices.Contains(c.Extensions, ext) {
			continue
		}
		flow, err := s.flows.Flow(LAN, c.Transport, c.Peer)
		if err != nil {
			s.log.Info("no way to a client", "client", c.Name, "peer", c.Peer, "err", err)
			continue
		}
		host := flow.Local.Addr().Unmap().String()
		uri := sip.URI{Scheme: "sip", User: userPart(ext), Host: c.Peer.Addr().String(), Port: int(c.Peer.Port())}
		who := inv.Shown()
		shown := who.Number
		if who.Line != "" {
			if n := cfg.Book.Read(shown, cfg.Profile.Accept); n != "" {
				shown = cfg.Book.Format(n, c.Profile.Write)
			}
		}
		to := uri
		to.Port = 0 // RFC 3261 19.1.1
		from := dialog.Address{Display: who.Display, URI: sip.URI{Scheme: "sip", User: userPart(shown), Host: host}}
		if who.Anonymous || shown == "" {
			from, shown = anonymous(), ""
		}
		out = append(out, call.Target{
			Name: fmt.Sprintf("%s at %s", ext, c.Name), Extension: ext, Flow: flow, URI: uri, From: from, To: dialog.Address{URI: to},
			Contact: contactURI(userPart(shown), flow), Side: s.side(cfg, flow),
			Headers: append(cfg.assert(policy.Named{Display: from.Display, URI: sip.URI{User: userPart(shown)}}, false, false, host), s.diversionsInside(cfg, inv.Diverted, host)...),
		})
	}
	return out
}

// lonely bounds how long a call waits for a first sign of the clients alone: a
// UC server that is down must not keep the caller in the dark.
const lonely = 4 * time.Second

// lanSide says whether a side of the media is on the phones' side of the box.
func lanSide(side string) bool { return side == LAN || strings.HasPrefix(side, LAN+"/") }
