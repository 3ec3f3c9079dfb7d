package policy

import (
	"strconv"
	"strings"

	"linekeeper/sbc/sip"
)

// Cause is why a call was refused or ended, as Reason tells it (RFC 3326). The
// zero Cause says nothing.
type Cause struct {
	SIP  int // status code; 0: not told
	Q850 int // ITU-T Q.850 cause value; 0: not told
	// Text belongs to what was told first.
	Text string
}

// completedElsewhere is what keeps a phone from counting a call as missed.
const completedElsewhere = "Call completed elsewhere"

// Elsewhere is the cause of a CANCEL to those who ring when another has answered.
func Elsewhere() Cause { return Cause{SIP: 200, Text: completedElsewhere} }

// Own is the cause of an end that the box brings about itself: both codes, and
// the code's own phrase, since ours may name what nobody outside shall know.
func Own(code int) Cause {
	return Cause{SIP: max(code, 200), Q850: Q850Of(code), Text: sip.Phrase(max(code, 200))}
}

// ReadCause reads the Reason header fields of a message.
func ReadCause(m sip.Message) Cause {
	var c Cause
	for _, item := range items(m, "Reason", maxIdentities) {
		protocol, rest, _ := strings.Cut(item, ";")
		code, text := 0, ""
		for _, p := range sip.Fields(rest, ';') {
			name, value, _ := strings.Cut(p, "=")
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "cause":
				code, _ = strconv.Atoi(strings.TrimSpace(value))
			case "text":
				text = clean(sip.Unquote(strings.TrimSpace(value)))
			}
		}
		switch protocol = strings.TrimSpace(protocol); {
		case strings.EqualFold(protocol, "SIP") && code >= 200 && code < 700 && c.SIP == 0:
			c.SIP = code
		case strings.EqualFold(protocol, "Q.850") && code > 0 && code < 128 && c.Q850 == 0:
			c.Q850 = code
		default:
			continue
		}
		if c.Text == "" {
			c.Text = text
		}
	}
	return c
}

// clean takes out of a peer's text what must not be carried on, an address say.
func clean(s string) string {
	if len(s) > 64 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) || strings.Count(s, ".") > 1 || strings.Contains(s, "@") {
		return ""
	}
	return s
}

// Values are the values of the Reason header fields, one for each protocol.
func (c Cause) Values() []string {
	var out []string
	text := ""
	if c.Text != "" {
		text = ";text=" + sip.Quote(c.Text)
	}
	if c.SIP != 0 {
		out, text = append(out, "SIP;cause="+strconv.Itoa(c.SIP)+text), ""
	}
	if c.Q850 != 0 {
		out = append(out, "Q.850;cause="+strconv.Itoa(c.Q850)+text)
	}
	return out
}

// Headers are the Reason header fields.
func (c Cause) Headers() []sip.Header {
	var out []sip.Header
	for _, v := range c.Values() {
		out = append(out, sip.NewHeader("Reason", v))
	}
	return out
}

// Q850Of is the Q.850 cause of a SIP status code (RFC 3398 8.2.6.1); 0 where
// there is none, a call that its caller gave up say.
func Q850Of(code int) int {
	switch code {
	case 200:
		return 16
	case 401, 402, 403, 407, 603:
		return 21
	case 404, 485, 604:
		return 1
	case 405:
		return 63
	case 406, 415, 501:
		return 79
	case 408, 504:
		return 102
	case 410:
		return 22
	case 413, 414, 416, 420, 421, 422, 423, 505, 513:
		return 127
	case 433: // RFC 5079
		return 24
	case 480:
		return 18
	case 482, 483:
		return 25
	case 484:
		return 28
	case 486, 600:
		return 17
	case 487:
		return 0
	case 488, 606: // by its Warning, says the RFC; it is the bearer in practice
		return 65
	case 502:
		return 38
	}
	if code >= 400 { // 400, 481, 500, 503, and what nobody knows (RFC 3261 8.1.3.2)
		return 41
	}
	return 0
}

// SIPOf is the SIP status code of a Q.850 cause (RFC 3398 7.2.4.1); 0 for normal
// clearing and for what isn't in the table.
func SIPOf(cause int) int {
	switch cause {
	case 1, 2, 3, 26:
		return 404
	case 17:
		return 486
	case 18:
		return 408
	case 19, 20, 31:
		return 480
	case 21, 55, 57, 87:
		return 403
	case 22, 23:
		return 410
	case 24:
		return 433
	case 25:
		return 483
	case 27:
		return 502
	case 28:
		return 484
	case 29, 79:
		return 501
	case 34, 38, 41, 42, 47, 58, 88:
		return 503
	case 65, 70:
		return 488
	case 102:
		return 504
	case 111, 127:
		return 500
	}
	return 0
}

// Sharper is the status code that a refusal with this cause should have had: a
// gateway that answers 500 or 503 while its network says that the callee is busy
// is not out of order.
func (c Cause) Sharper(code int) int {
	if code != 500 && code != 503 {
		return code
	}
	if better := SIPOf(c.Q850); better >= 400 && better < 500 {
		return better
	}
	return code
}
