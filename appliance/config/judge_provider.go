package config

import (
	"fmt"
	"slices"
	"strings"

	"linekeeper/sbc/provider"
	"linekeeper/sbc/sip"
)

// judgeServers compares what is written with what the profile allows.
func (r *reader) judgeServers(s *Site) {
	p, profile := s.Provider, s.Profile()
	allowed := func() string {
		var out []string
		for _, t := range profile.Transports {
			out = append(out, string(t))
		}
		return profile.Title + " takes " + strings.Join(out, ", ")
	}
	if !profile.Allows(p.Transport) && r.written("provider.transport") {
		r.wrong("provider.transport", allowed(), "%s can't be used with this profile", p.Transport)
	}
	seen := map[Server]bool{}
	for i, srv := range p.Servers {
		path := at("provider.servers", i, "")
		switch {
		case srv.Host == "":
		case !profile.Allows(srv.Transport):
			r.wrong(path, allowed(), "%s can't be used with this profile", srv.Transport)
		case r.written("provider.transport") && srv.Transport != p.Transport:
			r.wrong(path, "take one of the two away", "the server is reached by %s, provider.transport says %s", srv.Transport, p.Transport)
		case seen[srv]:
			r.warn(path, "", "the server is there twice")
		}
		seen[srv] = true
	}
	if p.Domain == "" && len(p.Servers) == 0 && !r.written("provider.domain") && !r.written("provider.servers") ||
		p.Domain == "" && len(p.Servers) == 0 && r.written("provider.domain") != r.written("provider.servers") && !r.failedAt("provider.domain", "provider.servers") {
		r.wrong("provider", `add domain: praxis.example or servers: ["tls://sip1.example:5061"]`, "neither a domain nor a server says where the provider is")
	}
	r.judgeTLS(s)
}

// failedAt says whether one of the paths, or a list entry of it, was refused.
func (r *reader) failedAt(paths ...string) bool {
	for _, f := range r.found {
		for _, p := range paths {
			if f.Severity == Error && (f.Path == p || strings.HasPrefix(f.Path, p+"[")) {
				return true
			}
		}
	}
	return false
}

func (r *reader) judgeTLS(s *Site) {
	t, usesTLS := s.Provider.TLS, s.usesTLS()
	switch {
	case t.Certificate != "" && t.Key == "" && !r.written("provider.tls.key"):
		r.wrong("provider.tls.certificate", "add key: with the file of its private key", "a certificate without its key proves nothing")
	case t.Key != "" && t.Certificate == "" && !r.written("provider.tls.certificate"):
		r.wrong("provider.tls.key", "add certificate:", "a key without its certificate proves nothing")
	}
	if t != (TLS{}) && !usesTLS {
		r.warn("provider.tls", "", "isn't used: the provider is reached by %s", s.Provider.Transport)
	}
	if inClear(s.Provider.SRTP, s.Provider.Keying) && !usesTLS {
		r.warn("provider.srtp", "use a tls server, or keying: dtls", "the media keys travel in the clear over %s", s.Provider.Transport)
	}
	tlsPhones := slices.ContainsFunc(s.LAN.SIP, func(l Listen) bool { return l.Transport == sip.TLS })
	if inClear(s.LAN.SRTP, s.LAN.Keying) && !tlsPhones && len(s.LAN.SIP) > 0 {
		r.warn("lan.srtp", `add "tls://:5061" to lan.sip, or keying: dtls`, "the phones' media keys travel in the clear")
	}
	r.judgeKeying("provider.keying", s.Provider.SRTP, s.Provider.Keying != s.Profile().Keying)
	r.judgeKeying("lan.keying", s.LAN.SRTP, s.LAN.Keying != provider.Either)
}

// inClear says whether encryption is insisted on with keys that the signalling carries.
func inClear(srtp provider.SRTP, keying provider.Keying) bool {
	return srtp == provider.Required && (keying == provider.SDES || keying == provider.Either)
}

// judgeKeying finds a way of agreeing on keys that nobody will ask for.
func (r *reader) judgeKeying(path string, srtp provider.SRTP, wanted bool) {
	if srtp == provider.Off && wanted {
		r.warn(path, "take it away, or set srtp", "isn't used: srtp is off")
	}
}

func (s *Site) usesTLS() bool {
	if len(s.Provider.Servers) == 0 {
		return s.Provider.Transport == sip.TLS
	}
	return !slices.ContainsFunc(s.Provider.Servers, func(srv Server) bool { return srv.Transport != sip.TLS })
}

func (r *reader) judgeRegister(s *Site) {
	reg, profile := s.Provider.Register, s.Profile()
	if longest := profile.Register.Longest; longest > 0 && reg.Expires.D() > longest {
		r.warn("provider.register.expires", "the provider shortens it", "%s takes at most %s", profile.Title, Duration(longest))
	}
	if reg.NATRefresh >= reg.Expires && reg.Expires > 0 {
		r.warn("provider.register.nat_refresh", "", "is not shorter than expires, so it keeps nothing open")
	}
	lines := 0
	for _, e := range s.Extensions {
		if e.Cloud.Used() {
			lines++
		}
	}
	const many = 25 // lines, above which HFO warns of a shorter spacing
	if lines > many && reg.Spacing.D() < profile.Register.Spacing {
		r.warn("provider.register.spacing", "", "%s wants %s between registrations with %d lines", profile.Title, Duration(profile.Register.Spacing), lines)
	}
	if p := s.Survivability.Probe; p.Fast > p.Interval {
		r.wrong("survivability.probe.fast", "", "is slower than interval (%s)", p.Interval)
	}
	r.judgeTURN(s.Provider)
	if s.Provider.ICE.Offers() && len(s.Provider.STUN) == 0 {
		r.warn("provider.ice", `add stun: ["stun.example:3478"]`, "without a STUN server only private candidates can be offered")
	}
}

// judgeTURN compares the servers that relay with what they need.
func (r *reader) judgeTURN(p Provider) {
	t := p.TURN
	switch given := t.User != "" || !t.Password.IsZero(); {
	case len(t.Servers) == 0 && given && !r.failedAt("provider.turn.servers"):
		r.warn("provider.turn", `add servers: ["turn.example:3478"]`, "credentials without a server")
	case len(t.Servers) == 0:
	case (t.User == "" || t.Password.IsZero()) && !r.failedAt("provider.turn.user", "provider.turn.password"):
		r.wrong("provider.turn", "add user: and password:", "a TURN server relays for nobody without a user and a password")
	case !p.ICE.Offers():
		r.warn("provider.turn", "set provider.ice: true", "isn't used: no candidates are offered")
	}
}

// knownCodecs are the names that the media engine or a profile has.
func knownCodecs() []string {
	known := []string{"PCMA", "PCMU", "G722", "opus", "telephone-event", "CN", "G726-16", "G726-24", "G726-40", "iLBC", "AMR", "AMR-WB"}
	for _, n := range provider.Names() {
		p, _ := provider.Lookup(n)
		known = append(known, p.Codecs...)
	}
	return known
}

func (r *reader) judgeCodecs(s *Site) {
	if !r.written("provider.codecs") {
		return
	}
	known, seen := knownCodecs(), map[string]bool{}
	for i, c := range s.Provider.Codecs {
		path := at("provider.codecs", i, "")
		low := strings.ToLower(c)
		switch {
		case c == "":
		case seen[low]:
			r.warn(path, "", "%s is there twice", c)
		case !slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, c) }):
			hint := ""
			if near := Nearest(c, lower(known)); near != "" {
				hint = "did you mean " + near + "?"
			}
			r.warn(path, hint, "no codec %q is known; it is passed as it is", shorten(c))
		}
		seen[low] = true
	}
	if !seen["pcma"] && !seen["pcmu"] {
		r.warn("provider.codecs", "add PCMA", "without G.711 many calls find no common codec")
	}
	if !seen["telephone-event"] {
		r.warn("provider.codecs", "add telephone-event", "key presses (DTMF) don't reach voice menus")
	}
}

func lower(words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = strings.ToLower(w)
	}
	return out
}

// judgeAccounts looks at the lines of the extensions.
func (r *reader) judgeAccounts(s *Site) {
	profile := s.Profile()
	first, mails := map[string]int{}, map[string]int{}
	for i, e := range s.Extensions {
		path := at("extensions", i, "cloud")
		c := e.Cloud
		if !c.Used() {
			if (c.Auth != "" || !c.Password.IsZero()) && !r.written(path+".account") {
				r.wrong(path+".account", `for example account: "22"`, "is missing")
			}
		} else if c.Password.IsZero() && !r.written(path+".password") && !s.LAN.PassThrough {
			r.warn(path, "add the password that the provider gave", "the account has no password")
		}
		if j, twice := first[c.Account]; twice && c.Used() {
			text := fmt.Sprintf("the account %s is also that of extension %s", c.Account, s.Extensions[j].Number)
			if profile.Exclusive {
				r.wrong(path+".account", profile.Title+" allows one registration for an account", "%s", text)
			} else {
				r.warn(path+".account", "calls to it ring only once", "%s", text)
			}
		} else if c.Used() {
			first[c.Account] = i
		}
		mail := strings.ToLower(e.Voicemail.Email)
		if j, twice := mails[mail]; twice && mail != "" && profile.Name == provider.MNet {
			r.warn(at("extensions", i, "voicemail.email"), "CloudCom takes an e-mail address once", "is also that of extension %s", s.Extensions[j].Number)
		}
		mails[mail] = i
	}
}

// judgeWayOut warns where an emergency call would go nowhere.
func (r *reader) judgeWayOut(s *Site) {
	if len(s.Dialplan.Emergency) == 0 && !r.failedAt("dialplan.emergency") {
		r.warn("dialplan.emergency", `for example ["110", "112"]`, "no emergency number is known")
	}
	line := slices.ContainsFunc(s.Extensions, func(e Extension) bool { return e.Cloud.Used() })
	gate := slices.ContainsFunc(s.Gateways, func(g Gateway) bool { return slices.Contains(g.Use, "emergency") })
	if !line && !gate && len(s.Extensions) > 0 && len(s.Dialplan.Emergency) > 0 {
		r.warn("dialplan.emergency", "give an extension a cloud account, or a gateway use: [emergency]",
			"there is no way out for %s", strings.Join(s.Dialplan.Emergency, ", "))
	}
}
