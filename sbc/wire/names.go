package wire

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
)

// named is conf for a peer whose certificate must carry one of some names.
func named(conf *tls.Config, names []string) *tls.Config {
	if len(names) == 0 {
		return conf
	}
	conf = conf.Clone()
	conf.ServerName = names[0]
	if len(names) == 1 {
		return conf
	}
	// The standard library checks one name; with several the whole check is done
	// here, in the same way.
	roots := conf.RootCAs
	conf.InsecureSkipVerify = true
	conf.VerifyConnection = func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 {
			return errors.New("the peer shows no certificate")
		}
		opts := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
		for _, c := range s.PeerCertificates[1:] {
			opts.Intermediates.AddCert(c)
		}
		var first error
		for _, name := range names {
			opts.DNSName = name
			_, err := s.PeerCertificates[0].Verify(opts)
			if err == nil {
				return nil
			}
			if first == nil {
				first = err
			}
		}
		return &tls.CertificateVerificationError{UnverifiedCertificates: s.PeerCertificates, Err: first}
	}
	return conf
}
