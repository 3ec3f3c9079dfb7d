package wire_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"linekeeper/sbc/sip"
	"linekeeper/sbc/wire"
)

func TestWrongNameOnACertificateIsToldAsSuch(t *testing.T) {
	zone, client := server(t, sip.TLS)
	box, _ := run(t, wire.Limits{}, zone)
	client.ServerName = "somebody.else"
	phone, told := run(t, wire.Limits{}, wire.Zone{Name: "wan", ClientTLS: client})
	flow, err := phone.Flow("wan", sip.TLS, box.Listening("lan")[0].Addr)
	if err != nil {
		t.Fatal(err)
	}
	a := told.next(t)
	var wrong *tls.CertificateVerificationError
	if !errors.As(a.err, &wrong) || a.flow != flow {
		t.Errorf("told %v", a.err)
	}
	var host x509.HostnameError
	if !errors.As(a.err, &host) {
		t.Errorf("the name is not in %v", a.err)
	}
}

func TestEachServerIsKnownByItsOwnNames(t *testing.T) {
	zone, client := server(t, sip.TLS)
	for name, c := range map[string]struct {
		names []string
		roots *x509.CertPool
		good  bool
	}{
		"one name":          {[]string{"box.example"}, client.RootCAs, true},
		"second of two":     {[]string{"other.example", "box.example"}, client.RootCAs, true},
		"neither":           {[]string{"other.example", "third.example"}, client.RootCAs, false},
		"unknown authority": {[]string{"other.example", "box.example"}, x509.NewCertPool(), false},
		"the zone's":        {nil, client.RootCAs, true},
	} {
		t.Run(name, func(t *testing.T) {
			box, in := run(t, wire.Limits{}, zone)
			at := box.Listening("lan")[0].Addr
			conf := client.Clone()
			conf.RootCAs = c.roots
			phone, told := run(t, wire.Limits{}, wire.Zone{Name: "wan", ClientTLS: conf, Names: func(remote netip.AddrPort) []string {
				if remote != at {
					t.Errorf("asked for the names of %v", remote)
				}
				return c.names
			}})
			flow, err := phone.Flow("wan", sip.TLS, at)
			if err != nil {
				t.Fatal(err)
			}
			if c.good {
				if err := phone.Send(flow, request(t, "named")); err != nil {
					t.Fatal(err)
				}
				if a := in.next(t); a.m == nil {
					t.Errorf("told %v", a.err)
				}
				return
			}
			var wrong *tls.CertificateVerificationError
			if a := told.next(t); !errors.As(a.err, &wrong) {
				t.Errorf("told %v", a.err)
			}
		})
	}
}

func TestUnknownAuthorityIsToldAsSuch(t *testing.T) {
	zone, _ := server(t, sip.TLS)
	_, client := server(t, sip.TLS) // another box's
	box, _ := run(t, wire.Limits{}, zone)
	phone, told := run(t, wire.Limits{}, wire.Zone{Name: "wan", ClientTLS: client})
	if _, err := phone.Flow("wan", sip.TLS, box.Listening("lan")[0].Addr); err != nil {
		t.Fatal(err)
	}
	var wrong *tls.CertificateVerificationError
	if a := told.next(t); !errors.As(a.err, &wrong) {
		t.Errorf("told %v", a.err)
	}
}

func TestClientShowsItsCertificateWhereItIsAsked(t *testing.T) {
	zone, client := server(t, sip.TLS)
	cert, pool := clientCertificate(t)
	zone.ServerTLS.ClientAuth, zone.ServerTLS.ClientCAs = tls.RequireAndVerifyClientCert, pool
	var shown atomic.Value
	zone.ServerTLS.VerifyConnection = func(s tls.ConnectionState) error {
		shown.Store(s.PeerCertificates[0].DNSNames[0])
		return nil
	}
	r := respond(t, wire.Limits{}, wire.NewGuard(wire.Rules{}), zone)
	to := r.box.Listening("lan")[0].Addr

	bare, told := run(t, wire.Limits{}, wire.Zone{Name: "wan", ClientTLS: client})
	if _, err := bare.Flow("wan", sip.TLS, to); err != nil {
		t.Fatal(err)
	}
	if a := told.next(t); a.err == nil {
		t.Errorf("heard %v without a certificate", a.m)
	}

	client = client.Clone()
	client.Certificates = []tls.Certificate{cert}
	phone, answers := run(t, wire.Limits{}, wire.Zone{Name: "wan", ClientTLS: client})
	flow, err := phone.Flow("wan", sip.TLS, to)
	if err != nil {
		t.Fatal(err)
	}
	asks(t, phone, answers, flow, 1)
	if shown.Load() != "phone.example" {
		t.Errorf("shown %v", shown.Load())
	}
}

func clientCertificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(2), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"phone.example"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, form, form, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, pool
}

func TestCertificateChangesWhileConnectionsStand(t *testing.T) {
	first, firstPool := certificate(t)
	second, secondPool := certificate(t)
	var now atomic.Pointer[tls.Certificate]
	now.Store(&first)
	zone, _ := server(t, sip.TLS)
	zone.ServerTLS = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return now.Load(), nil }}
	r := respond(t, wire.Limits{}, wire.NewGuard(wire.Rules{}), zone)
	to := r.box.Listening("lan")[0].Addr
	old, oldAnswers := run(t, wire.Limits{}, wire.Zone{Name: "wan", ClientTLS: &tls.Config{RootCAs: firstPool, ServerName: "box.example"}})
	oldFlow, err := old.Flow("wan", sip.TLS, to)
	if err != nil {
		t.Fatal(err)
	}
	asks(t, old, oldAnswers, oldFlow, 1)
	now.Store(&second)
	fresh, answers := run(t, wire.Limits{}, wire.Zone{Name: "wan", ClientTLS: &tls.Config{RootCAs: secondPool, ServerName: "box.example"}})
	flow, err := fresh.Flow("wan", sip.TLS, to)
	if err != nil {
		t.Fatal(err)
	}
	asks(t, fresh, answers, flow, 1)
	asks(t, old, oldAnswers, oldFlow, 1)
}

func TestOldTLSIsRefused(t *testing.T) {
	zone, client := server(t, sip.TLS)
	zone.ServerTLS.MinVersion = tls.VersionTLS10
	box, _ := run(t, wire.Limits{}, zone)
	client.MaxVersion = tls.VersionTLS11
	client.MinVersion = tls.VersionTLS10
	if peer, err := tls.Dial("tcp", box.Listening("lan")[0].Addr.String(), client); err == nil {
		peer.Close()
		t.Error("TLS 1.1 was spoken")
	}
}
