package sip

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	gosip "github.com/emiago/sipgo/sip"
)

// The bits of header fields that may stand only once. Of sipgo's own parser
// the last one would win, of a peer's perhaps the first: that difference is how
// requests are smuggled past a border, so a second one is a fault.
const (
	onceFrom = 1 << iota
	onceTo
	onceCallID
	onceCSeq
	onceMaxForwards
	onceContentLength
	onceContentType
	onceExpires
	onceSessionExpires
	onceMinSE
	onceEvent
	onceRAck
	onceRSeq
	onceReferTo
	onceReferredBy
	onceReplaces
	onceTimestamp
	onceDate
	onceSubscriptionState
	onceContentDisposition
	onceRetryAfter
	onceMinExpires
)

// known are the header fields with a rule of their own, by lower-case name.
var known = map[string]struct {
	name string
	once uint32
}{
	"via": {"Via", 0}, "v": {"Via", 0},
	"from": {"From", onceFrom}, "f": {"From", onceFrom},
	"to": {"To", onceTo}, "t": {"To", onceTo},
	"call-id": {"Call-ID", onceCallID}, "i": {"Call-ID", onceCallID},
	"cseq":           {"CSeq", onceCSeq},
	"contact":        {"Contact", 0},
	"m":              {"Contact", 0},
	"max-forwards":   {"Max-Forwards", onceMaxForwards},
	"content-length": {"Content-Length", onceContentLength}, "l": {"Content-Length", onceContentLength},
	"content-type": {"Content-Type", onceContentType}, "c": {"Content-Type", onceContentType},
	"content-encoding": {"Content-Encoding", 0}, "e": {"Content-Encoding", 0},
	"content-disposition": {"Content-Disposition", onceContentDisposition},
	"route":               {"Route", 0},
	"record-route":        {"Record-Route", 0},
	"expires":             {"Expires", onceExpires},
	"min-expires":         {"Min-Expires", onceMinExpires},
	"session-expires":     {"Session-Expires", onceSessionExpires}, "x": {"Session-Expires", onceSessionExpires},
	"min-se": {"Min-SE", onceMinSE},
	"event":  {"Event", onceEvent}, "o": {"Event", onceEvent},
	"subscription-state": {"Subscription-State", onceSubscriptionState},
	"rack":               {"RAck", onceRAck},
	"rseq":               {"RSeq", onceRSeq},
	"refer-to":           {"Refer-To", onceReferTo}, "r": {"Refer-To", onceReferTo},
	"referred-by": {"Referred-By", onceReferredBy}, "b": {"Referred-By", onceReferredBy},
	"replaces":    {"Replaces", onceReplaces},
	"timestamp":   {"Timestamp", onceTimestamp},
	"date":        {"Date", onceDate},
	"retry-after": {"Retry-After", onceRetryAfter},
	"supported":   {"Supported", 0}, "k": {"Supported", 0},
	"require":              {"Require", 0},
	"proxy-require":        {"Proxy-Require", 0},
	"unsupported":          {"Unsupported", 0},
	"allow":                {"Allow", 0},
	"allow-events":         {"Allow-Events", 0},
	"u":                    {"Allow-Events", 0},
	"accept":               {"Accept", 0},
	"subject":              {"Subject", 0},
	"s":                    {"Subject", 0},
	"authorization":        {"Authorization", 0},
	"proxy-authorization":  {"Proxy-Authorization", 0},
	"www-authenticate":     {"WWW-Authenticate", 0},
	"proxy-authenticate":   {"Proxy-Authenticate", 0},
	"user-agent":           {"User-Agent", 0},
	"server":               {"Server", 0},
	"path":                 {"Path", 0},
	"service-route":        {"Service-Route", 0},
	"p-asserted-identity":  {"P-Asserted-Identity", 0},
	"p-preferred-identity": {"P-Preferred-Identity", 0},
	"privacy":              {"Privacy", 0},
	"diversion":            {"Diversion", 0},
	"history-info":         {"History-Info", 0},
	"reason":               {"Reason", 0},
	"warning":              {"Warning", 0},
	"alert-info":           {"Alert-Info", 0},
	"a":                    {"Accept-Contact", 0},
	"d":                    {"Request-Disposition", 0},
	"j":                    {"Reject-Contact", 0},
	"n":                    {"Identity-Info", 0},
	"y":                    {"Identity", 0},
}

// field reads one unfolded header field into the message.
func (h *head) field(line string) {
	name, value, ok := strings.Cut(line, ":")
	name = strings.TrimRight(name, " \t")
	if !ok || !isToken(name) {
		h.blame(400, "header line %q", clip(line))
		return
	}
	value = strings.Trim(value, " \t")
	if !isText(value) {
		if value = calm(value); !isText(value) {
			h.blame(400, "control characters in %s", clip(name))
			return
		}
	}
	var room [32]byte
	k, ok := known[string(appendLower(room[:0], name))]
	if !ok {
		h.msg.AppendHeader(gosip.NewHeader(name, value))
		return
	}
	if k.once != 0 {
		if h.seen&k.once != 0 {
			h.blame(400, "second %s", k.name)
			return
		}
		h.seen |= k.once
	}
	if err := h.value(k.name, value); err != nil {
		h.blame(400, "%s: %w", k.name, err)
		if k.once&(onceFrom|onceTo|onceCallID|onceCSeq) != 0 {
			h.echo = append(h.echo, gosip.NewHeader(k.name, strings.Clone(value)))
		}
	}
}

// calm makes a space of each control character that has its escape (quoted-pair,
// RFC 3261 25.1): it is allowed, but nobody shall have to show it.
func calm(value string) string {
	var b strings.Builder
	for i := 0; i < len(value); i++ {
		switch {
		case value[i] != '\\' || i+1 == len(value):
			b.WriteByte(value[i])
		case value[i+1] < ' ' && value[i+1] != '\r' && value[i+1] != '\n' || value[i+1] == 0x7f:
			b.WriteByte(' ')
			i++
		default:
			b.WriteString(value[i : i+2])
			i++
		}
	}
	return b.String()
}

func appendLower(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		b = append(b, c)
	}
	return b
}

// value reads the value of a known header field.
func (h *head) value(name, value string) error {
	switch name {
	case "Via":
		return h.list(value, h.via)
	case "Contact":
		return h.list(value, h.contact)
	case "Route":
		return h.list(value, h.route)
	case "Record-Route":
		return h.list(value, h.recordRoute)
	case "From":
		d, u, p, err := parseAddress(value)
		if err == nil {
			h.msg.AppendHeader(&From{DisplayName: d, Address: u, Params: p})
		}
		return err
	case "To":
		d, u, p, err := parseAddress(value)
		if err == nil {
			h.msg.AppendHeader(&To{DisplayName: d, Address: u, Params: p})
		}
		return err
	case "Call-ID":
		if value == "" || strings.ContainsAny(value, " \t,") {
			return fmt.Errorf("value %q", clip(value))
		}
		id := CallID(value)
		h.msg.AppendHeader(&id)
	case "CSeq":
		return h.cseq(value)
	case "Max-Forwards":
		n, err := parseUint(value, 255)
		if err == nil {
			mf := MaxForwards(n)
			h.msg.AppendHeader(&mf)
		}
		return err
	case "Content-Length":
		n, err := parseUint(value, MaxMessage)
		if err == nil {
			h.length = int(n)
			l := gosip.ContentLengthHeader(n)
			h.msg.AppendHeader(&l)
		}
		return err
	case "Content-Type":
		if !strings.Contains(value, "/") {
			return fmt.Errorf("value %q", clip(value))
		}
		ct := ContentType(value)
		h.msg.AppendHeader(&ct)
	default:
		h.msg.AppendHeader(gosip.NewHeader(name, value))
	}
	return nil
}

// list hands each value of a comma-separated header field to one. The values
// become header fields of their own, in order (RFC 3261 7.3.1).
func (h *head) list(value string, one func(string) error) error {
	for {
		item, rest, more := cutList(value)
		if err := one(item); err != nil {
			return err
		}
		if !more {
			return nil
		}
		value = rest
	}
}

func (h *head) via(value string) error {
	if h.vias++; h.vias > maxVias {
		return fmt.Errorf("more than %d hops", maxVias)
	}
	v, err := parseVia(value)
	if err == nil {
		h.msg.AppendHeader(v)
	}
	return err
}

func (h *head) contact(value string) error {
	c, err := ParseContact(value)
	if err == nil {
		h.msg.AppendHeader(c)
	}
	return err
}

func (h *head) route(value string) error {
	_, u, p, err := parseAddress(value)
	switch {
	case err != nil:
		return err
	case len(p) > 0: // sipgo's type would lose them
		h.msg.AppendHeader(gosip.NewHeader("Route", value))
	default:
		h.msg.AppendHeader(&Route{Address: u})
	}
	return nil
}

func (h *head) recordRoute(value string) error {
	_, u, p, err := parseAddress(value)
	switch {
	case err != nil:
		return err
	case len(p) > 0:
		h.msg.AppendHeader(gosip.NewHeader("Record-Route", value))
	default:
		h.msg.AppendHeader(&RecordRoute{Address: u})
	}
	return nil
}

func (h *head) cseq(value string) error {
	digits, name, _ := strings.Cut(value, " ")
	if i := strings.IndexByte(value, '\t'); i >= 0 && i < len(digits) {
		digits, name = value[:i], value[i+1:]
	}
	name = strings.Trim(name, " \t")
	n, err := parseUint(digits, 1<<31-1)
	if err != nil {
		return err
	}
	if !isToken(name) {
		return fmt.Errorf("method %q", clip(name))
	}
	h.msg.AppendHeader(&CSeq{SeqNo: uint32(n), MethodName: method(name)})
	return nil
}

var errNumber = errors.New("number out of range")

// parseUint reads a decimal number of at most most.
func parseUint(s string, most uint64) (uint64, error) {
	if s == "" || s[0] < '0' || s[0] > '9' {
		return 0, fmt.Errorf("%q: %w", clip(s), errNumber)
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n > most {
		return 0, fmt.Errorf("%q: %w", clip(s), errNumber)
	}
	return n, nil
}
