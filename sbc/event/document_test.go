package event

import (
	"encoding/xml"
	"strings"
	"testing"
	"time"

	"linekeeper/sbc/sip"
)

func TestDialogInfoIsWhatPhonesRead(t *testing.T) {
	got := string(DialogInfo("sip:23@192.0.2.1", 7, []Dialog{{ID: "tok-1", CallID: "c&1", LocalTag: "theirs", RemoteTag: "tok-1", State: "early",
		Local: Party{URI: "sip:23@192.0.2.1"}, Remote: Party{`Ärzte "<&>"`, "sip:22@192.0.2.1"}}}))
	want := xml.Header + `<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="7" state="full" entity="sip:23@192.0.2.1">
<dialog id="tok-1" call-id="c&amp;1" local-tag="theirs" remote-tag="tok-1" direction="recipient">
<state>early</state>
<local><identity>sip:23@192.0.2.1</identity><target uri="sip:23@192.0.2.1"/></local>
<remote><identity display="Ärzte &#34;&lt;&amp;&gt;&#34;">sip:22@192.0.2.1</identity><target uri="sip:22@192.0.2.1"/></remote>
</dialog>
</dialog-info>
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestDocumentsAreXMLWhateverStandsInThem(t *testing.T) {
	nasty := "\x00<&\"'>\xff\u2028"
	for _, doc := range [][]byte{
		DialogInfo(nasty, 1, []Dialog{{ID: nasty, CallID: nasty, LocalTag: nasty, State: "early", Remote: Party{nasty, nasty}}}),
		RegInfo(nasty, 1, []Contact{{ID: nasty, URI: nasty, Agent: nasty}}),
	} {
		d := xml.NewDecoder(strings.NewReader(string(doc)))
		for {
			tok, err := d.Token()
			if tok == nil {
				if err.Error() != "EOF" {
					t.Errorf("%v in\n%s", err, doc)
				}
				break
			}
		}
	}
}

func TestRegInfoTellsARegistration(t *testing.T) {
	got := string(RegInfo("sip:22@192.0.2.1", 0, []Contact{{ID: "c1", URI: "sip:22@192.0.2.9:5060", Left: 90 * time.Second, Agent: "snom"}}))
	for _, want := range []string{`<registration aor="sip:22@192.0.2.1" id="a1" state="active">`,
		`<contact id="c1" state="active" event="registered" expires="90"><uri>sip:22@192.0.2.9:5060</uri>`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is missing in\n%s", want, got)
		}
	}
	if gone := string(RegInfo("sip:22@192.0.2.1", 1, nil)); !strings.Contains(gone, `state="terminated"`) {
		t.Errorf("an unregistered phone is\n%s", gone)
	}
}

func TestMessageSummariesOfTheField(t *testing.T) {
	for _, row := range []struct {
		name, body string
		want       Counts
		fails      bool
	}{
		{"rfc 3842", "Messages-Waiting: yes\r\nMessage-Account: sip:alice@vmail.example.com\r\nVoice-Message: 2/8 (0/2)\r\n", Counts{New: 2, Old: 8, UrgentOld: 2}, false},
		{"without urgent ones", "Messages-Waiting: yes\r\nVoice-Message: 1/0\r\n", Counts{New: 1}, false},
		{"lamp alone", "messages-waiting : YES\n", Counts{Waiting: true}, false},
		{"off", "Messages-Waiting: no\r\nVoice-Message: 0/3 (0/0)\r\n", Counts{Old: 3}, false},
		{"off, whatever is counted", "Messages-Waiting: no\r\nVoice-Message: 4/3\r\n", Counts{Old: 3}, false},
		{"on without new ones", "Messages-Waiting: yes\r\nVoice-Message: 0/3\r\n", Counts{Old: 3, Waiting: true}, false},
		{"huge", "Messages-Waiting: yes\r\nVoice-Message: 99999999/1\r\n", Counts{New: maxCount, Old: 1}, false},
		{"negative", "Messages-Waiting: yes\r\nVoice-Message: -4/1\r\n", Counts{Waiting: true}, false},
		{"empty", "", Counts{}, true},
		{"other text", "hello: yes", Counts{}, true},
		{"endless", "Messages-Waiting: yes\r\n" + strings.Repeat("x", maxSummary), Counts{}, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := ParseSummary([]byte(row.body))
			if got != row.want || (err != nil) != row.fails {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func FuzzParseSummary(f *testing.F) {
	for _, s := range []string{"Messages-Waiting: yes\r\nVoice-Message: 2/8 (0/2)\r\n", "Messages-Waiting: no", "Voice-Message: (1/", "Messages-Waiting: yes\nVoice-Message: 1/2(3/4)"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := ParseSummary(body)
		if err != nil {
			return
		}
		again, err := ParseSummary(MessageSummary("sip:22@box", c))
		again.Waiting, c.Waiting = again.Lit(), c.Lit()
		if err != nil || again != c {
			t.Errorf("%+v became %+v, %v", c, again, err)
		}
	})
}

func FuzzEventHeaders(f *testing.F) {
	f.Add("dialog;id=7", "terminated;reason=timeout;retry-after=9")
	f.Add(" ;;=;id", "active;expires=99999999999")
	f.Fuzz(func(t *testing.T, ev, state string) {
		req := sip.NewRequest(sip.NOTIFY, sip.URI{Scheme: "sip", Host: "box"})
		req.AppendHeader(sip.NewHeader("Event", ev))
		req.AppendHeader(sip.NewHeader("Subscription-State", state))
		if e, ok := Of(req); ok && (e.Package == "" || len(e.ID) > maxID) {
			t.Errorf("event %+v", e)
		}
		if s, _ := StateOf(req); s.Expires > longest || s.After > longest || s.Expires < 0 || s.After < 0 {
			t.Errorf("state %+v", s)
		}
	})
}

func TestAcceptAndEventHeaders(t *testing.T) {
	for _, row := range []struct {
		accept string
		want   bool
	}{
		{"", true},
		{"application/dialog-info+xml", true},
		{"text/plain, application/*;q=0.3", true},
		{"*/*", true},
		{"application/pidf+xml", false},
	} {
		req := sip.NewRequest(sip.SUBSCRIBE, sip.URI{Scheme: "sip", Host: "box"})
		req.AppendHeader(sip.NewHeader("Event", `Dialog; id="a b"`))
		if row.accept != "" {
			req.AppendHeader(sip.NewHeader("Accept", row.accept))
		}
		if got := Dialogs.Accepts(req); got != row.want {
			t.Errorf("accept %q: %v", row.accept, got)
		}
		if e, ok := Of(req); !ok || e != (Event{Dialogs, "a b"}) {
			t.Errorf("event %+v %v", e, ok)
		}
	}
}
