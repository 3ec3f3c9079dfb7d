package config

import (
	"os"
	"path/filepath"
	"testing"
)

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "testdata", "config", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestMinimalSiteParses(t *testing.T) {
	s, ps := Parse("minimal.yaml", read(t, "minimal.yaml"))
	if s == nil || len(ps) > 0 {
		t.Fatalf("%v", ps)
	}
	if got := s.Provider.Transport; got != "udp" {
		t.Errorf("transport %q", got)
	}
	if got := s.Extensions[0].Class; got != "national" {
		t.Errorf("class %q", got)
	}
}

func TestPraxisParses(t *testing.T) {
	s, ps := Parse("praxis.yaml", read(t, "praxis.yaml"))
	for _, p := range ps {
		t.Log(p)
	}
	if s == nil {
		t.Fatal("refused")
	}
}
