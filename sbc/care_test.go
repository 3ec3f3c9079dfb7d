package sbc

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"linekeeper/sbc/number"
	"linekeeper/sbc/sdp"
	"linekeeper/sbc/sip"
)

func TestDrainRefusesNewCallsAndWaitsForTheLast(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		a, b, d := w.phone("22", 10), w.phone("23", 20), w.phone("24", 30)
		b.registers()
		c := a.connects("23", b)
		done := make(chan struct{})
		var said []int
		go func() {
			defer close(done)
			w.s.Drain(t.Context(), func(left int) { said = append(said, left) })
		}()
		synctest.Wait()
		late := d.dials("23")
		resp := d.hears(503)
		if headerSeconds(t, resp, "Retry-After") <= 0 {
			t.Error("no retry-after")
		}
		d.acks(late, resp)
		<-time.After(6 * time.Second)
		select {
		case <-done:
			t.Fatal("drained with a call up")
		default:
		}
		c.end()
		<-done
		if fmt.Sprint(said) != "[1 1]" {
			t.Errorf("said %v", said)
		}
	})
}

func TestDrainGivesUpWithItsContext(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		a, b := w.phone("22", 10), w.phone("23", 20)
		b.registers()
		c := a.connects("23", b)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began := time.Now()
		w.s.Drain(ctx, func(int) {})
		if got := time.Since(began); got != 3*time.Second {
			t.Errorf("gave up after %s", got)
		}
		c.end()
	})
}

func TestCheckTellsWhetherTheEngineAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		if err := w.s.Check(t.Context()); err == nil {
			t.Error("it serves before it runs")
		}
		p := w.phone("22", 10)
		w.x.Handle(w.s)
		p.send(p.request(sip.OPTIONS, "22"))
		p.hears(503)
		w.run()
		if err := w.s.Check(t.Context()); err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // its time is up; the bubble's clock stands still behind a lock
		w.s.mu.Lock()
		if err := w.s.Check(ctx); err == nil {
			t.Error("a locked engine answers")
		}
		w.s.mu.Unlock()
		w.stop()
		if err := w.s.Check(t.Context()); err == nil {
			t.Error("it serves after its end")
		}
	})
}

func TestSwitchboardWithoutConfigurationDoesNotRun(t *testing.T) {
	if err := New(Deps{}).Run(t.Context(), func() {}); err == nil {
		t.Error("it runs")
	}
}

func TestRestartSaysNothingToThoseWhoTalk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.run()
		a, b := w.phone("22", 10), w.phone("23", 20)
		b.registers()
		a.connects("23", b)
		w.stop()
		a.quiet()
		b.quiet()
	})
}

func TestCallWithoutMediaPortsIsTurnedAway(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		a, b := w.phone("22", 10), w.phone("23", 20)
		b.registers()
		w.media.fail = errors.New("no port")
		invite := a.dials("23")
		a.acks(invite, a.hears(503))
		w.media.fail = nil
		w.idle()
	})
}

func TestMediaThatStopsOnAnExternalCallIsEvidence(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		c, cloud := outside(t, w)
		st := w.media.streams[1]
		if st.side.Leg != "cloud" || st.with != Stream(w.media.streams[0]) {
			t.Errorf("opened as %+v", st.side)
		}
		w.told()
		st.heard(100, 1500*time.Millisecond)
		<-time.After(2 * mediaWatch)
		st.heard(101, 0)
		<-time.After(2 * mediaWatch)
		st.heard(101, time.Minute) // the probes have had their time
		<-time.After(2 * mediaWatch)
		if got := w.told(); got != "media dead 1, media dead 0" {
			t.Errorf("told %s", got)
		}
		c.end()
		_ = cloud
	})
}

func TestMediaOfAHeldCallIsNoEvidence(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		c, cloud := outside(t, w)
		hold := c.a.within(c.invite, c.ok, sip.INVITE)
		hold.AppendHeader(&sip.Contact{Address: c.a.contact()})
		sip.SetBody(hold, "application/sdp", append(c.a.describe(2), "a=inactive\r\n"...))
		c.a.send(hold)
		again := cloud.gets(sip.INVITE)
		resp := sip.Respond(again, 200, "", "")
		resp.AppendHeader(&sip.Contact{Address: cloud.contact()})
		sip.SetBody(resp, "application/sdp", append(cloud.describe(2), "a=inactive\r\n"...))
		cloud.send(resp)
		cloud.gets(sip.ACK)
		c.a.acks(hold, c.a.hears(200))
		w.told()
		w.media.streams[1].heard(100, 2*time.Second)
		<-time.After(2 * mediaWatch)
		if got := w.told(); strings.Contains(got, "dead") {
			t.Errorf("told %s", got)
		}
		c.end()
	})
}

func TestSideHasItsOwnMediaAddress(t *testing.T) {
	other := netip.MustParseAddr("192.0.2.99")
	inWorld(t, func(c *Config) { c.Sides[LAN] = MediaSide{Addr: other, Low: 20000, High: 20100, SRTP: sdp.Off} }, func(t *testing.T, w *world) {
		a, b := w.phone("22", 10), w.phone("23", 20)
		b.registers()
		c := a.connects("23", b)
		desc, err := sdp.Parse(c.ok.Body())
		if err != nil || desc.Audio().Addr != other {
			t.Errorf("answered %s, %v", c.ok.Body(), err)
		}
		c.end()
	})
}

func TestCallerMayWithholdTheNumberInside(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		a, b := w.phone("22", 10), w.phone("23", 20)
		b.registers()
		invite := a.dials("23", "Privacy: id")
		rung := b.gets(sip.INVITE)
		if text := string(sip.Bytes(rung)); strings.Contains(text, "22@") {
			t.Errorf("the number shows:\n%s", text)
		}
		b.answers(rung, 486)
		b.gets(sip.ACK)
		a.acks(invite, a.hears(486))
		w.idle()
	})
}

func TestBooksOfAllClassesAreKnownToTheDesk(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		if d := w.s.Dial("110"); d.Meaning != number.Emergency {
			t.Errorf("110 means %s", d.Meaning)
		}
		if !w.s.May("22", number.National) || w.s.May("22", number.International) || w.s.May("99", number.Internal) {
			t.Error("classes are mixed up")
		}
		if w.s.ExtensionOf("acc23") != "23" || w.s.ExtensionOf("nobody") != "" {
			t.Error("accounts are mixed up")
		}
	})
}
