package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"linekeeper/sbc/number"
	"linekeeper/sbc/sip"
)

// message is a request with these header lines.
func message(t testing.TB, lines ...string) *sip.Request {
	t.Helper()
	text := "INVITE sip:23@box.example SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKa\r\nMax-Forwards: 70\r\nFrom: <sip:22@box.example>;tag=a\r\n" +
		"To: <sip:23@box.example>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nContact: <sip:22@192.0.2.9>\r\n" + strings.Join(append(lines, ""), "\r\n") + "Content-Length: 0\r\n\r\n"
	m, err := sip.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return m.(*sip.Request)
}

// lines writes header fields down.
func lines(hs []sip.Header) []string {
	var out []string
	for _, h := range hs {
		out = append(out, h.Name()+": "+h.Value())
	}
	return out
}

func TestPrivacyIsReadAsTheRFCSeparatesIt(t *testing.T) {
	for _, c := range []struct {
		lines   []string
		want    Privacy
		hides   bool
		refused string
	}{
		{nil, 0, false, ""},
		{[]string{"Privacy: id"}, PrivacyID, true, ""},
		{[]string{"Privacy: ID ; critical"}, PrivacyID | PrivacyCritical, true, ""},
		{[]string{"Privacy: header;user;session;critical"}, PrivacyHeader | PrivacyUser | PrivacySession | PrivacyCritical, true, ""},
		{[]string{"Privacy: session"}, PrivacySession, false, ""},
		{[]string{"Privacy: history"}, PrivacyHistory, false, ""},
		{[]string{"Privacy: none"}, PrivacyNone, false, ""},
		{[]string{"Privacy: none;id"}, PrivacyNone | PrivacyID, true, ""},
		{[]string{"Privacy: id", "Privacy: user"}, PrivacyID | PrivacyUser, true, ""},
		{[]string{"Privacy: moon"}, 0, false, ""},
		{[]string{"Privacy: moon;id;critical;sun"}, PrivacyID | PrivacyCritical, true, "moon sun"},
		{[]string{"Privacy: " + strings.Repeat("x;", 100) + "id"}, 0, false, ""},
	} {
		m := message(t, c.lines...)
		p, _ := ReadPrivacy(m)
		if p != c.want || p.Hides() != c.hides || strings.Join(Refused(m), " ") != c.refused {
			t.Errorf("%q: %b hides %v refused %q", c.lines, p, p.Hides(), Refused(m))
		}
	}
}

func TestWhomAPeerAsserts(t *testing.T) {
	for _, c := range []struct {
		lines  []string
		party  Party
		user   string
		name   string
		hidden bool
	}{
		{nil, Calling, "", "", false},
		{[]string{`P-Asserted-Identity: "Anna, B." <sip:+4989555200@c.example>, <tel:+4989555201>`}, Calling, "+4989555200", "Anna, B.", false},
		{[]string{"P-Asserted-Identity: <tel:+4989555201>"}, Calling, "+4989555201", "", false},
		{[]string{"P-Asserted-Identity: <sip:c.example>", "P-Asserted-Identity: <sip:7@c.example>"}, Calling, "7", "", false},
		{[]string{"P-Asserted-Identity: <sip:7@c.example>", "Privacy: id"}, Calling, "7", "", true},
		{[]string{`Remote-Party-ID: "Old" <sip:8@c.example>;party=calling;privacy=off;screen=yes`}, Calling, "8", "Old", false},
		{[]string{`Remote-Party-ID: "Old" <sip:8@c.example>;party=calling;privacy=full`}, Calling, "8", "Old", true},
		{[]string{`Remote-Party-ID: "Old" <sip:8@c.example>;privacy=name`}, Calling, "8", "", false},
		{[]string{`Remote-Party-ID: <sip:8@c.example>;party=called`}, Calling, "", "", false},
		{[]string{`Remote-Party-ID: <sip:8@c.example>;party=called`}, Called, "8", "", false},
		{[]string{`Remote-Party-ID: <sip:term@c.example>;id-type=term, <sip:9@c.example>`}, Calling, "9", "", false},
		{[]string{`Remote-Party-ID: <sip:8@c.example>`, "P-Asserted-Identity: <sip:7@c.example>"}, Calling, "7", "", false},
		{[]string{"P-Asserted-Identity: <sip:7@c.example", "Remote-Party-ID: nonsense here"}, Calling, "", "", false},
	} {
		n, hidden, ok := Asserted(message(t, c.lines...), c.party)
		if userOf(&n.URI) != c.user || n.Display != c.name || hidden != c.hidden || ok != (c.user != "") {
			t.Errorf("%q: %q %q hidden %v %v", c.lines, n.Display, userOf(&n.URI), hidden, ok)
		}
	}
}

func TestAPhoneMayAskForOneOfItsOwnNumbersAlone(t *testing.T) {
	read := func(user string) number.E164 {
		if strings.HasPrefix(user, "+") {
			return number.E164(user)
		}
		return ""
	}
	for header, want := range map[string]number.E164{
		"<sip:+498912345620@x>":                        "+498912345620",
		"<sip:+498912345622@x>":                        "+498912345622",
		"<tel:+498912345622>":                          "+498912345622",
		"<sip:+498912345623@x>":                        "",
		"<sip:+498912345623@x>, <sip:+498912345620@x>": "+498912345620",
		"<sip:22@x>":                                   "",
		strings.Repeat("<sip:1@x>, ", 20) + "<sip:+498912345620@x>": "",
	} {
		if got := Wish(message(t, "P-Preferred-Identity: "+header), read, "+498912345622", "+498912345620", ""); got != want {
			t.Errorf("%s: %q, want %q", header, got, want)
		}
	}
}

func TestCausesAreReadAndWritten(t *testing.T) {
	for _, c := range []struct {
		lines []string
		want  Cause
		out   string
	}{
		{nil, Cause{}, ""},
		{[]string{"Reason: Q.850;cause=17"}, Cause{Q850: 17}, "Q.850;cause=17"},
		{[]string{`Reason: q.850 ; cause=16 ; text="Normal, all clear"`}, Cause{Q850: 16, Text: "Normal, all clear"}, `Q.850;cause=16;text="Normal, all clear"`},
		{[]string{`Reason: SIP;cause=200;text="Call completed elsewhere"`}, Elsewhere(), `SIP;cause=200;text="Call completed elsewhere"`},
		{[]string{`Reason: SIP;cause=486, Q.850;cause=17;text="a;b"`}, Cause{SIP: 486, Q850: 17, Text: "a;b"}, `SIP;cause=486;text="a;b" Q.850;cause=17`},
		{[]string{"Reason: Q.850;cause=16", "Reason: Q.850;cause=17"}, Cause{Q850: 16}, "Q.850;cause=16"},
		{[]string{"Reason: Q.850;cause=999", "Reason: SIP;cause=-1", "Reason: preemption;cause=1"}, Cause{}, ""},
		{[]string{`Reason: Q.850;cause=31;text="from 10.0.0.7"`}, Cause{Q850: 31}, "Q.850;cause=31"},
		{[]string{`Reason: SIP;cause=480;text="anna@lan"`}, Cause{SIP: 480}, "SIP;cause=480"},
	} {
		got := ReadCause(message(t, c.lines...))
		if got != c.want || strings.Join(got.Values(), " ") != c.out {
			t.Errorf("%q: %+v, written %q", c.lines, got, got.Values())
		}
	}
	if got := Own(503).Values(); !slices.Equal(got, []string{`SIP;cause=503;text="Service Unavailable"`, "Q.850;cause=41"}) {
		t.Errorf("the box's own: %q", got)
	}
}

// TestCodesAndCausesAreThoseOfRFC3398 repeats the RFC's two tables.
func TestCodesAndCausesAreThoseOfRFC3398(t *testing.T) {
	toISUP := "400=41 401=21 402=21 403=21 404=1 405=63 406=79 407=21 408=102 410=22 413=127 414=127 415=79 416=127 420=127 421=127 423=127 480=18 481=41 482=25 483=25 484=28 " +
		"485=1 486=17 500=41 501=79 502=38 503=41 504=102 505=127 513=127 600=17 603=21 604=1 487=0 200=16 499=41 599=41 699=41 180=0"
	for pair := range strings.FieldsSeq(toISUP) {
		var code, cause int
		if _, err := fmt.Sscanf(pair, "%d=%d", &code, &cause); err != nil {
			t.Fatal(err)
		}
		if got := Q850Of(code); got != cause {
			t.Errorf("%d is %d, want %d", code, got, cause)
		}
	}
	toSIP := "1=404 2=404 3=404 16=0 17=486 18=408 19=480 20=480 21=403 22=410 23=410 26=404 27=502 28=484 29=501 31=480 34=503 38=503 41=503 42=503 47=503 55=403 57=403 58=503 " +
		"65=488 70=488 79=501 87=403 88=503 102=504 111=500 127=500 5=0"
	for pair := range strings.FieldsSeq(toSIP) {
		var code, cause int
		if _, err := fmt.Sscanf(pair, "%d=%d", &cause, &code); err != nil {
			t.Fatal(err)
		}
		if got := SIPOf(cause); got != code {
			t.Errorf("cause %d is %d, want %d", cause, got, code)
		}
	}
	for cause, want := range map[int]int{17: 486, 1: 404, 41: 503, 38: 503, 16: 503, 0: 503} {
		if got := (Cause{Q850: cause}).Sharper(503); got != want {
			t.Errorf("503 with cause %d is %d, want %d", cause, got, want)
		}
	}
	if got := (Cause{Q850: 17}).Sharper(480); got != 480 {
		t.Errorf("480 became %d", got)
	}
}

func TestSessionsHaveANameFromEndToEnd(t *testing.T) {
	a, b := "ab30317f1a784dc48ff824d0d3715d86", "47755a9de7794ba387653f2099600ef2"
	for v, want := range map[string]Session{
		a + ";remote=" + b:                      {a, b},
		strings.ToUpper(a) + " ; Remote = " + b: {a, b},
		a:                                       {a, NilUUID}, // RFC 7329
		a + ";logme;remote=" + NilUUID:          {a, NilUUID}, // RFC 8497
		"":                                      {},
		"abc;remote=" + b:                       {},
		a + ";remote=abc":                       {},
		a[:31] + "g;remote=" + b:                {},
	} {
		got, ok := ReadSession(message(t, "Session-ID: "+v))
		if got != want || ok != (want != Session{}) {
			t.Errorf("%q: %+v %v", v, got, ok)
		}
	}
	made := NewUUID("token", "A")
	if u, ok := uuid(made); !ok || u != made || made[12] != '4' || made != NewUUID("token", "A") || made == NewUUID("token", "B") || made == NewUUID("other", "A") {
		t.Errorf("made %q", made)
	}
}

func TestDiversionsAreReadFromEitherHeader(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"none", nil, ""},
		{"diversion, the latest first", []string{`Diversion: "Chef" <sip:+4989111@c.example>;reason=user-busy;counter=2, <sip:+4989222@c.example>;reason=unconditional;privacy=full`},
			"+4989111 Chef user-busy 2|+4989222  unconditional 1 hidden"},
		{"an unknown reason", []string{"Diversion: <tel:+4989111>;reason=boredom;counter=0;privacy=name"}, "+4989111  unknown 1"},
		{"faulty entries", []string{"Diversion: nobody", "Diversion: <sip:1@c.example>;reason=away"}, "1  away 1"},
		{"history by cause", []string{"History-Info: <sip:+4989111@c.example>;index=1", "History-Info: <sip:+4989222@c.example;cause=486>;index=1.1;mp=1, <sip:acc22@c.example;cause=408>;index=1.1.1;mp=1.1"},
			"+4989222  no-answer 1|+4989111  user-busy 1"},
		{"history by reason", []string{"History-Info: <sip:+4989111@c.example?Reason=SIP%3Bcause%3D302>;index=1", "History-Info: <sip:acc22@c.example>;index=1.1"}, "+4989111  unconditional 1"},
		{"history kept private", []string{"History-Info: <sip:+4989111@c.example?Privacy=history>;index=1, <sip:a@c.example;cause=503>;index=1.1"}, "+4989111  unavailable 1 hidden"},
		{"history of a call never sent on", []string{"History-Info: <sip:+4989111@c.example>;index=1, <sip:a@c.example>;index=1.1"}, ""},
		{"both", []string{"Diversion: <sip:1@c.example>;reason=away", "History-Info: <sip:2@c.example>;index=1, <sip:a@c.example;cause=302>;index=1.1"}, "1  away 1"},
		{"too many", []string{"Diversion: " + strings.TrimSuffix(strings.Repeat("<sip:1@c.example>,", 40), ",")}, strings.TrimSuffix(strings.Repeat("1  unknown 1|", MaxDiverts), "|")},
	} {
		var got []string
		for _, d := range ReadDiverts(message(t, c.lines...)) {
			line := fmt.Sprintf("%s %s %s %d", userOf(&d.URI), d.Display, d.Why, d.Times)
			if d.Hidden {
				line += " hidden"
			}
			got = append(got, line)
		}
		if strings.Join(got, "|") != c.want {
			t.Errorf("%s: %q, want %q", c.name, strings.Join(got, "|"), c.want)
		}
	}
}

func TestDiversionsAreWrittenEitherWayAndReadBackTheSame(t *testing.T) {
	at := func(user string) sip.URI { return sip.URI{Scheme: "sip", User: user, Host: "c.example"} }
	ds := []Divert{
		{Named: Named{"Chef", at("+4989222")}, Why: NoAnswer, Times: 1, Hidden: true},
		{Named: Named{"", at("+4989111")}, Why: Unconditional, Times: 1},
	}
	if got, want := lines(Diversion(ds)), []string{
		`Diversion: "Chef" <sip:+4989222@c.example>;reason=no-answer;counter=1;privacy=full`,
		"Diversion: <sip:+4989111@c.example>;reason=unconditional;counter=1",
	}; !slices.Equal(got, want) {
		t.Errorf("diversion %q", got)
	}
	if got, want := lines(History(ds, at("+4989333"))), []string{
		"History-Info: <sip:+4989111@c.example>;index=1",
		`History-Info: "Chef" <sip:+4989222@c.example;cause=302?Privacy=history>;index=1.1;mp=1`,
		"History-Info: <sip:+4989333@c.example;cause=408>;index=1.1.1;mp=1.1",
	}; !slices.Equal(got, want) {
		t.Errorf("history %q", got)
	}
	for _, why := range []string{Unconditional, Deflection, Busy, NoAnswer, Unavailable, "unknown"} {
		one := []Divert{{Named: Named{"", at("1")}, Why: why, Times: 1}}
		for _, hs := range [][]sip.Header{Diversion(one), History(one, at("2"))} {
			back := ReadDiverts(message(t, lines(hs)...))
			if len(back) != 1 || back[0].Why != why || userOf(&back[0].URI) != "1" {
				t.Errorf("%s: %q is read as %+v", why, lines(hs), back)
			}
		}
	}
	if History(nil, at("1")) != nil || Diversion(nil) != nil {
		t.Error("a call that nobody sent on has a history")
	}
	long := History(slices.Repeat(ds, 20), at("1"))
	if len(long) != MaxDiverts+1 {
		t.Errorf("%d entries", len(long))
	}
}

func FuzzBorder(f *testing.F) {
	for _, s := range []string{"id;critical", `Q.850;cause=16;text="x"`, "<sip:1@x?Reason=SIP%3Bcause%3D302>;index=1,<sip:2@x;cause=302>;index=1.1", `"A" <tel:1>;reason=away`, "ab30317f1a784dc48ff824d0d3715d86;remote=0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.ContainsAny(s, "\r\n") {
			return
		}
		m := sip.NewRequest(sip.INVITE, sip.URI{Scheme: "sip", Host: "x"})
		for _, name := range []string{"Privacy", "Reason", "Diversion", "History-Info", "Session-ID", "P-Asserted-Identity", "Remote-Party-ID", "P-Preferred-Identity"} {
			m.AppendHeader(sip.NewHeader(name, s))
		}
		if c := ReadCause(m); c.SIP != 0 && (c.SIP < 200 || c.SIP > 699) || c.Q850 < 0 || c.Q850 > 127 {
			t.Errorf("%+v", c)
		}
		ds := ReadDiverts(m)
		if len(ds) > MaxDiverts {
			t.Errorf("%d diversions", len(ds))
		}
		Asserted(m, Calling)
		Refused(m)
		if s, ok := ReadSession(m); ok && (len(s.Local) != 32 || len(s.Remote) != 32) {
			t.Errorf("%+v", s)
		}
		for _, h := range append(Diversion(ds), History(ds, sip.URI{Scheme: "sip", User: "1", Host: "x"})...) {
			if _, _, _, err := sip.ParseAddress(h.Value()); err != nil {
				t.Errorf("%s: %v", h.Value(), err)
			}
		}
	})
}
