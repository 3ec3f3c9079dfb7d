package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Script is a SIPp scenario under construction: what one stranger says and
// wants to hear during one call, in order. Any other message fails the call in
// SIPp, and so does a check that finds nothing.
//
//	caller: Dial or Call ─ Recv 180 ─ Recv 200 ─ Ack ─ Ask BYE ─ Recv 200
//	callee: Recv INVITE ─ Reply 180 ─ Reply 200 ─ Recv ACK ─ Recv BYE ─ Reply 200
type Script struct {
	xml     strings.Builder
	caller  bool   // this side began the call
	from    string // the caller's own name
	asked   string // method of the last request of ours
	within  bool   // it was one within the call
	seq     int    // its number
	invited int    // number of the last INVITE
	version int    // of our session description
	number  string // and whom it called
	began   bool   // the INVITE that began the call has come
	fresh   bool   // the last request was the INVITE that began the call
	patient bool   // SIPp repeats after 4 s only: when hundreds of scripts share a machine
	literal bool   // SIPp neither repeats nor recognises what is repeated
	marks   []string
}

// Option changes a message or checks one that has come.
type Option func(*message)

type message struct {
	headers  []string
	body     string
	kind     string // of the body; empty: a session description
	checks   []string
	optional bool
	mark     string
	tag      string
	contact  string // in place of the caller's own
	aim      string // parameters of the request URI
	rseq     bool
}

// described is an SDP body as SIPp fills it in, with a direction.
func described(direction string) string {
	return "v=0\n      o=- [pid] %d IN IP4 [local_ip]\n      s=-\n      c=IN IP4 [media_ip]\n      t=0 0\n" +
		"      m=audio [media_port] RTP/AVP 8\n      a=rtpmap:8 PCMA/8000\n      a=ptime:20\n      a=" + direction
}

// sdp puts an SDP body into a message.
func sdp(direction string) Option { return func(m *message) { m.body = described(direction) } }

// carries puts a body of another kind into a message; a line of it is one argument.
func carries(kind string, lines ...string) Option {
	return func(m *message) { m.kind, m.body = kind, strings.Join(lines, "\n      ") }
}

// header adds a header line to a message.
func header(line string) Option {
	return func(m *message) { m.headers = append(m.headers, line) }
}

// has wants a header of a message that has come to match.
func has(name, regexp string) Option { return find("hdr", name, regexp, true) }

// lacks wants no place of a message that has come to match.
func lacks(regexp string) Option { return find("msg", "", regexp, false) }

// says wants the text of a message that has come to match, body and all.
func says(regexp string) Option { return find("msg", "", regexp, true) }

// escaper writes what SIPp can read in an attribute; it knows no numeric references.
var escaper = strings.NewReplacer("&", "&amp;", `"`, "&quot;", "<", "&lt;", ">", "&gt;")

func find(where, name, regexp string, there bool) Option {
	in := `search_in="` + where + `"`
	if name != "" {
		in += ` header="` + name + `:"`
	}
	check := "check_it"
	if !there {
		check = "check_it_inverse"
	}
	return func(m *message) {
		m.checks = append(m.checks, fmt.Sprintf(`<ereg regexp="%s" %s %s="true" assign_to="seen"/>`, escaper.Replace(regexp), in, check))
	}
}

// optional lets a message be missing.
func optional(m *message) { m.optional = true }

// as remembers a request under a name for ReplyTo.
func as(mark string) Option { return func(m *message) { m.mark = mark } }

// contact puts another Contact into a request that begins something.
func contact(value string) Option { return func(m *message) { m.contact = value } }

// aim puts parameters on the URI that is asked for.
func aim(params string) Option { return func(m *message) { m.aim = params } }

// fork makes an answer one of another phone behind the same proxy.
func fork(tag string) Option { return func(m *message) { m.tag = tag } }

// wantsPRACK wants a reliable response, and remembers its number for Prack.
func wantsPRACK(m *message) {
	has("Require", "100rel")(m)
	m.rseq = true
}

func (s *Script) message(options []Option) *message {
	m := &message{}
	for _, o := range options {
		o(m)
	}
	return m
}

func (s *Script) emit(format string, args ...any) { fmt.Fprintf(&s.xml, format, args...) }

// send emits a message; empty lines between header and body are SIPp's.
func (s *Script) send(repeat bool, lines []string, m *message) {
	attr := ""
	if repeat {
		attr = ` retrans="500"`
		if s.patient {
			attr = ` retrans="4000"`
		}
	}
	lines = append(lines, m.headers...)
	switch {
	case m.kind != "":
		lines = append(lines, "Content-Type: "+m.kind, "Content-Length: [len]", "", m.body)
	case m.body != "":
		s.version++
		lines = append(lines, "Content-Type: application/sdp", "Content-Length: [len]", "", fmt.Sprintf(m.body, s.version))
	default:
		lines = append(lines, "Content-Length: 0")
	}
	s.emit("  <send%s><![CDATA[\n\n      %s\n\n  ]]></send>\n", attr, strings.Join(lines, "\n      "))
}

// Dial calls a number through the box as a phone does: challenged once.
func (s *Script) Dial(caller, number string, options ...Option) {
	s.Begin("INVITE", caller, number, options...)
}

// Begin asks for something new as a phone does: challenged once.
func (s *Script) Begin(method, caller, number string, options ...Option) {
	s.begin(method, caller, number, options)
	s.Recv("401", has("WWW-Authenticate", "MD5"), auth)
	if method == "INVITE" {
		s.refused()
	}
	s.begin(method, caller, number, append([]Option{proven(caller)}, options...))
}

// proven answers the challenge that came last.
func proven(caller string) Option {
	return header("[authentication username=" + caller + " password=phone-secret-" + caller + "]")
}

// Call calls a number at the box as the cloud does: unchallenged.
func (s *Script) Call(caller, number string, options ...Option) {
	s.begin("INVITE", caller, number, options)
}

func auth(m *message) { m.mark = "auth" }

func (s *Script) begin(method, caller, number string, options []Option) {
	s.caller, s.from, s.number, s.asked = true, caller, number, method
	s.seq++
	s.invited = s.seq
	m := s.message(options)
	if m.contact == "" {
		m.contact = "<sip:" + caller + "@[local_ip]:[local_port]>"
	}
	lines := []string{
		method + " sip:" + number + "@[remote_ip]:[remote_port]" + m.aim + " SIP/2.0",
		"Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport",
		"Max-Forwards: 70",
		"From: <sip:" + caller + "@[remote_ip]>;tag=[pid]c[call_number]",
		"To: <sip:" + number + "@[remote_ip]>",
		"Call-ID: [call_id]",
		"CSeq: " + strconv.Itoa(s.seq) + " " + method,
		"Contact: " + m.contact,
		"User-Agent: SIPp",
	}
	s.send(true, lines, m)
}

// dialogue are the headers of a request of ours within the call.
func (s *Script) dialogue(method string, seq int) []string {
	from, to := "From:[$to_inv];tag=[pid]t[call_number]", "To:[$from_inv]"
	if s.caller {
		from = "From: <sip:" + s.from + "@[remote_ip]>;tag=[pid]c[call_number]"
		to = "To: <sip:" + s.number + "@[remote_ip]>[peer_tag_param]"
	}
	return []string{
		method + " [next_url] SIP/2.0",
		"Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport",
		"[routes]",
		"Max-Forwards: 70", from, to,
		"Call-ID: [call_id]",
		"CSeq: " + strconv.Itoa(seq) + " " + method,
		"User-Agent: SIPp",
	}
}

// Ask sends a request within the call.
func (s *Script) Ask(method string, options ...Option) {
	s.seq++
	s.asked, s.within = method, true
	if method == "INVITE" {
		s.invited = s.seq
	}
	lines := s.dialogue(method, s.seq)
	if method != "BYE" {
		lines = append(lines, "Contact: <sip:"+s.contact()+"@[local_ip]:[local_port]>")
	}
	s.send(true, lines, s.message(options))
}

func (s *Script) contact() string {
	if s.caller {
		return s.from
	}
	return "desk"
}

// Ack acknowledges the 2xx of the last INVITE of ours.
func (s *Script) Ack(options ...Option) {
	s.send(false, s.dialogue("ACK", s.invited), s.message(options))
}

// Prack acknowledges the reliable response that came last (RFC 3262).
func (s *Script) Prack(options ...Option) {
	s.Ask("PRACK", append([]Option{header("RAck: [$rseq] " + strconv.Itoa(s.invited) + " INVITE")}, options...)...)
}

// refused acknowledges a refusal of the last INVITE: same target, same branch.
func (s *Script) refused() {
	to := "sip:" + s.number + "@[remote_ip]:[remote_port]"
	if s.within {
		to = "[next_url]"
	}
	s.send(false, []string{
		"ACK " + to + " SIP/2.0", "[last_Via:]", "Max-Forwards: 70",
		"[last_From:]", "[last_To:]", "Call-ID: [call_id]", "CSeq: " + strconv.Itoa(s.invited) + " ACK",
	}, &message{})
}

// RecvRefusal waits for a refusal of the last INVITE of ours and acknowledges it.
func (s *Script) RecvRefusal(code string, options ...Option) {
	s.Recv(code, options...)
	s.refused()
}

// Cancel gives up the INVITE.
func (s *Script) Cancel() {
	s.send(true, []string{
		"CANCEL sip:" + s.number + "@[remote_ip]:[remote_port] SIP/2.0", "[last_Via:]", "Max-Forwards: 70",
		"From: <sip:" + s.from + "@[remote_ip]>;tag=[pid]c[call_number]", "To: <sip:" + s.number + "@[remote_ip]>",
		"Call-ID: [call_id]", "CSeq: " + strconv.Itoa(s.invited) + " CANCEL",
	}, &message{})
}

// Recv waits for a request (its method) or an answer (its code). Answers may
// be preceded by a 100, those to INVITE.
func (s *Script) Recv(what string, options ...Option) {
	m := s.message(options)
	code := what[0] >= '0' && what[0] <= '9'
	attr, action := `request="`+what+`"`, strings.Join(m.checks, "")
	if code {
		attr = `response="` + what + `"`
		if s.asked == "INVITE" && !m.optional {
			s.emit("  <recv response=\"100\" optional=\"true\"/>\n")
		}
	}
	switch {
	case m.mark == "auth":
		attr += ` auth="true"`
	case what == "INVITE" && !s.began && !s.caller:
		m.mark = "inv"
	}
	if !code {
		s.fresh = m.mark == "inv"
		s.began = s.began || s.fresh
	}
	if m.mark != "" && !code {
		for _, name := range []string{"Via", "From", "To", "CSeq"} {
			variable := strings.ToLower(name) + "_" + m.mark
			s.marks = append(s.marks, variable)
			action += `<ereg regexp=".*" search_in="hdr" header="` + name + `:" assign_to="` + variable + `"/>`
		}
	}
	if m.rseq {
		s.marks = append(s.marks, "rseq")
		action += `<ereg regexp="[1-9][0-9]*" search_in="hdr" header="RSeq:" check_it="true" assign_to="rseq"/>`
	}
	if what == "INVITE" || what == "200" && (s.asked == "INVITE" || s.asked == "SUBSCRIBE") || what == "180" || what == "183" {
		attr += ` rrs="true"`
	}
	if m.optional {
		attr += ` optional="true"`
	}
	if action == "" {
		s.emit("  <recv %s/>\n", attr)
		return
	}
	s.emit("  <recv %s><action>%s</action></recv>\n", attr, action)
}

// Reply answers the request that came last.
func (s *Script) Reply(code string, options ...Option) {
	if s.fresh {
		s.ReplyTo("inv", code, options...)
		return
	}
	s.reply(code, []string{"[last_Via:]", "[last_From:]", "[last_To:]", "[last_Call-ID:]", "[last_CSeq:]"}, options)
}

// ReplyTo answers a request that was marked, whatever came since. The INVITE
// of the call is "inv".
func (s *Script) ReplyTo(mark, code string, options ...Option) {
	tag := ""
	if mark == "inv" {
		tag = ";tag=[pid]t[call_number]" + s.message(options).tag
	}
	s.reply(code, []string{"Via:[$via_" + mark + "]", "From:[$from_" + mark + "]", "To:[$to_" + mark + "]" + tag, "Call-ID: [call_id]", "CSeq:[$cseq_" + mark + "]"}, options)
}

func (s *Script) reply(code string, lines []string, options []Option) {
	m := s.message(options)
	number, phrase, named := strings.Cut(code, " ")
	if !named {
		phrase = "Thus"
	}
	lines = append([]string{"SIP/2.0 " + number + " " + phrase}, lines...)
	lines = append(lines, "Contact: <sip:"+s.contact()+m.tag+"@[local_ip]:[local_port]>")
	s.send(m.body != "" && number == "200", lines, m)
}

// Pause lets time go by.
func (s *Script) Pause(d time.Duration) {
	s.emit("  <pause milliseconds=\"%d\"/>\n", d.Milliseconds())
}

// played is what a scenario writes into its log when all was as it should be.
const played = "the script was played to its end"

// text is the scenario. A keeper also takes registrations and keep-alives, each
// a call of its own, until it is told to end.
func (s *Script) text(keeper bool) string {
	var b strings.Builder
	b.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE scenario SYSTEM \"sipp.dtd\">\n<scenario name=\"script\">\n")
	answer := func(label, extra string) string {
		return "  <label id=\"" + label + "\"/>\n  <send><![CDATA[\n\n      SIP/2.0 200 OK\n      [last_Via:]\n      [last_From:]\n      [last_To:];tag=[pid]o[call_number]\n" +
			"      [last_Call-ID:]\n      [last_CSeq:]\n" + extra + "      Content-Length: 0\n\n  ]]></send>\n"
	}
	if keeper {
		b.WriteString("  <recv request=\"REGISTER\" optional=\"true\" next=\"91\"/>\n  <recv request=\"OPTIONS\" optional=\"true\" next=\"92\"/>\n")
	}
	b.WriteString(s.xml.String())
	b.WriteString("  <nop><action><log message=\"" + played + "\"/></action></nop>\n")
	if keeper {
		b.WriteString("  <nop next=\"99\"/>\n" + answer("91", "      [last_Contact:];expires=600\n") + "  <nop next=\"99\"/>\n" + answer("92", "") + "  <label id=\"99\"/>\n")
	}
	variables := s.marks // SIPp wants each variable to be used
	if strings.Contains(s.xml.String(), `assign_to="seen"`) {
		variables = append(variables, "seen")
	}
	if len(variables) > 0 {
		b.WriteString("  <Reference variables=\"" + strings.Join(variables, ",") + "\"/>\n")
	}
	b.WriteString("</scenario>\n")
	return b.String()
}

// Play starts a script on the host. Without a target it waits for calls.
func (h *Host) Play(t *testing.T, name, from, target string, keeper bool, script func(*Script)) *SIPp {
	t.Helper()
	s := &Script{}
	script(s)
	dir := t.TempDir()
	file := filepath.Join(dir, name+".xml")
	if err := os.WriteFile(file, []byte(s.text(keeper)), 0o600); err != nil {
		t.Fatal(err)
	}
	port := netip.MustParseAddrPort(from).Port()
	args := []string{"-mp", strconv.Itoa(6000 + 10*int(port-5060)), "-trace_logs", "-log_file", filepath.Join(dir, "log"), "-timeout", "150s"}
	if s.literal {
		args = append(args, "-nr")
	}
	if target != "" {
		args = append([]string{target, "-auth_uri", s.number + "@" + target}, args...)
	}
	if !keeper {
		args = append(args, "-m", "1")
	}
	p := h.sipp(t, dir, file, from, args...)
	p.log = filepath.Join(dir, "log")
	if target == "" {
		p.hears(t, from)
	}
	return p
}
