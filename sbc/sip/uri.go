package sip

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	gosip "github.com/emiago/sipgo/sip"
)

var (
	errURI    = errors.New("faulty uri")
	errScheme = errors.New("uri scheme is not sip, sips or tel")
)

// uriCode is the status code for a faulty Request-URI (RFC 3261 8.2.2.1).
func uriCode(err error) int {
	if errors.Is(err, errScheme) {
		return 416
	}
	return 400
}

// ParseURI reads a URI (RFC 3261 19.1). Only sip and sips URIs are taken apart;
// of any other scheme the rest is kept as it is, see URI.Raw. Escapes stay.
func ParseURI(s string) (URI, error) {
	var u URI
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || !isScheme(scheme) || rest == "" || strings.ContainsAny(rest, " \t<>\"") || !isText(rest) {
		return u, fmt.Errorf("%w %q", errURI, clip(s))
	}
	if !strings.EqualFold(scheme, "sip") && !strings.EqualFold(scheme, "sips") {
		if err := gosip.ParseUri(s, &u); err != nil { // letters only, there
			return URI{}, fmt.Errorf("%w: %q", errScheme, clip(scheme))
		}
		return u, nil
	}
	u.Scheme = strings.ToLower(scheme)
	if i := strings.IndexByte(rest, '@'); i >= 0 {
		u.User, u.Password, _ = strings.Cut(rest[:i], ":")
		if u.User == "" || !isUser(u.User) || !isUser(u.Password) {
			return URI{}, fmt.Errorf("%w: user in %q", errURI, clip(s))
		}
		rest = rest[i+1:]
	}
	rest, headers, more := strings.Cut(rest, "?")
	if more {
		u.Headers = parseURIHeaders(headers)
	}
	hostport, params := rest, ""
	if i := strings.IndexByte(rest, ';'); i >= 0 {
		hostport, params = rest[:i], rest[i:]
	}
	var err error
	if u.Host, u.Port, err = parseHostPort(hostport, false); err != nil {
		return URI{}, err
	}
	u.UriParams, err = parseParams(params)
	return u, err
}

// parseHostPort reads "host:port". With space set there may be white space
// around the colon, as in a Via (RFC 3261 25.1, COLON).
func parseHostPort(s string, space bool) (host string, port int, err error) {
	var digits string
	var colon bool
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return "", 0, fmt.Errorf("%w: host %q", errURI, clip(s))
		}
		addr, err := netip.ParseAddr(s[1:end])
		if err != nil || !addr.Is6() {
			return "", 0, fmt.Errorf("%w: host %q", errURI, clip(s))
		}
		host, digits = s[:end+1], s[end+1:]
		if space {
			digits = strings.TrimLeft(digits, " \t")
		}
		if digits != "" && digits[0] != ':' {
			return "", 0, fmt.Errorf("%w: host %q", errURI, clip(s))
		}
		digits, colon = strings.CutPrefix(digits, ":")
	} else {
		host, digits, colon = strings.Cut(s, ":")
		if space {
			host = strings.TrimRight(host, " \t")
		}
		if !isHost(host) {
			return "", 0, fmt.Errorf("%w: host %q", errURI, clip(s))
		}
	}
	if !colon {
		return host, 0, nil
	}
	if space {
		digits = strings.TrimLeft(digits, " \t")
	}
	n, err := parseUint(digits, 65535)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("%w: port %q", errURI, clip(digits))
	}
	return host, int(n), nil
}

func isScheme(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i] | 0x20
		letter := c >= 'a' && c <= 'z'
		if !letter && (i == 0 || !strings.ContainsRune("0123456789+-.", rune(s[i]))) {
			return false
		}
	}
	return s != ""
}

// isHost accepts names and IPv4 addresses, and the underscore that real
// networks use.
func isHost(s string) bool {
	if s == "" || len(s) > 255 {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// isUser accepts what phones really dial, '#' included, but no broken escapes.
func isUser(s string) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '%':
			if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
				return false
			}
			i += 2
		case c <= ' ' || c == 0x7f || c == '[' || c == ']' || c == '\\' || c == '^' || c == '{' || c == '}' || c == '|':
			return false
		}
	}
	return true
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f'
}

func parseURIHeaders(s string) Params {
	var out Params
	for part := range strings.SplitSeq(s, "&") {
		if len(out) == maxParams {
			break
		}
		k, v, _ := strings.Cut(part, "=")
		if k != "" {
			out = append(out, Param{K: k, V: v})
		}
	}
	return out
}
