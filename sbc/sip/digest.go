package sip

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/icholy/digest"
)

// Challenge is one digest challenge of a 401 or 407 (RFC 8760).
type Challenge struct {
	Realm     string
	Nonce     string
	Opaque    string
	Algorithm string // "MD5", "SHA-256" or "SHA-512-256"
	Qop       string // "auth", "auth-int" or "" for the form of RFC 2069
	Stale     bool   // the password was right, the nonce old
	Proxy     bool   // of a 407: answered in Proxy-Authorization
}

// Credentials are an account's. They do not print.
type Credentials struct {
	User     string
	Password string
}

// String redacts the password.
func (c Credentials) String() string { return c.User + ":***" }

// GoString redacts the password.
func (c Credentials) GoString() string { return c.String() }

const maxAuthParams = 32

// authParams reads `Digest a=b, c="d"`. Names become lower case.
func authParams(value string) (map[string]string, error) {
	if len(value) < 7 || !strings.EqualFold(value[:6], "Digest") || (value[6] != ' ' && value[6] != '\t') {
		return nil, errors.New("not a digest")
	}
	s := strings.Trim(value[6:], " \t,")
	out := make(map[string]string, 12)
	for s != "" {
		name, rest, ok := strings.Cut(s, "=")
		name = strings.ToLower(strings.Trim(name, " \t"))
		if !ok || !isToken(name) || len(out) == maxAuthParams {
			return nil, fmt.Errorf("digest parameter %q", clip(name))
		}
		if _, twice := out[name]; twice {
			return nil, fmt.Errorf("second digest parameter %q", clip(name))
		}
		rest = strings.TrimLeft(rest, " \t")
		var v string
		if strings.HasPrefix(rest, `"`) {
			n := quoted(rest)
			if n == 0 {
				return nil, errQuote
			}
			v, rest = Unquote(rest[:n]), strings.TrimLeft(rest[n:], " \t")
			if rest != "" && rest[0] != ',' {
				return nil, fmt.Errorf("digest parameter %q", name)
			}
		} else {
			end := strings.IndexByte(rest, ',')
			if end < 0 {
				end = len(rest)
			}
			v, rest = strings.TrimRight(rest[:end], " \t"), rest[end:]
		}
		out[name] = v
		s = strings.TrimLeft(rest, ", \t")
	}
	return out, nil
}

// strength orders algorithms; 0 is one that we cannot do (-sess and others).
func strength(algorithm string) int {
	switch strings.ToUpper(algorithm) {
	case "", "MD5":
		return 1
	case "SHA-256":
		return 2
	case "SHA-512-256":
		return 3
	}
	return 0
}

// Challenges are the challenges of a 401 or 407 that can be answered, the best
// algorithm first and otherwise in the peer's order.
func Challenges(resp *Response) []Challenge {
	var out []Challenge
	for _, name := range []string{"WWW-Authenticate", "Proxy-Authenticate"} {
		for _, v := range HeaderValues(resp, name) {
			p, err := authParams(v)
			if err != nil || strength(p["algorithm"]) == 0 || p["nonce"] == "" || len(out) == 16 {
				continue
			}
			c := Challenge{
				Realm: p["realm"], Nonce: p["nonce"], Opaque: p["opaque"], Algorithm: strings.ToUpper(p["algorithm"]),
				Stale: strings.EqualFold(p["stale"], "true"), Proxy: name[0] == 'P',
			}
			if c.Algorithm == "" {
				c.Algorithm = "MD5"
			}
			if qop, given := p["qop"]; given {
				if c.Qop = chooseQop(qop); c.Qop == "" {
					continue
				}
			}
			out = append(out, c)
		}
	}
	slices.SortStableFunc(out, func(a, b Challenge) int { return strength(b.Algorithm) - strength(a.Algorithm) })
	return out
}

func chooseQop(offered string) string {
	best := ""
	for q := range strings.SplitSeq(offered, ",") {
		switch q = strings.ToLower(strings.Trim(q, " \t")); q {
		case "auth":
			return q
		case "auth-int":
			best = q
		}
	}
	return best
}

// Authorize answers a challenge. uri is the Request-URI exactly as it stands in
// the request line (URIText); nc counts the uses of the nonce from 1; cnonce is
// fresh random text. The header is Authorization, or Proxy-Authorization for a
// challenge with Proxy set.
func Authorize(c Challenge, cred Credentials, method Method, uri string, body []byte, cnonce string, nc uint32) (Header, error) {
	response, err := digestOf(c, cred, method, uri, body, cnonce, nc)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	b.WriteString("Digest username=" + Quote(cred.User) + ", realm=" + Quote(c.Realm) + ", nonce=" + Quote(c.Nonce) +
		", uri=" + Quote(uri) + `, response="` + response + `", algorithm=` + c.Algorithm)
	if c.Qop != "" {
		fmt.Fprintf(&b, ", cnonce=%s, qop=%s, nc=%08x", Quote(cnonce), c.Qop, nc)
	}
	if c.Opaque != "" {
		b.WriteString(", opaque=" + Quote(c.Opaque))
	}
	name := "Authorization"
	if c.Proxy {
		name = "Proxy-Authorization"
	}
	return NewHeader(name, b.String()), nil
}

// digestOf does the maths of RFC 7616 3.4.
func digestOf(c Challenge, cred Credentials, method Method, uri string, body []byte, cnonce string, nc uint32) (string, error) {
	chal := &digest.Challenge{Realm: c.Realm, Nonce: c.Nonce, Algorithm: c.Algorithm}
	if c.Qop != "" {
		if cnonce == "" || nc == 0 {
			return "", errors.New("digest with qop needs a cnonce and a count from 1")
		}
		chal.QOP = []string{c.Qop}
	}
	out, err := digest.Digest(chal, digest.Options{
		Method: string(method), URI: uri, Count: int(nc), Username: cred.User, Password: cred.Password, Cnonce: cnonce,
		GetBody: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil },
	})
	if err != nil {
		return "", fmt.Errorf("answer to %s challenge: %w", c.Algorithm, err)
	}
	return out.Response, nil
}
