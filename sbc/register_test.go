package sbc

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"linekeeper/sbc/sip"
)

func TestPhoneIsChallengedWithSHA256ThenMD5AndMayTakeEither(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		for i, algorithm := range []string{"SHA-256", "MD5"} {
			p := w.phone("22", 10+i)
			req := p.request(sip.REGISTER, "", "Contact: <sip:22@192.0.2.10:5060>")
			p.send(req)
			resp := p.hears(401)
			offered := sip.HeaderValues(resp, "WWW-Authenticate")
			if len(offered) != 2 || !strings.Contains(offered[0], "SHA-256") || !strings.Contains(offered[1], "MD5") {
				t.Fatalf("challenges: %q", offered)
			}
			p.send(p.prove(req, resp, "22", "secret22", i))
			if got := p.next().(*sip.Response).StatusCode; got != 200 {
				t.Errorf("%s: %d", algorithm, got)
			}
		}
	})
}

func TestWrongPasswordLooksLikeAnUnknownExtension(t *testing.T) {
	inWorld(t, func(c *Config) { c.Extensions["24"] = Extension{Number: "24"} }, func(t *testing.T, w *world) {
		var seen []string
		for i, ext := range []string{"22", "99", "24"} { // wrong password, nobody, one without a password
			p := w.phone(ext, 10+i)
			req := p.request(sip.REGISTER, "", "Contact: <sip:x@192.0.2.10:5060>")
			p.send(req)
			p.send(p.prove(req, p.hears(401), ext, "guess", 0))
			resp := p.hears(401)
			text := fmt.Sprint(resp.StatusCode, resp.Reason, len(resp.Headers()))
			for _, h := range resp.Headers() {
				text += " " + h.Name()
			}
			for _, v := range sip.HeaderValues(resp, "WWW-Authenticate") {
				before, after, _ := strings.Cut(v, `nonce="`)
				_, after, _ = strings.Cut(after, `"`)
				text += before + after
			}
			seen = append(seen, text+strings.ReplaceAll(w.told(), p.flow.Remote.Addr().String(), "phone"))
		}
		if seen[0] != seen[1] || seen[0] != seen[2] || !strings.Contains(seen[0], "punish phone credentials") {
			t.Errorf("they can be told apart:\n%s", strings.Join(seen, "\n"))
		}
	})
}

func TestOldNonceIsCalledStale(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		p := w.phone("22", 10)
		req := p.request(sip.REGISTER, "", "Contact: <sip:22@192.0.2.10:5060>")
		p.send(req)
		resp := p.hears(401)
		<-time.After(nonceLife + time.Second)
		p.send(p.prove(req, resp, "22", "secret22", 0))
		if c := sip.Challenges(p.hears(401)); len(c) == 0 || !c[0].Stale {
			t.Errorf("challenge: %+v", c)
		}
		if told := w.told(); strings.Contains(told, "punish") {
			t.Errorf("an old nonce was punished: %s", told)
		}
	})
}

func TestNoncesSurviveAChangeOfTheSite(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		p := w.phone("22", 10)
		req := p.request(sip.REGISTER, "", "Contact: <sip:22@192.0.2.10:5060>")
		p.send(req)
		resp := p.hears(401)
		w.s.Configure(site(t))
		p.send(p.prove(req, resp, "22", "secret22", 0))
		p.hears(200)
	})
}

func TestExtensionThatLeavesTheSiteLosesItsContacts(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.phone("24", 10).registers()
		w.phone("23", 11).registers()
		c := site(t)
		delete(c.Extensions, "24")
		w.s.Configure(c)
		if got := w.location.Snapshot(time.Now()); len(got) != 1 || len(got["23"]) != 1 {
			t.Errorf("bindings: %v", got)
		}
	})
}

func TestSeveralContactsOfOneExtensionAreListedAndRemoved(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		a, b := w.phone("22", 10), w.phone("22", 11)
		a.registers()
		if got := sip.Contacts(b.registers()); len(got) != 2 {
			t.Fatalf("%d contacts", len(got))
		}
		if got, want := w.told(), "registered 22 true, registered 22 true"; got != want {
			t.Errorf("told %s, want %s", got, want)
		}
		a.registers()
		if got, want := w.told(), "registered 22 false"; got != want {
			t.Errorf("told %s, want %s", got, want)
		}
		left := b.registers("Contact: <sip:22@192.0.2.10:5060>", "Expires: 0")
		if got := sip.Contacts(left); len(got) != 1 || got[0].Address.Host != "192.0.2.11" {
			t.Errorf("left: %v", got)
		}
		if got := sip.Contacts(b.registers("Contact: *", "Expires: 0")); len(got) != 0 {
			t.Errorf("left after *: %v", got)
		}
		if got, want := w.told(), "gone 22, gone 22"; got != want {
			t.Errorf("told %s, want %s", got, want)
		}
		if got := sip.Contacts(a.registers("Expires: 0")); len(got) != 0 { // a mere question
			t.Errorf("asked: %v", got)
		}
	})
}

func TestPhoneMaySwapItsContactInOneRequestInEitherOrder(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		p := w.phone("22", 10)
		p.registers("Contact: <sip:old@192.0.2.10:5060>")
		p.registers("Contact: <sip:new@192.0.2.10:5060>", "Contact: <sip:old@192.0.2.10:5060>;expires=0")
		if all := w.location.Lookup(time.Now(), "22"); len(all) != 1 || all[0].URI != "sip:new@192.0.2.10:5060" {
			t.Errorf("bound: %+v", all)
		}
	})
}

func TestRegistrationsThatCannotBe(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		for i, row := range []struct {
			words []string
			code  int
		}{
			{[]string{"Contact: *", "Expires: 60"}, 400},
			{[]string{"Contact: *"}, 400},
			{[]string{"Contact: <sip:22@192.0.2.10:5060>", "Expires: 29"}, 423},
			{[]string{"Contact: <sip:22@192.0.2.10:5060>", "Contact: <sip:22@192.0.2.11:5060>;expires=5"}, 423},
			{[]string{"Contact: <tel:+4989123>"}, 400},
		} {
			p := w.phone("22", 10+i)
			resp := p.asks(p.request(sip.REGISTER, "", row.words...))
			if resp.StatusCode != row.code {
				t.Errorf("%q: %d, want %d", row.words, resp.StatusCode, row.code)
			}
			if row.code == 423 && headerSeconds(t, resp, "Min-Expires") != 30*time.Second {
				t.Errorf("min-expires %s", sip.HeaderValue(resp, "Min-Expires"))
			}
		}
		if all := w.location.Lookup(time.Now(), "22"); len(all) != 0 {
			t.Errorf("a refused request left %v", all)
		}
	})
}

func TestRegisteringForAnotherExtensionIsForbidden(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		p := w.phone("22", 10)
		req := p.request(sip.REGISTER, "", "Contact: <sip:22@192.0.2.10:5060>")
		req.To().Address.User = "23"
		if resp := p.asks(req); resp.StatusCode != 403 {
			t.Errorf("%d", resp.StatusCode)
		}
	})
}

func TestOlderRegistrationOfACallIsOutOfOrder(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		p := w.phone("22", 10)
		req := p.request(sip.REGISTER, "", "Contact: <sip:22@192.0.2.10:5060>")
		p.send(req)
		first := p.prove(req, p.hears(401), "22", "secret22", 0)
		first.CSeq().SeqNo = 10
		p.send(first)
		p.hears(200)
		late := req.Clone()
		late.CSeq().SeqNo = 5
		p.send(p.via(late))
		p.send(p.prove(late, p.hears(401), "22", "secret22", 0))
		p.hears(500)
	})
}

func TestGrantedExpiryIsBoundedAndSpread(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		p := w.phone("22", 10)
		seen := map[time.Duration]bool{}
		for range 40 {
			resp := p.registers("Contact: <sip:22@192.0.2.10:5060>;expires=7200") // more than the hour
			got := sip.ContactExpires(resp, sip.Contacts(resp)[0], 0)
			if got > time.Hour || got < time.Hour*7/8 {
				t.Fatalf("granted %s", got)
			}
			seen[got] = true
		}
		if len(seen) < 10 {
			t.Errorf("only %d different expiries", len(seen))
		}
	})
	for d := 30 * time.Second; d < 10*time.Minute; d += time.Second {
		for range 20 {
			if got := shorten(d, 30*time.Second); got > d || got < d*7/8 || got < 30*time.Second || got%time.Second != 0 {
				t.Fatalf("shorten(%s) = %s", d, got)
			}
		}
	}
}

func TestBindingRunsOutWithItsExpiry(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.phone("23", 10).registers("Contact: <sip:23@192.0.2.10:5060>;expires=60")
		<-time.After(61 * time.Second)
		a := w.phone("22", 11)
		a.dials("23")
		a.hears(480)
		synctest.Wait()
	})
}

func TestRegistrationFromOutsideIsForbidden(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		p := w.cloud(66)
		p.send(p.request(sip.REGISTER, "", "Contact: <sip:22@203.0.113.66>"))
		p.hears(403)
		if got := w.told(); !strings.Contains(got, "punish 203.0.113.66 register from outside") {
			t.Errorf("told %s", got)
		}
	})
}

func TestPhoneThatDoesNotUnderstandSHA256IsAskedInMD5Alone(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		old, puzzled := w.phone("22", 10), w.phone("23", 11)
		old.send(old.request(sip.REGISTER, "", "User-Agent: SIPp/3.7"))
		if got := sip.Challenges(old.hears(401)); len(got) != 1 || got[0].Algorithm != "MD5" {
			t.Errorf("an old phone is asked %+v", got)
		}
		for _, want := range []int{2, 1} { // asks again without having answered
			puzzled.send(puzzled.request(sip.REGISTER, ""))
			if got := sip.Challenges(puzzled.hears(401)); len(got) != want {
				t.Errorf("a puzzled phone is asked %+v", got)
			}
		}
		puzzled.registers()
		puzzled.send(puzzled.request(sip.REGISTER, ""))
		if got := sip.Challenges(puzzled.hears(401)); len(got) != 2 { // it had understood
			t.Errorf("a phone that answers is asked %+v", got)
		}
	})
}
