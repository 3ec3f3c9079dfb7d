package systems

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"linekeeper/appliance"
	"linekeeper/appliance/api"
	"linekeeper/appliance/config/settings"
	"linekeeper/appliance/lab/cloud"
	"linekeeper/appliance/lab/phone"
	"linekeeper/appliance/lab/ua"
	"linekeeper/appliance/lab/voice"
)

const (
	outsideTone = 620.0 // of the subscriber outside
	callerTone  = 880.0 // of who calls from outside
	heardFor    = 300 * time.Millisecond
	longest     = 15 * time.Second // for whatever a test waits for
)

func TestMain(m *testing.M) {
	ua.Quiet()
	os.Exit(m.Run())
}

// scene is one system: its cloud, the daemon at a site, and the site's phones.
type scene struct {
	*testing.T
	net   string // "127.90.1": the scene's addresses begin with it
	dir   string
	cloud *cloud.Cloud
	box   *appliance.Box
	api   *api.Client
	text  string // the site document in force
	pacer *voice.Pacer
	log   *logged
}

// scenes numbers the scenes of this process.
var scenes atomic.Int32

// newScene makes a place for a system; nothing runs yet.
func newScene(t *testing.T) *scene {
	t.Helper()
	dir, err := os.MkdirTemp("", "lk") // short: a socket's path has 107 characters
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &scene{T: t, dir: dir, pacer: voice.NewPacer(), log: &logged{}}
	s.net = fmt.Sprintf("127.%d.%d", 64+os.Getpid()%128, 100+scenes.Add(1))
	ctx, stop := context.WithCancel(context.Background())
	var pace sync.WaitGroup
	pace.Go(func() { s.pacer.Run(ctx) })
	t.Cleanup(func() { stop(); pace.Wait() })
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the daemon's log:\n%s", s.log)
		}
	})
	return s
}

// The hosts of every scene.
const (
	lanHost, wanHost, cloudHost, otherHost, serverHost, phoneHost = 1, 2, 3, 4, 9, 10
)

func (s *scene) addr(host int) netip.Addr {
	return netip.MustParseAddr(fmt.Sprintf("%s.%d", s.net, host))
}

// opens the cloud as a house.
func (s *scene) opens(h cloud.House, cfg cloud.Config) {
	s.Helper()
	cfg.Obey(h)
	c, err := cloud.New(cfg)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(c.Close)
	s.cloud = c
	s.Cleanup(func() {
		if b := c.Breaches(); len(b) > 0 {
			s.Errorf("rules of the house were broken: %q", b)
		}
	})
}

// starts the daemon on a site document, in which LAN, WAN, CLOUD, SERVER and CA
// stand for the scene's addresses and the cloud's authority.
func (s *scene) starts(site string) {
	s.Helper()
	ca := filepath.Join(s.dir, "cloud-ca.pem")
	if err := os.WriteFile(ca, s.cloud.CA(), 0o600); err != nil {
		s.Fatal(err)
	}
	s.text = strings.NewReplacer("LAN", s.addr(lanHost).String(), "WAN", s.addr(wanHost).String(),
		"CLOUD", s.addr(cloudHost).String(), "SERVER", s.addr(serverHost).String(), "CAFILE", ca).Replace(site)
	path := filepath.Join(s.dir, "site.yaml")
	if err := os.WriteFile(path, []byte(s.text), 0o600); err != nil {
		s.Fatal(err)
	}
	set := settings.Default()
	set.DataDir, set.API.Socket, set.Metrics.Listen = filepath.Join(s.dir, "data"), filepath.Join(s.dir, "api.sock"), ""
	ready, gone := make(chan *appliance.Box, 1), make(chan error, 1)
	ctx, end := context.WithCancel(context.Background())
	go func() {
		gone <- appliance.Run(ctx, appliance.Options{Settings: set, SitePath: path, Version: "test", DrainTime: 100 * time.Millisecond,
			Log: slog.New(slog.NewTextHandler(s.log, nil)), Ready: func(b *appliance.Box) { ready <- b }})
	}()
	s.Cleanup(func() {
		end()
		if err := <-gone; err != nil {
			s.Errorf("the daemon ended with %v", err)
		}
	})
	select {
	case s.box = <-ready:
	case err := <-gone:
		gone <- err
		s.Fatalf("the daemon did not start: %v", err)
	}
	s.api = api.NewClient(set.API.Socket)
}

// becomes puts a changed site document in force.
func (s *scene) becomes(change ...string) {
	s.Helper()
	for i := 0; i+1 < len(change); i += 2 {
		if !strings.Contains(s.text, change[i]) {
			s.Fatalf("%q is not in the document", change[i])
		}
		s.text = strings.ReplaceAll(s.text, change[i], change[i+1])
	}
	if _, err := s.api.Apply(s.within(longest), []byte(s.text), time.Minute); err != nil {
		s.Fatalf("applying the changed document: %v", err)
	}
}

func (s *scene) within(d time.Duration) context.Context {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), d)
	s.Cleanup(cancel)
	return ctx
}

func (s *scene) must(err error, what string, args ...any) {
	s.Helper()
	if err != nil {
		s.Fatalf("%s: %v", fmt.Sprintf(what, args...), err)
	}
}

// status waits until the daemon's status is as wanted.
func (s *scene) status(what string, ok func(api.Status) bool) api.Status {
	s.Helper()
	ctx := s.within(longest)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		st, err := s.api.Status(ctx)
		if err == nil && ok(st) {
			return st
		}
		select {
		case <-ctx.Done():
			s.Fatalf("%s: mode %s (%s), lines %+v, alarms %+v, %v", what, st.Mode, st.Cause, st.Lines, st.Alarms, err)
		case <-tick.C:
		}
	}
}

// online waits until so many lines are registered.
func (s *scene) online(lines int) {
	s.Helper()
	s.status("online with all lines", func(st api.Status) bool {
		return st.Mode == "online" && st.Lines.Registered == lines && st.Lines.Total == lines
	})
}

// phone makes a registered telephone of an extension.
func (s *scene) phone(ext string, tone float64, change ...func(*phone.Config)) *phone.Phone {
	s.Helper()
	p := s.unregistered(ext, tone, change...)
	s.must(p.Register(s.within(longest)), "phone %s registers", ext)
	return p
}

func (s *scene) unregistered(ext string, tone float64, change ...func(*phone.Config)) *phone.Phone {
	s.Helper()
	cfg := phone.Config{
		Extension: ext, Password: phonePassword(ext), Registrar: s.box.Listening("udp"), Local: s.addr(phoneHost), Tone: tone,
		Pacer: s.pacer, Answer: phone.Answer{Mode: phone.Accept, After: 50 * time.Millisecond},
	}
	for _, f := range change {
		f(&cfg)
	}
	p, err := phone.New(cfg)
	s.must(err, "phone %s", ext)
	s.Cleanup(p.Close)
	return p
}

func phonePassword(ext string) string { return "kaffeetasse-" + ext + "-ahorn" }
func linePassword(ext string) string  { return "regenschirm-" + ext + "-dachs" }

// logged is a log that can be read while it is written.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write takes one line.
func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String is what was written so far.
func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
