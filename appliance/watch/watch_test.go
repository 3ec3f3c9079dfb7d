package watch

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// pings runs a watch for d with a probe, and returns when it pinged.
func pings(t *testing.T, d time.Duration, probe Probe, told func(error)) []time.Duration {
	t.Helper()
	var at []time.Duration
	start := time.Now()
	w := New(Deps{Probe: probe, Watchdog: 30 * time.Second, Told: told, Log: quiet(), Notify: func(s string) error {
		if s != "WATCHDOG=1" {
			t.Errorf("told %q", s)
		}
		at = append(at, time.Since(start))
		return nil
	}})
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := w.Run(ctx, func() {}); err != nil {
		t.Error(err)
	}
	return at
}

func TestHealthyEnginePingsEveryThirdOfTheWatchdog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := pings(t, 35*time.Second, func(context.Context) error { return nil }, nil)
		want := []time.Duration{0, 10 * time.Second, 20 * time.Second, 30 * time.Second}
		if !slices.Equal(got, want) {
			t.Errorf("pings at %v, want %v", got, want)
		}
	})
}

func TestHungEngineGetsNoPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		if got := pings(t, time.Minute, hang, nil); len(got) != 0 {
			t.Errorf("pings at %v from a hung engine", got)
		}
	})
}

func TestFailureAndRecoveryAreToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		var told []error
		broken := errors.New("inbox full")
		got := pings(t, 55*time.Second, func(context.Context) error {
			if n++; n == 2 || n == 3 {
				return broken
			}
			return nil
		}, func(err error) { told = append(told, err) })
		if want := []time.Duration{0, 30 * time.Second, 40 * time.Second, 50 * time.Second}; !slices.Equal(got, want) {
			t.Errorf("pings at %v, want %v", got, want)
		}
		if !slices.Equal(told, []error{broken, nil}) {
			t.Errorf("told %v", told)
		}
	})
}

func TestUnwatchedEngineIsProbedWithoutPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var probes atomic.Int32
		w := New(Deps{Log: quiet(), Probe: func(context.Context) error { probes.Add(1); return nil },
			Notify: func(s string) error { t.Errorf("told %q", s); return nil }})
		ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
		defer cancel()
		if err := w.Run(ctx, func() {}); err != nil || probes.Load() != 3 {
			t.Errorf("%d probes, %v", probes.Load(), err)
		}
	})
}

// TestServiceManagerHearsUs speaks to a real notification socket.
func TestServiceManagerHearsUs(t *testing.T) {
	dir, err := os.MkdirTemp("", "lk")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "30000000")
	t.Setenv("WATCHDOG_PID", "")
	sec, err := WatchdogSec()
	if err != nil || sec != 30*time.Second {
		t.Fatalf("watchdog %v, %v", sec, err)
	}
	w := New(Deps{Probe: func(context.Context) error { return nil }, Notify: System(), Watchdog: sec, Log: quiet()})
	hear := func(want string) {
		t.Helper()
		buf := make([]byte, 512)
		if err := manager.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := manager.Read(buf)
		if err != nil || string(buf[:n]) != want {
			t.Errorf("heard %q, %v; want %q", buf[:n], err, want)
		}
	}
	w.Ready("online")
	hear("READY=1\nSTATUS=online")
	w.Status("survival:\nWATCHDOG=1")
	hear("STATUS=survival: WATCHDOG=1")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.Run(ctx, func() {}) }()
	hear("WATCHDOG=1")
	cancel()
	<-done
	w.Stopping("waits for 2 calls", 90*time.Second)
	hear("STOPPING=1\nSTATUS=waits for 2 calls\nEXTEND_TIMEOUT_USEC=90000000")
}
