package sbc

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"linekeeper/sbc/sip"
)

// writes makes a MESSAGE with a body.
func (p *peer) writes(user, kind, body string, words ...string) *sip.Request {
	req := p.request(sip.MESSAGE, user, words...)
	sip.SetBody(req, kind, []byte(body))
	return req
}

// posts sends a MESSAGE and passes the challenge.
func (p *peer) posts(req *sip.Request) {
	p.t.Helper()
	p.send(req)
	p.send(p.prove(req, p.hears(401), p.name, "secret"+p.name, 0))
}

func TestMessageReachesEveryPhoneOfItsReader(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		a, b, c := w.phone("22", 10), w.rest("23", 11), w.rest("23", 12)
		body := "Grüße, \x00 and < & >"
		a.posts(a.writes("23", "text/plain;charset=utf-8", body, "Subject: hello", "Contact: <sip:22@192.0.2.10>"))
		one, two := b.gets(sip.MESSAGE), c.gets(sip.MESSAGE)
		for _, m := range []*sip.Request{one, two} {
			if string(m.Body()) != body || m.ContentType().Value() != "text/plain;charset=utf-8" || sip.HeaderValue(m, "Subject") != "hello" {
				t.Errorf("arrived as\n%s", sip.Bytes(m))
			}
			if f := m.From(); f.DisplayName != "Phone 22" || f.Address.User != "22" || f.Address.Host != "192.0.2.1" {
				t.Errorf("from %v", f)
			}
			if m.Contact() != nil || m.MaxForwards().Val() != 69 {
				t.Errorf("RFC 3428 4 and RFC 3261 8.1.1.6:\n%s", sip.Bytes(m))
			}
		}
		b.answers(one, 486)
		a.quiet()
		c.answers(two, 202)
		a.hears(202)
	})
}

func TestMessageThatNobodyTakes(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		a, b, silent := w.phone("22", 10), w.rest("23", 11), w.rest("23", 12)
		a.posts(a.writes("23", "text/plain", "x"))
		b.answers(b.gets(sip.MESSAGE), 415)
		silent.answers(silent.gets(sip.MESSAGE), 302)
		a.hears(415) // says more than that a phone moved
		a.posts(a.writes("23", "text/plain", "x"))
		began := time.Now()
		b.answers(b.gets(sip.MESSAGE), 480)
		silent.gets(sip.MESSAGE)
		a.hears(480)
		if d := time.Since(began); d != messagePatience {
			t.Errorf("told after %v", d)
		}
		time.Sleep(time.Minute) // what still comes changes nothing
		for _, row := range []struct {
			user string
			code int
		}{{"24", 480}, {"99", 404}, {"112", 403}, {"0900123456", 403}} {
			a.posts(a.writes(row.user, "text/plain", "x"))
			if resp, _ := a.next().(*sip.Response); resp == nil || resp.StatusCode != row.code {
				t.Errorf("to %s: %v", row.user, resp)
			}
		}
		if n := w.s.couriers.Load(); n != 0 {
			t.Errorf("%d couriers are under way", n)
		}
	})
}

func TestMessageTooLargeForADatagramGoesByStreamOnly(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		a, udp := w.phone("22", 10), w.rest("23", 11)
		big := strings.Repeat("x", 1300)
		a.posts(a.writes("23", "text/plain", big))
		a.hears(513)
		flow := udp.flow
		flow.Transport, flow.Conn = sip.TCP, 3
		tcp := w.join("24", flow)
		tcp.registers()
		a.posts(a.writes("24", "text/plain", big))
		tcp.answers(tcp.gets(sip.MESSAGE), 200)
		a.hears(200)
		a.posts(a.writes("24", "text/plain", strings.Repeat("x", maxMessage+1)))
		a.hears(413)
	})
}

func TestMessageOverTheLineOfItsSender(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		a, cloud := w.phone("22", 10), w.cloud(1)
		w.s.SetTargets([]Target{cloud.target()})
		for range 2 {
			cloud.answers(cloud.gets(sip.REGISTER), 200, "Contact: <sip:acc22@198.51.100.1:5060>;expires=600")
		}
		synctest.Wait()
		a.posts(a.writes("0301234567", "text/plain", "hello", "Privacy: id"))
		m := cloud.gets(sip.MESSAGE)
		cloud.answers(m, 401, `WWW-Authenticate: Digest realm="cloud", nonce="n1", algorithm=MD5, qop="auth"`)
		m = cloud.gets(sip.MESSAGE)
		if sip.HeaderValue(m, "Authorization") == "" || m.Recipient.User != "+49301234567" || m.From().Address.User != "anonymous" {
			t.Errorf("the cloud gets\n%s", sip.Bytes(m))
		}
		cloud.answers(m, 401, `WWW-Authenticate: Digest realm="cloud", nonce="n2", algorithm=MD5, qop="auth"`)
		a.hears(403) // no endless proving
		b := w.rest("23", 11)
		cloud.send(cloud.writes("acc23", "text/plain", "from outside"))
		got := b.gets(sip.MESSAGE)
		if string(got.Body()) != "from outside" {
			t.Errorf("the phone gets\n%s", sip.Bytes(got))
		}
		b.answers(got, 200)
		cloud.hears(200)
		stranger := w.cloud(66)
		stranger.send(stranger.writes("acc23", "text/plain", "spam"))
		stranger.hears(403)
	})
	inWorld(t, func(c *Config) { c.Profile.Messages = false }, func(t *testing.T, w *world) {
		a := w.phone("22", 10)
		a.posts(a.writes("0301234567", "text/plain", "hello"))
		a.hears(403)
	})
}
