package sip

import (
	"errors"
	"fmt"
	"strings"
)

// Allowed is the Allow header value of the box.
const Allowed = "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, UPDATE, PRACK, INFO, MESSAGE, REFER, SUBSCRIBE, NOTIFY"

// AllowedInCall is that of a call, within which nobody registers.
const AllowedInCall = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, INFO, MESSAGE, REFER, SUBSCRIBE, NOTIFY"

// Supported is the Supported header value of the box.
const Supported = "timer, replaces, norefersub, 100rel"

// MagicCookie begins the branch of every RFC 3261 element (8.1.1.7).
const MagicCookie = "z9hG4bK"

// options are the option tags a peer may Require of the box.
var options = map[string]bool{"path": true, "outbound": true, "gruu": true, "timer": true, "replaces": true, "norefersub": true, "100rel": true}

// Supports says whether the box understands an option tag.
func Supports(option string) bool { return options[strings.ToLower(option)] }

func bad(format string, args ...any) *Reject {
	return &Reject{Code: 400, Phrase: "Bad Request", Cause: fmt.Errorf(format, args...)}
}

// Validate is passed by every request before anything else looks at it. It
// returns nil or what to answer; for an ACK always silence. What Parse has
// refused already is checked again where a request may be made by hand.
func Validate(req *Request) *Reject {
	r := validate(req)
	if r != nil && req.Method == ACK {
		r.Code = 0
	}
	return r
}

func validate(req *Request) *Reject {
	if !answerable(req) {
		return &Reject{Cause: errors.New("no via, from, to, call-id or cseq")}
	}
	if req.SipVersion != "" && !strings.EqualFold(req.SipVersion, "SIP/2.0") {
		return &Reject{Code: 505, Phrase: Phrase(505), Cause: fmt.Errorf("version %q", clip(req.SipVersion))}
	}
	if !isToken(string(req.Method)) {
		return bad("method %q", clip(string(req.Method)))
	}
	for _, check := range []func(*Request) *Reject{validTarget, validIdentity, validVia, validContact, validRequire, validBody} {
		if r := check(req); r != nil {
			return r
		}
	}
	return nil
}

func validTarget(req *Request) *Reject {
	u := &req.Recipient
	switch u.Scheme {
	case "sip", "sips":
		if u.Wildcard || (!isHost(u.Host) && !strings.HasPrefix(u.Host, "[")) || u.Port < 0 || u.Port > 65535 {
			return bad("request-uri %q", clip(URIText(u)))
		}
		if len(u.Headers) > 0 { // RFC 3261 19.1.1: not in a Request-URI
			return bad("headers in request-uri")
		}
	case "tel":
	default:
		return &Reject{Code: 416, Phrase: Phrase(416), Cause: fmt.Errorf("%w: %q", errScheme, clip(u.Scheme))}
	}
	return nil
}

func validIdentity(req *Request) *Reject {
	cseq := req.CSeq()
	switch {
	case cseq.MethodName != req.Method:
		return bad("cseq of %q in a %q", clip(string(cseq.MethodName)), clip(string(req.Method)))
	case cseq.SeqNo > 1<<31-1:
		return bad("cseq %d", cseq.SeqNo)
	case FromTag(req) == "":
		return bad("from without a tag")
	case len(FromTag(req)) > 256 || len(ToTag(req)) > 256 || len(*req.CallID()) > 512:
		return bad("tag or call-id too long")
	case req.Method == CANCEL && len(req.GetHeaders("Require")) > 0:
		return nil // RFC 3261 9.1 forbids it, harmless
	}
	return nil
}

func validVia(req *Request) *Reject {
	via := req.Via()
	branch := Branch(req)
	switch {
	case via.ProtocolName != "SIP" && !strings.EqualFold(via.ProtocolName, "SIP"), via.ProtocolVersion != "2.0":
		return bad("via protocol %q/%q", clip(via.ProtocolName), clip(via.ProtocolVersion))
	case via.Host == "" || via.Port < 0 || via.Port > 65535:
		return bad("via sent-by")
	case strings.EqualFold(branch, MagicCookie): // RFC 4475 3.2.1: it promises an identifier and gives none
		return bad("via branch %q", clip(branch))
	case len(branch) > 256:
		return bad("via branch of %d bytes", len(branch))
	}
	return nil
}

func validContact(req *Request) *Reject {
	contacts := Contacts(req)
	for _, c := range contacts {
		if c.Address.Wildcard && (len(contacts) > 1 || req.Method != REGISTER) {
			return bad("contact star beside others or outside of register")
		}
	}
	switch req.Method {
	case INVITE:
		if len(contacts) != 1 {
			return bad("invite with %d contacts", len(contacts))
		}
	}
	return nil
}

func validRequire(req *Request) *Reject {
	if req.Method == ACK || req.Method == CANCEL { // RFC 3261 8.2.2.3
		return nil
	}
	var unknown []string
	for _, name := range []string{"Require", "Proxy-Require"} {
		for _, o := range Tokens(req, name) {
			if !Supports(o) && isToken(o) && len(unknown) < 16 {
				unknown = append(unknown, o)
			}
		}
	}
	if unknown == nil {
		return nil
	}
	return &Reject{Code: 420, Phrase: Phrase(420), Unsupported: unknown, Cause: fmt.Errorf("requires %q", unknown)}
}

func validBody(req *Request) *Reject {
	if len(req.Body()) == 0 {
		return nil
	}
	if enc := HeaderValue(req, "Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return &Reject{Code: 415, Phrase: Phrase(415), Cause: fmt.Errorf("content-encoding %q", clip(enc))}
	}
	if req.Method == INVITE && HeaderValue(req, "Content-Type") == "" {
		return bad("body without content-type")
	}
	return nil
}

// ValidateResponse tells why a response must be dropped (nobody answers a
// response). That the only Via left is ours is for the exchange to see.
func ValidateResponse(resp *Response) error {
	switch {
	case resp.StatusCode < 100 || resp.StatusCode > 699:
		return fmt.Errorf("status code %d", resp.StatusCode)
	case resp.Via() == nil || resp.From() == nil || resp.To() == nil || resp.CallID() == nil || resp.CSeq() == nil:
		return errors.New("response without via, from, to, call-id or cseq")
	case !isToken(string(resp.CSeq().MethodName)):
		return errors.New("response without a method")
	case len(Branch(resp)) <= len(MagicCookie):
		return errors.New("response without our branch")
	case len(resp.GetHeaders("Via")) > 1: // RFC 3261 8.1.3.3: meant for somebody else
		return errors.New("response with another via below")
	case resp.StatusCode > 100 && resp.StatusCode < 300 && resp.CSeq().MethodName == INVITE && ToTag(resp) == "":
		return fmt.Errorf("%d to invite without a to tag", resp.StatusCode)
	}
	return nil
}
