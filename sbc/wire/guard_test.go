package wire_test

import (
	"net/netip"
	"testing"
	"time"

	"linekeeper/sbc/wire"
)

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

func TestSourceIsBannedAfterItsFailuresAndForATime(t *testing.T) {
	guard := wire.NewGuard(wire.Rules{After: 3, For: time.Minute})
	bad, now := addr("192.0.2.1"), time.Now()
	for i := range 2 {
		if guard.Punish(bad) {
			t.Errorf("banned after %d failures", i+1)
		}
	}
	if got := guard.Admit(bad, now); got != wire.Admitted {
		t.Errorf("not heard before the last failure: %q", got)
	}
	if !guard.Punish(bad) {
		t.Error("not banned by the third failure")
	}
	if got := guard.Admit(addr("::ffff:192.0.2.1"), now); got != wire.Banned {
		t.Errorf("mapped form is heard: %q", got)
	}
	if got := guard.Admit(addr("192.0.2.2"), now); got != wire.Admitted {
		t.Errorf("its neighbour is not heard: %q", got)
	}
	if until := guard.Bans()[bad]; until.Before(now.Add(59*time.Second)) || until.After(now.Add(90*time.Second)) {
		t.Errorf("banned until %s", until)
	}
	if got := guard.Admit(bad, now.Add(2*time.Minute)); got != wire.Admitted {
		t.Errorf("still not heard after the ban: %q", got)
	}
	if len(guard.Bans()) != 0 || guard.Rejected()[wire.Banned] != 1 {
		t.Errorf("bans %v, rejected %v", guard.Bans(), guard.Rejected())
	}
	if guard.Punish(bad) {
		t.Error("one failure after a ban bans again")
	}
}

func TestForgivenessLiftsABanAndForgetsFailures(t *testing.T) {
	guard := wire.NewGuard(wire.Rules{After: 2})
	phone := addr("192.0.2.1")
	guard.Punish(phone)
	guard.Forgive(phone)
	if guard.Punish(phone) {
		t.Error("a forgiven failure was counted")
	}
	if !guard.Punish(phone) {
		t.Fatal("not banned")
	}
	guard.Forgive(phone)
	if got := guard.Admit(phone, time.Now()); got != wire.Admitted {
		t.Errorf("not heard: %q", got)
	}
}

func TestAllowedAndTrustedSourcesAreNeverBannedNorLimited(t *testing.T) {
	trunk, phone, both := addr("198.51.100.7"), addr("10.0.0.5"), addr("203.0.113.9")
	guard := wire.NewGuard(wire.Rules{
		Allow: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24"), netip.PrefixFrom(both, 32)},
		Deny:  []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")},
		After: 1, Rate: 1, Burst: 1,
	})
	guard.Trusted(func(a netip.Addr) bool { return a == phone })
	now := time.Now()
	for _, a := range []netip.Addr{trunk, phone, both} {
		for range 10 {
			if guard.Punish(a) {
				t.Fatalf("%s was banned", a)
			}
			if got := guard.Admit(a, now); got != wire.Admitted {
				t.Fatalf("%s is not heard: %q", a, got)
			}
		}
	}
	if got := guard.Admit(addr("203.0.113.10"), now); got != wire.Denied {
		t.Errorf("denied network is heard: %q", got)
	}
	stranger := addr("192.0.2.1")
	if got := guard.Admit(stranger, now); got != wire.Admitted {
		t.Errorf("stranger within the rate: %q", got)
	}
	if got := guard.Admit(stranger, now); got != wire.Rate {
		t.Errorf("stranger beyond the rate: %q", got)
	}
	if got := guard.Admit(stranger, now.Add(time.Second)); got != wire.Admitted {
		t.Errorf("stranger a second later: %q", got)
	}
}

func TestTrustedSourceThatIsDeniedStaysUnheard(t *testing.T) {
	guard := wire.NewGuard(wire.Rules{Deny: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	guard.Trusted(func(netip.Addr) bool { return true })
	if got := guard.Admit(addr("10.1.2.3"), time.Now()); got != wire.Denied {
		t.Errorf("got %q", got)
	}
}

func TestSourceThatBecomesAllowedIsHeardDespiteItsBan(t *testing.T) {
	guard := wire.NewGuard(wire.Rules{After: 1})
	a := addr("192.0.2.1")
	guard.Punish(a)
	guard.Set(wire.Rules{After: 1, Allow: []netip.Prefix{netip.PrefixFrom(a, 32)}})
	if got := guard.Admit(a, time.Now()); got != wire.Admitted {
		t.Errorf("got %q", got)
	}
	if n := len(guard.Bans()); n != 0 {
		t.Errorf("%d bans still shown", n)
	}
}

func TestHostOfIPv6IsItsWholeNetwork(t *testing.T) {
	guard := wire.NewGuard(wire.Rules{After: 2})
	guard.Punish(addr("2001:db8::1"))
	if !guard.Punish(addr("2001:db8::ffff:2")) {
		t.Error("addresses of one /64 were counted apart")
	}
	if got := guard.Admit(addr("2001:db8:0:1::1"), time.Now()); got != wire.Admitted {
		t.Errorf("next network: %q", got)
	}
}

// A flood from forged addresses must not fill the box.
func TestMemoryOfTheGuardIsBounded(t *testing.T) {
	guard := wire.NewGuard(wire.Rules{After: 1})
	before, now := heap(), time.Now()
	for i := range 300000 {
		a := netip.AddrFrom4([4]byte{100, byte(i >> 16), byte(i >> 8), byte(i)})
		guard.Admit(a, now)
		guard.Punish(a)
	}
	if after := heap(); after > before+10<<20 {
		t.Errorf("heap grew by %d octets", after-before)
	}
	if n := len(guard.Bans()); n > 4096 {
		t.Errorf("%d bans", n)
	}
	guard.Admit(addr("192.0.2.1"), now) // keeps it alive until here
}
