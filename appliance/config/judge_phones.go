package config

import (
	"fmt"
	"slices"
	"strings"
)

const (
	shortPassword = 8  // characters; below, a password is found by trying
	digitPassword = 12 // the same for one of digits only
)

// judgePasswords warns of secrets that can be guessed. It never repeats them.
func (r *reader) judgePasswords(s *Site) {
	used := map[string]int{}
	for i, e := range s.Extensions {
		path := at("extensions", i, "password")
		pass := e.Password.Reveal()
		switch {
		case e.Number == "" || r.failedAt(path):
		case pass == "" && s.LAN.PassThrough && e.Cloud.Password.IsZero(): // its phone registers through the box
		case pass == "":
			r.warn(path, "add password:", "without a password no phone can register as %s", e.Number)
		case weakness(pass, e) != "":
			r.warn(path, "at least 12 characters by chance", "the password is weak: %s", weakness(pass, e))
		}
		if j, again := used[pass]; again && pass != "" {
			r.warn(path, "give each phone its own", "the password is also that of extension %s", s.Extensions[j].Number)
		} else {
			used[pass] = i
		}
		if pin := e.Voicemail.PIN.Reveal(); pin != "" && weakPIN(pin, e.Number) {
			r.warn(at("extensions", i, "voicemail.pin"), "", "the PIN can be guessed")
		}
	}
}

// weakness says why a password is weak, "" if it isn't.
func weakness(pass string, e Extension) string {
	low := strings.ToLower(pass)
	switch {
	case low == e.Number || low == strings.ToLower(e.Name) || low == strings.ToLower(e.Cloud.Account):
		return "it is the extension's number or name"
	case len([]rune(pass)) < shortPassword:
		return fmt.Sprintf("shorter than %d characters", shortPassword)
	case strings.Trim(pass, "0123456789") == "" && len(pass) < digitPassword:
		return "digits only"
	case strings.Trim(pass, pass[:1]) == "":
		return "one character again and again"
	case slices.ContainsFunc([]string{"password", "passwort", "geheim", "12345678", "qwertz", "qwerty", "linekeeper"},
		func(w string) bool { return strings.HasPrefix(low, w) }):
		return "one of the first that are tried"
	}
	return ""
}

func weakPIN(pin, num string) bool {
	if pin == num || strings.Trim(pin, pin[:1]) == "" {
		return true
	}
	return strings.Contains("01234567890", pin) || strings.Contains("09876543210", pin)
}

func (r *reader) judgeDevices(s *Site) {
	first := map[MAC]string{}
	for i, e := range s.Extensions {
		for j, d := range e.Devices {
			path := fmt.Sprintf("%s[%d].mac", at("extensions", i, "devices"), j)
			if who, twice := first[d.MAC]; twice && d.MAC != (MAC{}) {
				r.wrong(path, "", "the phone %s is also that of extension %s", d.MAC, who)
				continue
			}
			first[d.MAC] = e.Number
		}
	}
}

func (r *reader) judgeGateways(s *Site) {
	names, behind := map[string]bool{}, map[string]string{}
	take := func(num, path, gate string) {
		if num == "" {
			return
		}
		if _, known := s.Extension(num); !known {
			r.warn(path, nearExtension(s, num), "there is no extension %s", num)
		}
		if other, twice := behind[num]; twice {
			r.wrong(path, "", "extension %s is already behind the gateway %s", num, other)
			return
		}
		behind[num] = gate
	}
	for i, g := range s.Gateways {
		if names[g.Name] && g.Name != "" {
			r.wrong(at("gateways", i, "name"), "", "the name %s is there twice", g.Name)
		}
		names[g.Name] = true
		for j, p := range g.Ports {
			take(p.Extension, fmt.Sprintf("%s[%d].extension", at("gateways", i, "ports"), j), g.Name)
		}
		for j, h := range g.Handsets {
			take(h.Extension, fmt.Sprintf("%s[%d].extension", at("gateways", i, "handsets"), j), g.Name)
		}
		r.judgeGateway(g, i)
	}
}

// judgeGateway compares what a gateway has with its kind.
func (r *reader) judgeGateway(g Gateway, i int) {
	out := g.Kind == "fxo" || g.Kind == "trunk"
	switch {
	case g.Kind == "":
	case len(g.Use) > 0 && !out:
		r.wrong(at("gateways", i, "use"), "fxo and trunk are", "a gateway of kind %s is no way out", g.Kind)
	case len(g.Ports) > 0 && g.Kind != "fxs":
		r.wrong(at("gateways", i, "ports"), "fxs has", "a gateway of kind %s has no ports with extensions", g.Kind)
	case len(g.Handsets) > 0 && g.Kind != "dect":
		r.wrong(at("gateways", i, "handsets"), "dect has", "a gateway of kind %s has no handsets", g.Kind)
	case out && len(g.Use) == 0:
		r.warn(at("gateways", i, ""), "add use: [emergency, outbound]", "the gateway is used for nothing")
	}
}
