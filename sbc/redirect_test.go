package sbc

import (
	"testing"

	"linekeeper/sbc/call"
	"linekeeper/sbc/sip"
)

func TestPhoneThatForwardsSendsTheCallOnWithItsOwnRights(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		a, b, c := w.phone("22", 10), w.phone("23", 20), w.phone("24", 30)
		b.registers()
		c.registers()
		invite := a.dials("23")
		req := b.gets(sip.INVITE)
		b.answers(req, 302, "Contact: <sip:24@192.0.2.1>")
		b.gets(sip.ACK)
		req = c.gets(sip.INVITE)
		if from := req.From().Address.User; from != "22" {
			t.Errorf("24 sees %s as caller", from)
		}
		c.answers(req, 486)
		c.gets(sip.ACK)
		a.acks(invite, a.hears(486))
		w.idle()
	})
}

func TestPhoneThatForwardsWhereItMayNotCostsTheCaller403(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		a, b := w.phone("22", 10), w.phone("23", 20)
		b.registers()
		invite := a.dials("23")
		req := b.gets(sip.INVITE)
		b.answers(req, 302, "Contact: <sip:0900123456@192.0.2.1>")
		b.gets(sip.ACK)
		a.acks(invite, a.hears(403))
		w.idle()
	})
}

func TestCallOfTheCloudStaysOneWhenThePhoneForwardsIt(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		cloud := w.up()
		b, c := w.phone("22", 10), w.phone("23", 20)
		b.registers()
		c.registers()
		in := cloud.request(sip.INVITE, "acc22", "sdp")
		cloud.send(in)
		req := b.gets(sip.INVITE)
		b.answers(req, 302, "Contact: <sip:23@192.0.2.1>")
		b.gets(sip.ACK)
		req = c.gets(sip.INVITE)
		c.answers(req, 486)
		c.gets(sip.ACK)
		cloud.acks(in, cloud.hears(486))
		w.idle()
		if way := w.lastEnd().Way; way != call.Cloud {
			t.Errorf("the call is recorded as %s", way)
		}
	})
}
