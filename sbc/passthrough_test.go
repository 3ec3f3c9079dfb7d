package sbc

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"linekeeper/sbc/call"
	"linekeeper/sbc/number"
	"linekeeper/sbc/sip"
)

// registrar is a cloud that keeps accounts with digest; it is the test's own.
type registrar struct {
	*peer
	authority *sip.Authority
	passwords map[string]string
	extra     []string // header lines of each 200 to REGISTER
	body      string
}

func passing1(c *Config) { c.PassThrough, c.Lines, c.Extensions = true, nil, map[string]Extension{} }

func (w *world) registrar() *registrar {
	r := &registrar{peer: w.cloud(9), authority: sip.NewAuthority("cloud.example", []byte("0123456789abcdef0123456789abcdef"), time.Hour, 100, 1),
		passwords: map[string]string{"alice": "secretalice", "bob": "secretbob"}}
	w.s.SetTargets([]Target{r.target()})
	return r
}

func (r *registrar) check(req *sip.Request) (string, sip.Proof) {
	return r.authority.Check(time.Now(), req, func(u string) (string, bool) { p, ok := r.passwords[u]; return p, ok })
}

// takes lets one REGISTER pass or challenges it, and returns it.
func (r *registrar) takes(expires string) *sip.Request {
	r.t.Helper()
	req := r.gets(sip.REGISTER)
	user, proof := r.check(req)
	if proof != sip.Proven || user != req.To().Address.User {
		resp := sip.Respond(req, 401, "", "tagc")
		for _, h := range r.authority.Challenge(time.Now(), false, false) {
			resp.AppendHeader(h)
		}
		r.send(resp)
		return req
	}
	resp := sip.Respond(req, 200, "", "tagc")
	if c := req.Contact(); c != nil {
		resp.AppendHeader(sip.NewHeader("Contact", "<"+sip.URIText(&c.Address)+">;expires="+expires))
	}
	for _, h := range r.extra {
		name, value, _ := strings.Cut(h, ": ")
		resp.AppendHeader(sip.NewHeader(name, value))
	}
	sip.SetBody(resp, "application/vnd.broadsoft+xml", []byte(r.body))
	r.send(resp)
	return req
}

// asksThrough makes a request to the cloud's domain that goes by way of the box.
func (p *peer) asksThrough(method sip.Method, user string, words ...string) *sip.Request {
	if method == sip.REGISTER && len(words) == 0 {
		c := p.contact()
		words = []string{"Contact: <" + sip.URIText(&c) + ">", "Expires: 600"}
	}
	req := p.request(method, user, words...)
	req.Recipient.Host = "cloud.example"
	req.To().Address.Host, req.From().Address.Host = "cloud.example", "cloud.example"
	return req
}

// registersThrough plays a first registration by way of the box.
func (p *peer) registersThrough(r *registrar) *sip.Response {
	p.t.Helper()
	req := p.asksThrough(sip.REGISTER, "")
	p.send(req)
	r.takes("600")
	again := p.prove(req, p.hears(401), p.name, "secret"+p.name, 0)
	p.send(again)
	r.takes("600")
	return p.hears(200)
}

// knocks asks again without credentials.
func (p *peer) knocks() {
	p.t.Helper()
	p.send(p.asksThrough(sip.REGISTER, ""))
}

func TestPhoneProvesItselfToTheCloudThroughTheBox(t *testing.T) {
	inWorld(t, passing1, func(t *testing.T, w *world) {
		r, p := w.registrar(), w.phone("alice", 10)
		r.extra = []string{"P-Associated-URI: <sip:+498912345699@cloud.example>", "Service-Route: <sip:edge.cloud.example;lr>"}
		req := p.asksThrough(sip.REGISTER, "")
		p.send(req)
		first := r.takes("600")
		c := first.Contact()
		if sip.URIText(&first.Recipient) != "sip:cloud.example" || c == nil || c.Address.Host != "198.51.100.1" || c.Address.User != "alice" || first.To().Address.Host != "cloud.example" {
			t.Fatalf("the cloud got\n%s", sip.Bytes(first))
		}
		challenge := p.hears(401)
		if v := sip.HeaderValue(challenge, "WWW-Authenticate"); !strings.Contains(v, `realm="cloud.example"`) {
			t.Fatalf("challenge %q", v)
		}
		p.send(p.prove(req, challenge, "alice", "secretalice", 0))
		r.takes("600")
		ok := p.hears(200)
		bound := sip.Contacts(ok)
		if len(bound) != 1 || bound[0].Address.Host != "192.0.2.10" {
			t.Fatalf("bound %s", sip.Bytes(ok))
		}
		if left := sip.ContactExpires(ok, bound[0], 0); left > passExpires || left < passExpires*3/4 {
			t.Errorf("the phone shall come back after %v", left)
		}
		if v := sip.HeaderValue(ok, "P-Associated-URI"); !strings.Contains(v, "+498912345699") {
			t.Errorf("identities %q", v)
		}
		if told := w.told(); strings.Contains(told, "punish") || !strings.Contains(told, "registered alice true") {
			t.Errorf("told: %s", told)
		}
		all := w.s.Passages()
		if len(all) != 1 || all[0].Numbers[0] != "+498912345699" || all[0].Routes[0] != "sip:edge.cloud.example;lr" || len(all[0].Devices) != 1 {
			t.Errorf("known: %+v", all)
		}
	})
}

func TestBoxAnswersRefreshesUntilTheCloudsTimeIsHalfOver(t *testing.T) {
	inWorld(t, passing1, func(t *testing.T, w *world) {
		r, p := w.registrar(), w.phone("alice", 10)
		p.registersThrough(r)
		began := time.Now()
		for time.Since(began) < 290*time.Second {
			<-time.After(50 * time.Second)
			if time.Since(began) >= 300*time.Second {
				break
			}
			p.knocks()
			p.hears(200)
			r.quiet()
		}
		<-time.After(20 * time.Second)
		p.knocks()
		req := r.takes("600") // challenges: this one brought no credentials
		if _, m := sip.Seq(req); m != sip.REGISTER {
			t.Fatal("no refresh came to the cloud")
		}
		p.hears(401)
		again := p.prove(p.asksThrough(sip.REGISTER, ""), challengeOf(r), "alice", "secretalice", 0)
		p.send(again)
		r.takes("600")
		p.hears(200)
	})
}

// challengeOf is a new challenge of the cloud.
func challengeOf(r *registrar) *sip.Response {
	resp := sip.NewResponse(401, "Unauthorized")
	for _, h := range r.authority.Challenge(time.Now(), false, false) {
		resp.AppendHeader(h)
	}
	return resp
}

func TestAnotherPlaceIsNotAnsweredByTheBox(t *testing.T) {
	inWorld(t, passing1, func(t *testing.T, w *world) {
		r, p := w.registrar(), w.phone("alice", 10)
		p.registersThrough(r)
		thief := w.phone("alice", 66)
		thief.knocks()
		r.takes("600")
		thief.hears(401)
		if n := len(w.location.Lookup(time.Now(), "alice")); n != 1 {
			t.Errorf("%d contacts", n)
		}
		invite := thief.asksThrough(sip.INVITE, "4711", "sdp")
		thief.send(invite)
		thief.acks(invite, thief.hears(403))
		thief.send(thief.asksThrough(sip.REGISTER, "", "Contact: *", "Expires: 0"))
		r.gets(sip.REGISTER) // no contact of its own: the cloud may answer it, nothing is taken away
		if n := len(w.location.Lookup(time.Now(), "alice")); n != 1 {
			t.Errorf("%d contacts after the attempt", n)
		}
	})
}

func TestCloudChallengesCallsOfThePhoneItself(t *testing.T) {
	inWorld(t, passing1, func(t *testing.T, w *world) {
		r, p := w.registrar(), w.phone("alice", 10)
		p.registersThrough(r)
		invite := p.asksThrough(sip.INVITE, "089123", "sdp")
		p.send(invite)
		out := r.gets(sip.INVITE)
		if sip.URIText(&out.Recipient) != "sip:089123@cloud.example" || out.From().Address.User != "alice" || out.Contact().Address.User != "alice" {
			t.Fatalf("the cloud got\n%s", sip.Bytes(out))
		}
		resp := sip.Respond(out, 407, "", "tagc")
		for _, h := range r.authority.Challenge(time.Now(), false, true) {
			resp.AppendHeader(h)
		}
		r.send(resp)
		r.gets(sip.ACK)
		asked := p.hears(407)
		p.acks(invite, asked)
		again := p.prove(invite, asked, "alice", "secretalice", 0)
		p.send(again)
		second := r.gets(sip.INVITE)
		if user, proof := r.check(second); user != "alice" || proof != sip.Proven {
			t.Fatalf("credentials: %q %v\n%s", user, proof, sip.Bytes(second))
		}
		if sip.CallIDOf(out) != sip.CallIDOf(second) {
			t.Error("the repetition is another call to the cloud")
		}
		r.answers(second, 200, "sdp")
		r.gets(sip.ACK)
		ok := p.hears(200)
		p.acks(again, ok)
		synctest.Wait()
		p.send(p.within(again, ok, sip.BYE))
		p.hears(200)
		r.answers(r.gets(sip.BYE), 200)
		synctest.Wait()
		w.mu.Lock()
		ended := len(w.ended)
		w.mu.Unlock()
		if ended != 1 {
			t.Errorf("%d calls in the records", ended)
		}
		w.idle()
	})
}

func TestCallsFromTheCloudRingThePhonesOfTheAccount(t *testing.T) {
	inWorld(t, passing1, func(t *testing.T, w *world) {
		r, p := w.registrar(), w.phone("alice", 10)
		p.registersThrough(r)
		second := w.phone("alice", 11)
		second.registersThrough(r)
		r.send(r.request(sip.INVITE, "alice", "sdp"))
		ring := p.gets(sip.INVITE)
		second.gets(sip.INVITE)
		if u := ring.Recipient; u.Host != "192.0.2.10" {
			t.Errorf("to %s", sip.URIText(&u))
		}
	})
}

func TestOfflineOnlyWhoHasProvedItselfIsServed(t *testing.T) {
	inWorld(t, passing1, func(t *testing.T, w *world) {
		r, alice, bob := w.registrar(), w.phone("alice", 10), w.phone("bob", 11)
		r.body = `<?xml version="1.0"?><BroadsoftDocument version="1.0" content="subscriberData"><phoneNumbers><phoneNumber>+498912345611</phoneNumber></phoneNumbers>` +
			`<aliases><alias>sip:b.smith@cloud.example</alias></aliases><extensions><extension>511</extension></extensions></BroadSoftDocument>`
		bob.registersThrough(r)
		r.body = ""
		alice.registersThrough(r)
		w.s.PathLost()
		<-time.After(10 * time.Minute) // every binding has run out, the box knows the devices still
		w.location.Sweep(time.Now())
		for _, p := range []*peer{alice, bob} {
			p.knocks()
			p.hears(200)
		}
		w.phone("alice", 66).expectRefused(503) // another place
		w.phone("carol", 67).expectRefused(503) // never seen
		r.quiet()
		w.brain = routerFunc(func(inv call.Invite) call.Plan { return w.s.RingExtension(inv, w.s.Dial(inv.Dialled).Text) })
		for _, dialled := range []string{"511", "bob", "+498912345611"} {
			invite := alice.asksThrough(sip.INVITE, dialled, "sdp")
			alice.send(invite)
			rung := bob.gets(sip.INVITE)
			bob.answers(rung, 200, "sdp")
			bob.gets(sip.ACK)
			ok := alice.hears(200)
			alice.acks(invite, ok)
			synctest.Wait()
			alice.send(alice.within(invite, ok, sip.BYE))
			alice.hears(200)
			bob.answers(bob.gets(sip.BYE), 200)
		}
		w.s.PathBack()
		alice.knocks()
		r.takes("600") // the cloud may have forgotten: the next refresh goes there
		alice.hears(401)
	})
}

func (p *peer) expectRefused(code int) {
	p.t.Helper()
	p.knocks()
	p.hears(code)
}

func TestSilentCloudDoesNotKeepAProvenPhoneWaiting(t *testing.T) {
	inWorld(t, passing1, func(t *testing.T, w *world) {
		r, p := w.registrar(), w.phone("alice", 10)
		p.registersThrough(r)
		<-time.After(5 * time.Minute)
		w.setCut(true)
		began := time.Now()
		p.knocks()
		p.hears(200)
		if took := time.Since(began); took > passPatience+time.Second {
			t.Errorf("it took %v", took)
		}
		w.phone("bob", 12).expectRefused(503)
	})
}

func TestCloudIsShownWrongCredentialsThreeTimesAtMost(t *testing.T) {
	inWorld(t, passing1, func(t *testing.T, w *world) {
		r, p := w.registrar(), w.phone("alice", 10)
		p.registersThrough(r)
		r.passwords["alice"] = "changed"
		w.s.PathBack() // the next refresh goes to the cloud
		for range maxStrikes {
			req := p.asksThrough(sip.REGISTER, "")
			p.send(p.prove(req, challengeOf(r), "alice", "secretalice", 0))
			r.takes("600")
			p.hears(401)
		}
		if told := w.told(); strings.Count(told, "punish 192.0.2.10 credentials") != maxStrikes {
			t.Errorf("told: %s", told)
		}
		p.knocks()
		p.hears(403)
		r.quiet()
		if len(w.s.Passages()) != 0 || len(w.location.Lookup(time.Now(), "alice")) != 0 {
			t.Error("the device is still trusted")
		}
		w.s.PathLost()
		p.expectRefused(503)
		w.s.PathBack()
		<-time.After(strikeRest)
		r.passwords["alice"] = "secretalice"
		p.registersThrough(r)
	})
}

func TestExtensionsOfTheBoxRegisterAtTheBoxStill(t *testing.T) {
	inWorld(t, func(c *Config) {
		c.PassThrough = true
		c.Extensions["30"] = Extension{Number: "30", Class: number.National, Passage: "bob"}
	}, func(t *testing.T, w *world) {
		r := w.registrar()
		for range 2 {
			r.answers(r.gets(sip.REGISTER), 403) // the box's own lines; not of interest here
		}
		w.phone("22", 10).registers()
		own := w.phone("acc22", 12) // the account that the box itself keeps
		own.knocks()
		if v := sip.HeaderValue(own.hears(401), "WWW-Authenticate"); !strings.Contains(v, `realm="linekeeper"`) {
			t.Errorf("challenge %q", v)
		}
		bob := w.phone("bob", 11)
		bob.registersThrough(r)
		if n := len(w.location.Lookup(time.Now(), "30")); n != 1 {
			t.Errorf("%d contacts of extension 30", n)
		}
		w.phone("22", 10).dials("30")
		bob.gets(sip.INVITE)
	})
}

func TestLastPhoneThatLeavesUnregistersInTheCloud(t *testing.T) {
	inWorld(t, passing1, func(t *testing.T, w *world) {
		r, p, q := w.registrar(), w.phone("alice", 10), w.phone("alice", 11)
		p.registersThrough(r)
		q.registersThrough(r)
		leave := func(p *peer) *sip.Request {
			c := p.contact()
			req := p.asksThrough(sip.REGISTER, "", "Contact: <"+sip.URIText(&c)+">;expires=0")
			p.send(p.prove(req, challengeOf(r), "alice", "secretalice", 0))
			return req
		}
		leave(q)
		if ok := q.hears(200); len(sip.Contacts(ok)) != 1 {
			t.Errorf("left: %s", sip.Bytes(ok))
		}
		r.quiet()
		leave(p)
		if d, _ := sip.ExpiresOf(r.takes("0")); d != 0 {
			t.Errorf("expires %v", d)
		}
		if ok := p.hears(200); len(sip.Contacts(ok)) != 0 {
			t.Errorf("left: %s", sip.Bytes(ok))
		}
	})
}

func TestProofsOutliveARestart(t *testing.T) {
	disk := &passDisk{m: map[string]Passage{}}
	inWorld(t, passing1, func(t *testing.T, w *world) {
		w.s.pass.ledger.behind.saver = disk
		w.phone("alice", 10).registersThrough(w.registrar())
	})
	if len(disk.m) != 1 {
		t.Fatalf("on disk: %v", disk.m)
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, passing1)
		w.s.pass.ledger.behind.saver = disk
		w.run()
		defer w.stop()
		w.s.PathLost()
		p := w.phone("alice", 10)
		p.knocks()
		p.hears(200)
		w.phone("alice", 12).expectRefused(503)
	})
}

type passDisk struct {
	mu   sync.Mutex
	m    map[string]Passage
	fail bool
}

func (d *passDisk) Save(changed map[string]*Passage) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail {
		return errors.New("disk full")
	}
	for k, v := range changed {
		if v == nil {
			delete(d.m, k)
			continue
		}
		d.m[k] = *v
	}
	return nil
}

func (d *passDisk) Load() (map[string]Passage, error) { return d.m, nil }
