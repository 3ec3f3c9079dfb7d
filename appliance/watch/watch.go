package watch

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// unwatched is how often the engine is probed where no watchdog is set.
const unwatched = 10 * time.Second

// Probe makes the call engine answer. It returns when ctx ends at the latest.
type Probe func(ctx context.Context) error

// Notifier sends a state to the service manager.
type Notifier func(state string) error

// System returns a notifier for the manager named by NOTIFY_SOCKET; without
// one it does nothing.
func System() Notifier {
	return func(state string) error {
		_, err := daemon.SdNotify(false, state)
		return err
	}
}

// WatchdogSec returns the time after which the service manager restarts a
// daemon that did not ping; 0 where it does not watch.
func WatchdogSec() (time.Duration, error) {
	d, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return 0, fmt.Errorf("read WATCHDOG_USEC: %w", err)
	}
	return d, nil
}

// Deps is what a Watch needs. All but Told are required.
type Deps struct {
	Probe    Probe
	Notify   Notifier
	Watchdog time.Duration // WatchdogSec; 0: probe, but don't ping
	// Told is called from Run when the probe begins to fail (with the error)
	// and when it answers again (with nil).
	Told func(error)
	Log  *slog.Logger
}

// Watch feeds the watchdog.
type Watch struct {
	Deps
	failing bool
}

// New returns a watch over the probe.
func New(d Deps) *Watch {
	if d.Told == nil {
		d.Told = func(error) {}
	}
	return &Watch{Deps: d}
}

// Name implements the appliance's Room.
func (w *Watch) Name() string { return "watch" }

// Run probes every third of the watchdog's time until ctx ends. A probe gets
// that time to answer; one that does not, or fails, costs the ping.
func (w *Watch) Run(ctx context.Context, ready func()) error {
	every := unwatched
	if w.Watchdog > 0 {
		every = w.Watchdog / 3
	}
	ready()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		w.check(ctx, every)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// check probes once, and pings if the engine answered.
func (w *Watch) check(ctx context.Context, patience time.Duration) {
	probe, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := w.Probe(probe)
	switch {
	case ctx.Err() != nil:
		return // stopping; a probe that was cut off says nothing
	case err != nil && !w.failing:
		w.Log.Error("call engine does not answer; the watchdog gets no ping", "err", err)
		w.Told(err)
	case err == nil && w.failing:
		w.Log.Warn("call engine answers again")
		w.Told(nil)
	}
	w.failing = err != nil
	if err == nil && w.Watchdog > 0 {
		w.send(daemon.SdNotifyWatchdog)
	}
}

// Ready tells that the daemon serves. status is a short sentence.
func (w *Watch) Ready(status string) { w.send(daemon.SdNotifyReady, "STATUS="+line(status)) }

// Status tells how the daemon is, in a short sentence.
func (w *Watch) Status(status string) { w.send("STATUS=" + line(status)) }

// Stopping tells that the daemon drains, and asks for the time that it may
// still need.
func (w *Watch) Stopping(status string, need time.Duration) {
	w.send(daemon.SdNotifyStopping, "STATUS="+line(status), fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", need.Microseconds()))
}

func (w *Watch) send(states ...string) {
	if err := w.Notify(strings.Join(states, "\n")); err != nil {
		w.Log.Warn("service manager not told", "state", states[0], "err", err)
	}
}

// line keeps a status from smuggling further assignments into the datagram.
func line(s string) string { return strings.NewReplacer("\n", " ", "\r", " ").Replace(s) }
