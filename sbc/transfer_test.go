package sbc

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"linekeeper/sbc/call"
	"linekeeper/sbc/number"
	"linekeeper/sbc/sip"
)

// serve lets phones take whatever comes until nothing does any more, and tells
// what that was: "22 NOTIFY 200" for a message of a transfer, "23 INVITE 24" for a
// changed session and who it is with.
func serve(peers ...*peer) []string {
	var heard []string
	for again := true; again; {
		again = false
		for _, p := range peers {
			synctest.Wait()
			for len(p.in) > 0 {
				again = true
				switch m := (<-p.in).(type) {
				case *sip.Response:
					heard = append(heard, fmt.Sprintf("%s %d", p.name, m.StatusCode))
				case *sip.Request:
					heard = append(heard, p.serves(m))
				}
				synctest.Wait()
			}
		}
	}
	return heard
}

func (p *peer) serves(req *sip.Request) string {
	switch req.Method {
	case sip.ACK:
		return p.name + " ACK"
	case sip.INVITE:
		p.answers(req, 200, "sdp")
		who := ""
		if ids := sip.Identities(req, "P-Asserted-Identity"); len(ids) > 0 {
			who = " " + ids[0].User
		}
		return p.name + " INVITE" + who
	case sip.NOTIFY:
		p.answers(req, 200)
		code, _ := sip.SipfragCode(req.Body())
		return fmt.Sprintf("%s NOTIFY %d", p.name, code)
	}
	p.answers(req, 200)
	return p.name + " " + string(req.Method)
}

// refers asks the box within a call to connect the other party with a target.
func (c talk) refers(to string) {
	c.a.t.Helper()
	req := c.a.within(c.invite, c.ok, sip.REFER)
	req.AppendHeader(sip.NewHeader("Refer-To", to))
	c.a.send(req)
	c.a.hears(202)
}

// named is the dialog of a call as its caller's phone names it in a Refer-To.
func (c talk) named() string {
	r := sip.Replaces{CallID: sip.CallIDOf(c.invite), ToTag: sip.ToTag(c.ok), FromTag: sip.FromTag(c.invite)}
	return sip.ReferTo{URI: sip.URI{Scheme: "sip", User: "24", Host: "192.0.2.1"}, Replaces: &r}.Header().Value()
}

func TestBlindTransferRingsWithTheRightsOfWhoTransfers(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		a, b, c := w.phone("22", 10), w.phone("23", 20), w.phone("24", 30)
		b.registers()
		c.registers()
		first := a.connects("23", b)
		first.refers("<sip:24@pbx.example>")
		rung := c.gets(sip.INVITE)
		if got := rung.From().Address.User; got != "23" {
			t.Errorf("24 is shown %q", got)
		}
		c.answers(rung, 180)
		c.answers(rung, 200, "sdp")
		got := serve(a, b, c)
		for _, want := range []string{"22 NOTIFY 100", "22 NOTIFY 200", "23 INVITE 24", "24 ACK"} {
			if !slices.Contains(got, want) {
				t.Errorf("%q is missing in %q", want, got)
			}
		}
		a.send(a.within(first.invite, first.ok, sip.BYE))
		a.hears(200)
		if n := w.media.open(); n != 2 {
			t.Errorf("%d streams", n)
		}
		if v := w.s.Calls(); len(v) != 1 || v[0].State != call.Talking || v[0].Callee != "24" {
			t.Errorf("calls: %+v", v)
		}
		c.hangsUp(rung)
		b.answers(b.gets(sip.BYE), 200)
		w.idle()
	})
}

func TestTransferIsBarredLikeACall(t *testing.T) {
	tune := func(c *Config) {
		e := c.Extensions["22"]
		e.Class = number.Internal
		c.Extensions["22"] = e
	}
	inWorld(t, tune, func(t *testing.T, w *world) {
		w.up()
		a, b := w.phone("22", 10), w.phone("23", 20)
		b.registers()
		first := a.connects("23", b)
		first.refers("<sip:08912345@pbx.example>")
		if got := serve(a, b); !slices.Contains(got, "22 NOTIFY 403") {
			t.Errorf("heard %q", got)
		}
		first.end()
		w.idle()
	})
}

func TestAttendedTransferJoinsTwoCalls(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		a, b, c := w.phone("22", 10), w.phone("23", 20), w.phone("24", 30)
		b.registers()
		c.registers()
		first, second := a.connects("23", b), a.connects("24", c)
		first.refers(second.named())
		got := serve(a, b, c)
		for _, want := range []string{"22 NOTIFY 200", "22 BYE", "23 INVITE 24", "24 INVITE 23"} {
			if !slices.Contains(got, want) {
				t.Errorf("%q is missing in %q", want, got)
			}
		}
		a.send(a.within(first.invite, first.ok, sip.BYE))
		a.hears(200)
		synctest.Wait()
		if v := w.s.Calls(); len(v) != 1 || v[0].State != call.Talking {
			t.Errorf("calls: %+v", v)
		}
		if n := w.media.open(); n != 2 {
			t.Errorf("%d streams", n)
		}
		// What comes in the dialog that the first call made reaches the second now.
		b.hangsUp(first.rung)
		c.answers(c.gets(sip.BYE), 200)
		synctest.Wait()
		w.idle()
		if len(w.s.moved) != 0 {
			t.Errorf("%d legs are still known elsewhere", len(w.s.moved))
		}
	})
}

func TestAttendedTransferOfSomebodyElsesCallIsRefused(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		a, b, c := w.phone("22", 10), w.phone("23", 20), w.phone("24", 30)
		b.registers()
		a.registers()
		first, second := a.connects("23", b), c.connects("22", a)
		first.refers(second.named()) // as if 22 had been told the dialog of 24's phone
		if got := serve(a, b, c); !slices.Contains(got, "22 NOTIFY 403") {
			t.Errorf("heard %q", got)
		}
		first.refers("<sip:24@x?Replaces=no%3Bto-tag%3Dsuch-0%3Bfrom-tag%3Ddialog>")
		if got := serve(a, b, c); !slices.Contains(got, "22 NOTIFY 481") {
			t.Errorf("heard %q", got)
		}
		first.end()
		second.end()
		w.idle()
	})
}

func TestTransferOfACloudCallToAColleague(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		first, cloud := outside(t, w)
		c := w.phone("23", 30)
		c.registers()
		second := first.a.connects("23", c)
		first.refers(second.named())
		got := serve(first.a, cloud, c)
		if !slices.Contains(got, "22 NOTIFY 200") || !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "23 INVITE") }) {
			t.Errorf("heard %q", got)
		}
		first.a.send(first.a.within(first.invite, first.ok, sip.BYE))
		first.a.hears(200)
		c.hangsUp(second.rung)
		cloud.answers(cloud.gets(sip.BYE), 200)
		w.idle()
	})
}

func TestCloudSendsTheCallOn(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		first, cloud := outside(t, w)
		// The cloud's REFER goes by the rights of the phone that it talks with.
		from := &sip.From{Address: first.rung.To().Address}
		from.Params.Add("tag", "tag-cloud"+cloud.flow.Remote.Addr().String())
		refer := func(to string) {
			cloud.n++
			req := sip.Draft{Method: sip.REFER, Target: first.rung.Contact().Address, From: from, To: &sip.To{Address: first.rung.From().Address, Params: first.rung.From().Params},
				CallID: sip.CallIDOf(first.rung), Seq: uint32(cloud.n), Headers: []sip.Header{sip.NewHeader("Refer-To", to)}}.Request()
			cloud.send(cloud.via(req))
			cloud.hears(202)
		}
		refer("<sip:08955555@cloud.example?Replaces=theirs%3Bto-tag%3Dt1%3Bfrom-tag%3Dt2>")
		var got []string
		for {
			req, ok := cloud.next().(*sip.Request)
			if !ok {
				t.Fatal("no request")
			}
			if req.Method == sip.INVITE && sip.ToTag(req) == "" {
				if rep, ok, _ := sip.ReplacesOf(req); !ok || rep.CallID != "theirs" {
					t.Errorf("replaces %q", sip.HeaderValue(req, "Replaces"))
				}
				cloud.answers(req, 200, "sdp")
				break
			}
			got = append(got, cloud.serves(req))
		}
		got = append(got, serve(first.a, cloud)...)
		if !slices.Contains(got, "cloud NOTIFY 200") {
			t.Errorf("heard %q", got)
		}
		time.Sleep(6 * time.Second)
		serve(first.a, cloud)
		first.a.send(first.a.within(first.invite, first.ok, sip.BYE))
		first.a.hears(200)
		serve(cloud)
		w.idle()
	})
}

func TestPickUpByReplacesWithinTheGroup(t *testing.T) {
	tune := func(c *Config) {
		for _, n := range []string{"23", "24"} {
			e := c.Extensions[n]
			e.PickupGroup = "front"
			c.Extensions[n] = e
		}
	}
	inWorld(t, tune, func(t *testing.T, w *world) {
		a, b, c := w.phone("22", 10), w.phone("23", 20), w.phone("24", 30)
		b.registers()
		invite := a.dials("23")
		rung := b.gets(sip.INVITE)
		b.answers(rung, 180)
		a.hears(180)
		rep := sip.Replaces{CallID: sip.CallIDOf(rung), ToTag: sip.FromTag(rung), FromTag: "tag-23" + b.flow.Remote.Addr().String()}
		took := c.dials("23", "Replaces: "+rep.String())
		ok := c.hears(200)
		c.acks(took, ok)
		a.acks(invite, a.hears(200))
		if got := sip.HeaderValue(b.gets(sip.CANCEL), "Reason"); !strings.Contains(got, "elsewhere") {
			t.Errorf("23 is told %q", got)
		}
		b.answers(rung, 487)
		b.gets(sip.ACK)
		synctest.Wait()
		if v := w.s.Calls(); len(v) != 1 || v[0].Callee != "24" {
			t.Errorf("calls: %+v", v)
		}
		c.send(c.within(took, ok, sip.BYE))
		c.hears(200)
		a.answers(a.gets(sip.BYE), 200)
		w.idle()
		late := c.dials("23", "Replaces: "+rep.String())
		c.acks(late, c.hears(481))
	})
}

func TestPickUpIsForTheGroupAlone(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		a, b, c := w.phone("22", 10), w.phone("23", 20), w.phone("24", 30)
		b.registers()
		invite := a.dials("23")
		rung := b.gets(sip.INVITE)
		b.answers(rung, 180)
		a.hears(180)
		rep := sip.Replaces{CallID: sip.CallIDOf(rung), ToTag: sip.FromTag(rung), FromTag: "tag-23" + b.flow.Remote.Addr().String()}
		took := c.dials("23", "Replaces: "+rep.String())
		c.acks(took, c.hears(403))
		a.cancels(invite)
		a.hears(200)
		a.acks(invite, a.hears(487))
		b.answers(b.gets(sip.CANCEL), 200)
		b.answers(rung, 487)
		b.gets(sip.ACK)
		w.idle()
	})
}
