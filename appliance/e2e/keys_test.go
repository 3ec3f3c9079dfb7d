package e2e

import (
	"testing"
	"time"
)

// byDTLS makes a phone agree on its keys by DTLS.
func byDTLS(a *Account) { a.MediaEnc = "dtls_srtp" }

// withICE gives a phone candidates and one port for RTP and RTCP.
func withICE(a *Account) { a.ICE, a.Mux = true, true }

// What the box's log says of a leg.
const (
	pathFound  = `now="path found"`
	keysAgreed = `now="keys agreed"`
)

// TestPhonesWithDTLSAndICETalkToAllOthers has phones that agree on keys by DTLS,
// find their path by ICE, or both, call the world, whose keys come by SDES, and a
// plain phone in the house. None of it is heard in the clear.
func TestPhonesWithDTLSAndICETalkToAllOthers(t *testing.T) {
	town, box, far := office(t, 4, Site{Lines: 4})
	dtls, ice, both := town.Phone(t, 0, hzNear, byDTLS), town.Phone(t, 1, hzNear, withICE), town.Phone(t, 2, hzNear, byDTLS, withICE)
	plain := town.Phone(t, 3, hzDesk)
	for _, c := range []struct {
		name   string
		phone  *Baresip
		secret bool
		signs  []string // in the box's log
	}{
		{"dtls", dtls, true, []string{keysAgreed}}, {"ice", ice, false, []string{pathFound}},
		{"dtls and ice", both, true, []string{pathFound, keysAgreed}},
	} {
		t.Run(c.name, func(t *testing.T) {
			lan := town.Box.Capture(t, "lan0")
			talk(t, c.phone, far, farNumber)
			for _, sign := range c.signs {
				box.Proc.Await(t, sign, 5*time.Second)
			}
			part(t, far, c.phone)
			talk(t, c.phone, plain, "25")
			c.phone.Hold(t)
			c.phone.Resume(t)
			part(t, c.phone, plain)
			box.AwaitIdle(t)
			heard := sounds(rtpBetween(lan.Packets(t), c.phone.account.Addr, boxLAN), hzNear) > 0
			if heard == c.secret {
				t.Errorf("on the wire the speech is in the clear: %v", heard)
			}
		})
	}
}

// TestCloudWithDTLSAndICE has the cloud's far end agree on keys by DTLS and find its
// path by ICE, in calls both ways.
func TestCloudWithDTLSAndICE(t *testing.T) {
	town := newTown(t, 1)
	ca := newAuthority(t)
	site := Site{Lines: 1, Keying: "dtls", ICE: true, CAFile: ca.File}
	town.Kamailio(t, ca, site.Subscribers()...)
	box := town.Linekeeper(t, site)
	far := town.Other.Baresip(t, Account{
		User: "far", Password: "far-secret", Registrar: pbxAddr + ":5061", Transport: "tls",
		MediaEnc: "dtls_srtp", ICE: true, Mux: true, CAFile: ca.File, Hz: hzFar,
	})
	box.AwaitOnline(t, 15*time.Second)
	phone := town.Phone(t, 0, hzNear)
	wan := town.Box.Capture(t, "wan0")
	talk(t, phone, far, farNumber)
	box.Proc.Await(t, pathFound, 5*time.Second)
	box.Proc.Await(t, keysAgreed, 5*time.Second)
	part(t, far, phone)
	talk(t, far, phone, "+498912345622")
	part(t, phone, far)
	box.AwaitIdle(t)
	if d := sounds(rtpBetween(wan.Packets(t), far.account.Addr, boxWAN), hzFar); d > 0 {
		t.Errorf("the far end is heard in the clear for %v", d)
	}
}
