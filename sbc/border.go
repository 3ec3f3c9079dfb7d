package sbc

import (
	"strings"

	"linekeeper/sbc/call"
	"linekeeper/sbc/exchange"
	"linekeeper/sbc/number"
	"linekeeper/sbc/policy"
	"linekeeper/sbc/provider"
	"linekeeper/sbc/sip"
)

// private answers a request that calls for privacy which the box does not know
// how to give (RFC 3323 5), unless it calls for help. It says whether the request
// is done with.
func (s *Switch) private(tx *exchange.Server, req *sip.Request) bool {
	refused := policy.Refused(req)
	if len(refused) == 0 || s.cfg.Load().Book.Emergency(dialled(&req.Recipient)) {
		return false
	}
	resp := sip.Respond(req, 500, "Privacy Not Supported: "+clip(strings.Join(refused, ", "), 64), s.random())
	resp.AppendHeader(sip.NewHeader("Server", s.cfg.Load().Agent))
	tx.Respond(resp)
	return true
}

// hides says whether the caller's number is withheld in this call, as the phone
// is set or as it was dialled.
func (c *Config) hides(req *sip.Request) bool {
	return c.Book.Privacy(dialled(&req.Recipient)).Withholds(withheld(req))
}

// withheld says whether the caller wants no number shown (RFC 3323, RFC 3325).
func withheld(req *sip.Request) bool {
	p, _ := policy.ReadPrivacy(req)
	if p.Hides() || p&policy.PrivacyNone != 0 {
		return p.Hides()
	}
	f := req.From()
	return f != nil && (f.Address.User == "anonymous" || f.Address.Host == "anonymous.invalid")
}

// wish is the number by which a phone asks to be shown outside: its own public
// number or the site's.
func (c *Config) wish(req *sip.Request, e Extension) string {
	return string(policy.Wish(req, c.spoken, e.Public, c.MainNumber))
}

// spoken reads a number in any form.
func (c *Config) spoken(user string) number.E164 {
	return c.Book.Read(user, []number.Style{number.WithPlus, number.WithZeros, number.WithArea, number.WithoutPlus})
}

// outsider is who calls from the cloud: the number that the profile believes and
// a name for it.
func (c *Config) outsider(req *sip.Request, account string) call.Party {
	_, own := c.byAccount[account]
	p := call.Party{Line: account, Anonymous: withheld(req), Through: !own}
	said, hidden, ok := policy.Asserted(req, policy.Calling)
	if hidden {
		p.Anonymous = true
	}
	f := req.From()
	if f == nil || p.Anonymous {
		return p
	}
	p.Number, p.Display = strings.Clone(dialled(&f.Address)), strings.Clone(f.DisplayName)
	if n := dialled(&said.URI); ok && n != "" && (c.Profile.Identity.Caller != provider.CallerFrom || p.Number == "") {
		p.Number = strings.Clone(n)
		if said.Display != "" {
			p.Display = strings.Clone(said.Display)
		}
	}
	return p
}

// public is how an extension is written outside: by its number there or the
// site's, never by what it is called inside; "" where it has none.
func (c *Config) public(e Extension) string {
	n := e.Public
	if n == "" {
		n = c.MainNumber
	}
	if n == "" {
		return ""
	}
	return c.Book.Format(n, c.Profile.Write)
}

// connected yields what tells a caller whom it has reached (RFC 3325): a phone
// the colleague or the number that the cloud asserts, the cloud the public number
// of whoever took the call.
func (s *Switch) connected(cfg *Config, inv call.Invite, flow sip.Flow) func(call.Target, *sip.Response) []sip.Header {
	outside := inv.Caller.Line != ""
	host := flow.Local.Addr().Unmap().String()
	return func(t call.Target, resp *sip.Response) []sip.Header {
		p, _ := policy.ReadPrivacy(resp)
		n, hidden := policy.Named{}, p.Hides()
		switch {
		case t.Extension != "":
			e, _ := s.member(cfg, t.Extension)
			n = policy.Named{Display: e.Name, URI: sip.URI{User: userPart(e.Number)}}
			if outside {
				n.URI.User = userPart(cfg.public(e))
			}
		default:
			said, off, ok := policy.Asserted(resp, policy.Called)
			if !ok {
				return nil
			}
			hidden = hidden || off
			n = policy.Named{Display: said.Display, URI: sip.URI{User: userPart(dialled(&said.URI))}}
			if !outside {
				n.URI.User = userPart(cfg.shown(dialled(&said.URI)))
			}
		}
		return cfg.assert(n, hidden, outside, host)
	}
}

// inside is the identity of one of the box's extensions for the cloud: its public
// number, or the one by which it has asked to be shown.
func (s *Switch) inside(cfg *Config, p call.Party) []sip.Header {
	e, _ := s.member(cfg, p.Extension)
	user := cfg.public(e)
	if p.Wish != "" {
		user = cfg.Book.Format(number.E164(p.Wish), cfg.Profile.Write)
	}
	return cfg.assert(policy.Named{Display: e.Name, URI: sip.URI{User: userPart(user)}}, p.Anonymous, true, "")
}

// assert is the identity of one party for the other. A phone learns nothing of
// one who withholds it; the cloud is told both and keeps it.
func (c *Config) assert(n policy.Named, hidden, outside bool, host string) []sip.Header {
	n.URI.Scheme, n.URI.Host = "sip", host
	switch {
	case n.URI.User == "", hidden && !outside:
		return nil
	case !outside:
		return []sip.Header{sip.NewHeader("P-Asserted-Identity", n.Value())}
	}
	n.URI.Host = c.Trunk.Domain
	hs := []sip.Header{sip.NewHeader(string(c.Profile.Identity.Header), n.Value())}
	if hidden {
		hs = append(hs, sip.NewHeader("Privacy", "id"))
	}
	return hs
}

// diversionsInside tells a phone who had the call before.
func (s *Switch) diversionsInside(cfg *Config, ds []policy.Divert, host string) []sip.Header {
	out := make([]policy.Divert, 0, len(ds))
	for _, d := range ds {
		user := ""
		switch {
		case d.Hidden:
		case d.Extension != "":
			e, _ := s.member(cfg, d.Extension)
			d.Display, user = e.Name, d.Extension
		default:
			user = cfg.shown(dialled(&d.URI))
		}
		d.URI = sip.URI{Scheme: "sip", User: userPart(user), Host: host}
		if user == "" {
			a := anonymous()
			d.Display, d.URI = a.Display, a.URI
		}
		out = append(out, d)
	}
	return policy.Diversion(out)
}

// diversionsOutside tells the cloud, in the way that its profile wants.
func (s *Switch) diversionsOutside(cfg *Config, ds []policy.Divert, target sip.URI) []sip.Header {
	if len(ds) == 0 || cfg.Profile.Diverts == provider.DivertNone {
		return nil
	}
	out := make([]policy.Divert, 0, len(ds))
	for _, d := range ds {
		user := userPart(dialled(&d.URI))
		if d.Extension != "" {
			e, _ := s.member(cfg, d.Extension)
			d.Display, user = e.Name, userPart(cfg.public(e))
		} else if n := cfg.spoken(dialled(&d.URI)); n != "" {
			user = userPart(cfg.Book.Format(n, cfg.Profile.Write))
		}
		if user == "" {
			continue
		}
		d.URI = sip.URI{Scheme: "sip", User: user, Host: cfg.Trunk.Domain}
		out = append(out, d)
	}
	var hs []sip.Header
	if cfg.Profile.Diverts != provider.DivertHistory {
		hs = policy.Diversion(out)
	}
	if cfg.Profile.Diverts != provider.DivertDiversion && len(out) > 0 {
		hs = append(append(hs, policy.History(out, target)...), sip.NewHeader("Supported", "histinfo"))
	}
	return hs
}

// maxDiverted bounds how often a call may have been sent on in all, before it
// came to us and here: where nothing else tells a loop, this ends it (RFC 5806 8).
const maxDiverted = 10

// tooOften says whether a call has been sent on more often than any honest one.
func tooOften(ds []policy.Divert) bool {
	n := 0
	for _, d := range ds {
		n += max(d.Times, 1)
	}
	return n > maxDiverted
}
