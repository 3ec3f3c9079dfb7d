package sip

import (
	"errors"
	"fmt"
	"strings"
)

// Faults of header values.
var (
	errQuote   = errors.New("quote does not end")
	errBracket = errors.New("angle bracket does not end")
	errParam   = errors.New("faulty parameter")
	errVia     = errors.New("faulty via")
	errAddress = errors.New("faulty address")
)

// isToken says whether s is a token of RFC 3261 25.1.
func isToken(s string) bool {
	if s == "" {
		return false
	}
	for i := 0; i < len(s); i++ {
		if !isTokenByte(s[i]) {
			return false
		}
	}
	return true
}

func isTokenByte(c byte) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		return true
	}
	switch c {
	case '-', '.', '!', '%', '*', '_', '+', '`', '\'', '~':
		return true
	}
	return false
}

// isText says whether s holds no control character but the tab.
func isText(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < ' ' && c != '\t') || c == 0x7f {
			return false
		}
	}
	return true
}

// quoted measures the quoted string at the start of s, both quotes included;
// 0 when it does not end.
func quoted(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}

// cutList cuts a list at the first comma outside of quotes and brackets.
func cutList(s string) (item, rest string, more bool) {
	inside := false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			n := quoted(s[i:])
			if n == 0 {
				return s, "", false // whoever reads the item finds the fault
			}
			i += n - 1
		case '<':
			inside = true
		case '>':
			inside = false
		case ',':
			if !inside {
				return strings.Trim(s[:i], " \t"), strings.Trim(s[i+1:], " \t"), true
			}
		}
	}
	return s, "", false
}

// parseAddress reads a name-addr or addr-spec with its header parameters
// (RFC 3261 20.10). The display name comes without quotes, escapes left in it.
func parseAddress(s string) (display string, uri URI, params Params, err error) {
	if strings.HasPrefix(s, `"`) {
		n := quoted(s)
		if n == 0 {
			return "", uri, nil, errQuote
		}
		display, s = s[1:n-1], strings.TrimLeft(s[n:], " \t")
		if !strings.HasPrefix(s, "<") {
			return "", uri, nil, errAddress
		}
	} else if i := strings.IndexByte(s, '<'); i > 0 {
		display, s = strings.TrimRight(s[:i], " \t"), s[i:]
		if strings.ContainsAny(display, "\";\\") {
			return "", uri, nil, errAddress
		}
	}
	var text, rest string
	if strings.HasPrefix(s, "<") {
		end := strings.IndexByte(s, '>')
		if end < 0 {
			return "", uri, nil, errBracket
		}
		text, rest = s[1:end], strings.TrimLeft(s[end+1:], " \t")
		if rest != "" && rest[0] != ';' {
			return "", uri, nil, errAddress
		}
	} else {
		text, rest = s, ""
		if i := strings.IndexByte(s, ';'); i >= 0 {
			text, rest = strings.TrimRight(s[:i], " \t"), s[i:]
		}
		if strings.ContainsAny(text, "?,") { // must be bracketed (RFC 3261 20)
			return "", uri, nil, errAddress
		}
	}
	if uri, err = ParseURI(text); err != nil {
		return "", uri, nil, err
	}
	params, err = parseParams(rest)
	return display, uri, params, err
}

// parseParams reads ";name=value;name" lists. Names become lower case, since
// they mean the same in any case; a name that stands twice is a fault
// (RFC 3261 7.3.1). A quoted value keeps its quotes unless there is white space
// in it: sipgo adds those quotes itself when it writes.
func parseParams(s string) (Params, error) {
	if s == "" {
		return nil, nil
	}
	params := make(Params, 0, strings.Count(s, ";"))
	for s != "" {
		if s[0] != ';' {
			return nil, fmt.Errorf("%w near %q", errParam, clip(s))
		}
		s = strings.TrimLeft(s[1:], " \t")
		end := strings.IndexAny(s, "=;")
		if end < 0 {
			end = len(s)
		}
		name := strings.TrimRight(s[:end], " \t")
		s = s[end:]
		if name == "" && !strings.HasPrefix(s, "=") {
			continue // an empty parameter harms nobody
		}
		var value string
		if strings.HasPrefix(s, "=") {
			var err error
			if value, s, err = paramValue(strings.TrimLeft(s[1:], " \t")); err != nil {
				return nil, err
			}
		}
		if !isToken(name) || len(params) == maxParams {
			return nil, fmt.Errorf("%w %q", errParam, clip(name))
		}
		name = strings.ToLower(name)
		if params.Has(name) {
			return nil, fmt.Errorf("%w: second %q", errParam, clip(name))
		}
		params = append(params, Param{K: name, V: value})
	}
	return params, nil
}

func paramValue(s string) (value, rest string, err error) {
	if strings.HasPrefix(s, `"`) {
		n := quoted(s)
		if n == 0 {
			return "", "", errQuote
		}
		value, rest = s[:n], strings.TrimLeft(s[n:], " \t")
		if strings.ContainsAny(value, " \t") {
			value = value[1 : n-1]
		}
		return value, rest, nil
	}
	end := strings.IndexByte(s, ';')
	if end < 0 {
		end = len(s)
	}
	value, rest = strings.TrimRight(s[:end], " \t"), s[end:]
	if strings.ContainsAny(value, " \t\"<>,") {
		return "", "", fmt.Errorf("%w value %q", errParam, clip(value))
	}
	return value, rest, nil
}

// parseVia reads one Via value (RFC 3261 20.42).
func parseVia(s string) (*Via, error) {
	name, s, ok := strings.Cut(s, "/")
	version, s, ok2 := strings.Cut(s, "/")
	s = strings.TrimLeft(s, " \t")
	end := strings.IndexAny(s, " \t")
	if !ok || !ok2 || end < 0 {
		return nil, errVia
	}
	v := &Via{
		ProtocolName: strings.Trim(name, " \t"), ProtocolVersion: strings.Trim(version, " \t"),
		Transport: s[:end],
	}
	s = strings.TrimLeft(s[end:], " \t")
	if !isToken(v.ProtocolName) || !isToken(v.ProtocolVersion) || !isToken(v.Transport) {
		return nil, errVia
	}
	sentBy, rest := s, ""
	if i := strings.IndexByte(s, ';'); i >= 0 {
		sentBy, rest = strings.TrimRight(s[:i], " \t"), s[i:]
	}
	host, port, err := parseHostPort(sentBy, true)
	if err != nil {
		return nil, err
	}
	v.Host, v.Port = strings.Trim(host, "[]"), port
	v.Params, err = parseParams(rest)
	return v, err
}

// ParseContact reads one Contact value; "*" becomes an address with Wildcard set.
func ParseContact(s string) (*Contact, error) {
	if s == "*" {
		return &Contact{Address: URI{Host: "*", Wildcard: true}}, nil
	}
	d, u, p, err := parseAddress(s)
	if err != nil {
		return nil, err
	}
	return &Contact{DisplayName: d, Address: u, Params: p}, nil
}
