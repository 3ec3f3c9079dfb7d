package sip

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// Replaces names a dialog that a new one shall stand in for (RFC 3891). ToTag is
// the tag of whom the INVITE goes to.
type Replaces struct {
	CallID, ToTag, FromTag string
	// EarlyOnly says that an answered call is not to be touched.
	EarlyOnly bool
}

var errReplaces = errors.New("faulty replaces")

// ParseReplaces reads the value of a Replaces header field. Error: Call-ID or a
// tag is missing, or stands twice.
func ParseReplaces(value string) (Replaces, error) {
	id, rest, _ := strings.Cut(value, ";")
	r := Replaces{CallID: strings.TrimSpace(id)}
	if r.CallID == "" || strings.ContainsAny(r.CallID, " \t,\"") || !isText(r.CallID) {
		return Replaces{}, fmt.Errorf("%w: call-id in %q", errReplaces, clip(value))
	}
	params, err := parseParams(";" + rest)
	if err != nil {
		return Replaces{}, fmt.Errorf("%w: %w", errReplaces, err)
	}
	for _, p := range params {
		switch strings.ToLower(p.K) {
		case "to-tag":
			r.ToTag = p.V
		case "from-tag":
			r.FromTag = p.V
		case "early-only":
			r.EarlyOnly = true
		}
	}
	if r.ToTag == "" || r.FromTag == "" {
		return Replaces{}, fmt.Errorf("%w: a tag is missing in %q", errReplaces, clip(value))
	}
	return r, nil
}

// ReplacesOf reads the Replaces of an INVITE; ok is false where it has none.
func ReplacesOf(m Message) (r Replaces, ok bool, err error) {
	v := HeaderValue(m, "Replaces")
	if v == "" {
		return Replaces{}, false, nil
	}
	r, err = ParseReplaces(v)
	return r, true, err
}

// String is the value of the header field.
func (r Replaces) String() string {
	s := r.CallID + ";to-tag=" + r.ToTag + ";from-tag=" + r.FromTag
	if r.EarlyOnly {
		s += ";early-only"
	}
	return s
}

// Header makes the Replaces header field.
func (r Replaces) Header() Header { return NewHeader("Replaces", r.String()) }

// ReferTo is whom a REFER points at (RFC 3515 2.1).
type ReferTo struct {
	Display string
	// URI is the target, without the header fields that came in it.
	URI URI
	// Replaces is the dialog that the call shall stand in for, if any.
	Replaces *Replaces
}

var (
	errReferTo = errors.New("faulty refer-to")
	// ErrReferMethod says that a REFER asks for something other than a call.
	ErrReferMethod = errors.New("refer-to asks for another method than INVITE")
)

// ReferToOf reads the Refer-To of a REFER. Error: it is missing or faulty, or
// ErrReferMethod.
func ReferToOf(m Message) (ReferTo, error) {
	value := HeaderValue(m, "Refer-To")
	if value == "" {
		return ReferTo{}, fmt.Errorf("%w: it is missing", errReferTo)
	}
	if strings.Contains(value, "?") && !strings.Contains(value, "<") {
		value = "<" + value + ">" // as some phones write it, against RFC 3261 20
	}
	display, u, _, err := ParseAddress(value)
	switch {
	case err != nil:
		return ReferTo{}, fmt.Errorf("%w: %w", errReferTo, err)
	case u.Wildcard:
		return ReferTo{}, errReferTo
	}
	if v, asks := u.UriParams.Get("method"); asks && !strings.EqualFold(v, string(INVITE)) {
		return ReferTo{}, ErrReferMethod
	}
	r := ReferTo{Display: display, URI: u}
	r.URI.Headers = nil
	for _, h := range u.Headers {
		if !strings.EqualFold(h.K, "Replaces") {
			continue // nobody but the box says what its own requests carry
		}
		text, err := url.PathUnescape(h.V)
		if err != nil || r.Replaces != nil {
			return ReferTo{}, fmt.Errorf("%w: replaces %q", errReferTo, clip(h.V))
		}
		rep, err := ParseReplaces(text)
		if err != nil {
			return ReferTo{}, fmt.Errorf("%w: %w", errReferTo, err)
		}
		r.Replaces = &rep
	}
	return r, nil
}

// Header makes the Refer-To header field.
func (r ReferTo) Header() Header {
	u := r.URI
	u.Headers = nil
	if r.Replaces != nil {
		u.Headers = Params{{K: "Replaces", V: strings.ReplaceAll(url.QueryEscape(r.Replaces.String()), "+", "%20")}}
	}
	return NewHeader("Refer-To", Named(r.Display, &u))
}

// Named writes an address as in Refer-To or P-Asserted-Identity: the name in
// quotes where there is one, then the URI in brackets.
func Named(display string, u *URI) string {
	text := "<" + URIText(u) + ">"
	if display != "" {
		text = Quote(display) + " " + text
	}
	return text
}

// Sipfrag is the body by which a NOTIFY tells how a transfer goes: a status line
// (RFC 3420, RFC 3515 2.4.5).
func Sipfrag(code int, phrase string) []byte {
	if phrase == "" {
		phrase = Phrase(code)
	}
	return []byte("SIP/2.0 " + strconv.Itoa(code) + " " + phrase + "\r\n")
}

// SipfragCode reads the status code of such a body; ok is false where there is none.
func SipfragCode(body []byte) (code int, ok bool) {
	line, _, _ := bytes.Cut(body, []byte("\n"))
	f := bytes.Fields(line)
	if len(f) < 2 || !bytes.EqualFold(f[0], []byte("SIP/2.0")) {
		return 0, false
	}
	n, err := parseUint(string(f[1]), 699)
	return int(n), err == nil && n >= 100
}
