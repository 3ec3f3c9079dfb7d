package demo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"linekeeper/appliance"
	"linekeeper/appliance/api"
	"linekeeper/appliance/config/settings"
	"linekeeper/appliance/lab/cloud"
	"linekeeper/appliance/lab/phone"
	"linekeeper/appliance/lab/ua"
	"linekeeper/appliance/lab/voice"
)

// Options are how the demo is played.
type Options struct {
	// For bounds how long it may take, 60 s by default.
	For time.Duration
	// Keep leaves everything up after the last step, until ctx ends.
	Keep bool
	// Out takes the report, Log the daemon's log lines (nil: none).
	Out, Log io.Writer
	// Dir is where the demo lives; empty: a folder of its own, removed at the end.
	Dir string
	// Version is the software's.
	Version string
}

// ErrFailed says that a check did not hold; the report says which.
var ErrFailed = errors.New("a check of the demo failed")

// world is everything that the demo runs.
type world struct {
	o      Options
	out    *report
	dir    string
	cloud  *cloud.Cloud
	pacer  *voice.Pacer
	phones map[string]*phone.Phone
	box    *appliance.Box
	api    *api.Client
}

// Run plays the demo and reports each step. The error is ErrFailed when a check
// did not hold, or says why the demo could not be played.
func Run(ctx context.Context, o Options) error {
	if o.For <= 0 {
		o.For = time.Minute
	}
	ua.Quiet()
	dir, err := folder(o)
	if err != nil {
		return err
	}
	if o.Dir == "" {
		defer os.RemoveAll(dir)
	}
	w := &world{o: o, dir: dir, out: &report{out: o.Out}, phones: make(map[string]*phone.Phone)}
	live, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	defer func() { stop(); <-done }()
	if err := w.start(live, done); err != nil {
		return err
	}
	defer w.close()
	play, cancel := context.WithTimeout(live, o.For)
	defer cancel()
	failed := w.day(play)
	w.out.sum()
	if o.Keep && ctx.Err() == nil {
		fmt.Fprintf(o.Out, "\nThe demo stays up. Ask it:  linekeeper --socket %s status\nEnd it with Ctrl-C.\n", w.socket())
		<-ctx.Done()
	}
	if failed != nil {
		return fmt.Errorf("%w: %w", ErrFailed, failed)
	}
	return nil
}

func folder(o Options) (string, error) {
	if o.Dir != "" {
		return o.Dir, os.MkdirAll(o.Dir, 0o700)
	}
	return os.MkdirTemp("", "linekeeper-demo-")
}

func (w *world) socket() string { return filepath.Join(w.dir, "api.sock") }

// start brings up the cloud and the daemon. done gets the daemon's end.
func (w *world) start(ctx context.Context, done chan<- error) error {
	ended := false
	defer func() {
		if !ended {
			done <- nil
		}
	}()
	c, err := cloud.New(w.cloudConfig())
	if err != nil {
		return fmt.Errorf("start the embedded cloud: %w", err)
	}
	w.cloud = c
	path, err := writeSite(w.dir, c)
	if err != nil {
		return err
	}
	s := settings.Default()
	s.DataDir, s.API.Socket, s.Metrics.Listen = filepath.Join(w.dir, "data"), w.socket(), "127.77.0.1:0"
	log := slog.New(slog.DiscardHandler)
	if w.o.Log != nil {
		log = slog.New(slog.NewTextHandler(w.o.Log, &slog.HandlerOptions{Level: slog.LevelInfo}))
	}
	ready := make(chan *appliance.Box, 1)
	gone := make(chan error, 1)
	ended = true
	go func() {
		err := appliance.Run(ctx, appliance.Options{Settings: s, SitePath: path, Version: w.o.Version, Log: log, DrainTime: time.Second,
			Ready: func(b *appliance.Box) { ready <- b }})
		gone <- err
		done <- err
	}()
	select {
	case w.box = <-ready:
	case err := <-gone:
		c.Close()
		return fmt.Errorf("start the daemon: %w", err)
	}
	w.api = api.NewClient(w.socket())
	return w.openPhones(ctx)
}

func (w *world) cloudConfig() cloud.Config {
	cfg := cloud.Config{
		Listen: []cloud.Listen{{Transport: ua.TLS, Addr: netip.AddrPortFrom(netip.MustParseAddr(cloudAddr), 0)}},
		Domain: domain, Names: []string{domain}, Security: voice.Required,
		Outside: map[string]cloud.Script{outside: {Does: cloud.Answers, RingAfter: 50 * time.Millisecond, AnswerAfter: 200 * time.Millisecond, Tone: outsideTone}},
	}
	for _, p := range staff() {
		cfg.Accounts = append(cfg.Accounts, cloud.Account{User: p.number, Password: cloudPassword(p.number), Public: "+4989123456" + p.number})
	}
	return cfg
}

// openPhones makes the phones: over UDP, TCP and TLS by turns.
func (w *world) openPhones(ctx context.Context) error {
	w.pacer = voice.NewPacer()
	go w.pacer.Run(ctx)
	trust := x509.NewCertPool()
	trust.AppendCertsFromPEM(w.box.Authority())
	transports := []ua.Transport{ua.UDP, ua.TCP, ua.TLS, ua.UDP}
	for i, p := range staff() {
		t := transports[i%len(transports)]
		cfg := phone.Config{
			Extension: p.number, Password: phonePassword(p.number), Registrar: w.box.Listening(string(t)), Domain: "box.example",
			Transport: t, Local: netip.MustParseAddr(phoneAddr), TLS: &tls.Config{RootCAs: trust, ServerName: "linekeeper"},
			Tone: p.tone, Pacer: w.pacer, Answer: phone.Answer{Mode: phone.Accept, After: 150 * time.Millisecond},
		}
		ph, err := phone.New(cfg)
		if err != nil {
			return fmt.Errorf("phone %s: %w", p.number, err)
		}
		w.phones[p.number] = ph
	}
	return nil
}

func (w *world) close() {
	for _, p := range w.phones {
		p.Close()
	}
	w.cloud.Close()
}
