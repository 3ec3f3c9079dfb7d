package sbc

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"linekeeper/sbc/line"
	"linekeeper/sbc/sip"
)

// stands says how the lines stand, in order.
func (w *world) stands() string {
	synctest.Wait()
	var out []string
	for _, l := range w.s.Lines() {
		out = append(out, l.Account+" "+l.State.String())
	}
	return strings.Join(out, ", ")
}

func one(c *Config) { c.Lines = c.Lines[:1] }

func TestLinesStartAtTheProvidersPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		cloud := w.cloud(5)
		w.s.SetTargets([]Target{cloud.target()})
		began := time.Now()
		w.run()
		defer w.stop()
		for i := range 2 {
			cloud.takes()
			if got, want := time.Since(began), time.Duration(i)*300*time.Millisecond; got < want || got > want+10*time.Millisecond {
				t.Errorf("line %d registers after %s, want %s", i, got, want)
			}
		}
		if got := w.stands(); got != "acc22 bound, acc23 bound" {
			t.Errorf("lines: %s", got)
		}
	})
}

func TestLineAnswersTheChallengeAndRefreshesInTime(t *testing.T) {
	inWorld(t, one, func(t *testing.T, w *world) {
		cloud := w.cloud(5)
		w.s.SetTargets([]Target{cloud.target()})
		first := cloud.gets(sip.REGISTER)
		if sip.HeaderValue(first, "Authorization") != "" || sip.HeaderValue(first, "Expires") != "600" {
			t.Errorf("first:\n%s", sip.Bytes(first))
		}
		cloud.answers(first, 401, `WWW-Authenticate: Digest realm="cloud", nonce="n1", algorithm=MD5, qop="auth"`)
		proven := cloud.gets(sip.REGISTER)
		if auth := sip.HeaderValue(proven, "Authorization"); !strings.Contains(auth, `username="auth22"`) || !strings.Contains(auth, `nonce="n1"`) || !strings.Contains(auth, "nc=00000001") {
			t.Errorf("authorization %q", auth)
		}
		if proven.CSeq().SeqNo != first.CSeq().SeqNo+1 || sip.CallIDOf(proven) != sip.CallIDOf(first) || sip.FromTag(proven) != sip.FromTag(first) {
			t.Error("the second request is no continuation of the first")
		}
		cloud.grants(proven)
		bound := time.Now()
		if v := w.s.Lines()[0]; v.State != line.Bound || !v.Expires.Equal(bound.Add(10*time.Minute)) || v.Extension != "22" {
			t.Errorf("view %+v", v)
		}
		<-time.After(9*time.Minute + time.Second)
		again := cloud.gets(sip.REGISTER)
		if got := time.Since(bound); got < 8*time.Minute {
			t.Errorf("refreshed after %s", got)
		}
		if auth := sip.HeaderValue(again, "Authorization"); !strings.Contains(auth, "nc=00000002") { // one round trip saved
			t.Errorf("authorization %q", auth)
		}
		if got := w.told(); got != "answered acc22 401, answered acc22 200" {
			t.Errorf("told %s", got)
		}
		cloud.grants(again)
	})
}

func TestRegistrarMayAskForTime(t *testing.T) {
	inWorld(t, one, func(t *testing.T, w *world) {
		cloud := w.cloud(5)
		w.s.SetTargets([]Target{cloud.target()})
		cloud.answers(cloud.gets(sip.REGISTER), 503, "Retry-After: 20")
		asked := time.Now()
		cloud.gets(sip.REGISTER)
		if got := time.Since(asked); got < 20*time.Second || got > 21*time.Second {
			t.Errorf("came back after %s", got)
		}
	})
}

func TestOverloadedTargetGivesWayToTheNext(t *testing.T) {
	inWorld(t, one, func(t *testing.T, w *world) {
		a, b := w.cloud(5), w.cloud(6)
		w.s.SetTargets([]Target{a.target(), b.target()})
		a.answers(a.gets(sip.REGISTER), 503)
		b.takes()
		if v := w.s.Lines()[0]; v.State != line.Bound || v.Target != b.target() {
			t.Errorf("view %+v", v)
		}
		flow, _, ok := w.s.lines.way("acc22", false)
		if !ok || flow.Remote != b.flow.Remote {
			t.Errorf("way %v %v", flow, ok)
		}
	})
}

func TestThirdRefusalOfTheCredentialsRaisesTheAlarmAndRests(t *testing.T) {
	inWorld(t, one, func(t *testing.T, w *world) {
		cloud := w.cloud(5)
		w.s.SetTargets([]Target{cloud.target()})
		for range 3 {
			for range 2 { // challenge, then refusal
				cloud.answers(cloud.gets(sip.REGISTER), 401, `WWW-Authenticate: Digest realm="cloud", nonce="n", algorithm=MD5, qop="auth"`)
			}
		}
		synctest.Wait()
		v := w.s.Lines()[0]
		if v.State != line.Rejected || v.Alarm != "line-rejected" {
			t.Fatalf("view %+v", v)
		}
		if w.memory.Refused(Line{Account: v.Account}) != 3 {
			t.Error("a restart would try again")
		}
		<-time.After(time.Hour)
		cloud.quiet()
		w.s.RetryLines()
		cloud.takes()
		if v := w.s.Lines()[0]; v.State != line.Bound || v.Alarm != "" {
			t.Errorf("view %+v", v)
		}
		if w.memory.Refused(Line{Account: "acc22"}) != 0 {
			t.Error("an accepted password is not forgotten as refused")
		}
	})
}

func TestPathLostSilencesTheLinesAndPathBackRegistersThem(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		cloud := w.up()
		w.s.PathLost()
		if got := w.stands(); got != "acc22 waiting, acc23 waiting" {
			t.Errorf("lines: %s", got)
		}
		<-time.After(30 * time.Second)
		cloud.quiet()
		began := time.Now()
		w.s.PathBack()
		cloud.takes()
		cloud.takes()
		if got := time.Since(began); got > time.Second {
			t.Errorf("registered after %s", got)
		}
		if got := w.stands(); got != "acc22 bound, acc23 bound" {
			t.Errorf("lines: %s", got)
		}
	})
}

func TestConfigurationAddsRemovesAndChangesLines(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		cloud := w.up()
		c := site(t) // 22 stays, 23 goes, 24 comes
		c.Lines[0].Extension = "23"
		c.Lines[1] = Line{Account: "acc24", Auth: "auth24", Password: "cloud24", Extension: "24"}
		w.s.Configure(c)
		seen := map[string]string{}
		for range 2 {
			req := cloud.gets(sip.REGISTER)
			seen[req.To().Address.User] = sip.HeaderValue(req, "Expires")
			if sip.HeaderValue(req, "Expires") == "0" {
				cloud.answers(req, 200)
				continue
			}
			cloud.grants(req)
		}
		if fmt.Sprint(seen) != "map[acc23:0 acc24:600]" {
			t.Errorf("registered: %v", seen)
		}
		cloud.quiet() // 22 goes on undisturbed
		if got := w.stands(); got != "acc22 bound, acc24 bound" {
			t.Errorf("lines: %s", got)
		}
		if v := w.s.Lines()[0]; v.Extension != "23" {
			t.Errorf("extension of the kept line: %s", v.Extension)
		}
		c = site(t)
		c.Lines = []Line{{Account: "acc22", Auth: "auth22", Password: "new", Extension: "22"}, {Account: "acc24", Auth: "auth24", Password: "cloud24", Extension: "24"}}
		w.s.Configure(c)
		if got := cloud.takes().To().Address.User; got != "acc22" {
			t.Errorf("%s registers for a changed password", got)
		}
		cloud.quiet()
		c2 := *c
		c2.Trunk.Expires = 5 * time.Minute
		w.s.Configure(&c2)
		for range 2 {
			if got := sip.HeaderValue(cloud.takes(), "Expires"); got != "300" {
				t.Errorf("asks for %s", got)
			}
		}
		if got := w.stands(); got != "acc22 bound, acc24 bound" {
			t.Errorf("lines: %s", got)
		}
	})
}

func TestBrokenConnectionIsNoticedOnceAndCostsOneTargetOnly(t *testing.T) {
	inWorld(t, one, func(t *testing.T, w *world) {
		a, b := w.cloud(5), w.cloud(6)
		w.s.SetTargets([]Target{a.target(), b.target()})
		a.gets(sip.REGISTER)
		w.x.Lost(a.flow, errNoTrunk) // both tell of the same connection
		w.s.Lost(a.flow, false)
		w.s.Lost(a.flow, false)
		b.takes()
		if got := w.stands(); got != "acc22 bound" {
			t.Errorf("lines: %s", got)
		}
		a.quiet()
		w.s.Lost(b.flow, false)
		if _, _, ok := w.s.lines.way("acc22", false); ok {
			t.Error("calls still go where nobody listens")
		}
		if _, _, ok := w.s.lines.way("acc22", true); !ok {
			t.Error("an emergency call has no way")
		}
		b.takes()
		if got := w.stands(); got != "acc22 bound" {
			t.Errorf("lines: %s", got)
		}
		older := b.flow
		older.Remote = a.flow.Remote
		w.s.Lost(older, false) // not ours any more
		w.s.Lost(w.phone("22", 10).flow, false)
		if got := w.stands(); got != "acc22 bound" {
			t.Errorf("lines: %s", got)
		}
	})
}

func TestConnectionLostUnderARegistrationIsCountedOnceInEitherOrder(t *testing.T) {
	for _, order := range []string{"transaction first", "wire first"} {
		t.Run(order, func(t *testing.T) {
			inWorld(t, one, func(t *testing.T, w *world) {
				a, b := w.cloud(5), w.cloud(6)
				w.s.SetTargets([]Target{a.target(), b.target()})
				a.gets(sip.REGISTER)
				if order == "wire first" {
					w.s.Lost(a.flow, false)
					synctest.Wait()
					w.x.Lost(a.flow, errNoTrunk)
				} else {
					w.x.Lost(a.flow, errNoTrunk)
					synctest.Wait()
					w.s.Lost(a.flow, false)
				}
				if got := w.stands(); got != "acc22 asking" { // the next server, at once
					t.Errorf("lines: %s", got)
				}
				b.takes()
				if got := w.stands(); got != "acc22 bound" {
					t.Errorf("lines: %s", got)
				}
			})
		})
	}
}

func TestAnotherDomainIsAnotherRegistration(t *testing.T) {
	inWorld(t, one, func(t *testing.T, w *world) {
		cloud := w.cloud(5)
		w.s.SetTargets([]Target{cloud.target()})
		cloud.takes()
		c := site(t)
		one(c)
		c.Trunk.Domain = "other.example"
		w.s.Configure(c)
		seen := map[string]string{}
		for range 2 {
			req := cloud.gets(sip.REGISTER)
			seen[req.Recipient.Host] = sip.HeaderValue(req, "Expires")
			cloud.grants(req)
		}
		if seen["cloud.example"] != "0" || seen["other.example"] != "600" {
			t.Errorf("registered: %v", seen)
		}
		if got := w.stands(); got != "acc22 bound" {
			t.Errorf("lines: %s", got)
		}
	})
}

func TestBadCertificateRaisesItsAlarm(t *testing.T) {
	inWorld(t, one, func(t *testing.T, w *world) {
		cloud := w.cloud(5)
		w.s.SetTargets([]Target{cloud.target()})
		cloud.gets(sip.REGISTER)
		w.x.Lost(cloud.flow, fmt.Errorf("certificate has expired"))
		synctest.Wait()
		if v := w.s.Lines()[0]; v.Alarm != "line-certificate" || v.Cause != line.BadCertificate {
			t.Errorf("view %+v", v)
		}
		cloud.takes()
		if v := w.s.Lines()[0]; v.Alarm != "" || v.State != line.Bound {
			t.Errorf("view %+v", v)
		}
	})
}

func TestLateAnswerOfADeadRegistrationOpensNoWay(t *testing.T) {
	inWorld(t, one, func(t *testing.T, w *world) {
		cloud := w.cloud(5)
		w.s.SetTargets([]Target{cloud.target()})
		late := cloud.gets(sip.REGISTER)
		w.s.PathLost()
		synctest.Wait()
		cloud.grants(late)
		if _, _, ok := w.s.lines.way("acc22", false); ok || w.stands() != "acc22 waiting" {
			t.Errorf("way %v, %s", ok, w.stands())
		}
	})
}

func TestServerThatLeavesTheListStaysKnownUntilLinesHaveMoved(t *testing.T) {
	inWorld(t, one, func(t *testing.T, w *world) {
		a, b := w.cloud(5), w.cloud(6)
		w.s.SetTargets([]Target{a.target()})
		a.takes()
		w.s.SetTargets([]Target{b.target()})
		w.s.SetTargets([]Target{b.target()}) // said twice
		in := a.request(sip.INVITE, "acc22", "sdp")
		a.send(in)
		a.acks(in, a.hears(480)) // ours, though nobody is there to ring
		b.takes()
		if v := w.s.Lines()[0]; v.Target != b.target() || v.State != line.Bound {
			t.Errorf("view %+v", v)
		}
	})
}

func TestLineWithoutARouteWaitsAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, one)
		w.noFlow = errNoTrunk
		cloud := w.cloud(5)
		w.s.SetTargets([]Target{cloud.target()})
		w.run()
		defer w.stop()
		if got := w.stands(); got != "acc22 waiting" {
			t.Errorf("lines: %s", got)
		}
		w.mu.Lock()
		w.noFlow = nil
		w.mu.Unlock()
		cloud.takes()
	})
}

func TestBoundLineKeepsItsMappingOpen(t *testing.T) {
	inWorld(t, func(c *Config) { one(c); c.Trunk.Refresh = 25 * time.Second }, func(t *testing.T, w *world) {
		cloud := w.cloud(5)
		w.s.SetTargets([]Target{cloud.target()})
		cloud.takes()
		<-time.After(2*time.Minute + 6*time.Second)
		synctest.Wait()
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.pings != 5 {
			t.Errorf("%d pings", w.pings)
		}
	})
}
