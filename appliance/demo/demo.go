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
	"sync"
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
	spoil  func(*cloud.Cloud) error
	out    *report
	dir    string
	cloud  *cloud.Cloud
	pacer  *voice.Pacer
	phones map[string]*phone.Phone
	box    *appliance.Box
	api    *api.Client
	// running are the daemon and what keeps the phones' pace.
	running sync.WaitGroup
}

// Run plays the demo and reports each step. The error is ErrFailed when a check
// did not hold, or says why the demo could not be played. It silences sipgo's
// process-wide logger, so a program plays it once.
func Run(ctx context.Context, o Options) error {
	ua.Quiet()
	return play(ctx, o, func(*cloud.Cloud) error { return nil })
}

// play is Run with a cloud that spoil may have changed before anybody uses it.
func play(ctx context.Context, o Options, spoil func(*cloud.Cloud) error) error {
	if o.For <= 0 {
		o.For = time.Minute
	}
	dir, err := folder(o)
	if err != nil {
		return err
	}
	if o.Dir == "" {
		defer os.RemoveAll(dir)
	}
	w := &world{o: o, spoil: spoil, dir: dir, out: &report{out: o.Out}, phones: make(map[string]*phone.Phone)}
	live, stop := context.WithCancel(ctx)
	defer stop()
	defer func() {
		w.close()
		stop()
		w.running.Wait()
	}()
	if err := w.start(live); err != nil {
		return err
	}
	within, cancel := context.WithTimeout(live, o.For)
	defer cancel()
	failed := w.day(within)
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

// start brings up the cloud, the daemon and the phones.
func (w *world) start(ctx context.Context) error {
	c, err := cloud.New(w.cloudConfig())
	if err != nil {
		return fmt.Errorf("start the embedded cloud: %w", err)
	}
	w.cloud = c
	if err := w.spoil(c); err != nil {
		return err
	}
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
	w.running.Go(func() {
		gone <- appliance.Run(ctx, appliance.Options{Settings: s, SitePath: path, Version: w.o.Version, Log: log, DrainTime: time.Second,
			Ready: func(b *appliance.Box) { ready <- b }})
	})
	select {
	case w.box = <-ready:
	case err := <-gone:
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
	w.running.Go(func() { w.pacer.Run(ctx) })
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
	if w.cloud != nil {
		w.cloud.Close()
	}
}
