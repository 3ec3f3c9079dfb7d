package sbc

import (
	"fmt"
	"slices"
	"time"

	"linekeeper/sbc/call"
	"linekeeper/sbc/dialog"
	"linekeeper/sbc/location"
	"linekeeper/sbc/number"
	"linekeeper/sbc/policy"
	"linekeeper/sbc/provider"
	"linekeeper/sbc/sip"
)

// Online is the router while the cloud is there: internal calls stay inside or
// go by way of the cloud as the profile wants, everything else leaves over the
// caller's line.
func (s *Switch) Online() call.Router { return online{s} }

type online struct{ s *Switch }

// Route follows the fixed order: emergency, barring, codes, inside, outside.
func (r online) Route(inv call.Invite) call.Plan {
	cfg := r.s.cfg.Load()
	if inv.Caller.Line != "" {
		return r.s.RingExtension(inv, r.s.ExtensionOf(inv.Caller.Line))
	}
	d := r.s.dial(cfg, inv.Dialled)
	caller, _ := r.s.member(cfg, inv.Caller.Extension)
	switch d.Meaning {
	case number.Emergency:
		return r.s.Emergency(inv, d)
	case number.Extension:
		if !inv.Silent && inv.Instance == "" && (cfg.Internal == provider.Cloud || inv.Through != nil && !r.s.reachable(d.Text)) {
			if steps, err := r.s.wayOut(inv, cfg, caller.Account, d); err == nil {
				return call.Plan{Way: call.Cloud, Steps: steps}
			}
		}
		return r.s.RingExtension(inv, d.Text)
	case number.Code:
		return r.code(inv, cfg, caller, d)
	case number.Blocked:
		return Refuse(403, fmt.Sprintf("%s is blocked at this site", d.Text))
	case number.Outside:
		if !caller.Class.Covers(d.Class) {
			return Refuse(403, fmt.Sprintf("extension %s may not dial %s numbers", caller.Number, d.Class))
		}
		return r.outside(inv, cfg, caller, d)
	case number.Vacant, number.Nonsense:
		if inv.Through != nil { // its cloud may know what the site does not
			return r.outside(inv, cfg, caller, d)
		}
	}
	return Refuse(404, fmt.Sprintf("%q cannot be dialled here", inv.Dialled))
}

func (r online) outside(inv call.Invite, cfg *Config, caller Extension, d number.Dialled) call.Plan {
	if caller.Account == "" && inv.Through == nil {
		return Refuse(403, fmt.Sprintf("extension %s has no cloud account", caller.Number))
	}
	steps, err := r.s.wayOut(inv, cfg, caller.Account, d)
	if err != nil {
		return unavailable(err)
	}
	return call.Plan{Way: call.Cloud, Steps: steps}
}

// code passes a star code to the cloud. A code that lets the cloud call
// somebody in the user's name is barred like the call itself, and its number is
// written as the provider wants numbers.
func (r online) code(inv call.Invite, cfg *Config, caller Extension, d number.Dialled) call.Plan {
	if c, known := cfg.Profile.Match(d.Text); known && c.Target() != "" {
		switch to := cfg.Book.Dial(c.Target()); to.Meaning {
		case number.Emergency, number.Blocked:
			return Refuse(403, fmt.Sprintf("no forwarding to %s", to.Text))
		case number.Outside:
			if !caller.Class.Covers(to.Class) {
				return Refuse(403, fmt.Sprintf("extension %s may not forward to %s numbers", caller.Number, to.Class))
			}
			d.Text = cfg.Profile.Respell(d.Text, func(string) string { return cfg.Book.Write(to, cfg.Profile.Write) })
		default: // an extension, or what only the cloud understands
		}
	}
	return r.outside(inv, cfg, caller, d)
}

// Refuse is a plan that ends the call at once; why is for the log and the call's record.
func Refuse(code int, why string) call.Plan {
	return call.Plan{Way: call.Internal, Reject: &sip.Reject{Code: code, Phrase: sip.Phrase(code), Cause: fmt.Errorf("%s", why)}}
}

// unavailable refuses a call for which there is no way out.
func unavailable(err error) call.Plan {
	return call.Plan{Way: call.Cloud, Reject: &sip.Reject{Code: 503, Phrase: "Service Unavailable", After: retryOut, Cause: err}}
}

// RingExtension rings every contact of an extension together.
func (s *Switch) RingExtension(inv call.Invite, ext string) call.Plan {
	cfg := s.cfg.Load()
	way := call.Internal
	if inv.Caller.Line != "" {
		way = call.Cloud
	}
	if _, known := s.member(cfg, ext); !known {
		return Refuse(404, fmt.Sprintf("there is no extension %q", ext))
	}
	targets := s.phones(cfg, inv, ext)
	step := call.Step{Ring: cfg.Ring}
	if len(targets) == 0 {
		step.Silent = lonely
	}
	step.Targets = targets
	if inv.Instance == "" {
		step.Targets = append(step.Targets, s.clientTargets(cfg, inv, ext)...)
	}
	if len(step.Targets) == 0 {
		p := Refuse(480, fmt.Sprintf("extension %s is not registered", ext))
		p.Way = way
		return p
	}
	return call.Plan{Way: way, Steps: []call.Step{step}}
}

// phones are the targets of an extension's contacts: one a device, with its other
// flows to fall back on.
func (s *Switch) phones(cfg *Config, inv call.Invite, ext string) []call.Target {
	var out []call.Target
	for _, device := range location.Devices(s.location.Lookup(time.Now(), ext)) {
		if inv.Instance != "" && device[0].Instance != inv.Instance {
			continue
		}
		var flows []call.Target
		for i := range device {
			if t, ok := s.phoneTarget(cfg, inv, &device[i]); ok {
				flows = append(flows, t)
			}
		}
		if len(flows) > 0 {
			flows[0].Flows = flows[1:]
			out = append(out, flows[0])
		}
	}
	return out
}

// phoneTarget is one contact of an extension; ok is false where it can't be read.
func (s *Switch) phoneTarget(cfg *Config, inv call.Invite, b *location.Binding) (call.Target, bool) {
	uri, err := sip.ParseURI(b.URI)
	if err != nil {
		return call.Target{}, false
	}
	e, _ := s.member(cfg, b.Extension)
	flow := b.Flow
	host := flow.Local.Addr().Unmap().String()
	who := inv.Shown()
	number := who.Number
	if who.Line != "" {
		number = cfg.shown(number)
	}
	from := dialog.Address{Display: who.Display, URI: sip.URI{Scheme: "sip", User: userPart(number), Host: host}}
	if who.Anonymous || number == "" {
		from, number = anonymous(), ""
	}
	headers := cfg.assert(policy.Named{Display: from.Display, URI: sip.URI{User: userPart(number)}}, false, false, host)
	return call.Target{
		Name: "phone " + b.Extension, Extension: b.Extension, Instance: b.Instance, Flow: flow, URI: uri, Routes: routesOf(b.Path),
		From: from, To: dialog.Address{Display: e.Name, URI: sip.URI{Scheme: "sip", User: b.Extension, Host: host}},
		Contact: contactURI(userPart(number), flow), Side: s.side(cfg, flow),
		Headers: append(headers, s.diversionsInside(cfg, inv.Diverted, host)...),
	}, true
}

// shown is a caller's number from the cloud as a phone shows it. A colleague
// whose call the cloud switches is shown by the extension; elsewhere a caller
// who only claims to be one is not.
func (c *Config) shown(came string) string {
	n := c.Book.Read(came, c.Profile.Accept)
	if n == "" {
		return came
	}
	if ext, ours := c.Book.Inside(n); ours && c.Internal == provider.Cloud {
		return ext
	}
	return c.Book.Show(n)
}

// anonymous is a caller who withholds the number (RFC 3323 4.1.1.3).
func anonymous() dialog.Address {
	return dialog.Address{Display: "Anonymous", URI: sip.URI{Scheme: "sip", User: "anonymous", Host: "anonymous.invalid"}}
}

// lineTarget is the way out over an account, with the identity that the
// provider's profile wants.
func (s *Switch) lineTarget(inv call.Invite, cfg *Config, account string, d number.Dialled) (call.Target, error) {
	if inv.Through != nil {
		return s.throughTarget(inv, cfg)
	}
	l, ok := cfg.byAccount[account]
	if !ok {
		return call.Target{}, fmt.Errorf("extension %s has no cloud account", inv.Caller.Extension)
	}
	emergency := d.Meaning == number.Emergency
	flow, routes, ok := s.lines.way(account, emergency)
	if !ok {
		return call.Target{}, fmt.Errorf("line %s: %w", account, errNoTrunk)
	}
	caller := cfg.Extensions[inv.Caller.Extension]
	shown := caller.Public
	if inv.Caller.Wish != "" {
		shown = number.E164(inv.Caller.Wish)
	}
	if shown == "" || emergency {
		shown = cfg.MainNumber
	}
	domain := cfg.Trunk.Domain
	user := l.Account
	if cfg.Profile.Identity.From == provider.FromNumber && shown != "" {
		user = cfg.Book.Format(shown, cfg.Profile.Write)
	}
	t := call.Target{
		Name: "line " + account, Line: account, Flow: flow, Routes: routes,
		URI:         sip.URI{Scheme: "sip", User: userPart(cfg.Book.Write(d, cfg.Profile.Write)), Host: domain},
		From:        dialog.Address{Display: caller.Name, URI: sip.URI{Scheme: "sip", User: user, Host: domain}},
		Contact:     cfg.lineContact(l.Account, flow),
		Credentials: &sip.Credentials{User: l.Auth, Password: l.Password},
		Side:        s.side(cfg, flow),
	}
	t.To = dialog.Address{URI: t.URI}
	withheld := inv.Caller.Anonymous && !emergency
	t.Headers = identity(cfg, withheld, shown, domain)
	if !emergency {
		t.Headers = append(t.Headers, s.diversionsOutside(cfg, inv.Diverted, t.URI)...)
	}
	if withheld {
		t.From = anonymous()
	}
	return t, nil
}

// wayOut is the way over an account with a spare for the case that its server gives
// no sign, can't be reached or is overloaded: the server at which the line is
// registered, then the best of the others (RFC 3263 4.3), all within the time that
// the cloud may keep silent. A server that failed a moment ago comes last.
func (s *Switch) wayOut(inv call.Invite, cfg *Config, account string, d number.Dialled) ([]call.Step, error) {
	t, err := s.lineTarget(inv, cfg, account, d)
	if err != nil {
		return nil, err
	}
	now, first := time.Now(), Target{t.Flow.Transport, t.Flow.Remote}
	targets := []call.Target{t}
	for _, spare := range s.lines.spares(first, now) {
		flow, err := s.flows.Flow(cfg.Trunk.Zone, spare.Transport, spare.Addr)
		if err != nil {
			continue
		}
		u := t
		u.Name, u.Flow, u.Routes, u.Contact, u.Side = t.Name+" by "+spare.Addr.String(), flow, nil, cfg.lineContact(t.Contact.User, flow), s.side(cfg, flow)
		targets = append(targets, u)
	}
	if s.lines.standings.doubted(first, now) {
		slices.Reverse(targets)
	}
	steps := make([]call.Step, len(targets))
	for i, t := range targets {
		steps[i] = call.Step{Targets: []call.Target{t}, Silent: cfg.CallTimeout / time.Duration(len(targets)), Spare: i > 0}
	}
	return steps, nil
}

// throughTarget is the way out of a phone that holds the cloud's own credentials.
func (s *Switch) throughTarget(inv call.Invite, cfg *Config) (call.Target, error) {
	th := inv.Through
	flow, routes, ok := s.pass.way(cfg, th.Account)
	if !ok {
		return call.Target{}, fmt.Errorf("account %s: %w", th.Account, errNoTrunk)
	}
	return call.Target{
		Name: "account " + th.Account, Line: th.Account, Flow: flow, Routes: routes, URI: th.URI, From: th.From, To: dialog.Address{URI: th.URI},
		Contact: contactURI(userPart(th.Account), flow), Through: true, CallID: th.CallID, Headers: th.Headers, Side: s.side(cfg, flow),
	}, nil
}

// reachable says whether a phone of an extension is registered.
func (s *Switch) reachable(ext string) bool { return len(s.location.Lookup(time.Now(), ext)) > 0 }

// identity are the headers by which the provider learns the number to show
// (RFC 3325) and that it shall not be shown (RFC 3323).
func identity(cfg *Config, withheld bool, shown number.E164, domain string) []sip.Header {
	var hs []sip.Header
	if shown != "" {
		u := sip.URI{Scheme: "sip", User: cfg.Book.Format(shown, cfg.Profile.Write), Host: domain}
		hs = append(hs, sip.NewHeader(string(cfg.Profile.Identity.Header), "<"+sip.URIText(&u)+">"))
	}
	if withheld {
		hs = append(hs, sip.NewHeader("Privacy", "id"))
	}
	return hs
}
