package sbc

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"linekeeper/sbc/call"
	"linekeeper/sbc/line"
	"linekeeper/sbc/number"
	"linekeeper/sbc/provider"
	"linekeeper/sbc/sip"
)

// takes lets the cloud accept the next REGISTER at once.
func (p *peer) takes(words ...string) *sip.Request {
	p.t.Helper()
	req := p.gets(sip.REGISTER)
	p.grants(req, words...)
	return req
}

// grants accepts a REGISTER for ten minutes, less for those whose words say so.
func (p *peer) grants(req *sip.Request, words ...string) {
	p.t.Helper()
	c := sip.URIText(&req.Contact().Address)
	p.answers(req, 200, append([]string{"Contact: <" + c + ">;expires=600"}, words...)...)
	synctest.Wait()
}

// up makes a cloud and registers both lines with it.
func (w *world) up(words ...string) *peer {
	w.t.Helper()
	cloud := w.cloud(5)
	w.s.SetTargets([]Target{cloud.target()})
	cloud.takes(words...)
	cloud.takes(words...)
	for _, l := range w.s.Lines() {
		if l.State != line.Bound {
			w.t.Fatalf("line %s is %s", l.Account, l.State)
		}
	}
	w.told()
	return cloud
}

// outside connects phone 22 with the world.
func outside(t *testing.T, w *world) (talk, *peer) {
	t.Helper()
	cloud := w.up()
	a := w.phone("22", 10)
	return a.connects("08912345", cloud), cloud
}

func TestOutboundCallAnswersTheDigestChallenge(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		cloud := w.up("Service-Route: <sip:edge.cloud.example;lr>")
		a := w.phone("22", 10)
		invite := a.dials("08912345")
		first := cloud.gets(sip.INVITE)
		if got := sip.URIText(&first.Recipient); got != "sip:+498912345@cloud.example" {
			t.Errorf("request uri %s", got)
		}
		if got := sip.Routes(first); len(got) != 1 || got[0].Host != "edge.cloud.example" {
			t.Errorf("routes %v", got)
		}
		cloud.answers(first, 407, `Proxy-Authenticate: Digest realm="cloud", nonce="abc", algorithm=MD5, qop="auth"`)
		cloud.gets(sip.ACK)
		proven := cloud.gets(sip.INVITE)
		auth := sip.HeaderValue(proven, "Proxy-Authorization")
		if !strings.Contains(auth, `username="auth22"`) || !strings.Contains(auth, `uri="sip:+498912345@cloud.example"`) {
			t.Errorf("authorization %q", auth)
		}
		if got := sip.Identities(proven, string(w.cfg.Profile.Identity.Header)); len(got) != 1 || got[0].User != "+498912345622" {
			t.Errorf("identity %v", got)
		}
		if sip.CallIDOf(invite) == sip.CallIDOf(proven) {
			t.Error("the call-id leaks across")
		}
		cloud.answers(proven, 200, "sdp")
		cloud.gets(sip.ACK)
		ok := a.hears(200)
		a.acks(invite, ok)
		synctest.Wait()
		if w.s.CallsUp()[call.Cloud] != 1 {
			t.Errorf("calls up: %v", w.s.CallsUp())
		}
		if got := w.told(); !strings.Contains(got, "answered acc22 100") {
			t.Errorf("told %s", got)
		}
		talk{a, cloud, invite, proven, ok}.end()
		w.idle()
	})
}

func TestCodesOfTheProviderGoOutEscaped(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		cloud := w.up()
		a := w.phone("22", 10)
		invite := a.dials("*21*0171%23")
		out := cloud.gets(sip.INVITE)
		if got := out.Recipient.User; got != "*21*0171%23" {
			t.Errorf("dialled %q", got)
		}
		cloud.answers(out, 404)
		cloud.gets(sip.ACK)
		a.acks(invite, a.hears(404))
		w.idle()
	})
}

func TestWithheldNumberStaysInsideButNotOnEmergencies(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		cloud := w.up()
		a := w.phone("22", 10)
		for dial, hidden := range map[string]bool{"08912345": true, "110": false} {
			invite := a.dials(dial, "Privacy: id")
			out := cloud.gets(sip.INVITE)
			if got := out.From().Address.Host == "anonymous.invalid"; got != hidden {
				t.Errorf("%s: from %s", dial, out.From().Value())
			}
			if got := sip.HasToken(out, "Privacy", "id"); got != hidden {
				t.Errorf("%s: privacy %v", dial, got)
			}
			cloud.answers(out, 603)
			cloud.gets(sip.ACK)
			if !hidden { // an emergency goes on to the other line, as open as before
				out = cloud.gets(sip.INVITE)
				if sip.HasToken(out, "Privacy", "id") || out.From().Address.User == "acc22" {
					t.Errorf("%s goes on as %s", dial, out.From().Value())
				}
				cloud.answers(out, 603)
				cloud.gets(sip.ACK)
			}
			a.acks(invite, a.hears(603))
		}
		w.idle()
	})
}

func TestInboundCallRingsTheExtensionOfItsAccount(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		cloud := w.up()
		b, other := w.phone("23", 20), w.phone("22", 21)
		b.registers()
		other.registers()
		in := cloud.request(sip.INVITE, "acc23", "sdp", "P-Asserted-Identity: <tel:+498998765>")
		cloud.send(in)
		rung := b.gets(sip.INVITE)
		if got := rung.From().Address.User; got != "08998765" {
			t.Errorf("shown %q", got)
		}
		b.answers(rung, 200, "sdp")
		b.gets(sip.ACK)
		ok := cloud.hears(200)
		cloud.acks(in, ok)
		synctest.Wait()
		if v := w.s.Calls(); len(v) != 1 || v[0].Way != call.Cloud || v[0].ALine != "acc23" {
			t.Errorf("calls %+v", v)
		}
		other.quiet()
		talk{cloud, b, in, rung, ok}.end()
		w.idle()
	})
}

func TestInboundCallForNoAccountOfOursIsNotFound(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		cloud := w.up()
		in := cloud.request(sip.INVITE, "stranger", "sdp")
		cloud.send(in)
		cloud.acks(in, cloud.hears(404))
		in = cloud.request(sip.INVITE, "acc22", "sdp") // nobody is registered for it
		cloud.send(in)
		cloud.acks(in, cloud.hears(480))
		w.idle()
	})
}

func TestSilentCloudLetsTheSameCallGoOnInside(t *testing.T) {
	inWorld(t, func(c *Config) { c.Internal = provider.Cloud }, func(t *testing.T, w *world) {
		w.up()
		a, b := w.phone("22", 10), w.phone("23", 20)
		b.registers()
		w.told()
		w.setCut(true)
		began := time.Now()
		invite := a.dials("23")
		rung := b.gets(sip.INVITE)
		if took := time.Since(began); took != w.cfg.CallTimeout {
			t.Errorf("rings after %s", took)
		}
		b.answers(rung, 180)
		a.hears(180)
		b.answers(rung, 200, "sdp")
		b.gets(sip.ACK)
		ok := a.hears(200)
		a.acks(invite, ok)
		synctest.Wait()
		if got := w.told(); !strings.Contains(got, "silent acc22") {
			t.Errorf("told %s", got)
		}
		if v := w.s.Calls(); len(v) != 1 || v[0].Way != call.Internal {
			t.Errorf("calls %+v", v)
		}
		talk{a, b, invite, rung, ok}.end()
	})
}

func TestCallInsideByWayOfTheCloudNeedsALine(t *testing.T) {
	inWorld(t, func(c *Config) { c.Internal = provider.Cloud }, func(t *testing.T, w *world) {
		cloud := w.up()
		a, b := w.phone("22", 10), w.phone("24", 20)
		b.registers()
		invite := a.dials("24")
		out := cloud.gets(sip.INVITE)
		cloud.answers(out, 486)
		cloud.gets(sip.ACK)
		a.acks(invite, a.hears(486))
		b.quiet()
		invite = b.dials("24") // has no account: rings inside
		rung := b.gets(sip.INVITE)
		b.answers(rung, 486)
		b.gets(sip.ACK)
		b.acks(invite, b.hears(486))
		invite = b.dials("08912345")
		b.acks(invite, b.hears(403))
		w.idle()
	})
}

func TestEmergencyCallLeavesWhateverIsKnownOfTheLines(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		cloud := w.up()
		a := w.phone("22", 10)
		w.s.PathLost()
		synctest.Wait()
		if flow, _, ok := w.s.lines.way("acc22", false); ok {
			t.Fatalf("a dead line has a way: %v", flow)
		}
		invite := a.dials("110")
		out := cloud.gets(sip.INVITE)
		if got := out.From().Address.User; out.Recipient.User != "110" || !strings.Contains(got, "acc22") && got != "+498912345620" {
			t.Errorf("%s from %s", out.Recipient.User, got)
		}
		if got := sip.Identities(out, string(w.cfg.Profile.Identity.Header)); len(got) != 1 || got[0].User != "+498912345620" {
			t.Errorf("identity %v", got)
		}
		cloud.answers(out, 200, "sdp")
		cloud.gets(sip.ACK)
		ok := a.hears(200)
		a.acks(invite, ok)
		talk{a, cloud, invite, out, ok}.end()
	})
}

func TestEmergencyPlanTriesOtherLinesAndGivesTheLastAllTheTime(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.up()
		d := number.Dialled{Meaning: number.Emergency, Text: "110"}
		for silent, want := range map[bool]string{false: "acc22 2s, acc23 0s", true: "acc23 2s, acc22 0s"} {
			plan := w.s.Emergency(call.Invite{Caller: call.Party{Extension: "22"}, Silent: silent}, d)
			var got []string
			for _, s := range plan.Steps {
				got = append(got, s.Targets[0].Line+" "+s.Silent.String())
			}
			if strings.Join(got, ", ") != want {
				t.Errorf("silent %v: %v, want %s", silent, got, want)
			}
		}
		w.s.SetTargets(nil)
		synctest.Wait()
		w.s.PathLost()
		synctest.Wait()
		if plan := w.s.Emergency(call.Invite{Caller: call.Party{Extension: "24"}}, d); plan.Reject == nil || plan.Reject.Code != 503 {
			t.Errorf("plan without any server: %+v", plan)
		}
	})
}

func TestProbeTellsTheAnswerAndItsTime(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		cloud := w.up()
		got := make(chan int, 1)
		w.s.Probe(0, func(code int, rtt time.Duration) {
			if rtt != 20*time.Millisecond {
				t.Errorf("rtt %s", rtt)
			}
			got <- code
		})
		req := cloud.gets(sip.OPTIONS)
		<-time.After(20 * time.Millisecond)
		cloud.answers(req, 404)
		if code := <-got; code != 404 {
			t.Errorf("code %d", code)
		}
		w.s.Probe(7, func(int, time.Duration) { t.Error("a server that isn't there answers") })
		w.noFlow = errNoTrunk
		w.s.Probe(0, func(int, time.Duration) { t.Error("a server without a route answers") })
		w.noFlow = nil
		cloud.quiet()
		if w.s.TargetAt(cloud.flow) != 0 || w.s.TargetAt(w.cloud(77).flow) != -1 {
			t.Error("targets are mixed up")
		}
	})
}
