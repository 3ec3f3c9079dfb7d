package sip

import (
	"fmt"
	"strings"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// Reject is an error with a SIP face. Code 0 means: stay silent.
type Reject struct {
	Code        int
	Phrase      string
	After       time.Duration // Retry-After, if any
	Unsupported []string      // for 420
	Cause       error         // ours, never sent
	echo        []Header      // of the request, unreadable, for the answer
}

// Error tells code and cause, for the log.
func (r *Reject) Error() string {
	if r.Cause == nil {
		return fmt.Sprintf("refused with %d %s", r.Code, r.Phrase)
	}
	return fmt.Sprintf("refused with %d: %v", r.Code, r.Cause)
}

// Unwrap gives the cause.
func (r *Reject) Unwrap() error { return r.Cause }

// Response is the answer to req that r stands for; nil when r is silence.
func (r *Reject) Response(req *Request, toTag string) *Response {
	if r.Code == 0 || req.Method == ACK || !answerable(req) && len(r.echo) == 0 {
		return nil
	}
	phrase := r.Phrase
	if phrase == "" {
		phrase = Phrase(r.Code)
	}
	resp := Respond(req, r.Code, phrase, toTag)
	for _, h := range r.echo {
		resp.AppendHeader(h)
	}
	if r.After > 0 {
		resp.AppendHeader(RetryAfterHeader(r.After))
	}
	if len(r.Unsupported) > 0 {
		resp.AppendHeader(gosip.NewHeader("Unsupported", strings.Join(r.Unsupported, ", ")))
	}
	switch r.Code {
	case 405, 501:
		resp.AppendHeader(gosip.NewHeader("Allow", Allowed))
	case 415:
		resp.AppendHeader(gosip.NewHeader("Accept", "application/sdp"))
		resp.AppendHeader(gosip.NewHeader("Accept-Encoding", "identity"))
	}
	return resp
}

// Phrase is the reason phrase of a status code (RFC 3261 21 and others).
func Phrase(code int) string {
	if p, ok := phrases[code]; ok {
		return p
	}
	switch code / 100 {
	case 1:
		return "Progress"
	case 2:
		return "OK"
	case 3:
		return "Redirection"
	case 4:
		return "Client Error"
	case 5:
		return "Server Error"
	default:
		return "Global Failure"
	}
}

var phrases = map[int]string{
	100: "Trying", 180: "Ringing", 181: "Call Is Being Forwarded", 182: "Queued", 183: "Session Progress",
	199: "Early Dialog Terminated", 200: "OK", 202: "Accepted", 204: "No Notification",
	300: "Multiple Choices", 301: "Moved Permanently", 302: "Moved Temporarily", 305: "Use Proxy", 380: "Alternative Service",
	400: "Bad Request", 401: "Unauthorized", 402: "Payment Required", 403: "Forbidden", 404: "Not Found",
	405: "Method Not Allowed", 406: "Not Acceptable", 407: "Proxy Authentication Required", 408: "Request Timeout",
	410: "Gone", 412: "Conditional Request Failed", 413: "Request Entity Too Large", 414: "Request-URI Too Long",
	415: "Unsupported Media Type", 416: "Unsupported URI Scheme", 420: "Bad Extension", 421: "Extension Required",
	422: "Session Interval Too Small", 423: "Interval Too Brief", 429: "Provide Referrer Identity",
	430: "Flow Failed", 433: "Anonymity Disallowed", 439: "First Hop Lacks Outbound Support",
	480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist", 482: "Loop Detected", 483: "Too Many Hops",
	484: "Address Incomplete", 485: "Ambiguous", 486: "Busy Here", 487: "Request Terminated", 488: "Not Acceptable Here",
	489: "Bad Event", 491: "Request Pending", 493: "Undecipherable", 494: "Security Agreement Required",
	500: "Server Internal Error", 501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable",
	504: "Server Time-out", 505: "Version Not Supported", 513: "Message Too Large", 580: "Precondition Failure",
	600: "Busy Everywhere", 603: "Decline", 604: "Does Not Exist Anywhere", 606: "Not Acceptable", 607: "Unwanted",
}
