package sbc

import (
	"testing"
	"testing/synctest"

	"linekeeper/sbc/sip"
)

func TestCallThatEndedMakesRoomThoughAPhoneNeverAnswered(t *testing.T) {
	one := func(c *Config) { c.MaxCalls = 1 }
	inWorld(t, one, func(t *testing.T, w *world) {
		a, b, dead := w.phone("22", 10), w.phone("23", 20), w.phone("23", 30)
		b.registers()
		dead.registers()
		invite := a.dials("23")
		dead.gets(sip.INVITE) // and says nothing, ever
		b.answers(b.gets(sip.INVITE), 603)
		b.gets(sip.ACK)
		a.acks(invite, a.hears(603))
		synctest.Wait()         // the answer goes out a moment before the call is off the bound
		second := a.dials("23") // the first call's owner still waits for the dead phone
		b.answers(b.gets(sip.INVITE), 603)
		b.gets(sip.ACK)
		a.acks(second, a.hears(603))
	})
}

func TestWhatCameTooLateIsTurnedAwayUnlessItHasBegunOrIsAnEmergency(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		a, b := w.phone("22", 10), w.phone("23", 20)
		b.registers()
		kept := w.x.Stats().Servers // of the registration
		invite := a.request(sip.INVITE, "23", "sdp")
		for range 2 { // and repeated
			if !w.s.Late(invite, a.flow) {
				t.Error("a call that came too late begins")
			}
			resp := a.hears(503)
			if sip.HeaderValue(resp, "Retry-After") == "" {
				t.Error("503 without Retry-After")
			}
			a.acks(invite, resp)
		}
		if n := w.x.Stats().Servers - kept; n != 0 {
			t.Errorf("%d transactions are kept", n)
		}
		if w.s.Late(a.request(sip.INVITE, "112", "sdp"), a.flow) {
			t.Error("a call for help is turned away")
		}
		talk := a.connects("23", b)
		for _, req := range []*sip.Request{talk.invite, a.within(talk.invite, talk.ok, sip.INVITE), a.within(talk.invite, talk.ok, sip.BYE)} {
			if w.s.Late(req, a.flow) {
				t.Errorf("%s of a call under way is turned away", req.Method)
			}
		}
		talk.end()
	})
}
