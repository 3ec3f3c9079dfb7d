package sip

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	gosip "github.com/emiago/sipgo/sip"
)

// Bounds on what is read from the network. A message beyond one of them is
// refused before anything of its size is allocated.
const (
	// MaxMessage bounds a whole message, in bytes (the largest datagram).
	MaxMessage = 65535
	// MaxHead bounds the start line and headers on a stream, in bytes.
	MaxHead = 16 << 10
	// maxLines bounds the header fields of a message.
	maxLines = 256
	// maxVias bounds the Via values: no request may make more hops (RFC 3261 8.1.1.6).
	maxVias = 70
	// maxParams bounds the parameters of one header value or URI.
	maxParams = 64
)

// Errors that someone branches on.
var (
	// ErrBlank is a datagram of line ends or NULs: a keep-alive, not a fault.
	ErrBlank = errors.New("keep-alive without a message")
	// ErrNotSIP is a start line that is neither a request nor a status line.
	ErrNotSIP = errors.New("not a sip message")
	// ErrTooLarge is a message beyond MaxMessage or MaxHead.
	ErrTooLarge = errors.New("message too large")
	// ErrUnterminated is a header section without its empty line.
	ErrUnterminated = errors.New("header section does not end")
)

// Parse reads one datagram. When a request is faulty but can still be answered
// both the request and a *Reject come back, though From, To, Call-ID or CSeq may
// be missing in the request then; whatever cannot be answered comes back as a
// nil Message. Of a header field that may stand only once the first stays. The
// datagram is not kept.
func Parse(datagram []byte) (Message, error) {
	if len(datagram) > MaxMessage {
		return nil, ErrTooLarge
	}
	data := bytes.TrimLeft(datagram, "\r\n\x00")
	if len(data) == 0 {
		return nil, ErrBlank
	}
	end := bytes.Index(data, []byte("\r\n\r\n"))
	if end < 0 {
		return nil, ErrUnterminated
	}
	h, err := parseHead(string(data[:end]))
	if err != nil {
		return nil, err
	}
	h.setBody(data[end+4:])
	return h.result()
}

// head is a message while it is read: what stands, and the first fault found.
type head struct {
	msg    Message
	req    *Request // nil for a response
	seen   uint32   // bit set of singletons met
	vias   int
	length int // Content-Length, -1 when absent
	fault  *Reject
	echo   []Header // what an answer needs and could not be read, as it came
}

// blame notes the first fault; later ones do not replace it.
func (h *head) blame(code int, format string, args ...any) {
	if h.fault == nil {
		h.fault = &Reject{Code: code, Cause: fmt.Errorf(format, args...)}
	}
}

// parseHead reads the start line and the header fields, without the empty line.
func parseHead(text string) (*head, error) {
	line, rest, _ := strings.Cut(text, "\r\n")
	h := &head{length: -1}
	if err := h.startLine(line); err != nil {
		return nil, err
	}
	for n := 0; rest != ""; n++ {
		if n == maxLines {
			h.blame(400, "more than %d header fields", maxLines)
			break
		}
		line, rest = nextField(rest)
		h.field(line)
	}
	return h, nil
}

// nextField cuts one header field off, unfolded (RFC 3261 7.3.1).
func nextField(text string) (field, rest string) {
	field, rest, _ = strings.Cut(text, "\r\n")
	if rest == "" || (rest[0] != ' ' && rest[0] != '\t') {
		return field, rest
	}
	var b strings.Builder
	b.WriteString(strings.TrimRight(field, " \t"))
	for rest != "" && (rest[0] == ' ' || rest[0] == '\t') {
		field, rest, _ = strings.Cut(rest, "\r\n")
		b.WriteByte(' ')
		b.WriteString(strings.Trim(field, " \t"))
	}
	return b.String(), rest
}

func (h *head) startLine(line string) error {
	first, rest, ok := strings.Cut(line, " ")
	if !ok {
		return ErrNotSIP
	}
	if len(first) > 4 && strings.EqualFold(first[:4], "SIP/") {
		return h.statusLine(first, rest)
	}
	spaced := rest
	rest = strings.TrimRight(rest, " \t")
	at := strings.LastIndexByte(rest, ' ')
	if !isToken(first) || at < 0 || len(rest)-at < 6 || !strings.EqualFold(rest[at+1:at+5], "SIP/") {
		return ErrNotSIP
	}
	target, version := rest[:at], rest[at+1:]
	uri, err := ParseURI(target)
	h.req = gosip.NewRequest(method(first), uri)
	h.msg = h.req
	h.req.SipVersion = "SIP/2.0"
	if !strings.EqualFold(version, "SIP/2.0") {
		h.blame(505, "version %q", clip(version))
	}
	if err != nil {
		h.blame(uriCode(err), "request-uri: %w", err)
	}
	if rest != spaced {
		h.blame(400, "white space behind the version")
	}
	return nil
}

func (h *head) statusLine(version, rest string) error {
	if !strings.EqualFold(version, "SIP/2.0") {
		return fmt.Errorf("status line version %q: %w", clip(version), ErrNotSIP)
	}
	digits, phrase, _ := strings.Cut(rest, " ")
	code, err := strconv.Atoi(digits)
	if err != nil || len(digits) != 3 || code < 100 || code > 699 {
		return fmt.Errorf("status code %q: %w", clip(digits), ErrNotSIP)
	}
	resp := gosip.NewResponse(code, phrase)
	if !isText(phrase) {
		h.blame(0, "control characters in the reason phrase")
	}
	h.msg = resp
	return nil
}

// setBody takes the body of a datagram (RFC 3261 18.3): bytes beyond
// Content-Length are dropped, missing ones are a fault.
func (h *head) setBody(data []byte) {
	switch {
	case h.length > len(data):
		h.blame(400, "content-length %d but %d bytes of body", h.length, len(data))
		data = nil
	case h.length >= 0:
		data = data[:h.length]
	}
	if len(data) == 0 {
		h.msg.SetBody(nil)
		return
	}
	h.msg.SetBody(bytes.Clone(data))
}

// result says whether the message stands, can be answered, or is lost.
func (h *head) result() (Message, error) {
	if h.fault == nil {
		return h.msg, nil
	}
	if h.req == nil {
		return nil, h.fault.Cause
	}
	if !answerable(h.req) {
		if !h.echoes() {
			return nil, h.fault.Cause
		}
		h.fault.echo = h.echo
	}
	h.fault.Phrase = Phrase(h.fault.Code)
	if h.req.Method == ACK {
		h.fault.Code = 0
	}
	return h.msg, h.fault
}

// echoes says whether what is missing for an answer came, unreadable: it can be
// given back as it came (RFC 3261 8.2.6.2).
func (h *head) echoes() bool {
	need := map[string]bool{"From": h.req.From() == nil, "To": h.req.To() == nil, "Call-ID": h.req.CallID() == nil, "CSeq": h.req.CSeq() == nil}
	for _, e := range h.echo {
		need[e.Name()] = false
	}
	return h.req.Via() != nil && !need["From"] && !need["To"] && !need["Call-ID"] && !need["CSeq"]
}

// answerable says whether a response to req would find its way back.
func answerable(req *Request) bool {
	return req.Via() != nil && req.From() != nil && req.To() != nil && req.CallID() != nil && req.CSeq() != nil
}

// method makes a Method that does not keep the message's text alive.
func method(s string) Method {
	switch m := Method(s); m {
	case INVITE:
		return INVITE
	case ACK:
		return ACK
	case BYE:
		return BYE
	case CANCEL:
		return CANCEL
	case REGISTER:
		return REGISTER
	case OPTIONS:
		return OPTIONS
	default: // nothing to do
	}
	return Method(strings.Clone(s))
}

// clip shortens foreign text for an error.
func clip(s string) string {
	const most = 64
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
