package cloud

import (
	"testing"
	"time"
)

func TestNonceServesWhileItIsYoungAndCountsUp(t *testing.T) {
	n := nonces{secret: [16]byte{1}, life: time.Minute, used: make(map[string]uint32)}
	now := time.Unix(1000, 0)
	nonce := n.issue(now)
	steps := []struct {
		what  string
		nonce string
		count uint32
		at    time.Time
		want  bool
	}{
		{"first use", nonce, 1, now, true},
		{"replayed", nonce, 1, now, false},
		{"counted up", nonce, 2, now.Add(time.Second), true},
		{"too old", nonce, 3, now.Add(2 * time.Minute), false},
		{"forged", nonce[:len(nonce)-1] + "x", 1, now, false},
		{"not ours", "abc", 1, now, false},
		{"empty", "", 1, now, false},
	}
	for _, s := range steps {
		if got := n.fresh(s.nonce, s.count, s.at); got != s.want {
			t.Errorf("%s: fresh %v, want %v", s.what, got, s.want)
		}
	}
	other := nonces{secret: [16]byte{2}, life: time.Minute, used: make(map[string]uint32)}
	if other.fresh(nonce, 9, now) {
		t.Error("a nonce of another secret is taken")
	}
}

func TestTableOfNoncesIsBounded(t *testing.T) {
	n := nonces{life: time.Hour, used: make(map[string]uint32)}
	now := time.Unix(1000, 0)
	for i := range maxNonces + 10 {
		if at := now.Add(time.Duration(i)); !n.fresh(n.issue(at), 1, at) {
			t.Fatal("a fresh nonce is refused")
		}
	}
	if len(n.used) > maxNonces {
		t.Errorf("%d nonces are kept", len(n.used))
	}
}
