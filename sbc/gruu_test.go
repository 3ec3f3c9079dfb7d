package sbc

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"linekeeper/sbc/sip"
)

const uuid1, uuid2 = "urn:uuid:00000000-0000-1000-8000-0004f2123456", "urn:uuid:00000000-0000-1000-8000-0004f2654321"

// at is a phone of 22 at a port of 192.0.2.10.
func (w *world) at(port int) *peer {
	flow := sip.Flow{Zone: LAN, Transport: sip.UDP, Local: netip.MustParseAddrPort("192.0.2.1:5060"), Remote: netip.MustParseAddrPort(fmt.Sprintf("192.0.2.10:%d", port))}
	return w.join("22", flow)
}

// registersAs registers with an instance and what else is said of the contact.
func (p *peer) registersAs(instance, params string, words ...string) *sip.Response {
	p.t.Helper()
	c := p.contact()
	return p.registers(append([]string{"Contact: <" + sip.URIText(&c) + `>;+sip.instance="<` + instance + `>"` + params, "Supported: gruu, outbound, path", "Expires: 600"}, words...)...)
}

// gruus are those that a 200 gives to an instance.
func gruus(t *testing.T, resp *sip.Response, instance string) (pub, temp sip.URI) {
	t.Helper()
	for _, c := range sip.Contacts(resp) {
		if sip.ParamValue(c.Params, "+sip.instance") != "<"+instance+">" {
			continue
		}
		var err, err2 error
		pub, err = sip.ParseURI(sip.ParamValue(c.Params, "pub-gruu"))
		temp, err2 = sip.ParseURI(sip.ParamValue(c.Params, "temp-gruu"))
		if err != nil || err2 != nil {
			t.Fatalf("%v %v in\n%s", err, err2, sip.Bytes(resp))
		}
		return pub, temp
	}
	t.Fatalf("%s is not listed in\n%s", instance, sip.Bytes(resp))
	return pub, temp
}

// aims starts a call to a URI and passes the challenge.
func (p *peer) aims(at sip.URI, words ...string) *sip.Request {
	p.t.Helper()
	req := p.request(sip.INVITE, at.User, append([]string{"sdp"}, words...)...)
	req.Recipient = at
	p.send(req)
	resp := p.hears(401)
	p.acks(req, resp)
	again := p.prove(req, resp, p.name, "secret"+p.name, 0)
	p.send(again)
	return again
}

func TestAGRUUReachesOneDevice(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		one, two, a := w.at(5060), w.at(5070), w.phone("23", 20)
		pub, temp := gruus(t, one.registersAs(uuid1, ""), uuid1)
		pub2, _ := gruus(t, two.registersAs(uuid2, ""), uuid2)
		if got := sip.URIText(&pub); got != "sip:22@192.0.2.1;gr="+uuid1 && !strings.HasSuffix(got, ";gr="+uuid1) {
			t.Errorf("pub-gruu %s", got)
		}
		if gr, ok := temp.UriParams.Get("gr"); !ok || gr != "" || strings.Contains(temp.User, "22@") || strings.Contains(sip.URIText(&temp), uuid1) {
			t.Errorf("temp-gruu %s tells who it is", sip.URIText(&temp))
		}
		for name, c := range map[string]struct {
			at         sip.URI
			ring, rest *peer
		}{"public": {pub, one, two}, "temporary": {temp, one, two}, "the other's": {pub2, two, one}} {
			invite := a.aims(c.at)
			rung := c.ring.gets(sip.INVITE)
			if rung.Recipient.Port != int(c.ring.flow.Remote.Port()) || rung.Recipient.UriParams.Has("gr") {
				t.Errorf("%s: the device is asked as %s", name, sip.URIText(&rung.Recipient))
			}
			c.rest.quiet()
			c.ring.answers(rung, 486)
			c.ring.gets(sip.ACK)
			a.acks(invite, a.hears(486))
		}
		// The number itself rings both.
		invite := a.dials("22")
		for _, p := range []*peer{one, two} {
			rung := p.gets(sip.INVITE)
			p.answers(rung, 486)
			p.gets(sip.ACK)
		}
		a.acks(invite, a.hears(486))
		gone := pub
		gone.UriParams = sip.Params{{K: "gr", V: "urn:uuid:nobody"}}
		invite = a.aims(gone)
		a.acks(invite, a.hears(480))
		stranger := temp
		stranger.User = tempPrefix + "guessed"
		invite = a.request(sip.INVITE, stranger.User, "sdp")
		invite.Recipient = stranger
		a.send(invite)
		a.acks(invite, a.hears(404))
		w.idle()
	})
}

func TestGRUUsAreGivenToThoseWhoKnowThem(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		p := w.at(5060)
		for words, want := range map[string]bool{
			"Supported: gruu": true, "Supported: path": false,
		} {
			c := p.contact()
			resp := p.registers("Contact: <"+sip.URIText(&c)+`>;+sip.instance="<`+uuid1+`>"`, words)
			if got := strings.Contains(string(sip.Bytes(resp)), "pub-gruu"); got != want {
				t.Errorf("%s: given %v", words, got)
			}
		}
		for _, instance := range []string{"nourn", "urn:x:y;z", "urn:" + strings.Repeat("x", 200)} {
			resp := w.at(5080).registersAs(instance, "")
			for _, c := range sip.Contacts(resp) {
				if sip.ParamValue(c.Params, "+sip.instance") == "<"+instance+">" && c.Params.Has("pub-gruu") {
					t.Errorf("%q got a GRUU", instance)
				}
			}
		}
	})
}

func TestTemporaryGRUUsLastAsLongAsTheRegistration(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		p, a := w.at(5060), w.phone("23", 20)
		c := p.contact()
		words := []string{"Contact: <" + sip.URIText(&c) + `>;+sip.instance="<` + uuid1 + `>"`, "Supported: gruu", "Expires: 600"}
		req := p.request(sip.REGISTER, "", words...)
		p.send(req)
		again := p.prove(req, p.hears(401), "22", "secret22", 0)
		var temps []sip.URI
		for range 20 { // refreshes of one Call-ID
			p.send(again)
			_, temp := gruus(t, p.hears(200), uuid1)
			temps = append(temps, temp)
			again = p.via(again.Clone())
			again.CSeq().SeqNo++
			h, _ := sip.Authorize(sip.Challenges(p.challenge(again))[0], sip.Credentials{User: "22", Password: "secret22"}, sip.REGISTER, sip.URIText(&again.Recipient), nil, "c", 1)
			sip.SetHeader(again, h)
			again.CSeq().SeqNo++
			p.via(again)
		}
		reach := func(at sip.URI, want bool) {
			t.Helper()
			_, _, ok := w.s.aimed(&at)
			if ok != want {
				t.Errorf("%s is good: %v", at.User, ok)
			}
		}
		for i, u := range temps {
			reach(u, i >= len(temps)-16)
		}
		_, fresh := gruus(t, p.registers(words...), uuid1) // a new Call-ID: the phone has restarted
		reach(temps[len(temps)-1], false)
		reach(fresh, true)
		invite := a.aims(fresh)
		rung := p.gets(sip.INVITE)
		p.answers(rung, 486)
		p.gets(sip.ACK)
		a.acks(invite, a.hears(486))
		<-time.After(11 * time.Minute)
		reach(fresh, false)
	})
}

// challenge is the 401 to a request without credentials.
func (p *peer) challenge(req *sip.Request) *sip.Response {
	p.t.Helper()
	bare := p.via(req.Clone())
	sip.RemoveHeader(bare, "Authorization")
	p.send(bare)
	return p.hears(401)
}

func TestAPhoneWhoseContactIsItsGRUUIsReachedWithinTheCall(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		one, b := w.at(5060), w.phone("23", 20)
		pub, temp := gruus(t, one.registersAs(uuid1, ""), uuid1)
		b.registers()
		for _, mine := range []sip.URI{pub, temp} {
			req := one.request(sip.INVITE, "23", "sdp")
			req.Contact().Address = mine
			one.send(req)
			resp := one.hears(401)
			one.acks(req, resp)
			invite := one.prove(req, resp, "22", "secret22", 0)
			one.send(invite)
			rung := b.gets(sip.INVITE)
			b.answers(rung, 200, "sdp")
			b.gets(sip.ACK)
			one.acks(invite, one.hears(200))
			synctest.Wait()
			b.hangsUp(rung)
			bye := one.gets(sip.BYE)
			want := one.contact()
			if got := sip.URIText(&bye.Recipient); got != sip.URIText(&want) {
				t.Errorf("BYE for %s", got)
			}
			one.answers(bye, 200)
		}
		w.idle()
	})
}

func TestAPhoneBehindAProxyIsReachedByItsPath(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		proxy, a := w.at(5062), w.phone("23", 20)
		path := []string{"Path: <sip:near.example;lr>, <sip:far.example:5070;lr;ob>", "Supported: path"}
		for _, host := range []string{"10.9.0.1", "10.9.0.2"} { // two phones that say no instance
			resp := proxy.registers(append([]string{"Contact: <sip:22@" + host + ">", "Expires: 600"}, path...)...)
			if got := strings.Join(sip.HeaderValues(resp, "Path"), ", "); got != "<sip:near.example;lr>, <sip:far.example:5070;lr;ob>" {
				t.Errorf("told the path %s", got)
			}
		}
		invite := a.dials("22")
		var hosts []string
		for _, rung := range []*sip.Request{proxy.gets(sip.INVITE), proxy.gets(sip.INVITE)} {
			hosts = append(hosts, rung.Recipient.Host)
			routes := sip.Routes(rung)
			if len(routes) != 2 || routes[0].Host != "near.example" || routes[1].Host != "far.example" {
				t.Errorf("routed by %v", routes)
			}
			proxy.answers(rung, 486)
			proxy.gets(sip.ACK)
		}
		slices.Sort(hosts)
		if !slices.Equal(hosts, []string{"10.9.0.1", "10.9.0.2"}) {
			t.Errorf("rung: %v", hosts)
		}
		a.acks(invite, a.hears(486))
		for _, bad := range []string{"nonsense here", "<sip:a@>", strings.TrimSuffix(strings.Repeat("<sip:p.example;lr>,", 9), ",")} {
			if resp := proxy.asks(proxy.request(sip.REGISTER, "", "Contact: <sip:22@10.9.0.3>", "Path: "+bad)); resp.StatusCode != 400 {
				t.Errorf("path %q: %d", bad, resp.StatusCode)
			}
		}
		if resp := proxy.registers("Contact: <sip:22@10.9.0.1>", "Path: <sip:near.example;lr>"); sip.HeaderValue(resp, "Path") != "" {
			t.Error("a phone that doesn't know Path is told one")
		}
		w.idle()
	})
}

func TestOneDeviceWithSeveralFlowsRingsOnceAndFallsBack(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		one, two, a := w.at(5060), w.at(5070), w.phone("23", 20)
		resp := one.registersAs(uuid1, ";reg-id=1")
		if !sip.HasToken(resp, "Require", "outbound") || headerSeconds(t, resp, "Flow-Timer") != 25*time.Second || !sip.HasToken(resp, "Supported", "outbound") {
			t.Errorf("told\n%s", sip.Bytes(resp))
		}
		<-time.After(time.Second)
		resp = two.registersAs(uuid1, ";reg-id=2")
		if all := sip.Contacts(resp); len(all) != 2 || sip.ParamValue(all[0].Params, "reg-id") == sip.ParamValue(all[1].Params, "reg-id") {
			t.Errorf("bound\n%s", sip.Bytes(resp))
		}
		busy := func(p, rest *peer, invite *sip.Request) {
			t.Helper()
			rung := p.gets(sip.INVITE)
			p.answers(rung, 486)
			p.gets(sip.ACK)
			rest.quiet()
			a.acks(invite, a.hears(486))
		}
		busy(two, one, a.dials("22")) // heard of last
		invite := a.dials("22")       // the edge of the flow says that it has failed
		rung := two.gets(sip.INVITE)
		two.answers(rung, 430)
		two.gets(sip.ACK)
		busy(one, two, invite)
		two.gone = true // nobody is there
		busy(one, two, a.dials("22"))
		two.gone = false
		began := time.Now() // a NAT has forgotten it
		invite = a.dials("22")
		rung = two.gets(sip.INVITE)
		if next := one.gets(sip.INVITE); time.Since(began) > 5*time.Second {
			t.Errorf("the other flow was tried after %v", time.Since(began))
		} else {
			one.answers(next, 486)
			one.gets(sip.ACK)
		}
		a.acks(invite, a.hears(486))
		<-time.After(time.Minute) // its INVITE was repeated, then given up
		_ = rung
		w.idle()
	})
}

func TestAMessageTakesTheOtherFlowToo(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		one, two, a := w.at(5060), w.at(5070), w.phone("23", 20)
		one.registersAs(uuid1, ";reg-id=1")
		<-time.After(time.Second)
		two.registersAs(uuid1, ";reg-id=2")
		two.gone = true
		req := a.request(sip.MESSAGE, "22")
		sip.SetBody(req, "text/plain", []byte("hello"))
		a.send(req)
		a.send(a.prove(req, a.hears(401), "23", "secret23", 0))
		got := one.gets(sip.MESSAGE)
		one.answers(got, 200)
		a.hears(200)
	})
}

func TestFlowsNeedAFirstHopThatKeepsThem(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		p := w.at(5060)
		c := p.contact()
		contact := "Contact: <" + sip.URIText(&c) + `>;+sip.instance="<` + uuid1 + `>";reg-id=1`
		for _, row := range []struct {
			words []string
			hops  int
			code  int
			kept  bool
		}{
			{[]string{contact, "Supported: outbound, path"}, 1, 200, true},
			{[]string{contact, "Supported: outbound, path"}, 2, 439, false},
			{[]string{contact, "Supported: outbound, path", "Path: <sip:edge.example;lr;ob>"}, 2, 200, true},
			{[]string{contact, "Supported: outbound, path", "Path: <sip:core.example;lr>, <sip:edge.example;lr>"}, 3, 439, false},
			{[]string{contact}, 2, 200, false}, // it doesn't ask for flows
			{[]string{strings.Replace(contact, "+sip.instance", "+x", 1), "Supported: outbound"}, 1, 200, false},
		} {
			req := p.request(sip.REGISTER, "", row.words...)
			for i := 1; i < row.hops; i++ {
				req.AppendHeader(&sip.Via{ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: "UDP", Host: "10.9.0.1", Params: sip.Params{{K: "branch", V: fmt.Sprintf("%s-h%d", sip.MagicCookie, i)}}})
			}
			p.send(req)
			resp := p.hears(401)
			again := req.Clone()
			h, err := sip.Authorize(sip.Challenges(resp)[0], sip.Credentials{User: "22", Password: "secret22"}, sip.REGISTER, sip.URIText(&req.Recipient), nil, "c", 1)
			if err != nil {
				t.Fatal(err)
			}
			sip.SetHeader(again, h)
			again.CSeq().SeqNo++
			p.n++
			again.Via().Params.Add("branch", fmt.Sprintf("%s-again%d", sip.MagicCookie, p.n))
			p.send(again)
			resp = p.hears(row.code)
			if got := sip.HasToken(resp, "Require", "outbound"); got != row.kept {
				t.Errorf("%q by %d hops: kept as a flow %v", row.words, row.hops, got)
			}
		}
	})
}
