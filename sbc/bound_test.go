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
