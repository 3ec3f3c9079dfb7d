package e2e

import "testing"

// wideband is how a baresip knows G.722.
const wideband = "G722/16000/1"

// TestSidesWithoutCommonCodecHearEachOther lets phones that know G.722 alone, or want
// 30 ms in a packet, talk to the cloud's A-law by SRTP and to each other.
func TestSidesWithoutCommonCodecHearEachOther(t *testing.T) {
	town, box, far := office(t, 2, Site{Lines: 2})
	wide := town.Phone(t, 0, hzNear, func(a *Account) { a.Codecs = wideband })
	slow := town.Phone(t, 1, hzDesk, func(a *Account) { a.Codecs, a.Ptime = "pcmu", 30 })
	for _, c := range []struct {
		from, to *Baresip
		number   string
	}{{wide, far, farNumber}, {far, wide, "+498912345622"}, {wide, slow, "23"}, {slow, wide, "22"}} {
		dial(t, c.from, c.to, c.number)
		from, to := c.from.Listen(t), c.to.Listen(t)
		hears(t, from, pitch(c.from, c.to))
		hears(t, to, pitch(c.to, c.from))
		part(t, c.from, c.to)
		box.AwaitIdle(t)
	}
}

// pitch is how high a tone looks to an ear: what was decoded of G.722 has twice as
// many samples a second.
func pitch(ear, of *Baresip) float64 {
	if ear.account.Codecs == wideband {
		return of.account.Hz / 2
	}
	return of.account.Hz
}
