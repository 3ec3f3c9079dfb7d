package sbc

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"linekeeper/sbc/call"
	"linekeeper/sbc/sip"
)

func TestThreeContactsRingAndTheFirstToAnswerWins(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		a := w.phone("22", 10)
		var bs []*peer
		var rung []*sip.Request
		for i := range 3 {
			b := w.phone("23", 20+i)
			b.registers()
			bs = append(bs, b)
		}
		invite := a.dials("23")
		for _, b := range bs {
			req := b.gets(sip.INVITE)
			if got := req.From().Address.User; got != "22" {
				t.Errorf("shown caller %q", got)
			}
			b.answers(req, 180)
			rung = append(rung, req)
		}
		a.hears(180)
		bs[1].answers(rung[1], 200, "sdp")
		bs[1].gets(sip.ACK)
		ok := a.hears(200)
		a.acks(invite, ok)
		for _, i := range []int{0, 2} {
			cancel := bs[i].gets(sip.CANCEL)
			if got := sip.HeaderValue(cancel, "Reason"); !strings.Contains(got, "Call completed elsewhere") {
				t.Errorf("reason %q", got)
			}
			bs[i].answers(cancel, 200)
			bs[i].answers(rung[i], 487)
			bs[i].gets(sip.ACK)
		}
		synctest.Wait() // until the owner has published what it did
		if calls := w.s.Calls(); len(calls) != 1 || calls[0].State != call.Talking || calls[0].Callee != "23" || w.s.CallsUp()[call.Internal] != 1 {
			t.Errorf("calls: %+v", calls)
		}
		if w.media.open() != 2 || w.media.bridges != 1 {
			t.Errorf("%d streams, %d bridges", w.media.open(), w.media.bridges)
		}
		talk{a, bs[1], invite, rung[1], ok}.end()
		if v := w.lastEnd(); v.End.Blame != call.ByCaller || v.Ended.IsZero() || v.Talked.IsZero() || v.Media == nil {
			t.Errorf("ended: %+v %+v", v, v.End)
		}
		w.idle()
	})
}

func TestPhoneThatNobodyAnswersRingsItsTime(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		a, b := w.phone("22", 10), w.phone("23", 20)
		b.registers()
		began := time.Now()
		invite := a.dials("23")
		rung := b.gets(sip.INVITE)
		b.answers(rung, 180)
		a.hears(180)
		resp := a.hears(480)
		if got := time.Since(began); got != w.cfg.Ring {
			t.Errorf("rang for %s", got)
		}
		a.acks(invite, resp)
		b.answers(b.gets(sip.CANCEL), 200)
		b.answers(rung, 487)
		b.gets(sip.ACK)
		w.idle()
	})
}

func TestPhoneThatIsGoneCostsItsCallerNoHang(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		a, b := w.phone("22", 10), w.phone("23", 20)
		b.registers()
		b.gone = true
		invite := a.dials("23")
		a.acks(invite, a.hears(480))
		w.idle()
	})
}

func TestCalleeMayHangUp(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		a, b := w.phone("22", 10), w.phone("23", 20)
		b.registers()
		c := a.connects("23", b)
		b.hangsUp(c.rung)
		a.answers(a.gets(sip.BYE), 200)
		w.idle()
	})
}

// TestCallsThatCannotBe are calls from extension 22 that end before any phone answers.
func TestCallsThatCannotBe(t *testing.T) {
	for _, row := range []struct {
		name, dial string
		code       int
		callee     int // what phone 23 answers, 0: it is not asked
	}{
		{"busy", "23", 486, 486},
		{"declined", "23", 603, 603},
		{"nobody registered", "24", 480, 0},
		{"vacant number", "29", 404, 0},
		{"nonsense", "hello", 404, 0},
		{"barred class", "0043123456", 403, 0},
		{"blocked number", "0900123456", 403, 0},
		{"no line up", "08912345", 503, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			inWorld(t, nil, func(t *testing.T, w *world) {
				a, b := w.phone("22", 10), w.phone("23", 20)
				b.registers()
				invite := a.dials(row.dial)
				if row.callee != 0 {
					req := b.gets(sip.INVITE)
					b.answers(req, row.callee)
					b.gets(sip.ACK)
				}
				resp := a.hears(row.code)
				if row.code == 503 && headerSeconds(t, resp, "Retry-After") <= 0 {
					t.Error("no retry-after")
				}
				a.acks(invite, resp)
				b.quiet()
				w.idle()
			})
		})
	}
}

func TestRequestThatComesWithTheCallsEndIsAnswered(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		a, b := w.phone("22", 10), w.phone("23", 20)
		b.registers()
		c := a.connects("23", b)
		w.slow = make(chan struct{}) // the owner is held while it says that the call ended
		a.send(a.within(c.invite, c.ok, sip.BYE))
		a.hears(200)
		b.answers(b.gets(sip.BYE), 200)
		a.send(a.within(c.invite, c.ok, sip.INFO))
		synctest.Wait()
		close(w.slow)
		a.hears(481)
		a.send(a.within(c.invite, c.ok, sip.INFO))
		a.hears(481)
		w.idle()
	})
}

func TestCallTooBusyToListenSaysSo(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		a, b := w.phone("22", 10), w.phone("23", 20)
		b.registers()
		c := a.connects("23", b)
		w.slow = make(chan struct{})
		a.send(a.within(c.invite, c.ok, sip.BYE))
		a.hears(200)
		synctest.Wait()
		for range inboxDepth {
			a.send(a.within(c.invite, c.ok, sip.INFO))
		}
		a.send(a.within(c.invite, c.ok, sip.INFO))
		if headerSeconds(t, a.hears(503), "Retry-After") <= 0 {
			t.Error("no retry-after")
		}
		close(w.slow)
		for range inboxDepth {
			a.hears(481)
		}
		b.answers(b.gets(sip.BYE), 200)
		w.idle()
	})
}

func TestDialledTextComesOutOfURIsOfAllKinds(t *testing.T) {
	for text, want := range map[string]string{
		"sip:23@box": "23", "sip:*21*0171%23@box": "*21*0171#", "tel:+4989123;phone-context=x": "+4989123",
		"sip:+49891;phone-context=+49@box;user=phone": "+49891", "sip:box": "",
	} {
		u, err := sip.ParseURI(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := dialled(&u); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	if got := userPart("*21*01 71#"); got != "*21*01%2071%23" {
		t.Errorf("user part %q", got)
	}
}

func TestCallMayBeCancelledAtEachMoment(t *testing.T) {
	for _, moment := range []string{"before any sign", "after trying", "while it rings", "before its owner has a hold of it"} {
		t.Run(moment, func(t *testing.T) {
			inWorld(t, nil, func(t *testing.T, w *world) {
				a, b := w.phone("22", 10), w.phone("23", 20)
				b.registers()
				if moment == "before its owner has a hold of it" {
					w.brain = routerFunc(func(inv call.Invite) call.Plan {
						<-time.After(time.Second) // the CANCEL overtakes the routing
						return w.s.Online().Route(inv)
					})
				}
				invite := a.dials("23")
				var rung *sip.Request
				if moment != "before its owner has a hold of it" {
					rung = b.gets(sip.INVITE)
				}
				switch moment {
				case "after trying":
					b.answers(rung, 100)
				case "while it rings":
					b.answers(rung, 180)
					a.hears(180)
				}
				a.cancels(invite)
				a.hears(200) // of the CANCEL
				resp := a.hears(487)
				a.acks(invite, resp)
				if rung == nil {
					rung = b.gets(sip.INVITE)
				}
				if moment != "while it rings" && moment != "after trying" {
					b.answers(rung, 180) // only now may the CANCEL follow (RFC 3261 9.1)
				}
				cancel := b.gets(sip.CANCEL)
				b.answers(cancel, 200)
				b.answers(rung, 487)
				b.gets(sip.ACK)
				w.idle()
				if v := w.lastEnd(); v.End.Code != 487 || v.End.Blame != call.ByCaller {
					t.Errorf("ended %+v", v.End)
				}
			})
		})
	}
}

func TestCancelThatCrossesTheAnswerChangesNothing(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		a, b := w.phone("22", 10), w.phone("23", 20)
		b.registers()
		invite := a.dials("23")
		rung := b.gets(sip.INVITE)
		b.answers(rung, 200, "sdp")
		b.gets(sip.ACK)
		ok := a.hears(200)
		a.cancels(invite)
		a.hears(200)
		a.acks(invite, ok)
		synctest.Wait()
		if len(w.s.Calls()) != 1 {
			t.Fatal("the call is gone")
		}
		talk{a, b, invite, rung, ok}.end()
		w.idle()
	})
}

func TestRepeatedInviteRingsOnce(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		a, b := w.phone("22", 10), w.phone("23", 20)
		b.registers()
		invite := a.dials("23")
		rung := b.gets(sip.INVITE)
		a.send(invite)
		b.answers(rung, 180)
		a.hears(180)
		a.send(invite)
		a.hears(180)
		b.answers(rung, 486)
		b.gets(sip.ACK)
		a.acks(invite, a.hears(486))
		b.quiet()
		w.idle()
	})
}

func TestSameInviteByAnotherWayIsMerged(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		a, b := w.phone("22", 10), w.phone("23", 20)
		b.registers()
		invite := a.dials("23")
		rung := b.gets(sip.INVITE)
		twin := a.via(invite.Clone())
		sip.RemoveHeader(twin, "Authorization") // its own challenge, since the count was used
		a.send(twin)
		resp := a.hears(401)
		a.acks(twin, resp)
		again := a.prove(twin, resp, "22", "secret22", 0)
		again.CSeq().SeqNo = invite.CSeq().SeqNo
		a.send(again)
		a.acks(again, a.hears(482))
		b.answers(rung, 486)
		b.gets(sip.ACK)
		a.acks(invite, a.hears(486))
		w.idle()
	})
}

func TestCallsBeyondTheBoundAreTurnedAwayButEmergenciesAreNot(t *testing.T) {
	inWorld(t, func(c *Config) { c.MaxCalls = 1 }, func(t *testing.T, w *world) {
		a, b, d := w.phone("22", 10), w.phone("23", 20), w.phone("24", 30)
		cloud := w.cloud(5)
		w.s.SetTargets([]Target{cloud.target()})
		b.registers()
		c := a.connects("23", b)
		second := d.dials("23")
		resp := d.hears(503)
		if headerSeconds(t, resp, "Retry-After") <= 0 {
			t.Error("no retry-after")
		}
		d.acks(second, resp)
		d.dials("110")
		out := nextInvite(cloud)
		if out.Recipient.User != "110" {
			t.Errorf("dialled out %q", out.Recipient.User)
		}
		cloud.answers(out, 603)
		d.hears(603)
		c.end()
	})
}

// nextInvite waits for an INVITE among the lines' REGISTERs, which get no answer.
func nextInvite(p *peer) *sip.Request {
	p.t.Helper()
	for {
		if req, ok := p.next().(*sip.Request); ok && req.Method == sip.INVITE {
			return req
		}
	}
}

func TestStrangerOnTheWANIsRefusedAndPunished(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.s.SetTargets([]Target{w.cloud(5).target()})
		p := w.cloud(66)
		p.send(p.request(sip.INVITE, "acc22", "sdp"))
		p.hears(403)
		p.send(p.request(sip.OPTIONS, "acc22"))
		p.hears(403)
		if got := w.told(); !strings.Contains(got, "punish 203.0.113.66 invite from a stranger") || !strings.Contains(got, "punish 203.0.113.66 options") {
			t.Errorf("told %s", got)
		}
		w.idle()
	})
}

func TestRequestsOfNoDialogAreRefusedEachInItsWay(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		p := w.phone("22", 10)
		for method, code := range map[sip.Method]int{
			sip.OPTIONS: 200, sip.BYE: 481, sip.INFO: 481, sip.UPDATE: 481, sip.PRACK: 481, sip.NOTIFY: 481,
			sip.SUBSCRIBE: 489, sip.PUBLISH: 405, sip.REFER: 603, sip.MESSAGE: 401,
		} {
			p.send(p.request(method, "23"))
			resp := p.hears(code)
			if (code == 200 || code == 405) && sip.HeaderValue(resp, "Allow") == "" {
				t.Errorf("%s: no allow", method)
			}
		}
		for _, tag := range []string{"unknown-0", "noleg", "unknown-99999", ""} {
			req := p.request(sip.BYE, "23")
			sip.SetToTag(req, tag)
			p.send(req)
			p.hears(481)
		}
		req := p.request(sip.INVITE, "23", "sdp")
		*req.MaxForwards() = 0
		p.send(req)
		p.hears(483)
	})
}

func TestPanicOfOneCallCostsThatCallOnly(t *testing.T) {
	for _, where := range []string{"while it is routed", "while it rings"} {
		t.Run(where, func(t *testing.T) {
			inWorld(t, nil, func(t *testing.T, w *world) {
				a, b, d := w.phone("22", 10), w.phone("23", 20), w.phone("24", 30)
				b.registers()
				d.registers()
				c := a.connects("23", b)
				doomed := d
				bad := routerFunc(func(call.Invite) call.Plan { panic("a defect") })
				if where == "while it rings" {
					w.survival = bad
					w.brain = routerFunc(func(inv call.Invite) call.Plan {
						p := w.s.RingExtension(inv, "22")
						p.Steps[0].Targets[0].Line = "acc22" // so that its silence asks survival
						return p
					})
					a.registers()
				} else {
					w.brain = bad
				}
				invite := doomed.dials("22")
				if where == "while it rings" {
					rung := a.gets(sip.INVITE)
					a.answers(rung, 503)
					a.gets(sip.ACK)
				}
				doomed.acks(invite, doomed.hears(500))
				if v := w.lastEnd(); v.End.Code != 500 || v.End.Blame != call.ByUs {
					t.Errorf("ended %+v", v.End)
				}
				if calls := w.s.Calls(); len(calls) != 1 || calls[0].State != call.Talking {
					t.Errorf("calls: %v", calls)
				}
				w.brain = nil
				c.end()
				w.idle()
				w.s.mu.Lock()
				alive := w.s.life != nil
				w.s.mu.Unlock()
				if !alive {
					t.Error("the switchboard went with it")
				}
			})
		})
	}
}

func TestPanicLetsNoPhoneRingOn(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		a, b := w.phone("22", 10), w.phone("23", 20)
		b.registers()
		invite := a.dials("23")
		rung := b.gets(sip.INVITE)
		b.answers(rung, 180)
		a.hears(180)
		synctest.Wait()
		o, _ := w.s.owner(sip.FromTag(rung))
		_ = o.post(call.Answer{Leg: 1, Ref: 1}) // an answer without a response: no exchange does that
		a.acks(invite, a.hears(500))
		b.answers(b.gets(sip.CANCEL), 200)
		b.answers(rung, 487)
		b.gets(sip.ACK)
		w.idle()
	})
}

// TestCloudThatCallsMayChallengeTheBoxWithinTheCall has the cloud call and ask for
// credentials when the phone hangs up: they are those of the line (RFC 3261 22.2).
func TestCloudThatCallsMayChallengeTheBoxWithinTheCall(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		cloud := w.up()
		b := w.phone("22", 10)
		b.registers()
		in := cloud.request(sip.INVITE, "acc22", "sdp")
		cloud.send(in)
		rung := b.gets(sip.INVITE)
		b.answers(rung, 200, "sdp")
		b.gets(sip.ACK)
		cloud.acks(in, cloud.hears(200))
		synctest.Wait()
		b.hangsUp(rung)
		bye := cloud.gets(sip.BYE)
		cloud.answers(bye, 407, `Proxy-Authenticate: Digest realm="cloud", nonce="abc", algorithm=MD5, qop="auth"`)
		proven := cloud.gets(sip.BYE)
		if got := sip.HeaderValue(proven, "Proxy-Authorization"); !strings.Contains(got, `username="auth22"`) || !strings.Contains(got, `nonce="abc"`) {
			t.Errorf("authorization %q", got)
		}
		cloud.answers(proven, 200)
		w.idle()
	})
}

// TestRequired100relIsServed has a phone require reliable responses: it is no longer
// refused with 420, and its PRACK finds the call.
func TestRequired100relIsServed(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		a, b := w.phone("22", 10), w.phone("23", 20)
		b.registers()
		invite := a.dials("23", "Require: 100rel")
		rung := b.gets(sip.INVITE)
		b.answers(rung, 180)
		ringing := a.hears(180)
		rseq, ok := sip.RSeqOf(ringing)
		if !ok || !sip.HasToken(ringing, "Require", "100rel") || !sip.HasToken(ringing, "Allow", "PRACK") {
			t.Errorf("ringing:\n%s", ringing)
		}
		<-time.After(600 * time.Millisecond)
		if again, _ := sip.RSeqOf(a.hears(180)); again != rseq {
			t.Errorf("rseq %d, then %d", rseq, again)
		}
		prack := a.within(invite, ringing, sip.PRACK)
		prack.AppendHeader(sip.RAck{RSeq: rseq, CSeq: invite.CSeq().SeqNo, Method: sip.INVITE}.Header())
		a.send(prack)
		a.hears(200)
		b.answers(rung, 200, "sdp")
		b.gets(sip.ACK)
		a.acks(invite, a.hears(200))
		b.hangsUp(rung)
		a.answers(a.gets(sip.BYE), 200)
		w.idle()
	})
}
