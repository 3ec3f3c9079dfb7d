package sip

import (
	"net/netip"
	"strconv"
	"strings"

	gosip "github.com/emiago/sipgo/sip"
)

// NewHeader makes a header field of text.
func NewHeader(name, value string) Header { return gosip.NewHeader(name, value) }

// Headers are the header fields of m in order; not to be changed.
func Headers(m Message) []Header {
	switch m := m.(type) {
	case *Request:
		return m.Headers()
	case *Response:
		return m.Headers()
	}
	return nil
}

// same says whether a header's name means the same as name, which is in long form.
func same(have, name string) bool {
	if strings.EqualFold(have, name) {
		return true
	}
	if len(have) != 1 {
		return false
	}
	k, ok := known[strings.ToLower(have)]
	return ok && strings.EqualFold(k.name, name)
}

// HeaderValue is the value of the first header field of that name, compact
// form included; "" when there is none.
func HeaderValue(m Message, name string) string {
	for _, h := range Headers(m) {
		if same(h.Name(), name) {
			return h.Value()
		}
	}
	return ""
}

// HeaderValues are the values of all header fields of that name, as they stand.
func HeaderValues(m Message, name string) []string {
	var out []string
	for _, h := range Headers(m) {
		if same(h.Name(), name) {
			out = append(out, h.Value())
		}
	}
	return out
}

// Tokens are the comma-separated tokens of all header fields of that name
// (Supported, Require, Allow).
func Tokens(m Message, name string) []string {
	var out []string
	for _, h := range Headers(m) {
		if !same(h.Name(), name) {
			continue
		}
		for t := range strings.SplitSeq(h.Value(), ",") {
			if t = strings.Trim(t, " \t"); t != "" {
				out = append(out, t)
			}
		}
	}
	return out
}

// HasToken says whether a header field of that name lists token, in any case.
func HasToken(m Message, name, token string) bool {
	for _, t := range Tokens(m, name) {
		if strings.EqualFold(t, token) {
			return true
		}
	}
	return false
}

// SetHeader puts h in place of every header field of its name.
func SetHeader(m Message, h Header) {
	RemoveHeader(m, h.Name())
	m.AppendHeader(h)
}

// RemoveHeader removes every header field of that name, compact form included.
func RemoveHeader(m Message, name string) {
	remover, ok := m.(interface{ RemoveHeader(string) bool })
	if !ok {
		return
	}
	for {
		found := ""
		for _, h := range Headers(m) {
			if same(h.Name(), name) {
				found = h.Name()
				break
			}
		}
		if found == "" || !remover.RemoveHeader(found) {
			return
		}
	}
}

// FromTag is the tag of From, or "".
func FromTag(m Message) string {
	if f := m.From(); f != nil {
		return f.Params.GetOr("tag", "")
	}
	return ""
}

// ToTag is the tag of To, or "".
func ToTag(m Message) string {
	if t := m.To(); t != nil {
		return t.Params.GetOr("tag", "")
	}
	return ""
}

// SetToTag sets the tag of To.
func SetToTag(m Message, tag string) {
	if t := m.To(); t != nil && tag != "" {
		t.Params.Add("tag", tag)
	}
}

// Branch is the branch of the top Via, or "".
func Branch(m Message) string {
	if v := m.Via(); v != nil {
		return v.Params.GetOr("branch", "")
	}
	return ""
}

// Identified says whether the branch of the top Via alone tells the transaction
// (RFC 3261 8.1.1.7); of an older element's request it does not.
func Identified(m Message) bool {
	b := Branch(m)
	return len(b) > len(MagicCookie) && strings.EqualFold(b[:len(MagicCookie)], MagicCookie)
}

// CallIDOf is the Call-ID, or "".
func CallIDOf(m Message) string {
	if id := m.CallID(); id != nil {
		return string(*id)
	}
	return ""
}

// Seq is the CSeq of m; 0 and "" when there is none.
func Seq(m Message) (uint32, Method) {
	if c := m.CSeq(); c != nil {
		return c.SeqNo, c.MethodName
	}
	return 0, ""
}

// ParamValue is the value of a parameter without its quotes and escapes.
func ParamValue(p Params, name string) string {
	return Unquote(p.GetOr(name, ""))
}

// Unquote takes quotes and escapes off a quoted string.
func Unquote(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		s = s[1 : len(s)-1]
	}
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// Quote makes a quoted string of s, for parameters and display names of headers
// made by hand.
func Quote(s string) string {
	b := []byte{'"'}
	for i := 0; i < len(s); i++ {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return string(append(b, '"'))
}

// Contacts are all Contact values in order.
func Contacts(m Message) []*Contact {
	var out []*Contact
	for _, h := range Headers(m) {
		if c, ok := h.(*Contact); ok {
			out = append(out, c)
		}
	}
	return out
}

// Vias are all Via values, the top one first.
func Vias(m Message) []*Via {
	var out []*Via
	for _, h := range Headers(m) {
		if v, ok := h.(*Via); ok {
			out = append(out, v)
		}
	}
	return out
}

// Routes are the URIs of the Route header fields in order.
func Routes(m Message) []URI { return addresses(m, "Route") }

// RecordRoutes are the URIs of the Record-Route header fields in order.
func RecordRoutes(m Message) []URI { return addresses(m, "Record-Route") }

// Paths are the URIs of the Path header fields (RFC 3327) in order.
func Paths(m Message) []URI { return addresses(m, "Path") }

// Identities are the URIs of P-Asserted-Identity (RFC 3325) or of another
// header field that lists addresses; faulty ones are left out.
func Identities(m Message, name string) []URI { return addresses(m, name) }

func addresses(m Message, name string) []URI {
	var out []URI
	for _, h := range Headers(m) {
		if !same(h.Name(), name) {
			continue
		}
		switch h := h.(type) {
		case *Route:
			out = append(out, h.Address)
			continue
		case *RecordRoute:
			out = append(out, h.Address)
			continue
		}
		for rest, more := h.Value(), true; more; {
			var item string
			item, rest, more = cutList(rest)
			if _, u, _, err := parseAddress(item); err == nil {
				out = append(out, u)
			}
		}
	}
	return out
}

// ParseAddress reads `"Name" <sip:user@host>;params`, as in Refer-To,
// P-Asserted-Identity or Diversion (RFC 3261 20.10).
func ParseAddress(s string) (display string, uri URI, params Params, err error) {
	display, uri, params, err = parseAddress(strings.Trim(s, " \t"))
	return Unquote(display), uri, params, err
}

// MergeKey is the same for two copies of one request that came by two ways
// (RFC 3261 8.2.2.2): the second wants 482. Only for requests without a To tag.
func MergeKey(req *Request) string {
	seq, method := Seq(req)
	return FromTag(req) + "\x00" + CallIDOf(req) + "\x00" + strconv.FormatUint(uint64(seq), 10) + string(method)
}

// Stamp notes in the top Via where a request really came from (RFC 3261
// 18.2.1, RFC 3581 4). Stamping twice changes nothing.
func Stamp(req *Request, from netip.AddrPort) {
	v := req.Via()
	if v == nil || !from.IsValid() {
		return
	}
	addr := from.Addr().Unmap()
	rport := v.Params.Has("rport")
	if rport {
		v.Params.Add("rport", strconv.Itoa(int(from.Port())))
	}
	host, err := netip.ParseAddr(strings.Trim(v.Host, "[]"))
	if rport || err != nil || host.Unmap() != addr {
		v.Params.Add("received", addr.WithZone("").String())
		return
	}
	v.Params.Remove("received") // the sender's own would lead the answer astray
}
