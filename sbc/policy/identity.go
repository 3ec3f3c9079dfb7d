package policy

import (
	"strings"

	"linekeeper/sbc/number"
	"linekeeper/sbc/sip"
)

// Named is a name and an address, as identities are told.
type Named struct {
	Display string
	URI     sip.URI
}

// Value is the identity as a header field has it.
func (n Named) Value() string {
	addr := "<" + sip.URIText(&n.URI) + ">"
	if n.Display == "" {
		return addr
	}
	return sip.Quote(n.Display) + " " + addr
}

// maxIdentities bounds the identities of a message that are looked at.
const maxIdentities = 8

// Names are the addresses that all header fields of a name list, faulty ones left out.
func Names(m sip.Message, name string) []Named {
	var out []Named
	for _, item := range items(m, name, maxIdentities) {
		if d, u, _, err := sip.ParseAddress(item); err == nil {
			out = append(out, Named{d, u})
		}
	}
	return out
}

// items are the list items of all header fields of a name, at most most.
func items(m sip.Message, name string, most int) []string {
	var out []string
	for _, v := range sip.HeaderValues(m, name) {
		for _, item := range sip.List(v) {
			if len(out) == most {
				return out
			}
			out = append(out, item)
		}
	}
	return out
}

// Party is whose identity a Remote-Party-ID tells.
type Party string

// The parties.
const (
	Calling Party = "calling"
	Called  Party = "called"
)

// Asserted is the identity that the sending side vouches for: that of
// P-Asserted-Identity (RFC 3325), else of Remote-Party-ID as old peers write it
// (draft-ietf-sip-privacy-04). hidden says that it is for us alone and must not
// be shown; ok is false where there is none.
func Asserted(m sip.Message, party Party) (n Named, hidden, ok bool) {
	p, _ := ReadPrivacy(m)
	for _, n := range Names(m, "P-Asserted-Identity") {
		if userOf(&n.URI) != "" {
			return n, p.Hides(), true
		}
	}
	for _, item := range items(m, "Remote-Party-ID", maxIdentities) {
		d, u, params, err := sip.ParseAddress(item)
		if err != nil || userOf(&u) == "" {
			continue
		}
		if who := sip.ParamValue(params, "party"); who != "" && !strings.EqualFold(who, string(party)) {
			continue
		}
		if kind := sip.ParamValue(params, "id-type"); kind != "" && !strings.EqualFold(kind, "subscriber") && !strings.EqualFold(kind, "user") {
			continue
		}
		switch strings.ToLower(sip.ParamValue(params, "privacy")) {
		case "full", "uri":
			hidden = true
		case "name":
			d = ""
		}
		return Named{d, u}, hidden || p.Hides(), true
	}
	return Named{}, false, false
}

// userOf is the number or name in a URI: the user part, or all of a tel URI.
func userOf(u *sip.URI) string {
	text := u.User
	if raw := u.Raw(); raw != "" {
		text = raw
	}
	text, _, _ = strings.Cut(text, ";")
	return text
}

// Wish is the number by which a phone asks to be shown (RFC 3325 9.2): the first
// of its preferred identities that read finds to be one of own. What isn't its
// own is not worth a refusal, it is as if it had not asked.
func Wish(m sip.Message, read func(user string) number.E164, own ...number.E164) number.E164 {
	for _, n := range Names(m, "P-Preferred-Identity") {
		got := read(userOf(&n.URI))
		for _, o := range own {
			if got != "" && got == o {
				return got
			}
		}
	}
	return ""
}
