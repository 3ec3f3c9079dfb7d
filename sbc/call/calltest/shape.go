package calltest

import (
	"strconv"
	"strings"

	"linekeeper/sbc/sdp"
	"linekeeper/sbc/sip"
)

// Shape is what matters of a message of the box, as a ladder's words, each with a space
// before it; show are the header fields that the ladder looks at besides.
func Shape(m sip.Message, show []string) string {
	var b strings.Builder
	if s, err := sdp.Parse(m.Body()); err == nil && len(m.Body()) > 0 {
		b.WriteString(" sdp=" + s.Media[0].Direction.String())
		if n := len(s.Media[0].Carried); n > 0 {
			b.WriteString(" carried=" + strconv.Itoa(n))
		}
		if s.Media[0].Proto != "RTP/AVP" || len(s.Media[0].Crypto) > 0 {
			b.WriteString(" " + s.Media[0].Proto)
		}
		if len(s.Media[0].ICE.Candidates) > 0 {
			b.WriteString(" ice")
		}
		if fs := s.Media[0].Formats; s.Media[0].Kind == "audio" && (len(fs) != 1 || fs[0].Name != "PCMA") { // not what most ladders speak
			for _, f := range fs {
				b.WriteString(" " + f.Name)
			}
		}
		if s.Media[0].Port == actorsPort { // of another actor
			b.WriteString(" direct")
		}
	} else if code, ok := sip.SipfragCode(m.Body()); ok {
		state, _, _ := strings.Cut(sip.HeaderValue(m, "Subscription-State"), ";")
		b.WriteString(" sipfrag=" + strconv.Itoa(code) + " " + state)
	} else if len(m.Body()) > 0 {
		b.WriteString(" body")
	}
	if to, err := sip.ReferToOf(m); err == nil {
		b.WriteString(" to=" + to.URI.User)
		if to.Replaces != nil {
			b.WriteString(" replaces=" + to.Replaces.CallID)
		}
	}
	if rep, ok, _ := sip.ReplacesOf(m); ok {
		b.WriteString(" replaces=" + rep.CallID)
	}
	if rack, err := sip.RAckOf(m); err == nil {
		b.WriteString(" rack=" + strconv.Itoa(int(rack.RSeq)))
	}
	if req, ok := m.(*sip.Request); ok && sip.ToTag(req) != "" && !strings.HasPrefix(sip.ToTag(req), Tag("")) {
		b.WriteString(" fork=" + sip.ToTag(req))
	}
	if sip.HeaderValue(m, "Proxy-Authorization") != "" || sip.HeaderValue(m, "Authorization") != "" {
		b.WriteString(" auth")
	}
	if v := sip.HeaderValue(m, "Session-Expires"); v != "" {
		b.WriteString(" timer=" + strings.ReplaceAll(v, ";refresher=", ","))
	}
	for _, name := range []string{"Min-SE", "Retry-After"} {
		if v := sip.HeaderValue(m, name); v != "" && !strings.Contains(b.String(), " timer") {
			if resp, ok := m.(*sip.Response); ok && resp.StatusCode == 500 {
				v = "random" // RFC 3261 14.2
			}
			b.WriteString(" " + strings.ToLower(name) + "=" + v)
		}
	}
	if req, ok := m.(*sip.Request); ok && req.MaxForwards() != nil && req.MaxForwards().Val() != 70 && req.Method == sip.INVITE {
		b.WriteString(" hops=" + strconv.Itoa(int(req.MaxForwards().Val())))
	}
	for _, name := range show {
		if vs := sip.HeaderValues(m, name); len(vs) > 0 {
			b.WriteString(" " + strings.ToLower(name) + "=" + squeeze(strings.Join(vs, ",")))
		}
	}
	return b.String()
}

// Withdrawal is what matters of a CANCEL of the box: its Reason.
func Withdrawal(reason string, show []string) string {
	word := ""
	if strings.Contains(reason, "elsewhere") {
		word = " elsewhere"
	}
	if len(show) > 0 && reason != "" {
		word += " reason=" + squeeze(reason)
	}
	return word
}

// squeeze makes one word of a header's value: UUIDs that are one digit over and
// over by that digit, those that the box made as made.
func squeeze(v string) string {
	words := strings.FieldsFunc(v, func(r rune) bool { return r == ';' || r == ',' })
	for i, w := range words {
		name, id, ok := strings.Cut(w, "=")
		if !ok {
			name, id = "", w
		} else {
			name += "="
		}
		switch {
		case len(id) != 32:
		case strings.Count(id, id[:1]) == 32:
			words[i] = name + id[:1]
		default:
			words[i] = name + "made"
		}
	}
	return strings.ReplaceAll(strings.Join(words, ";"), " ", "_")
}
