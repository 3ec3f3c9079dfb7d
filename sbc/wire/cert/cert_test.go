package cert

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestAPhoneThatTrustsTheAuthorityTrustsTheBoxAfterRestartAndRenewal(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	trust := x509.NewCertPool()
	trust.AppendCertsFromPEM(s.Authority())
	again, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !again.Expires().Equal(s.Expires()) {
		t.Error("a restart made another certificate")
	}
	handshake(t, again, trust)
	if err := again.Renew(again.Expires().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if !again.Expires().After(s.Expires()) {
		t.Error("a certificate about to expire was not renewed")
	}
	info, err := os.Stat(filepath.Join(dir, "server.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v %v", info.Mode(), err)
	}
}

func TestADamagedKeyFileIsSaidByName(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(dir); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "ca.crt")
	if err := os.WriteFile(path, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil {
		t.Error("a damaged authority was taken")
	}
}

func handshake(t *testing.T, s *Site, trust *x509.CertPool) {
	t.Helper()
	a, b := net.Pipe()
	done := make(chan error, 1)
	go func() { done <- tls.Server(a, s.Config()).Handshake() }()
	if err := tls.Client(b, &tls.Config{RootCAs: trust, ServerName: "linekeeper"}).Handshake(); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
