package exchange

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"linekeeper/sbc/sip"
)

func TestInviteIsRepeatedUntilNobodyAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, w, o := start(t, 0)
		x.Do(draft(sip.INVITE, 1).Request(), flowOf(sip.UDP), o.on)
		time.Sleep(40 * time.Second)
		want(t, "wire", w.log(), "0s INVITE, 500ms INVITE, 1.5s INVITE, 3.5s INVITE, 7.5s INVITE, 15.5s INVITE, 31.5s INVITE")
		want(t, "owner", o.log(), "no answer in time")
		empty(t, x)
	})
}

func TestReliableTransportsRepeatNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, w, o := start(t, 0)
		x.Do(draft(sip.INVITE, 1).Request(), flowOf(sip.TCP), o.on)
		x.Do(draft(sip.BYE, 2).Request(), flowOf(sip.TLS), o.on)
		time.Sleep(40 * time.Second)
		want(t, "wire", w.log(), "0s INVITE, 0s BYE")
		want(t, "owner", o.log(), "no answer in time, no answer in time")
		empty(t, x)
	})
}

func TestRefusedInviteIsAcknowledgedEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, w, o := start(t, 0)
		x.Do(draft(sip.INVITE, 1).Request(), flowOf(sip.UDP), o.on)
		x.Receive(w.reply(t, "INVITE", 100), flowOf(sip.UDP))
		x.Receive(w.reply(t, "INVITE", 486), flowOf(sip.UDP))
		time.Sleep(time.Second)
		x.Receive(w.reply(t, "INVITE", 486), flowOf(sip.UDP)) // the ACK was lost
		want(t, "wire", w.log(), "0s INVITE, 0s ACK, 1s ACK")
		want(t, "owner", o.log(), "100, 486")
		ack := w.first("ACK").(*sip.Request)
		want(t, "branch", sip.Branch(ack), sip.Branch(w.first("INVITE")))
		want(t, "to tag", sip.ToTag(ack), "t")
		time.Sleep(time.Minute)
		empty(t, x)
	})
}

func TestEvery2xxOfAForkReachesTheOwnerUntilReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, w, o := start(t, 0)
		c := x.Do(draft(sip.INVITE, 1).Request(), flowOf(sip.UDP), o.on)
		x.Receive(w.reply(t, "INVITE", 200), flowOf(sip.UDP))
		x.Receive(w.reply(t, "INVITE", 200), flowOf(sip.UDP))
		c.Release()
		x.Receive(w.reply(t, "INVITE", 200), flowOf(sip.UDP))
		time.Sleep(33 * time.Second)
		x.Receive(w.reply(t, "INVITE", 200), flowOf(sip.UDP))
		want(t, "owner", o.log(), "200, 200, stray 200, stray 200")
		want(t, "wire", w.log(), "0s INVITE")
		empty(t, x)
	})
}

func TestCancelWaitsForAProvisionalResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, w, o := start(t, 0)
		c := x.Do(draft(sip.INVITE, 1).Request(), flowOf(sip.UDP), o.on)
		c.Cancel(sip.NewHeader("Reason", "SIP;cause=200"))
		time.Sleep(100 * time.Millisecond)
		want(t, "before 100", w.log(), "0s INVITE")
		x.Receive(w.reply(t, "INVITE", 100), flowOf(sip.UDP))
		c.Cancel()
		want(t, "after 100", w.log(), "100ms CANCEL")
		cancel := w.first("CANCEL").(*sip.Request)
		want(t, "branch", sip.Branch(cancel), sip.Branch(w.first("INVITE")))
		want(t, "reason", sip.HeaderValue(cancel, "Reason"), "SIP;cause=200")
		x.Receive(w.reply(t, "CANCEL", 200), flowOf(sip.UDP))
		x.Receive(w.reply(t, "INVITE", 487), flowOf(sip.UDP))
		want(t, "owner", o.log(), "100, 487")
		want(t, "end", w.log(), "100ms ACK")
		time.Sleep(time.Minute)
		empty(t, x)
	})
}

func TestCancelCrossingA200LeavesTheAnswerToTheOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, w, o := start(t, 0)
		c := x.Do(draft(sip.INVITE, 1).Request(), flowOf(sip.UDP), o.on)
		x.Receive(w.reply(t, "INVITE", 180), flowOf(sip.UDP))
		c.Cancel()
		x.Receive(w.reply(t, "INVITE", 200), flowOf(sip.UDP))
		x.Receive(w.reply(t, "CANCEL", 481), flowOf(sip.UDP))
		c.Cancel() // too late: nothing may leave
		want(t, "owner", o.log(), "180, 200")
		want(t, "wire", w.log(), "0s INVITE, 0s CANCEL")
		time.Sleep(time.Minute)
		empty(t, x)
	})
}

func TestACancelThatNobodyAnswersEndsTheInvite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, w, o := start(t, 0)
		c := x.Do(draft(sip.INVITE, 1).Request(), flowOf(sip.TCP), o.on)
		x.Receive(w.reply(t, "INVITE", 180), flowOf(sip.TCP))
		time.Sleep(time.Minute) // rings
		c.Cancel()
		time.Sleep(33 * time.Second)
		want(t, "owner", o.log(), "180, no answer in time")
		empty(t, x)
	})
}

func TestLostFlowEndsItsRequestsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, w, o := start(t, 0)
		mine, other := flowOf(sip.TCP), flowOf(sip.TCP)
		mine.Conn, other.Conn = 7, 8
		broken := errors.New("connection reset")
		x.Do(draft(sip.INVITE, 1).Request(), mine, func(ev ClientEvent) {
			if !errors.Is(ev.Err, ErrLost) || !errors.Is(ev.Err, broken) {
				t.Errorf("got %v", ev.Err)
			}
			o.on(ev)
		})
		x.Do(draft(sip.BYE, 2).Request(), other, o.on)
		x.Lost(mine, broken)
		want(t, "owner", o.log(), "way to the peer lost: connection reset")
		w.fail = broken
		x.Do(draft(sip.BYE, 3).Request(), mine, o.on)
		want(t, "failed send", o.log(), "way to the peer lost: connection reset")
		time.Sleep(time.Minute)
		want(t, "other flow", o.log(), "no answer in time")
		empty(t, x)
	})
}

func TestSilentOwnerGets100SentForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, w, o := start(t, 0)
		x.Receive(request(sip.INVITE, 1), flowOf(sip.UDP))
		time.Sleep(time.Second)
		x.Receive(request(sip.INVITE, 1), flowOf(sip.UDP))
		want(t, "wire", w.log(), "200ms 100/INVITE, 1s 100/INVITE")
		want(t, "owner", o.log(), "INVITE")
		o.txs[0].Respond(sip.Respond(o.reqs[0], 603, "", "t"))
		x.Receive(request(sip.ACK, 1), flowOf(sip.UDP))
		time.Sleep(20 * time.Second)
		want(t, "wire", w.log(), "1s 603/INVITE")
		want(t, "the ack stays inside", o.log(), "")
		empty(t, x)
	})
}

func TestRefusalIsRepeatedUntilItsAck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, w, o := start(t, 0)
		x.Receive(request(sip.INVITE, 1), flowOf(sip.UDP))
		o.txs[0].Respond(sip.Respond(o.reqs[0], 486, "", "t"))
		time.Sleep(2 * time.Second)
		x.Receive(request(sip.INVITE, 1), flowOf(sip.UDP))
		x.Receive(request(sip.ACK, 1), flowOf(sip.UDP))
		time.Sleep(time.Minute)
		want(t, "wire", w.log(), "0s 486/INVITE, 500ms 486/INVITE, 1.5s 486/INVITE, 2s 486/INVITE")
		empty(t, x)
	})
}

// RFC 3261 26.3.2.4: whoever forges an address shall not have the box repeat
// its challenge there.
func TestChallengeIsSaidOnceForEachTimeItIsAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, w, o := start(t, 0)
		o.request = func(tx *Server, req *sip.Request) { tx.Respond(sip.Respond(req, 401, "", "t")) }
		x.Receive(request(sip.INVITE, 1), flowOf(sip.UDP))
		time.Sleep(10 * time.Second)
		x.Receive(request(sip.INVITE, 1), flowOf(sip.UDP)) // it was lost
		time.Sleep(10 * time.Second)
		want(t, "wire", w.log(), "0s 401/INVITE, 10s 401/INVITE")
		time.Sleep(time.Minute)
		empty(t, x)
	})
}

func TestRefusalWithoutAckGivesUpAfterTimerH(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, _, o := start(t, 0)
		x.Receive(request(sip.INVITE, 1), flowOf(sip.TCP))
		o.txs[0].Respond(sip.Respond(o.reqs[0], 486, "", "t"))
		time.Sleep(31 * time.Second)
		if x.Stats().Servers != 1 {
			t.Error("gone before timer H")
		}
		time.Sleep(2 * time.Second)
		empty(t, x)
	})
}

func answered(t *testing.T, o *owner) {
	t.Helper()
	tx := o.txs[0]
	tx.OnAcked(func(ack *sip.Request) { o.note("acked %s", sip.CallIDOf(ack)) })
	tx.OnUnacked(func() { o.note("unacked") })
	tx.Respond(sip.Respond(o.reqs[0], 200, "", "t"))
}

func TestAnswerIsRepeatedUntilTheLostAckComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, w, o := start(t, 0)
		x.Receive(request(sip.INVITE, 1), flowOf(sip.TLS))
		answered(t, o)
		time.Sleep(4 * time.Second)
		x.Receive(ackOf(1), flowOf(sip.TLS))
		x.Receive(ackOf(1), flowOf(sip.TLS))
		time.Sleep(4 * time.Second)
		x.Receive(request(sip.INVITE, 1), flowOf(sip.TLS)) // absorbed, RFC 6026
		want(t, "wire", w.log(), "0s 200/INVITE, 500ms 200/INVITE, 1.5s 200/INVITE, 3.5s 200/INVITE")
		want(t, "owner", o.log(), "INVITE, acked call-1, ack, ack")
		time.Sleep(time.Minute)
		empty(t, x)
	})
}

func TestAnswerThatNobodyAcknowledgesIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, w, o := start(t, 0)
		x.Receive(request(sip.INVITE, 1), flowOf(sip.UDP))
		answered(t, o)
		time.Sleep(40 * time.Second)
		want(t, "wire", w.log(), "0s 200/INVITE, 500ms 200/INVITE, 1.5s 200/INVITE, 3.5s 200/INVITE, 7.5s 200/INVITE, 11.5s 200/INVITE, "+
			"15.5s 200/INVITE, 19.5s 200/INVITE, 23.5s 200/INVITE, 27.5s 200/INVITE, 31.5s 200/INVITE")
		want(t, "owner", o.log(), "INVITE, unacked")
		empty(t, x)
	})
}

func TestCancelOfThePeerReachesTheOwnerOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, w, o := start(t, 0)
		o.request = func(tx *Server, req *sip.Request) {
			tx.OnCancel(func(*sip.Request) {
				o.note("cancelled")
				tx.Respond(sip.Respond(req, 487, "", "t"))
			})
			tx.Respond(sip.Respond(req, 180, "", "t"))
		}
		x.Receive(request(sip.INVITE, 1), flowOf(sip.UDP))
		x.Receive(request(sip.CANCEL, 1), flowOf(sip.UDP))
		x.Receive(request(sip.CANCEL, 1), flowOf(sip.UDP)) // repeated
		x.Receive(request(sip.ACK, 1), flowOf(sip.UDP))
		want(t, "wire", w.log(), "0s 180/INVITE, 0s 200/CANCEL, 0s 487/INVITE, 0s 200/CANCEL")
		want(t, "owner", o.log(), "INVITE, cancelled")
		want(t, "same tag", sip.ToTag(w.first("200/CANCEL")), "t")
		time.Sleep(time.Minute)
		empty(t, x)
	})
}

func TestCancelBeforeTheOwnerAskedIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, _, o := start(t, 0)
		x.Receive(request(sip.INVITE, 1), flowOf(sip.UDP))
		x.Receive(request(sip.CANCEL, 1), flowOf(sip.UDP))
		o.txs[0].OnCancel(func(*sip.Request) { o.note("cancelled") })
		want(t, "owner", o.log(), "INVITE, cancelled")
		x.Stop()
		empty(t, x)
	})
}

func TestCancelAfterTheAnswerOrOfNothingHarmsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, w, o := start(t, 0)
		x.Receive(request(sip.INVITE, 1), flowOf(sip.TCP))
		o.txs[0].OnCancel(func(*sip.Request) { o.note("cancelled") })
		answered(t, o)
		x.Receive(ackOf(1), flowOf(sip.TCP))
		x.Receive(request(sip.CANCEL, 1), flowOf(sip.TCP))
		x.Receive(request(sip.CANCEL, 2), flowOf(sip.TCP))
		want(t, "wire", w.log(), "0s 200/INVITE, 0s 200/CANCEL, 0s 481/CANCEL")
		want(t, "owner", o.log(), "INVITE, acked call-1, ack")
		time.Sleep(time.Minute)
		empty(t, x)
	})
}

// older makes a request one of an element older than RFC 3261: no branch, or one
// that it uses for all.
func older(req *sip.Request, branch string) *sip.Request {
	req.Via().Params.Remove("branch")
	if branch != "" {
		req.Via().Params.Add("branch", branch)
	}
	return req
}

func TestRequestsOfOlderElementsAreToldApartWithoutABranch(t *testing.T) {
	for _, branch := range []string{"", "390skdjuw"} {
		synctest.Test(t, func(t *testing.T) {
			x, w, o := start(t, 0)
			o.request = func(tx *Server, req *sip.Request) {
				tx.OnCancel(func(*sip.Request) { tx.Respond(sip.Respond(req, 487, "", "t")) })
			}
			for _, n := range []int{1, 2, 1} { // another call between a request and its repetition
				x.Receive(older(request(sip.INVITE, n), branch), flowOf(sip.UDP))
			}
			x.Receive(older(request(sip.CANCEL, 1), branch), flowOf(sip.UDP))
			ack := older(request(sip.ACK, 1), branch)
			sip.SetToTag(ack, "t")
			x.Receive(ack, flowOf(sip.UDP))
			time.Sleep(20 * time.Second) // no repetition: the ACK found its INVITE
			want(t, "owner", o.log(), "INVITE, INVITE")
			want(t, "wire", w.log(), "0s 100/INVITE, 0s 200/CANCEL, 0s 487/INVITE, 200ms 100/INVITE")
			x.Stop()
		})
	}
}

func TestRepeatedRequestsGetTheSameAnswerAndOneOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, w, o := start(t, 0)
		x.Receive(request(sip.OPTIONS, 1), flowOf(sip.UDP))
		x.Receive(request(sip.OPTIONS, 1), flowOf(sip.UDP)) // before the answer: absorbed
		o.txs[0].Respond(sip.Respond(o.reqs[0], 200, "", "t"))
		o.txs[0].Respond(sip.Respond(o.reqs[0], 500, "", "t")) // too late
		time.Sleep(time.Second)
		x.Receive(request(sip.OPTIONS, 1), flowOf(sip.UDP))
		want(t, "wire", w.log(), "0s 200/OPTIONS, 1s 200/OPTIONS")
		want(t, "owner", o.log(), "OPTIONS")
		if s := x.Stats(); s.RepeatsIn != 2 || s.RepeatsOut != 1 {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Minute)
		empty(t, x)
	})
}

func TestFullExchangeRefusesNewcomersAndServesDialogs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, w, o := start(t, 4)
		for n := range 6 {
			x.Receive(request(sip.OPTIONS, n), flowOf(sip.UDP))
		}
		want(t, "wire", w.log(), "0s 503/OPTIONS, 0s 503/OPTIONS")
		if after, _ := sip.RetryAfterOf(w.first("503/OPTIONS")); after != busyAfter {
			t.Errorf("retry after %v", after)
		}
		bye := request(sip.BYE, 9)
		sip.SetToTag(bye, "t")
		x.Receive(bye, flowOf(sip.UDP))
		x.Do(draft(sip.BYE, 10).Request(), flowOf(sip.UDP), o.on)
		want(t, "owner", o.log(), "OPTIONS, OPTIONS, OPTIONS, OPTIONS, BYE, too many transactions")
		time.Sleep(time.Minute)
		empty(t, x)
	})
}

func TestSettledTransactionsMakeRoomForNewcomers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, w, o := start(t, 4)
		o.request = func(tx *Server, req *sip.Request) { tx.Respond(sip.Respond(req, 200, "", "t")) }
		for n := range 6 {
			x.Receive(request(sip.OPTIONS, n), flowOf(sip.UDP))
		}
		want(t, "settled a moment ago", w.log(), "0s 200/OPTIONS, 0s 200/OPTIONS, 0s 200/OPTIONS, 0s 200/OPTIONS, 0s 503/OPTIONS, 0s 503/OPTIONS")
		time.Sleep(500 * time.Millisecond)
		x.Receive(request(sip.OPTIONS, 6), flowOf(sip.UDP))
		x.Receive(request(sip.OPTIONS, 3), flowOf(sip.UDP)) // still known
		want(t, "settled for a while", w.log(), "500ms 200/OPTIONS, 500ms 200/OPTIONS")
		if s := x.Stats(); s.Servers != 4 || s.Forgotten != 1 || s.Refused != 2 || s.RepeatsIn != 1 {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Minute)
		empty(t, x)
	})
}

func TestWorkUnderWayIsNeverForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, w, o := start(t, 4)
		x.Receive(request(sip.INVITE, 1), flowOf(sip.TCP)) // rings
		x.Receive(request(sip.INVITE, 2), flowOf(sip.TCP)) // answered, no ACK
		o.txs[0].Respond(sip.Respond(o.reqs[0], 180, "", "t"))
		o.txs[1].Respond(sip.Respond(o.reqs[1], 200, "", "t"))
		out := draft(sip.INVITE, 3).Request()
		x.Do(out, flowOf(sip.TCP), o.on) // rings out there
		x.Receive(sip.Respond(out, 180, "", "t"), flowOf(sip.TCP))
		x.Do(draft(sip.INVITE, 4).Request(), flowOf(sip.TCP), o.on)
		time.Sleep(5 * time.Second)
		w.log()
		x.Receive(request(sip.OPTIONS, 5), flowOf(sip.TCP))
		want(t, "nothing is settled", w.log(), "5s 503/OPTIONS")
		x.Receive(sip.Respond(out, 200, "", "t"), flowOf(sip.TCP))
		time.Sleep(2 * time.Second)
		x.Receive(request(sip.OPTIONS, 6), flowOf(sip.TCP))
		x.Receive(request(sip.OPTIONS, 7), flowOf(sip.TCP))
		o.log()
		x.Receive(sip.Respond(out, 200, "", "t"), flowOf(sip.TCP))
		want(t, "a 2xx of what was forgotten", o.log(), "stray 200")
		if s := x.Stats(); s.Clients != 1 || s.Servers != 3 || s.Forgotten != 1 || s.Refused != 2 {
			t.Errorf("%+v", s)
		}
		x.Stop()
		empty(t, x)
	})
}

func TestTenThousandTransactionsLeaveNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, w, o := start(t, 0)
		o.request = func(tx *Server, req *sip.Request) {
			tx.Respond(sip.Respond(req, 180, "", "t"))
			tx.Respond(sip.Respond(req, 200, "", "t"))
		}
		w.tap = func(m sip.Message) { // the peer answers our requests at once
			if req, ok := m.(*sip.Request); ok && req.Method != sip.ACK {
				x.Receive(sip.Respond(req, 100, "", ""), flowOf(sip.UDP))
				x.Receive(sip.Respond(req, 200, "", "t"), flowOf(sip.UDP))
			}
		}
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				for i := range 1250 {
					n := g*1250 + i
					x.Receive(request(sip.INVITE, n), flowOf(sip.UDP))
					x.Receive(ackOf(n), flowOf(sip.UDP))
					x.Do(draft(sip.INVITE, n).Request(), flowOf(sip.UDP), func(ClientEvent) {})
				}
			})
		}
		wg.Wait()
		if s := x.Stats(); s.Clients != 5000 || s.Servers != 5000 || s.Acked != 5000 {
			t.Errorf("%+v", s)
		}
		time.Sleep(40 * time.Second)
		empty(t, x)
	})
}

func TestEventsOfOneRequestKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, w, _ := start(t, 0)
		for range 200 {
			busy, last := 0, 0
			var mu sync.Mutex
			x.Do(draft(sip.INVITE, 1).Request(), flowOf(sip.UDP), func(ev ClientEvent) {
				mu.Lock()
				busy++
				if busy > 1 {
					t.Error("two at once")
				}
				mu.Unlock()
				if ev.Response.StatusCode < last {
					t.Errorf("%d after %d", ev.Response.StatusCode, last)
				}
				last = ev.Response.StatusCode
				mu.Lock()
				busy--
				mu.Unlock()
			})
			w.mu.Lock()
			req := w.sent[len(w.sent)-1].(*sip.Request)
			w.mu.Unlock()
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					for _, code := range []int{180, 200} {
						x.Receive(sip.Respond(req, code, "", "t"), flowOf(sip.UDP))
					}
				})
			}
			wg.Wait()
		}
		x.Stop()
		empty(t, x)
	})
}

func TestStopEndsEverythingInSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, w, o := start(t, 0)
		x.Do(draft(sip.INVITE, 1).Request(), flowOf(sip.UDP), o.on)
		x.Receive(request(sip.INVITE, 1), flowOf(sip.UDP))
		o.log()
		x.Stop()
		w.log()
		time.Sleep(time.Minute)
		x.Receive(request(sip.INVITE, 2), flowOf(sip.UDP))
		want(t, "wire", w.log(), "")
		want(t, "owner", o.log(), "")
		empty(t, x)
	})
}

func TestTurningAwayKeepsNothingAndSaysTheSameAgain(t *testing.T) {
	x, w, o := start(t, 0)
	defer x.Stop()
	for range 2 {
		if !x.TurnAway(request(sip.INVITE, 1), flowOf(sip.UDP), 2*time.Second) {
			t.Error("a new request is not turned away")
		}
	}
	a, b := w.sent[0].(*sip.Response), w.sent[1].(*sip.Response)
	if a.StatusCode != 503 || sip.HeaderValue(a, "Retry-After") != "2" || sip.ToTag(a) == "" || string(sip.Bytes(a)) != string(sip.Bytes(b)) {
		t.Errorf("answers:\n%s\n%s", sip.Bytes(a), sip.Bytes(b))
	}
	ack := request(sip.ACK, 1)
	sip.SetToTag(ack, sip.ToTag(a))
	x.Receive(ack, flowOf(sip.UDP))
	empty(t, x)
	x.Receive(request(sip.INVITE, 2), flowOf(sip.UDP))
	if x.TurnAway(request(sip.INVITE, 2), flowOf(sip.UDP), time.Second) {
		t.Error("a request that is being handled is turned away")
	}
	want(t, "told", o.log(), "ack, INVITE")
	if n := x.Stats().Refused; n != 2 {
		t.Errorf("%d refused", n)
	}
}
