package sbc

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"linekeeper/sbc/event"
	"linekeeper/sbc/sip"
)

// mailboxes is a world in which each line watches its mailbox; one line only.
func mailboxes(c *Config) {
	c.Lines = c.Lines[:1]
	c.Trunk.Summary = true
}

// binds answers the box's REGISTERs until its line is bound.
func (p *peer) binds() {
	p.t.Helper()
	p.answers(p.gets(sip.REGISTER), 200, "Contact: <sip:acc22@198.51.100.1:5060>;expires=3000")
	synctest.Wait()
}

// tells sends a NOTIFY within the dialog of a SUBSCRIBE of the box.
func (p *peer) tells(sub *sip.Request, state, body string) *sip.Request {
	p.n++
	from := &sip.From{Address: sub.To().Address}
	from.Params.Add("tag", "tag-"+p.name+p.flow.Remote.Addr().String())
	to := &sip.To{Address: sub.From().Address, Params: sub.From().Params}
	req := sip.Draft{Method: sip.NOTIFY, Target: sub.Contact().Address, From: from, To: to, CallID: sip.CallIDOf(sub), Seq: uint32(p.n),
		Headers: []sip.Header{sip.NewHeader("Event", "message-summary"), sip.NewHeader("Subscription-State", state)}}.Request()
	sip.SetBody(req, "application/simple-message-summary", []byte(body))
	return p.via(req)
}

func TestMailboxOfTheCloudLightsThePhone(t *testing.T) {
	inWorld(t, mailboxes, func(t *testing.T, w *world) {
		cloud, phone := w.cloud(1), w.phone("22", 10)
		w.s.SetTargets([]Target{cloud.target()})
		phone.watches("22", "message-summary")
		cloud.binds()
		sub := cloud.gets(sip.SUBSCRIBE)
		cloud.answers(sub, 401, `WWW-Authenticate: Digest realm="cloud", nonce="n1", algorithm=MD5, qop="auth"`)
		sub = cloud.gets(sip.SUBSCRIBE)
		if sip.HeaderValue(sub, "Authorization") == "" || sip.HeaderValue(sub, "Event") != "message-summary" || sub.Contact().Address.User != "acc22" {
			t.Errorf("asked with\n%s", sip.Bytes(sub))
		}
		cloud.send(cloud.tells(sub, "active;expires=3600", "Messages-Waiting: yes\r\nVoice-Message: 1/0 (0/0)\r\n")) // before the 200
		cloud.hears(200)
		cloud.answers(sub, 200, "Expires: 3600", "Contact: <sip:mwi@203.0.113.1>")
		if b := string(phone.told().Body()); !strings.Contains(b, "Voice-Message: 1/0 (0/0)") {
			t.Errorf("the phone is told\n%s", b)
		}
		wrong := cloud.tells(sub, "active", "")
		wrong.From().Params.Add("tag", "fork")
		cloud.send(wrong)
		cloud.hears(481)
		for body, code := range map[string]int{"nonsense": 400, "": 200} {
			cloud.send(cloud.tells(sub, "active", body))
			cloud.hears(code)
		}
		if again := w.nextOf(cloud, sip.SUBSCRIBE); sip.ToTag(again) == "" || again.CSeq().SeqNo <= sub.CSeq().SeqNo || again.Recipient.User != "mwi" {
			t.Errorf("refreshed with\n%s", sip.Bytes(again))
		}
	})
}

// nextOf answers the box's REGISTERs until something else comes.
func (w *world) nextOf(cloud *peer, method sip.Method) *sip.Request {
	w.t.Helper()
	for range 20 {
		select {
		case m := <-cloud.in:
			req, ok := m.(*sip.Request)
			switch {
			case ok && req.Method == method:
				return req
			case ok:
				cloud.answers(req, 200, "Contact: <sip:acc22@198.51.100.1:5060>;expires=3000")
			}
		case <-time.After(time.Hour):
		}
	}
	w.t.Fatalf("no %s came", method)
	return nil
}

func TestMailboxOverAnOutage(t *testing.T) {
	inWorld(t, mailboxes, func(t *testing.T, w *world) {
		cloud := w.cloud(1)
		w.s.SetTargets([]Target{cloud.target()})
		cloud.binds()
		sub := cloud.gets(sip.SUBSCRIBE)
		cloud.answers(sub, 200, "Expires: 3600", "Contact: <sip:mwi@203.0.113.1>")
		synctest.Wait()
		w.setCut(true)
		w.s.PathLost()
		time.Sleep(50 * time.Minute) // its refresh would be due
		w.setCut(false)
		w.s.PathBack()
		again := w.nextOf(cloud, sip.SUBSCRIBE) // a REGISTER tried during the outage may come beside the first after it
		if sip.CallIDOf(again) != sip.CallIDOf(sub) || sip.ToTag(again) == "" {
			t.Errorf("after the return\n%s", sip.Bytes(again))
		}
		cloud.answers(again, 481)
		fresh := w.nextOf(cloud, sip.SUBSCRIBE)
		if sip.CallIDOf(fresh) == sip.CallIDOf(sub) || sip.ToTag(fresh) != "" {
			t.Errorf("after a 481\n%s", sip.Bytes(fresh))
		}
		cloud.answers(fresh, 489)
		next := *w.cfg
		next.Lines = nil
		w.s.Configure(&next)
		cloud.answers(cloud.gets(sip.REGISTER), 200)
	})
}

func TestLineThatLeavesUnsubscribes(t *testing.T) {
	inWorld(t, mailboxes, func(t *testing.T, w *world) {
		cloud := w.cloud(1)
		w.s.SetTargets([]Target{cloud.target()})
		cloud.binds()
		sub := cloud.gets(sip.SUBSCRIBE)
		cloud.answers(sub, 200, "Expires: 3600", "Contact: <sip:mwi@203.0.113.1>")
		synctest.Wait()
		next := *w.cfg
		next.Lines = nil
		w.s.Configure(&next)
		synctest.Wait()
		last := map[sip.Method]string{}
		for range 2 {
			req, _ := cloud.next().(*sip.Request)
			last[req.Method] = sip.HeaderValue(req, "Expires")
			cloud.answers(req, 200)
		}
		if last[sip.SUBSCRIBE] != "0" || last[sip.REGISTER] != "0" {
			t.Errorf("last words %v", last)
		}
	})
}

func TestNotifyThatNobodyAskedForCountsFromTheCloudAlone(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		cloud, phone, stranger := w.cloud(1), w.phone("22", 10), w.cloud(66)
		w.s.SetTargets([]Target{cloud.target()})
		cloud.gets(sip.REGISTER)
		phone.watches("22", "message-summary")
		ask := func(p *peer, user, event string) *sip.Request {
			req := p.request(sip.NOTIFY, user, "Event: "+event)
			sip.SetBody(req, "application/simple-message-summary", []byte("Messages-Waiting: yes\r\n"))
			return req
		}
		for _, row := range []struct {
			from *peer
			user string
			what string
			code int
		}{{stranger, "acc22", "message-summary", 481}, {phone, "22", "message-summary", 481}, {cloud, "nobody", "message-summary", 404}, {cloud, "acc22", "dialog", 489}} {
			row.from.send(ask(row.from, row.user, row.what))
			for {
				if resp, ok := row.from.next().(*sip.Response); ok {
					if resp.StatusCode != row.code {
						t.Errorf("%s to %s: %d", row.from.name, row.user, resp.StatusCode)
					}
					break
				}
			}
		}
		phone.quiet()
		cloud.send(ask(cloud, "acc22", "message-summary"))
		if b := string(phone.told().Body()); !strings.Contains(b, "Messages-Waiting: yes") {
			t.Errorf("the phone is told\n%s", b)
		}
		time.Sleep(time.Second)
		kept, _ := w.boxes.Load()
		if kept["cloud/22"] != (event.Counts{Waiting: true}) {
			t.Errorf("kept %v", kept)
		}
	})
}
