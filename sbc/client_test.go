package sbc

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"linekeeper/sbc/number"
	"linekeeper/sbc/provider"
	"linekeeper/sbc/sdp"
	"linekeeper/sbc/sip"
	"linekeeper/sbc/wire"
)

// beside puts a UC server at 192.0.2.9 and so many more extensions into a site.
func beside(name provider.ClientName, more int, tune ...func(*Client)) func(*Config) {
	return func(c *Config) {
		p, _ := provider.LookupClient(name)
		cl := Client{Name: "uc", Profile: p, Address: netip.MustParseAddr("192.0.2.9"), Transport: sip.UDP, Peer: netip.MustParseAddrPort("192.0.2.9:5060")}
		if !p.Registers {
			cl.Extensions = []string{"22", "23"}
		}
		for _, f := range tune {
			f(&cl)
		}
		c.Clients = []Client{cl}
		c.Sides[cl.Side()] = MediaSide{Codecs: p.Codecs}
		for i := range more {
			n := strconv.Itoa(100 + i)
			c.Extensions[n] = Extension{Number: n, Password: "secret" + n, Class: number.National}
		}
		inside := map[string]number.E164{}
		for n, e := range c.Extensions {
			inside[n] = e.Public
		}
		c.Book = number.NewBook(number.Plan{Country: "DE", AreaCode: "89", Emergency: []string{"110", "112"}, Blocked: []string{"0900"}, Extensions: inside})
	}
}

func TestEveryLineOfAUCServerIsReachedThoughAllShareOneAddress(t *testing.T) {
	const count = 60
	inWorld(t, beside(provider.Estos, count), func(t *testing.T, w *world) {
		server, phone := w.phone("", 9), w.phone("22", 10)
		began := time.Now()
		for range 2 { // and once more: a refresh displaces nobody
			for i := range count {
				server.name = strconv.Itoa(100 + i)
				server.registers()
				time.Sleep(300 * time.Millisecond)
			}
		}
		if got := len(w.location.Snapshot(began)); got != count {
			t.Fatalf("%d of %d lines are registered", got, count)
		}
		for _, ext := range []string{"100", "131", "159"} {
			invite := phone.dials(ext)
			rung := server.gets(sip.INVITE)
			if rung.Recipient.User != ext {
				t.Errorf("%s rings at the line %s", ext, rung.Recipient.User)
			}
			server.answers(rung, 486)
			server.gets(sip.ACK)
			phone.acks(invite, phone.hears(486))
		}
		w.idle()
	})
}

func TestTowardAUCServerALawComesFirst(t *testing.T) {
	inWorld(t, beside(provider.Estos, 1), func(t *testing.T, w *world) {
		server, phone := w.phone("100", 9), w.phone("22", 10)
		server.registers()
		req := phone.request(sip.INVITE, "100")
		sip.SetBody(req, "application/sdp", []byte("v=0\r\no=- 7 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n"+
			"m=audio 4000 RTP/AVP 9 0 8 101\r\na=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"))
		phone.send(req)
		resp := phone.hears(401)
		phone.acks(req, resp)
		again := phone.prove(req, resp, "22", "secret22", 0)
		phone.send(again)
		rung := server.gets(sip.INVITE)
		offer := sdpOf(t, rung)
		var names []string
		for _, f := range offer.Audio().Formats {
			names = append(names, f.Name)
		}
		if got := fmt.Sprint(names); got != "[PCMA PCMU telephone-event]" {
			t.Errorf("offered %s", got)
		}
		server.answers(rung, 486)
		server.gets(sip.ACK)
		phone.acks(again, phone.hears(486))
	})
}

// xphone makes the UC server that is like a trunk.
func (w *world) xphone() *peer { return w.phone("22", 9) }

// rings sends a call of the server in the name of user, without digest.
func (p *peer) rings(to string, user string, words ...string) *sip.Request {
	p.t.Helper()
	req := p.request(sip.INVITE, to, append([]string{"sdp"}, words...)...)
	req.From().Address.User = user
	p.send(req)
	return req
}

func TestATrunkLikeClientCallsInTheNameOfItsExtensions(t *testing.T) {
	inWorld(t, beside(provider.XPhone, 0), func(t *testing.T, w *world) {
		cloud, server := w.up(), w.xphone()
		for _, c := range []struct {
			user, to string
			words    []string
			line     string
		}{
			{"22", "0895601", nil, "acc22"},
			{"+498912345623", "0895601", nil, "acc23"},
			{"08912345623", "+49895601", nil, "acc23"},
			{"anonymous", "0895601", []string{"P-Asserted-Identity: <sip:22@xphone.example>"}, "acc22"},
		} {
			req := server.rings(c.to, c.user, c.words...)
			out := cloud.gets(sip.INVITE)
			if out.Recipient.User != "+49895601" || c.user != "anonymous" && out.From().Address.User != c.line {
				t.Errorf("%s: goes out to %s as %s", c.user, out.Recipient.User, out.From().Address.User)
			}
			cloud.answers(out, 486)
			cloud.gets(sip.ACK)
			server.acks(req, server.hears(486))
		}
		for _, user := range []string{"24", "4711", "+49301234567"} { // not its extension, or nobody's
			server.acks(server.rings("0895601", user), server.hears(403))
		}
		if got := w.told(); got == "" {
			t.Error("nobody was told of the refusals")
		}
		server.acks(server.rings("09001234567", "22"), server.hears(403)) // what bars a phone bars it too
		cloud.quiet()

		req := server.rings("112", "4711") // help is never refused
		out := cloud.gets(sip.INVITE)
		if out.Recipient.User != "112" {
			t.Errorf("112 goes out as %s", out.Recipient.User)
		}
		cloud.answers(out, 200, "sdp")
		cloud.gets(sip.ACK)
		ok := server.hears(200)
		server.acks(req, ok)
		synctest.Wait()
		talk{server, cloud, req, out, ok}.end()
		w.idle()
	})
}

func TestATrunkLikeClientWithAPasswordMustProveItself(t *testing.T) {
	digest := func(c *Client) { c.Auth, c.Password = "uc", "geheimnis-9-otter" }
	inWorld(t, beside(provider.XPhone, 0, digest), func(t *testing.T, w *world) {
		server, phone := w.xphone(), w.phone("24", 10)
		phone.registers()
		req := server.rings("24", "22")
		resp := server.hears(401)
		server.acks(req, resp)
		wrong := server.prove(req, resp, "22", "secret22", 0) // a phone's password isn't the server's
		server.send(wrong)
		resp = server.hears(401)
		server.acks(wrong, resp)
		right := server.prove(wrong, resp, "uc", "geheimnis-9-otter", 0)
		server.send(right)
		rung := phone.gets(sip.INVITE)
		phone.answers(rung, 486)
		phone.gets(sip.ACK)
		server.acks(right, server.hears(486))
		w.idle()
	})
}

func TestAnExtensionRingsAtItsPhoneAndAtTheTrunkLikeClient(t *testing.T) {
	inWorld(t, beside(provider.XPhone, 0), func(t *testing.T, w *world) {
		cloud, server, phone := w.up(), w.xphone(), w.phone("22", 10)
		phone.registers()
		in := cloud.request(sip.INVITE, "acc22", "sdp", "P-Asserted-Identity: <sip:089555200@cloud.example>")
		cloud.send(in)
		rung, there := phone.gets(sip.INVITE), server.gets(sip.INVITE)
		if got := sip.URIText(&there.Recipient); got != "sip:22@192.0.2.9:5060" {
			t.Errorf("the client is called as %s", got)
		}
		if a, b := rung.From().Address.User, there.From().Address.User; a != "089555200" || b != "+4989555200" {
			t.Errorf("the phone shows %s, the client %s", a, b)
		}
		phone.answers(rung, 180)
		cloud.hears(180)
		server.answers(there, 200, "sdp")
		server.gets(sip.ACK)
		ok := cloud.hears(200)
		cloud.acks(in, ok)
		phone.answers(phone.gets(sip.CANCEL), 200)
		phone.answers(rung, 487)
		phone.gets(sip.ACK)
		synctest.Wait()
		talk{cloud, server, in, there, ok}.end()
		w.idle()
	})
}

func TestAClientThatRefusesOrIsDownLeavesThePhoneRinging(t *testing.T) {
	inWorld(t, beside(provider.XPhone, 0), func(t *testing.T, w *world) {
		server, phone, caller := w.xphone(), w.phone("22", 10), w.phone("23", 11)
		phone.registers()
		invite := caller.dials("22")
		rung, there := phone.gets(sip.INVITE), server.gets(sip.INVITE)
		server.answers(there, 488) // its access lists removed every candidate
		server.gets(sip.ACK)
		phone.answers(rung, 180)
		caller.hears(180)
		phone.answers(rung, 486)
		phone.gets(sip.ACK)
		caller.acks(invite, caller.hears(486))

		w.mu.Lock()
		w.peers[server.flow.Remote] = nil // switched off
		w.mu.Unlock()
		invite = caller.dials("22")
		rung = phone.gets(sip.INVITE)
		phone.answers(rung, 200, "sdp")
		phone.gets(sip.ACK)
		ok := caller.hears(200)
		caller.acks(invite, ok)
		synctest.Wait()
		talk{caller, phone, invite, rung, ok}.end()

		began := time.Now()
		invite = caller.dials("23") // no phone is registered, the client is off
		caller.acks(invite, caller.hears(408))
		if took := time.Since(began); took > lonely+time.Second {
			t.Errorf("the caller waited %s", took)
		}
	})
}

// sdpOf is the description in a message.
func sdpOf(t *testing.T, m sip.Message) *sdp.Session {
	t.Helper()
	s, err := sdp.Parse(m.Body())
	if err != nil || s.Audio() == nil {
		t.Fatalf("no description: %v\n%s", err, m.Body())
	}
	return s
}

// A UC server is offered best-effort keys and candidates; where the phone brings what
// phones usually bring, that is a datagram, by its short names where the addresses are
// as long as can be.
func TestAnInviteTowardAnICEPeerIsADatagram(t *testing.T) {
	const datagram = 1300 // RFC 3261 18.1.1
	for name, formats := range map[string]string{"narrow": "8 0 101", "wide": "9 8 0 18 101"} {
		t.Run(name, func(t *testing.T) {
			tune := beside(provider.XPhone, 0)
			inWorld(t, func(cfg *Config) {
				tune(cfg)
				cfg.Sides[cfg.Clients[0].Side()] = MediaSide{ICE: sdp.ICEFull, SRTP: sdp.Preferred, Codecs: cfg.Clients[0].Profile.Codecs}
			}, func(t *testing.T, w *world) {
				server, phone := w.xphone(), w.phone("24", 10)
				req := phone.request(sip.INVITE, "23")
				sip.SetBody(req, "application/sdp", []byte("v=0\r\no=- 7 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n"+
					"m=audio 4000 RTP/AVP "+formats+"\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\n"))
				phone.send(req)
				resp := phone.hears(401)
				phone.acks(req, resp)
				again := phone.prove(req, resp, "24", "secret24", 0)
				phone.send(again)
				rung := server.gets(sip.INVITE)
				if m := sdpOf(t, rung).Audio(); len(m.Crypto) == 0 || len(m.ICE.Candidates) != 2 {
					t.Errorf("offered %d keys and the candidates %v", len(m.Crypto), m.ICE.Candidates)
				}
				at := func(addr string) []byte {
					return regexp.MustCompile(`198\.51\.100\.1\b|192\.0\.2\.9\b`).ReplaceAll(sip.Bytes(rung), []byte(addr))
				}
				if text := at("10.0.100.20"); len(text) > datagram {
					t.Errorf("%d octets:\n%s", len(text), text)
				}
				if text := wire.Compact(at("192.168.178.250")); len(text) > datagram {
					t.Errorf("%d octets:\n%s", len(text), text)
				}
				server.answers(rung, 486)
				server.gets(sip.ACK)
				phone.acks(again, phone.hears(486))
			})
		})
	}
}
