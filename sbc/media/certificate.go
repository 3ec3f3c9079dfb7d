package media

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"time"

	"linekeeper/sbc/sdp"
)

// Certificate is what the box shows in DTLS handshakes. It is its own and
// signed by nobody: the fingerprint in the signalling vouches for it (RFC 5763 5).
type Certificate struct {
	der []byte
	key crypto.Signer
}

// NewCertificate makes one on P-256, which every peer knows (RFC 8827 6.5).
func NewCertificate() (*Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("media certificate: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64))
	if err != nil {
		return nil, fmt.Errorf("media certificate: %w", err)
	}
	// The box's clock may be wrong before NTP answers; nobody looks at the dates.
	plan := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "media"},
		NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2049, 12, 31, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, plan, plan, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("media certificate: %w", err)
	}
	return &Certificate{der, key}, nil
}

// Fingerprint is what descriptions say about the certificate.
func (c *Certificate) Fingerprint() sdp.Fingerprint { return sdp.FingerprintOf(c.der) }
