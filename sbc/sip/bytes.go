package sip

import (
	"strconv"
	"strings"
)

// Bytes is the wire form of m. Content-Length is always that of the body, and
// a line end inside a value becomes a space: nothing that is put in a header
// can start another.
func Bytes(m Message) []byte {
	return Append(make([]byte, 0, 640+len(m.Body())), m)
}

// Append appends the wire form of m to b.
func Append(b []byte, m Message) []byte {
	var headers []Header
	start := len(b)
	switch m := m.(type) {
	case *Request:
		headers = m.Headers()
		b = append(b, m.Method...)
		b = append(b, ' ')
		b = AppendURI(b, &m.Recipient)
		b = append(b, " SIP/2.0"...)
	case *Response:
		headers = m.Headers()
		b = append(b, "SIP/2.0 "...)
		b = strconv.AppendInt(b, int64(m.StatusCode), 10)
		b = append(b, ' ')
		b = append(b, m.Reason...)
	}
	tame(b[start:])
	b = append(b, "\r\n"...)
	for _, h := range headers {
		name := h.Name()
		if strings.EqualFold(name, "Content-Length") {
			continue
		}
		start := len(b)
		b = append(b, name...)
		b = append(b, ": "...)
		b = appendValue(b, h)
		tame(b[start:])
		b = append(b, "\r\n"...)
	}
	b = append(b, "Content-Length: "...)
	b = strconv.AppendInt(b, int64(len(m.Body())), 10)
	b = append(b, "\r\n\r\n"...)
	return append(b, m.Body()...)
}

// tame makes spaces of line ends and NULs.
func tame(b []byte) {
	for i, c := range b {
		if c == '\r' || c == '\n' || c == 0 {
			b[i] = ' '
		}
	}
}

func appendValue(b []byte, h Header) []byte {
	switch h := h.(type) {
	case *Via:
		return appendVia(b, h)
	case *From:
		return appendAddress(b, h.DisplayName, &h.Address, h.Params)
	case *To:
		return appendAddress(b, h.DisplayName, &h.Address, h.Params)
	case *Contact:
		if h.Address.Wildcard {
			return append(b, '*')
		}
		return appendAddress(b, h.DisplayName, &h.Address, h.Params)
	case *Route:
		return appendAddress(b, "", &h.Address, nil)
	case *RecordRoute:
		return appendAddress(b, "", &h.Address, nil)
	case *CSeq:
		b = strconv.AppendUint(b, uint64(h.SeqNo), 10)
		b = append(b, ' ')
		return append(b, h.MethodName...)
	case *CallID:
		return append(b, *h...)
	case *MaxForwards:
		return strconv.AppendUint(b, uint64(*h), 10)
	default:
		return append(b, h.Value()...)
	}
}

func appendVia(b []byte, v *Via) []byte {
	b = append(b, v.ProtocolName...)
	b = append(b, '/')
	b = append(b, v.ProtocolVersion...)
	b = append(b, '/')
	b = append(b, v.Transport...)
	b = append(b, ' ')
	b = appendHost(b, v.Host)
	if v.Port > 0 {
		b = append(b, ':')
		b = strconv.AppendInt(b, int64(v.Port), 10)
	}
	return appendParams(b, v.Params)
}

func appendAddress(b []byte, display string, uri *URI, params Params) []byte {
	if display != "" {
		b = append(b, '"')
		b = appendEscaped(b, display)
		b = append(b, `" `...)
	}
	b = append(b, '<')
	b = AppendURI(b, uri)
	b = append(b, '>')
	return appendParams(b, params)
}

// appendEscaped writes what stands between two quotes: escapes stay, a bare
// quote or a last backslash gets one.
func appendEscaped(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			b = append(b, '\\')
			i++
		case s[i] == '"' || s[i] == '\\':
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return b
}

// AppendURI appends the text of u.
func AppendURI(b []byte, u *URI) []byte {
	switch {
	case u.Wildcard:
		return append(b, '*')
	case u.Scheme == "":
		b = append(b, "sip:"...)
	default:
		b = append(b, u.Scheme...)
		b = append(b, ':')
	}
	if raw := u.Raw(); raw != "" {
		return append(b, raw...)
	}
	if u.User != "" {
		b = append(b, u.User...)
		if u.Password != "" {
			b = append(b, ':')
			b = append(b, u.Password...)
		}
		b = append(b, '@')
	}
	b = appendHost(b, u.Host)
	if u.Port > 0 {
		b = append(b, ':')
		b = strconv.AppendInt(b, int64(u.Port), 10)
	}
	b = appendParams(b, u.UriParams)
	for i, kv := range u.Headers {
		if i == 0 {
			b = append(b, '?')
		} else {
			b = append(b, '&')
		}
		b = append(b, kv.K...)
		b = append(b, '=')
		b = append(b, kv.V...)
	}
	return b
}

// KeepURI is a copy of u with texts of its own: what was parsed shares the text of
// its whole message, which would stay in memory for as long.
func KeepURI(u *URI) URI {
	c := *u.Clone()
	for _, s := range []*string{&c.Scheme, &c.User, &c.Password, &c.Host} {
		*s = strings.Clone(*s)
	}
	for _, p := range []Params{c.UriParams, c.Headers} {
		for i := range p {
			p[i] = Param{K: strings.Clone(p[i].K), V: strings.Clone(p[i].V)}
		}
	}
	return c
}

// URIText is the text of u, as it stands in a request line.
func URIText(u *URI) string { return string(AppendURI(nil, u)) }

func appendHost(b []byte, host string) []byte {
	if strings.IndexByte(host, ':') >= 0 && !strings.HasPrefix(host, "[") {
		b = append(b, '[')
		b = append(b, host...)
		return append(b, ']')
	}
	return append(b, host...)
}

func appendParams(b []byte, params Params) []byte {
	for _, kv := range params {
		b = append(b, ';')
		b = append(b, kv.K...)
		switch {
		case kv.V == "":
		case len(kv.V) > 1 && kv.V[0] == '"' && quoted(kv.V) == len(kv.V):
			b = append(b, '=')
			b = append(b, kv.V...)
		case strings.ContainsAny(kv.V, " \t\"<>,;"):
			b = append(b, `="`...)
			b = appendEscaped(b, kv.V)
			b = append(b, '"')
		default:
			b = append(b, '=')
			b = append(b, kv.V...)
		}
	}
	return b
}
