package config

import (
	"encoding"
	"fmt"
	"net/netip"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"linekeeper/sbc/number"
	"linekeeper/sbc/provider"
)

// expectation is what a single value must be.
type expectation struct {
	what    string // "a duration"
	example string // as one would write it
	empty   bool   // "" is a value
	text    bool   // a text, so that quotes help
	kinds   string // YAML tags taken, separated by blanks
}

func (e expectation) takes(n *yaml.Node) bool {
	for k := range strings.FieldsSeq(e.kinds) {
		if k == n.ShortTag() {
			return true
		}
	}
	return false
}

// expect looks up what a field of the type and tag takes.
func expect(t reflect.Type, tag reflect.StructTag) expectation {
	const text, number_ = "!!str !!int", "!!int"
	switch t {
	case reflect.TypeFor[Duration]():
		return expectation{"a duration", exampleDuration(tag), false, false, "!!str !!int !!float"}
	case reflect.TypeFor[Bandwidth]():
		return expectation{"a bandwidth", "20Mbit", true, false, "!!str !!int !!float"}
	case reflect.TypeFor[PortRange]():
		return expectation{"a range of ports", "20000-23999", false, false, text + " !!timestamp"}
	case reflect.TypeFor[Server]():
		return expectation{"a server", `"tls://sip1.example:5061"`, false, true, "!!str"}
	case reflect.TypeFor[Listen]():
		return expectation{"a listening address", `"udp://:5060"`, false, true, "!!str"}
	case reflect.TypeFor[netip.Addr]():
		return expectation{"an IP address", "192.0.2.10", true, true, "!!str !!float"}
	case reflect.TypeFor[Prefix]():
		return expectation{"a network", `"192.0.2.0/24"`, false, true, "!!str"}
	case reflect.TypeFor[IfAddr]():
		return expectation{"an address with the length of its network", "10.0.100.1/24", true, true, "!!str"}
	case reflect.TypeFor[MAC]():
		return expectation{"a hardware address", `"00:04:13:aa:bb:cc"`, false, true, "!!str !!int !!float"}
	case reflect.TypeFor[VLAN]():
		return expectation{"a VLAN number", "100", false, false, number_}
	case reflect.TypeFor[DSCP]():
		return expectation{"a DSCP mark", "EF", false, false, text}
	case reflect.TypeFor[number.E164]():
		return expectation{"a number in international form", `"+498912345620"`, true, true, text}
	}
	switch t.Kind() {
	case reflect.Bool:
		return expectation{"true or false", "true", false, false, "!!bool"}
	case reflect.Int:
		return expectation{"a whole number", tag.Get("min"), false, false, number_}
	case reflect.Float64:
		return expectation{"a number", tag.Get("min"), false, false, "!!int !!float"}
	}
	if one := tag.Get("one"); one != "" {
		words := strings.Split(one, "|")
		e := expectation{"one of " + strings.Join(nonEmpty(words), ", "), nonEmpty(words)[0], words[0] == "", true, "!!str"}
		if t == reflect.TypeFor[provider.ICE]() {
			e.kinds += " !!bool"
		}
		return e
	}
	if f, ok := formOf(tag.Get("form")); ok {
		return expectation{f.what, f.example, tag.Get("need") != "yes", true, text}
	}
	return expectation{"a text", `"Empfang"`, tag.Get("need") != "yes", true, text}
}

// exampleDuration is a duration in the field's range.
func exampleDuration(tag reflect.StructTag) string {
	if lo := tag.Get("min"); lo != "" && lo != "0s" {
		return lo
	}
	return "20s"
}

const maxText = 256 // bytes of any text in a site document

// set writes the text into v and gives a complaint and a hint if it can't.
func (e expectation) set(v reflect.Value, text string, tag reflect.StructTag) (complaint, hint string) {
	hint = "for example " + e.example
	if len(text) > maxText {
		return fmt.Sprintf("%d bytes are too long", len(text)), fmt.Sprintf("at most %d", maxText)
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\ufffd' }) {
		return "control characters have no place here", hint
	}
	if text == "" {
		if !e.empty {
			return "is empty; expected " + e.what, hint
		}
		v.SetZero()
		return "", ""
	}
	switch t := v.Addr().Interface().(type) {
	case *Secret:
		return setSecret(t, text, tag)
	case *number.E164:
		return setE164(t, text)
	case *netip.Addr:
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return fmt.Sprintf("%q is not an IP address", shorten(text)), hint
		}
		*t = a.Unmap()
		return "", ""
	case encoding.TextUnmarshaler:
		if err := t.UnmarshalText([]byte(text)); err != nil {
			return fmt.Sprintf("%q: %s", shorten(text), err), hint
		}
		return "", ""
	}
	return setPlain(e, v, text, tag)
}

func setPlain(e expectation, v reflect.Value, text string, tag reflect.StructTag) (complaint, hint string) {
	hint = "for example " + e.example
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(strings.EqualFold(text, "true"))
	case reflect.Int:
		n, err := strconv.ParseInt(text, 0, 32)
		if err != nil {
			return fmt.Sprintf("%q is not %s that a site has", shorten(text), e.what), hint
		}
		v.SetInt(n)
	case reflect.Float64:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Sprintf("%q is not %s", shorten(text), e.what), hint
		}
		v.SetFloat(n)
	case reflect.String:
		if v.Type() == reflect.TypeFor[provider.ICE]() {
			text = iceWord(text)
		}
		if one := tag.Get("one"); one != "" {
			return setWord(v, text, nonEmpty(strings.Split(one, "|")))
		}
		if f, ok := formOf(tag.Get("form")); ok {
			if !f.fits(text) {
				return fmt.Sprintf("%q is not %s", shorten(text), f.what), f.hintFor(text)
			}
		}
		v.SetString(text)
	}
	return "", ""
}

// iceWord is what true and false mean of candidates: offered, and off.
func iceWord(text string) string {
	switch {
	case strings.EqualFold(text, "true"):
		return string(provider.ICEOffered)
	case strings.EqualFold(text, "false"):
		return string(provider.ICEOff)
	}
	return text
}

func setWord(v reflect.Value, text string, words []string) (complaint, hint string) {
	for _, w := range words {
		if w == text {
			v.SetString(text)
			return "", ""
		}
	}
	hint = "one of " + strings.Join(words, ", ")
	if near := Nearest(text, words); near != "" {
		hint = "did you mean " + near + "? " + hint
	}
	return fmt.Sprintf("%q is not known here", shorten(text)), hint
}

func setE164(n *number.E164, text string) (complaint, hint string) {
	v, err := number.ParseE164(text)
	if err != nil {
		return fmt.Sprintf("%q is not a number in international form: %s", shorten(text), err), `for example "+498912345620"`
	}
	*n = v
	return "", ""
}

// setSecret never repeats what was written.
func setSecret(s *Secret, text string, tag reflect.StructTag) (complaint, hint string) {
	if text == Placeholder {
		return "this is the placeholder of a printed copy, not the secret", "write the secret itself"
	}
	if f, ok := formOf(tag.Get("form")); ok && !f.fits(text) {
		return "is not " + f.what, "for example " + f.example
	}
	*s = NewSecret(text)
	return "", ""
}

func nonEmpty(words []string) []string {
	var out []string
	for _, w := range words {
		if w != "" {
			out = append(out, w)
		}
	}
	return out
}
