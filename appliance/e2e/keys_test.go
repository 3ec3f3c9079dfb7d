package e2e

import (
	"path/filepath"
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

// Coturn starts a TURN server beside the PBX for the user of the site document.
func (town *Town) Coturn(t *testing.T) (*Proc, string) {
	t.Helper()
	dir := t.TempDir()
	p := town.Cloud.Start(t, dir, nil, "turnserver", "-n", "-v", "--no-cli", "--no-tls", "--no-dtls", "--log-file=stdout", "--lt-cred-mech", "--realm=cloud.example",
		"--user=praxis:wacholder-5-dohle", "--listening-ip="+pbxAddr, "--relay-ip="+pbxAddr, "--listening-port=3478",
		"--pidfile="+filepath.Join(dir, "pid"), "--userdb="+filepath.Join(dir, "db"))
	return p, pbxAddr + ":3478"
}

// TestFarEndThatOnlyARelayReaches has no way between the box and the far end but the
// provider's TURN server: calls both ways are heard all the same.
func TestFarEndThatOnlyARelayReaches(t *testing.T) {
	town := newTown(t, 1)
	ip(t, "-n", town.Box.ns, "route", "add", "blackhole", farAddr)
	ip(t, "-n", town.Other.ns, "route", "add", "blackhole", boxWAN)
	ca := newAuthority(t)
	relay, at := town.Coturn(t)
	site := Site{Lines: 1, Keying: "dtls", ICE: true, CAFile: ca.File, Relay: at}
	town.Kamailio(t, ca, site.Subscribers()...)
	box := town.Linekeeper(t, site)
	far := town.Other.Baresip(t, Account{
		User: "far", Password: "far-secret", Registrar: pbxAddr + ":5061", Transport: "tls",
		MediaEnc: "dtls_srtp", ICE: true, Mux: true, CAFile: ca.File, Hz: hzFar,
	})
	box.AwaitOnline(t, 15*time.Second)
	relay.Await(t, "ALLOCATE processed, success", 15*time.Second)
	phone := town.Phone(t, 0, hzNear)
	talk(t, phone, far, farNumber)
	part(t, far, phone)
	talk(t, far, phone, "+498912345622")
	part(t, phone, far)
	box.AwaitIdle(t)
	relay.Await(t, "CHANNEL_BIND processed, success", 5*time.Second)
}
