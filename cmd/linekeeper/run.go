package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"linekeeper/appliance"
	"linekeeper/appliance/config/settings"
	"linekeeper/appliance/demo"
)

type runCmd struct {
	Site   string `help:"Site document to import as a new revision if it differs from the last one imported; default: the stored one." placeholder:"FILE"`
	Config string `help:"The daemon's settings." default:"${settings}" placeholder:"FILE"`
	Data   string `help:"Data folder, in place of data_dir of the settings." placeholder:"DIR"`
}

// Help implements kong's help with an example.
func (runCmd) Help() string {
	return "The daemon. It serves until SIGTERM or SIGINT, then waits up to 30 s for running calls; a second signal ends it at once.\n\nExample:\n  linekeeper run --site site.yaml --data /var/lib/linekeeper"
}

// Run serves until the session's context ends.
func (c runCmd) Run(s *session) error {
	set, err := c.settings()
	if err != nil {
		return err
	}
	opts := &slog.HandlerOptions{Level: set.Log.Slog()}
	log := slog.New(slog.NewTextHandler(s.errs, opts))
	if set.Log.Format == "json" {
		log = slog.New(slog.NewJSONHandler(s.errs, opts))
	}
	rest()
	signal.Ignore(syscall.SIGHUP) // a terminal that goes away is no reason to end calls
	return appliance.Run(s.ctx, appliance.Options{Settings: set, SitePath: c.Site, Version: versionText(), Log: log})
}

// How the collector rests, unless GOGC and GOMEMLIMIT say otherwise. What lives is mostly
// tables that a call does not touch, number plans above all, and marking them again and
// again was a seventh of a call's price. Waiting until garbage is three times what lives
// costs some 35 MB at 200 phones. Two thousand calls stay below half of the limit; above it
// the collector looks more often instead of letting the process grow.
const (
	restPercent = 300
	restLimit   = 512 << 20 // octets
)

func rest() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(restPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(restLimit)
	}
}

// settings reads the settings file; the default one need not exist.
func (c runCmd) settings() (settings.Settings, error) {
	text, err := os.ReadFile(c.Config)
	if errors.Is(err, os.ErrNotExist) && c.Config == settings.File {
		err = nil
	}
	if err != nil {
		return settings.Settings{}, fmt.Errorf("settings: %w", err)
	}
	set, err := settings.Parse(c.Config, text, os.Environ())
	if err != nil {
		return set, err
	}
	if c.Data != "" {
		set.DataDir = c.Data
	}
	return set, nil
}

type demoCmd struct {
	For  time.Duration `help:"How long it may take." default:"60s"`
	Keep bool          `help:"Stay up after the last step, for the other commands to look at."`
	Log  bool          `help:"Print the daemon's log to standard error."`
}

// Help implements kong's help with an example.
func (demoCmd) Help() string {
	return "Plays a day at a site on loopback addresses, with an embedded cloud and simulated phones; needs neither root nor network. Exit code 1 if a check failed.\n\nExample:\n  linekeeper demo --keep"
}

// Run plays the demo.
func (c demoCmd) Run(s *session) error {
	o := demo.Options{For: c.For, Keep: c.Keep, Out: s.out, Version: versionText()}
	if c.Log {
		o.Log = s.errs
	}
	err := demo.Run(s.ctx, o)
	if errors.Is(err, demo.ErrFailed) {
		return errFinding
	}
	return err
}
