package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"linekeeper/appliance/lab/cloud"
	"linekeeper/appliance/lab/ua"
	"linekeeper/appliance/lab/voice"
)

func TestMain(m *testing.M) {
	ua.Quiet()
	os.Exit(m.Run())
}

// newSite is a site whose target is the lab's cloud itself.
func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{security: voice.Required}
	if err := s.newCloud(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	s.target = target{UDP: s.cloud.Addr(ua.UDP), TLS: s.cloud.Addr(ua.TLS), Domain: cloudDomain, Name: "lab"}
	return s
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestRegistrationLoadRegistersEveryPhone(t *testing.T) {
	s := newSite(t)
	for _, transport := range []string{"udp", "tls"} {
		ctx := within(t, time.Minute)
		phones, err := s.registrants(ctx, transport)
		if err != nil {
			t.Fatal(err)
		}
		res := registerAll(phones)
		if res.Failed > 0 || res.Done != phoneCount || res.Latency.count != phoneCount {
			t.Errorf("%s storm: %d done, %d failed: %v", transport, res.Done, res.Failed, res.FirstError)
		}
		for i := range phoneCount {
			if len(s.cloud.Bindings(extension(i))) == 0 {
				t.Fatalf("%s: phone %d is not registered", transport, i)
			}
		}
		s.cloud.Forget()
		if res := registerFor(phones, 300*time.Millisecond, 8); res.Failed > 0 || res.Done < 8 {
			t.Errorf("%s load: %d done, %d failed: %v", transport, res.Done, res.Failed, res.FirstError)
		}
		if res := registerPaced(ctx, phones, 100, 500*time.Millisecond); res.Failed > 0 || res.Done != 50 {
			t.Errorf("%s paced: %d done, %d failed: %v", transport, res.Done, res.Failed, res.FirstError)
		}
		phones[0].password = "guess"
		if res := registerFor(phones, 0, 1); res.Failed != 1 || res.FirstError == nil {
			t.Errorf("%s: a wrong password counts as %+v", transport, res.Done)
		}
		phones[0].password = password(0)
		if err := closeAll(phones); err != nil {
			t.Error(err)
		}
		for i := range phoneCount {
			if n := len(s.cloud.Bindings(extension(i))); n > 0 {
				t.Fatalf("%s: phone %d left %d bindings behind", transport, i, n)
			}
		}
	}
}

func TestCallLoadCountsWhatFails(t *testing.T) {
	s := newSite(t)
	ctx := within(t, time.Minute)
	if err := s.openPhones(ctx); err != nil {
		t.Fatal(err)
	}
	res := callLoad(ctx, s.phones, func(int) string { return outside }, 40, time.Second)
	if res.Failed > 0 || res.Done != 40 || res.Setup.quantile(0.5) == 0 {
		t.Errorf("outside: %d done, %d failed: %v", res.Done, res.Failed, res.FirstError)
	}
	inside := callLoad(ctx, s.phones, func(i int) string { return extension((i + 100) % phoneCount) }, 40, time.Second)
	if inside.Failed > 0 || inside.Done != 40 {
		t.Errorf("inside: %d done, %d failed: %v", inside.Done, inside.Failed, inside.FirstError)
	}
	s.cloud.SetOutside("+4989777", cloud.Script{Does: cloud.Busy})
	if busy := callLoad(ctx, s.phones, func(int) string { return "+4989777" }, 10, 500*time.Millisecond); busy.Failed != 5 || busy.sustained() {
		t.Errorf("busy: %+v failed of %d", busy.Failed, busy.Offered)
	}
}

func TestMediaLoadHearsEveryPacketAndMissesLostOnes(t *testing.T) {
	s := newSite(t)
	ctx := within(t, time.Minute)
	if err := s.openPhones(ctx); err != nil {
		t.Fatal(err)
	}
	s.carry(true)
	calls, err := standingCalls(ctx, s.phones, func(int) string { return outside }, 6, 40)
	if err != nil {
		t.Fatal(err)
	}
	marks := 0
	mark := func() { marks++ }
	res := s.engine.run(ctx, 100*time.Millisecond, time.Second, mark, mark)
	if marks != 2 || res.Endpoints != 12 || res.Sent != 12*50 {
		t.Errorf("%d marks, %d endpoints sent %d", marks, res.Endpoints, res.Sent)
	}
	if res.lost() != 0 || res.Broken+res.Alien+res.Repeated > 0 {
		t.Errorf("lost %d, broken %d, alien %d, repeated %d", res.lost(), res.Broken, res.Alien, res.Repeated)
	}
	if res.ToPhone.count != 300 || res.ToCloud.count != 300 || res.ToPhone.max > time.Second || res.ToPhone.max == 0 {
		t.Errorf("latency of %d and %d packets, at most %v", res.ToPhone.count, res.ToCloud.count, res.ToPhone.max)
	}
	calls[0].Drop() // its phone is gone: what the cloud sends to it is lost
	if res := s.engine.run(ctx, 0, 200*time.Millisecond, mark, mark); res.lost() < 10 {
		t.Errorf("lost %d packets to a phone that is gone", res.lost())
	}
	if err := hangUp(ctx, calls); err != nil {
		t.Error(err)
	}
}

func TestFloorsAreJudged(t *testing.T) {
	r := &report{Date: "today", Machine: "a machine", Command: "bench"}
	r.add("a", "plain", 1.5, "ms")
	r.atLeast("a", "enough", 500, 500, "/s")
	r.below("a", "short", 4.9, 5, "ms")
	r.none("a", "zero", 0)
	if r.missed() != 0 {
		t.Errorf("missed %d of good figures", r.missed())
	}
	r.atLeast("b", "too few", 499, 500, "/s")
	r.below("b", "too long", 5, 5, "ms")
	r.none("b", "one", 1)
	if r.missed() != 3 || strings.Count(r.table(), "MISSED") != 3 {
		t.Errorf("missed %d, want 3:\n%s", r.missed(), r.table())
	}
	dir := filepath.Join(t.TempDir(), "deep")
	if err := r.write(dir, "", time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"2026-11-22.json", "2026-11-22.txt"} {
		if text, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !strings.Contains(string(text), "a machine") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestQuantilesAreWithinThreePercent(t *testing.T) {
	var h hist
	for i := 1; i <= 10000; i++ {
		h.add(time.Duration(i) * time.Microsecond)
	}
	for q, want := range map[float64]float64{0.5: 5000, 0.99: 9900} {
		if got := micros(h.quantile(q)); got < want*0.96 || got > want*1.02 {
			t.Errorf("quantile %g is %g us, want %g", q, got, want)
		}
	}
	if h.max != 10*time.Millisecond || h.count != 10000 {
		t.Errorf("max %v of %d", h.max, h.count)
	}
	var empty hist
	if empty.quantile(0.5) != 0 {
		t.Error("an empty histogram has a median")
	}
}

func TestOwnProcessIsMeasured(t *testing.T) {
	before, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(50 * time.Millisecond)
	for time.Now().Before(deadline) {
		continue
	}
	after, err := cpuTime(os.Getpid())
	if err != nil || after-before < 5*time.Millisecond {
		t.Errorf("50 ms of work counted as %v (%v)", after-before, err)
	}
	if n, err := resident(os.Getpid()); err != nil || n < 1<<20 {
		t.Errorf("resident memory %d (%v)", n, err)
	}
	if _, err := cpuTime(1 << 30); err == nil {
		t.Error("a process that is not there has processor time")
	}
}

func TestDaemonThatEndsAtOnceIsReportedWithItsLastWords(t *testing.T) {
	s := newSite(t)
	dir := t.TempDir()
	binary := filepath.Join(dir, "daemon")
	if err := os.WriteFile(binary, []byte("#!/bin/sh\necho the disk is full >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := startDaemon(within(t, 20*time.Second), binary, dir, seat{}, s.trunk())
	if err == nil || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("a daemon that cannot start: %v", err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "site.yaml"))
	if err != nil || strings.Count(string(text), "- {number:") != phoneCount {
		t.Errorf("site document has %d phones (%v)", strings.Count(string(text), "- {number:"), err)
	}
}
