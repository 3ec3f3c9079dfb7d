package sbc

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"linekeeper/sbc/policy"
	"linekeeper/sbc/provider"
	"linekeeper/sbc/sip"
)

func TestAPhoneIsShownByOneOfItsOwnNumbers(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		cloud := w.up()
		a := w.phone("23", 10)
		for wish, want := range map[string]string{
			"<sip:+498912345620@x>": "+498912345620", // the site's
			"<sip:08912345623@x>":   "+498912345623",
			"<sip:+498912345622@x>": "+498912345623", // a colleague's: as if it had not asked
			"<sip:110@x>":           "+498912345623",
		} {
			invite := a.dials("089555200", "P-Preferred-Identity: "+wish, "P-Asserted-Identity: <sip:+498912345622@x>")
			out := cloud.gets(sip.INVITE)
			if ids := sip.Identities(out, "P-Preferred-Identity"); len(ids) != 1 || ids[0].User != want || sip.HeaderValue(out, "P-Asserted-Identity") != "" {
				t.Errorf("%s: shown as %v, asserted %q", wish, ids, sip.HeaderValue(out, "P-Asserted-Identity"))
			}
			cloud.answers(out, 486)
			cloud.gets(sip.ACK)
			a.acks(invite, a.hears(486))
		}
		w.idle()
	})
}

func TestPrivacyThatCannotBeGivenRefusesTheCallUnlessItIsForHelp(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		cloud := w.up()
		a := w.phone("22", 10)
		req := a.request(sip.INVITE, "089555200", "sdp", "Privacy: moon;id;critical")
		a.send(req)
		resp := a.hears(500)
		a.acks(req, resp)
		if !strings.Contains(resp.Reason, "moon") {
			t.Errorf("refused with %q", resp.Reason)
		}
		in := cloud.request(sip.INVITE, "acc22", "sdp", "Privacy: moon;critical")
		cloud.send(in)
		cloud.acks(in, cloud.hears(500))
		invite := a.dials("112", "Privacy: moon;id;critical")
		out := cloud.gets(sip.INVITE)
		if out.Recipient.User != "112" || sip.HeaderValue(out, "Privacy") != "" {
			t.Errorf("the call for help goes to %s, privacy %q", out.Recipient.User, sip.HeaderValue(out, "Privacy"))
		}
		cloud.answers(out, 200, "sdp")
		cloud.gets(sip.ACK)
		ok := a.hears(200)
		a.acks(invite, ok)
		a.send(a.within(invite, ok, sip.BYE))
		a.hears(200)
		cloud.answers(cloud.gets(sip.BYE), 200)
		w.idle()
	})
}

func TestPrivacyOfThePhoneIsKeptWhateverFormItHas(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		cloud := w.up()
		a := w.phone("22", 10)
		for asked, want := range map[string]bool{"id": true, "header;user;id": true, "id;critical": true, "user": true, "session": false, "none": false, "history": false} {
			invite := a.dials("089555200", "Privacy: "+asked)
			out := cloud.gets(sip.INVITE)
			if got := out.From().Address.User == "anonymous" && sip.HasToken(out, "Privacy", "id"); got != want {
				t.Errorf("%s: withheld %v", asked, got)
			}
			cloud.answers(out, 486)
			cloud.gets(sip.ACK)
			a.acks(invite, a.hears(486))
		}
		w.idle()
	})
}

func TestACallerIsReadFromOldPeersToo(t *testing.T) {
	for _, c := range []struct{ words, user, name string }{
		{`Remote-Party-ID: "Anna" <sip:+4989555200@c.example>;party=calling;privacy=off`, "089555200", "Anna"},
		{`Remote-Party-ID: "Anna" <sip:+4989555200@c.example>;party=calling;privacy=full`, "anonymous", "Anonymous"},
		{`P-Asserted-Identity: "Anna" <sip:+4989555200@c.example>`, "089555200", "Anna"},
		{"Privacy: user;id", "anonymous", "Anonymous"},
		{"Privacy: none", "cloud", ""},
	} {
		inWorld(t, nil, func(t *testing.T, w *world) {
			cloud := w.up()
			b := w.phone("22", 20)
			b.registers()
			in := cloud.request(sip.INVITE, "acc22", "sdp", c.words)
			cloud.send(in)
			rung := b.gets(sip.INVITE)
			from, asserted := rung.From(), policy.Names(rung, "P-Asserted-Identity")
			if from.Address.User != c.user || from.DisplayName != c.name {
				t.Errorf("%s: shown as %q %s", c.words, from.DisplayName, from.Address.User)
			}
			if hidden := c.user == "anonymous"; hidden != (len(asserted) == 0) || !hidden && asserted[0].URI.User != c.user {
				t.Errorf("%s: asserted to the phone %+v", c.words, asserted)
			}
			b.answers(rung, 486)
			b.gets(sip.ACK)
			cloud.acks(in, cloud.hears(486))
			w.idle()
		})
	}
}

// asserted is the one P-Asserted-Identity of a message, "" if there is none.
func asserted(m sip.Message) string { return sip.HeaderValue(m, "P-Asserted-Identity") }

func TestTheCallerLearnsWhomItHasReached(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		cloud := w.up()
		a, b := w.phone("22", 10), w.phone("23", 20)
		b.registers()
		// A colleague, as the box knows it and not as the phone may claim.
		invite := a.dials("23")
		rung := b.gets(sip.INVITE)
		b.answers(rung, 180, "P-Asserted-Identity: <sip:110@x>")
		if got := asserted(a.hears(180)); got != `"Phone 23" <sip:23@192.0.2.1>` {
			t.Errorf("ringing: %s", got)
		}
		b.answers(rung, 200, "sdp", "Privacy: id")
		b.gets(sip.ACK)
		ok := a.hears(200)
		if got := asserted(ok); got != "" {
			t.Errorf("a colleague that withholds its identity is shown as %s", got)
		}
		a.acks(invite, ok)
		talk{a, b, invite, rung, ok}.end()
		// Whom the cloud asserts, as the phone would dial it.
		for words, want := range map[string]string{
			`P-Asserted-Identity: "Anna" <sip:+4989555201@c.example>`:                       `"Anna" <sip:089555201@192.0.2.1>`,
			`Remote-Party-ID: "Anna" <sip:+4989555201@c.example>;party=called`:              `"Anna" <sip:089555201@192.0.2.1>`,
			`Remote-Party-ID: "Anna" <sip:+4989555201@c.example>;party=called;privacy=full`: "",
			"X-Nothing: said": "",
		} {
			invite = a.dials("089555200")
			out := cloud.gets(sip.INVITE)
			cloud.answers(out, 200, "sdp", words)
			cloud.gets(sip.ACK)
			ok = a.hears(200)
			if got := asserted(ok); got != want {
				t.Errorf("%s: %s, want %s", words, got, want)
			}
			a.acks(invite, ok)
			talk{a, cloud, invite, out, ok}.end()
		}
		// The cloud learns the public number and never the extension.
		for _, hide := range []bool{false, true} {
			in := cloud.request(sip.INVITE, "acc23", "sdp")
			cloud.send(in)
			rung = b.gets(sip.INVITE)
			words := []string{"sdp"}
			if hide {
				words = append(words, "Privacy: id")
			}
			b.answers(rung, 200, words...)
			b.gets(sip.ACK)
			ok = cloud.hears(200)
			if got := sip.HeaderValue(ok, "P-Preferred-Identity"); got != `"Phone 23" <sip:+498912345623@cloud.example>` || sip.HasToken(ok, "Privacy", "id") != hide {
				t.Errorf("the cloud is told %s, privacy %q", got, sip.HeaderValue(ok, "Privacy"))
			}
			cloud.acks(in, ok)
			talk{cloud, b, in, rung, ok}.end()
		}
		w.idle()
	})
}

func TestAPhoneSeesWhoSentTheCallOn(t *testing.T) {
	for _, c := range []struct{ words, want string }{
		{`Diversion: "Chef" <sip:+4989555300@c.example>;reason=user-busy`, `"Chef" <sip:089555300@192.0.2.1>;reason=user-busy;counter=1`},
		{"History-Info: <sip:+4989555300@c.example>;index=1, <sip:acc22@c.example;cause=408>;index=1.1", "<sip:089555300@192.0.2.1>;reason=no-answer;counter=1"},
		{"Diversion: <sip:+4989555300@c.example>;reason=away;privacy=full", `"Anonymous" <sip:anonymous@anonymous.invalid>;reason=away;counter=1;privacy=full`},
	} {
		inWorld(t, nil, func(t *testing.T, w *world) {
			cloud := w.up()
			b := w.phone("22", 20)
			b.registers()
			in := cloud.request(sip.INVITE, "acc22", "sdp", c.words)
			cloud.send(in)
			rung := b.gets(sip.INVITE)
			if got := sip.HeaderValue(rung, "Diversion"); got != c.want || sip.HeaderValue(rung, "History-Info") != "" {
				t.Errorf("%s: the phone gets %s", c.words, got)
			}
			b.answers(rung, 486)
			b.gets(sip.ACK)
			cloud.acks(in, cloud.hears(486))
			w.idle()
		})
	}
}

func TestTheCloudLearnsWhoSentTheCallOnAsItsProfileWants(t *testing.T) {
	const diversion = `"Phone 23" <sip:+498912345623@cloud.example>;reason=deflection;counter=1|<sip:+4989555300@cloud.example>;reason=user-busy;counter=2`
	const history = `<sip:+4989555300@cloud.example>;index=1|"Phone 23" <sip:+498912345623@cloud.example;cause=486>;index=1.1;mp=1|<sip:+4989555200@cloud.example;cause=480>;index=1.1.1;mp=1.1`
	for way, want := range map[provider.Diverts][2]string{
		provider.DivertDiversion: {diversion, ""}, provider.DivertHistory: {"", history}, provider.DivertBoth: {diversion, history}, provider.DivertNone: {"", ""},
	} {
		inWorld(t, func(c *Config) { c.Profile.Diverts = way }, func(t *testing.T, w *world) {
			cloud := w.up()
			b := w.phone("23", 20)
			b.registers()
			in := cloud.request(sip.INVITE, "acc23", "sdp", "Diversion: <sip:+4989555300@c.example>;reason=user-busy;counter=2")
			cloud.send(in)
			rung := b.gets(sip.INVITE)
			b.answers(rung, 180)
			cloud.hears(180)
			b.answers(rung, 302, "Contact: <sip:089555200@192.0.2.1>")
			b.gets(sip.ACK)
			out := cloud.gets(sip.INVITE)
			got := [2]string{strings.Join(sip.HeaderValues(out, "Diversion"), "|"), strings.Join(sip.HeaderValues(out, "History-Info"), "|")}
			if got != want || sip.HasToken(out, "Supported", "histinfo") != (want[1] != "") {
				t.Errorf("%s:\n got  %q\n want %q", way, got, want)
			}
			cloud.answers(out, 486)
			cloud.gets(sip.ACK)
			cloud.acks(in, cloud.hears(486))
			w.idle()
		})
	}
}

func TestAPhoneThatForwardsIsToldToTheColleague(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		a, b, c := w.phone("22", 10), w.phone("23", 20), w.phone("24", 30)
		b.registers()
		c.registers()
		invite := a.dials("23")
		rung := b.gets(sip.INVITE)
		b.answers(rung, 302, "Contact: <sip:24@192.0.2.1>", "Diversion: <sip:nobody@x>;reason=do-not-disturb")
		b.gets(sip.ACK)
		rung = c.gets(sip.INVITE)
		if got := sip.HeaderValue(rung, "Diversion"); got != `"Phone 23" <sip:23@192.0.2.1>;reason=do-not-disturb;counter=1` {
			t.Errorf("24 sees %s", got)
		}
		c.answers(rung, 302, "Contact: <sip:23@192.0.2.1>") // back to where it came from
		c.gets(sip.ACK)
		a.acks(invite, a.hears(482))
		b.quiet()
		w.idle()
	})
}

func TestACallThatComesBackToTheSamePlaceIsALoop(t *testing.T) {
	uuid := strings.Repeat("a", 32)
	for _, c := range []struct {
		name string
		back func(out, in *sip.Request) // what of our INVITE the cloud carries along
	}{
		{"the session's name", func(out, in *sip.Request) {
			in.AppendHeader(sip.NewHeader("Session-ID", sip.HeaderValue(out, "Session-ID")))
		}},
		{"our tag", func(out, in *sip.Request) { in.From().Params = out.From().Params.Clone() }},
		{"our Call-ID", func(out, in *sip.Request) { *in.CallID() = sip.CallID(sip.CallIDOf(out)) }},
	} {
		inWorld(t, nil, func(t *testing.T, w *world) {
			cloud := w.up()
			b := w.phone("23", 20)
			b.registers()
			forwards := func() {
				rung := b.gets(sip.INVITE)
				b.answers(rung, 302, "Contact: <sip:089555200@192.0.2.1>")
				b.gets(sip.ACK)
			}
			first := cloud.request(sip.INVITE, "acc23", "sdp", "Session-ID: "+uuid+";remote="+policy.NilUUID)
			cloud.send(first)
			forwards()
			out := cloud.gets(sip.INVITE) // to where 23 forwards; from there it is sent to 23 again
			again := cloud.request(sip.INVITE, "acc23", "sdp")
			c.back(out, again)
			cloud.send(again)
			cloud.acks(again, cloud.hears(482))
			b.quiet()
			cloud.answers(out, 482)
			cloud.gets(sip.ACK)
			cloud.acks(first, cloud.hears(482))
			w.idle()
			w.s.mu.Lock()
			defer w.s.mu.Unlock()
			if len(w.s.chains)+len(w.s.places) != 0 {
				t.Errorf("%s: left %v %v", c.name, w.s.chains, w.s.places)
			}
		})
	}
}

func TestACallThatComesBackToAnotherPlaceIsNone(t *testing.T) {
	tune := func(c *Config) { c.Internal = provider.Cloud }
	inWorld(t, tune, func(t *testing.T, w *world) { // 22 calls 23 by way of the cloud
		cloud := w.up()
		a, b := w.phone("22", 10), w.phone("23", 20)
		b.registers()
		invite := a.dials("23")
		out := cloud.gets(sip.INVITE)
		in := cloud.request(sip.INVITE, "acc23", "sdp", "Session-ID: "+sip.HeaderValue(out, "Session-ID"))
		cloud.send(in)
		rung := b.gets(sip.INVITE)
		if x, y := sip.HeaderValue(rung, "Session-ID"), sip.HeaderValue(out, "Session-ID"); x != y {
			t.Errorf("the call is %s in the cloud and %s at the phone", y, x)
		}
		b.answers(rung, 486)
		b.gets(sip.ACK)
		cloud.acks(in, cloud.hears(486))
		cloud.answers(out, 486)
		cloud.gets(sip.ACK)
		a.acks(invite, a.hears(486))
		w.idle()
	})
}

func TestACallThatWasSentOnAllTooOftenEnds(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		cloud := w.up()
		b := w.phone("23", 20)
		b.registers()
		in := cloud.request(sip.INVITE, "acc23", "sdp", "Diversion: <sip:+4989555300@c.example>;reason=away;counter=11")
		cloud.send(in)
		cloud.acks(in, cloud.hears(482))
		b.quiet()
	})
}

func TestACallHasOneNameInEveryMessageAndInItsRecord(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		cloud := w.up()
		a := w.phone("22", 10)
		uuid, far := strings.Repeat("a", 32), strings.Repeat("b", 32)
		var mu sync.Mutex
		names := map[string]int{}
		w.mu.Lock()
		w.tap = func(_ sip.Flow, m sip.Message) {
			mu.Lock()
			defer mu.Unlock()
			names[sip.HeaderValue(m, "Session-ID")]++
			if _, method := sip.Seq(m); sip.HeaderValue(m, "Session-ID") == "" && method != sip.REGISTER {
				if resp, ok := m.(*sip.Response); !ok || resp.StatusCode != 100 && resp.StatusCode != 401 {
					t.Errorf("no name in\n%s", sip.Bytes(m))
				}
			}
		}
		w.mu.Unlock()
		invite := a.dials("089555200", "Session-ID: "+uuid+";remote="+policy.NilUUID)
		out := cloud.gets(sip.INVITE)
		cloud.answers(out, 200, "sdp", "Session-ID: "+far+";remote="+uuid)
		cloud.gets(sip.ACK)
		ok := a.hears(200)
		a.acks(invite, ok)
		synctest.Wait()
		cloud.hangsUp(out)
		bye := a.gets(sip.BYE)
		a.answers(bye, 200)
		if got := w.lastEnd(); got.Session != uuid {
			t.Errorf("recorded as %s", got.Session)
		}
		w.idle()
		mu.Lock()
		defer mu.Unlock()
		delete(names, "")
		want := []string{uuid + ";remote=" + policy.NilUUID, uuid + ";remote=" + far, far + ";remote=" + uuid}
		for n := range names {
			if !slices.Contains(want, n) {
				t.Errorf("a message is named %s", n)
			}
		}
		if len(names) != len(want) {
			t.Errorf("names %v", names)
		}
	})
}

func TestTheNetworksCauseIsInTheRecord(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		cloud := w.up()
		a := w.phone("22", 10)
		invite := a.dials("089555200")
		out := cloud.gets(sip.INVITE)
		cloud.answers(out, 480, `Reason: Q.850;cause=20;text="Subscriber absent"`)
		cloud.gets(sip.ACK)
		resp := a.hears(480)
		a.acks(invite, resp)
		if got := sip.HeaderValue(resp, "Reason"); got != `Q.850;cause=20;text="Subscriber absent"` {
			t.Errorf("the phone is told %s", got)
		}
		if v := w.lastEnd(); v.Cause != 20 || v.End.Code != 480 {
			t.Errorf("recorded with cause %d, %+v", v.Cause, v.End)
		}
		w.idle()
	})
}

// TestNothingOfTheLANReachesTheCloud plays typical calls in which the phones say
// everywhere who and where they are, and reads every message that leaves.
func TestNothingOfTheLANReachesTheCloud(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		cloud := w.up()
		a, b := w.phone("22", 10), w.phone("23", 20)
		b.registers()
		secrets := []string{"192.0.2.", "SecretPhone", "secret-lan", "22-192", "sip:22@", "sip:23@", ":22@", "lan.local"}
		var mu sync.Mutex
		seen := 0
		w.mu.Lock()
		w.tap = func(flow sip.Flow, m sip.Message) {
			if flow.Zone != trunk {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			seen++
			text := string(sip.Bytes(m))
			if req, ok := m.(*sip.Request); ok && len(sip.Vias(req)) != 1 {
				t.Errorf("%d Vias leave", len(sip.Vias(req)))
			}
			if resp, ok := m.(*sip.Response); ok {
				resp = resp.Clone()
				for _, name := range []string{"Via", "From", "To", "Call-ID", "Record-Route"} { // what the cloud itself wrote
					sip.RemoveHeader(resp, name)
				}
				text = string(sip.Bytes(resp))
			}
			for _, s := range secrets {
				if strings.Contains(text, s) {
					t.Errorf("%q reaches the cloud:\n%s", s, text)
				}
			}
		}
		w.mu.Unlock()
		words := []string{"User-Agent: SecretPhone/1.0", "Server: SecretPhone/1.0", "Record-Route: <sip:proxy.lan.local;lr>", "X-Where: secret-lan", "Subject: secret-lan",
			"P-Asserted-Identity: <sip:22@lan.local>", "Organization: secret-lan", "Call-Info: <http://192.0.2.10/me.png>", "Referred-By: <sip:22@192.0.2.10>", "History-Info: <sip:22@lan.local>;index=1"}
		// Out, changed, ended from inside with a cause.
		invite := a.dials("089555200", words...)
		out := cloud.gets(sip.INVITE)
		cloud.answers(out, 180)
		a.hears(180)
		cloud.answers(out, 200, "sdp")
		cloud.gets(sip.ACK)
		ok := a.hears(200)
		a.acks(invite, ok)
		synctest.Wait()
		again := a.within(invite, ok, sip.INVITE)
		c := a.contact()
		again.AppendHeader(&sip.Contact{Address: c})
		for _, h := range words {
			name, value, _ := strings.Cut(h, ": ")
			again.AppendHeader(sip.NewHeader(name, value))
		}
		sip.SetBody(again, "application/sdp", a.describe(2))
		a.send(again)
		changed := cloud.gets(sip.INVITE)
		cloud.answers(changed, 200, "sdp")
		cloud.gets(sip.ACK)
		a.acks(again, a.hears(200))
		info := a.within(invite, ok, sip.INFO)
		info.AppendHeader(sip.NewHeader("User-Agent", "SecretPhone/1.0"))
		sip.SetBody(info, "application/dtmf-relay", []byte("Signal=5\r\nDuration=160\r\n"))
		a.send(info)
		cloud.answers(cloud.gets(sip.INFO), 200)
		a.hears(200)
		bye := a.within(invite, ok, sip.BYE)
		bye.AppendHeader(sip.NewHeader("Reason", `SIP;cause=200;text="192.0.2.10 hung up"`))
		bye.AppendHeader(sip.NewHeader("User-Agent", "SecretPhone/1.0"))
		a.send(bye)
		a.hears(200)
		cloud.answers(cloud.gets(sip.BYE), 200)
		// In, refused by a phone with all it knows; and cancelled while it rings there.
		in := cloud.request(sip.INVITE, "acc23", "sdp")
		cloud.send(in)
		rung := b.gets(sip.INVITE)
		b.answers(rung, 486, words...)
		b.gets(sip.ACK)
		cloud.acks(in, cloud.hears(486))
		in = cloud.request(sip.INVITE, "acc23", "sdp")
		cloud.send(in)
		rung = b.gets(sip.INVITE)
		b.answers(rung, 180, words...)
		cloud.hears(180)
		b.answers(rung, 302, append(words, "Contact: <sip:089555200@192.0.2.1>")...) // forwarded to the outside
		b.gets(sip.ACK)
		out = cloud.gets(sip.INVITE)
		cloud.answers(out, 180)
		cloud.cancels(in)
		for range 4 { // in whatever order: 200 and 487 to its calls, our CANCEL, the ACK of our INVITE
			switch m := cloud.next().(type) {
			case *sip.Request:
				if m.Method == sip.CANCEL {
					cloud.answers(m, 200)
					cloud.answers(out, 487)
				}
			case *sip.Response:
				if m.StatusCode == 487 {
					cloud.acks(in, m)
				}
			}
		}
		// Nobody answers the phone's end of it any more: the box ends the call itself.
		a.dials("089555200", words...)
		out = cloud.gets(sip.INVITE)
		cloud.answers(out, 200, "sdp")
		cloud.gets(sip.ACK)
		a.hears(200)
		for {
			if m, ok := cloud.next().(*sip.Request); ok && m.Method == sip.BYE {
				cloud.answers(m, 200)
				break
			}
		}
		<-time.After(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if seen < 15 {
			t.Errorf("only %d messages left", seen)
		}
	})
}
