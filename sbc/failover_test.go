package sbc

import (
	"testing"
	"testing/synctest"
	"time"

	"linekeeper/sbc/call"
	"linekeeper/sbc/sip"
)

// twoServers brings one line up at the first of two servers.
func (w *world) twoServers() (a, b *peer) {
	a, b = w.cloud(5), w.cloud(6)
	w.s.SetTargets([]Target{a.target(), b.target()})
	a.takes()
	w.phone("22", 10).registers()
	synctest.Wait()
	return a, b
}

func TestCallTriesTheNextServerOfItsLineBeforeItGivesUp(t *testing.T) {
	inWorld(t, one, func(t *testing.T, w *world) {
		a, b := w.twoServers()
		p := w.phone("22", 10)
		began := time.Now()
		invite := p.dials("089555100")
		a.gets(sip.INVITE) // and keeps silent
		second := b.gets(sip.INVITE)
		if took := time.Since(began); took > w.cfg.CallTimeout*3/4 {
			t.Errorf("the second server was asked after %v", took)
		}
		if c := second.Contact(); c == nil || c.Address.User != "acc22" {
			t.Errorf("contact %v", c)
		}
		b.answers(second, 200, "sdp")
		b.gets(sip.ACK)
		ok := p.hears(200)
		p.acks(invite, ok)
		synctest.Wait()
		p.send(p.within(invite, ok, sip.BYE))
		p.hears(200)
		b.answers(b.gets(sip.BYE), 200)
	})
}

func TestOverloadedServerSendsTheCallToTheNextAndIsSparedForItsTime(t *testing.T) {
	inWorld(t, one, func(t *testing.T, w *world) {
		a, b := w.twoServers()
		p := w.phone("22", 10)
		p.dials("089555100")
		a.answers(a.gets(sip.INVITE), 503, "Retry-After: 30")
		a.gets(sip.ACK)
		a.takes() // the line looks whether its server is still there
		b.answers(b.gets(sip.INVITE), 486)
		b.gets(sip.ACK)
		p.hears(486)
		for len(p.in) > 0 {
			p.next()
		}
		p.dials("089555100")
		b.answers(b.gets(sip.INVITE), 486) // straight there, and busy is no reason to try the other
		b.gets(sip.ACK)
		p.hears(486)
		a.quiet()
	})
}

func TestServerThatIsGoneIsPassedAtOnce(t *testing.T) {
	inWorld(t, one, func(t *testing.T, w *world) {
		a, b := w.twoServers()
		p := w.phone("22", 10)
		w.mu.Lock()
		a.gone = true
		w.mu.Unlock()
		began := time.Now()
		p.dials("089555100")
		if req, ok := b.next().(*sip.Request); ok && req.Method == sip.REGISTER { // the line moves as well
			b.grants(req)
			b.gets(sip.INVITE)
		} else if !ok || req.Method != sip.INVITE {
			t.Fatalf("the second server gets %v", req)
		}
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("it took %v", took)
		}
	})
}

func TestCallGoesToSurvivalWhenNoServerAnswers(t *testing.T) {
	inWorld(t, one, func(t *testing.T, w *world) {
		w.twoServers()
		p := w.phone("22", 10)
		w.setCut(true)
		w.survival = routerFunc(func(call.Invite) call.Plan { return Refuse(599, "nothing goes") })
		began := time.Now()
		p.dials("089555100")
		p.hears(599)
		if took := time.Since(began); took < w.cfg.CallTimeout || took > w.cfg.CallTimeout+100*time.Millisecond {
			t.Errorf("survival was asked after %v", took)
		}
	})
}

func TestSilentRegistrarGivesWayWithinSeconds(t *testing.T) {
	inWorld(t, one, func(t *testing.T, w *world) {
		a, b := w.cloud(5), w.cloud(6)
		w.s.SetTargets([]Target{a.target(), b.target()})
		began := time.Now()
		a.gets(sip.REGISTER)
		b.takes()
		if took := time.Since(began); took > registerPatience+time.Second {
			t.Errorf("the second server was asked after %v", took)
		}
	})
}

func TestLineReturnsToThePreferredServerOnceItIsSteady(t *testing.T) {
	inWorld(t, one, func(t *testing.T, w *world) {
		a, b := w.cloud(5), w.cloud(6)
		w.s.SetTargets([]Target{a.target(), b.target()})
		a.answers(a.gets(sip.REGISTER), 503)
		b.takes()
		began := time.Now()
		back := time.Duration(0)
		for back == 0 && time.Since(began) < 20*time.Minute {
			w.s.Probe(0, func(int, time.Duration) {})
			<-time.After(registerPatience / 2)
			for len(a.in) > 0 {
				req := a.next().(*sip.Request)
				if req.Method == sip.REGISTER {
					back = time.Since(began)
					a.grants(req)
					continue
				}
				a.answers(req, 200)
			}
			for len(b.in) > 0 {
				b.takes()
			}
		}
		if back < steadyFor {
			t.Errorf("back after %v", back)
		}
		synctest.Wait()
		if v := w.s.Lines()[0]; v.Target != a.target() {
			t.Errorf("the line stays at %v", v.Target)
		}
		if got := w.stands(); got != "acc22 bound" {
			t.Error(got)
		}
	})
}

func TestServerThatComesAndGoesIsNotReturnedTo(t *testing.T) {
	var s standings
	at := Target{Transport: sip.UDP}
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for range 5 { // two good minutes, then a miss
		for range 12 {
			s.probed(at, now)
			s.answered(at, 200, now)
			now = now.Add(10 * time.Second)
		}
		s.probed(at, now)
		now = now.Add(10 * time.Second)
	}
	for i := range 240 {
		s.probed(at, now)
		s.answered(at, 200, now)
		if s.steady(at, now) {
			if i < 60 {
				t.Errorf("trusted again after %d good answers", i)
			}
			return
		}
		now = now.Add(10 * time.Second)
	}
	t.Error("never trusted again")
}
