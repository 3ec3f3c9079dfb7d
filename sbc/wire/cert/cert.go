// Package cert makes and keeps the site's own certificate authority and the
// box's server certificate for the phones on the LAN. It must never know who
// connects.
package cert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

const (
	caLife     = 20 * 365 * 24 * time.Hour
	serverLife = 825 * 24 * time.Hour // the longest that phones and browsers take
	renewAhead = 90 * 24 * time.Hour
)

// Site is the site's authority and the box's certificate made by it.
type Site struct {
	dir    string
	ca     *x509.Certificate
	caKey  *ecdsa.PrivateKey
	server atomic.Pointer[tls.Certificate]
}

// Open reads the authority and the certificate in dir, and makes what is missing
// or about to expire. Keys are readable by the daemon alone.
func Open(dir string) (*Site, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("folder of the site's certificates: %w", err)
	}
	s := &Site{dir: dir}
	if err := s.authority(); err != nil {
		return nil, err
	}
	return s, s.Renew(time.Now())
}

// Authority is the certificate that phones must trust, in PEM; it also lies in
// ca.crt. Keys lie apart from certificates, in files for the daemon alone.
func (s *Site) Authority() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.ca.Raw})
}

// Expires is when the box's certificate runs out.
func (s *Site) Expires() time.Time { return s.server.Load().Leaf.NotAfter }

// Config is a server's TLS configuration; a renewed certificate is used from the
// next handshake on.
func (s *Site) Config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.server.Load(), nil }}
}

func (s *Site) authority() error {
	cert, key, err := s.read("ca")
	if err == nil {
		s.ca, s.caKey = cert, key
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	tmpl := &x509.Certificate{
		Subject: pkix.Name{CommonName: "Linekeeper site " + time.Now().Format("2006-01-02")}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(caLife),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, MaxPathLenZero: true,
	}
	s.ca, s.caKey, err = s.make("ca", tmpl, nil, nil)
	return err
}

// Renew makes a new server certificate when the old one is missing, nearly
// expired, or lacks one of the box's present addresses.
func (s *Site) Renew(now time.Time) error {
	addrs := localAddrs()
	cert, key, err := s.read("server")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err != nil || cert.NotAfter.Before(now.Add(renewAhead)) || !covers(cert, addrs) {
		tmpl := &x509.Certificate{
			Subject: pkix.Name{CommonName: "linekeeper"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(serverLife),
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
			DNSNames: []string{"linekeeper", "linekeeper.local"}, IPAddresses: addrs,
		}
		if cert, key, err = s.make("server", tmpl, s.ca, s.caKey); err != nil {
			return err
		}
	}
	s.server.Store(&tls.Certificate{Certificate: [][]byte{cert.Raw, s.ca.Raw}, PrivateKey: key, Leaf: cert})
	return nil
}

func localAddrs() []net.IP {
	var out []net.IP
	list, _ := net.InterfaceAddrs() // none: the names still serve
	for _, a := range list {
		if n, ok := a.(*net.IPNet); ok {
			out = append(out, n.IP)
		}
	}
	return out
}

func covers(c *x509.Certificate, addrs []net.IP) bool {
	for _, a := range addrs {
		found := false
		for _, b := range c.IPAddresses {
			found = found || a.Equal(b)
		}
		if !found {
			return false
		}
	}
	return true
}

// make signs a certificate and keeps it with its key; without a parent it signs itself.
func (s *Site) make(name string, tmpl, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if tmpl.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		return nil, nil, err
	}
	if parent == nil {
		parent, signer = tmpl, key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key.Public(), signer)
	if err != nil {
		return nil, nil, fmt.Errorf("make the %s certificate: %w", name, err)
	}
	raw, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	// The key first: a certificate without its key would be worth nothing.
	if err := s.write(name+".key", "EC PRIVATE KEY", raw, 0o600); err != nil {
		return nil, nil, err
	}
	if err := s.write(name+".crt", "CERTIFICATE", der, 0o644); err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return cert, key, err
}

// write replaces a file at once.
func (s *Site) write(name, kind string, der []byte, mode fs.FileMode) error {
	tmp := filepath.Join(s.dir, name+".new")
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(s.dir, name))
}

func (s *Site) read(name string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	path := filepath.Join(s.dir, name)
	text, err := os.ReadFile(path + ".crt")
	if err != nil {
		return nil, nil, err
	}
	secret, err := os.ReadFile(path + ".key")
	if err != nil {
		return nil, nil, err
	}
	pair, err := tls.X509KeyPair(text, secret)
	if err != nil {
		return nil, nil, fmt.Errorf("%s.crt and .key: %w; remove both to have new ones made", path, err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, nil, fmt.Errorf("%s.key: the key is not ecdsa", path)
	}
	cert, err := x509.ParseCertificate(pair.Certificate[0])
	return cert, key, err
}
