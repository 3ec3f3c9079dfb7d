package sbc

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"linekeeper/sbc/call/calltest"
	"linekeeper/sbc/sip"
)

// The words of a room's ladder: what a user puts on a message, and what it sees of one.

// dress puts on a message what the ladder's words say.
func (u *user) dress(m sip.Message, words []string) {
	for _, w := range words {
		key, val, _ := strings.Cut(w, "=")
		switch key {
		case "expires":
			m.AppendHeader(sip.NewHeader("Expires", val))
		case "event":
			m.AppendHeader(sip.NewHeader("Event", val))
		case "text":
			sip.SetBody(m, "text/plain", []byte(val))
		case "long": // a text of so many octets
			n, _ := strconv.Atoi(val)
			sip.SetBody(m, "text/plain", []byte(strings.Repeat("x", n)))
		case "sdp":
			u.version++
			sip.SetBody(m, "application/sdp", []byte(calltest.Describe(val, u.version, "PCMA")))
		case "waiting":
			m.AppendHeader(sip.NewHeader("Subscription-State", "active"))
			sip.SetBody(m, "application/simple-message-summary", []byte("Messages-Waiting: "+val+"\r\n"))
		case "withheld":
			m.AppendHeader(sip.NewHeader("Privacy", "id"))
		case "update": // may be sent one
			m.AppendHeader(sip.NewHeader("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE"))
		case "require":
			m.AppendHeader(sip.NewHeader("Require", val))
		case "encoding":
			m.AppendHeader(sip.NewHeader("Content-Encoding", val))
		case "scheme":
			m.(*sip.Request).Recipient.Scheme = val
		case "hops":
			n, _ := strconv.Atoi(val)
			*m.(*sip.Request).MaxForwards() = sip.MaxForwards(n)
		case "cseq": // of another method
			m.CSeq().MethodName = sip.Method(val)
		case "challenge":
			m.AppendHeader(sip.NewHeader("WWW-Authenticate", `Digest realm="cloud", nonce="`+val+`", algorithm=MD5, qop="auth"`))
		case "after":
			m.AppendHeader(sip.NewHeader("Retry-After", val))
		case "domain":
			m.(*sip.Request).Recipient.Host, m.To().Address.Host, m.From().Address.Host = val, val, val
		case "device": // says which one it is
			m.AppendHeader(sip.NewHeader("Supported", "gruu"))
			c := u.contact()
			sip.SetHeader(m, sip.NewHeader("Contact", "<"+sip.URIText(&c)+`>;+sip.instance="<urn:uuid:00000000-0000-1000-8000-00000000000`+val+`>"`))
		case "flow": // one of several of its device
			m.AppendHeader(sip.NewHeader("Supported", "outbound, path"))
			sip.SetHeader(m, sip.NewHeader("Contact", sip.HeaderValue(m, "Contact")+";reg-id="+val))
		case "serviceroute":
			m.AppendHeader(sip.NewHeader("Service-Route", "<sip:"+val+";lr>"))
		case "path":
			m.AppendHeader(sip.NewHeader("Supported", "path"))
			m.AppendHeader(sip.NewHeader("Path", "<sip:"+val+";lr>"))
		case "refer":
			m.AppendHeader(sip.NewHeader("Refer-To", "<sip:"+val+"@pbx.example>"))
		case "joins": // the other party with that of another call
			m.AppendHeader(sip.ReferTo{URI: sip.URI{Scheme: "sip", User: "24", Host: "pbx.example"}, Replaces: u.dialog([]string{"call=" + val}).replaces()}.Header())
		case "replaces": // the newest dialog of a user
			m.AppendHeader(u.r.dialogOf(val).Header())
		case "to", "for", "within", "call", "gruu", "temp", "granted", "version", "double", "without", "length":
		default:
			u.r.t.Fatalf("unknown word %q", w)
		}
	}
}

// replaces names a dialog as the box knows it.
func (d *dlg) replaces() *sip.Replaces {
	return &sip.Replaces{CallID: d.callID, ToTag: sip.ParamValue(d.to.Params, "tag"), FromTag: sip.ParamValue(d.from.Params, "tag")}
}

// dialogOf is the newest dialog of another user.
func (r *room) dialogOf(name string) *sip.Replaces {
	u := r.user(name)
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.newest == nil {
		r.t.Fatalf("%s has no dialog", name)
	}
	return u.newest.replaces()
}

// words is a message of the box as the line of a ladder.
func (u *user) words(a arrived) string {
	var b strings.Builder
	fmt.Fprintf(&b, "box -> %s ", u.name)
	switch m := a.m.(type) {
	case *sip.Request:
		b.WriteString(string(m.Method))
		if v, _, _ := strings.Cut(sip.HeaderValue(m, "Event"), ";"); v != "" {
			state, _, _ := strings.Cut(sip.HeaderValue(m, "Subscription-State"), ";")
			b.WriteString(strings.TrimRight(" event="+v+" "+state, " "))
		}
		if (m.Method == sip.REGISTER || m.Method == sip.SUBSCRIBE) && sip.HeaderValue(m, "Authorization") != "" {
			b.WriteString(" auth")
		}
		if m.Method == sip.INVITE {
			b.WriteString(" from=" + vouched(m))
		}
	case *sip.Response:
		b.WriteString(strconv.Itoa(m.StatusCode))
		if _, method := sip.Seq(m); method == sip.REGISTER && m.IsSuccess() {
			b.WriteString(" contacts=" + strconv.Itoa(len(sip.HeaderValues(m, "Contact"))))
			if strings.Contains(strings.Join(sip.HeaderValues(m, "Contact"), ","), "pub-gruu") {
				b.WriteString(" gruu")
			}
		}
	}
	for _, name := range append([]string{"Min-Expires", "Unsupported"}, u.r.show...) {
		if v := strings.Join(sip.HeaderValues(a.m, name), ","); v != "" {
			b.WriteString(" " + strings.ToLower(name) + "=" + strings.ReplaceAll(v, " ", "_"))
		}
	}
	b.WriteString(u.r.content(a.m))
	u.mu.Lock()
	defer u.mu.Unlock()
	if d := u.dialogs[sip.CallIDOf(a.m)]; d != nil && d.name != "" {
		b.WriteString(" call=" + d.name)
	}
	if a.flow.Transport != u.lead() {
		b.WriteString(" by=" + string(a.flow.Transport))
	}
	return b.String()
}

// vouched is whom an INVITE is from, as the box vouches for it.
func vouched(req *sip.Request) string {
	if ids := sip.Identities(req, "P-Asserted-Identity"); len(ids) > 0 {
		return ids[0].User
	}
	return req.From().Address.User
}

// entity is which device a document is about, where it is about one.
func (r *room) entity(body string) string {
	found := regexp.MustCompile(`entity="([^"]*;gr[^"]*)"`).FindStringSubmatch(body)
	if found == nil {
		return ""
	}
	for name := range r.users {
		switch found[1] {
		case sip.URIText(r.gruus(name)[0]):
			return " entity=gruu:" + name
		case sip.URIText(r.gruus(name)[1]):
			return " entity=temp:" + name
		}
	}
	return " entity=" + found[1]
}

// content is what matters of a body.
func (r *room) content(m sip.Message) string {
	body := string(m.Body())
	if code, ok := sip.SipfragCode(m.Body()); ok {
		return " sipfrag=" + strconv.Itoa(code)
	}
	for _, form := range []struct{ name, pattern string }{
		{"lamp", `<state>([a-z]+)</state>`},
		{"dialogs", `<dialog-info [^>]*state="([a-z]+)"`},
		{"waiting", `Messages-Waiting: ([a-z]+)`},
		{"contact", `<contact [^>]*state="([a-z]+)"`},
		{"registration", `<registration [^>]*state="([a-z]+)"`},
	} {
		var found []string // of each dialog or contact
		for _, match := range regexp.MustCompile(form.pattern).FindAllStringSubmatch(body, -1) {
			found = append(found, match[1])
		}
		if found != nil {
			return " " + form.name + "=" + strings.Join(found, ",") + r.entity(body)
		}
	}
	switch {
	case strings.HasPrefix(body, "v=0"):
		return " sdp"
	case len(body) > 100:
		return " long=" + strconv.Itoa(len(body))
	case body != "":
		return " text=" + body
	}
	return ""
}
