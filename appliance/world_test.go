package appliance

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
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

	"linekeeper/appliance/api"
	"linekeeper/appliance/config/settings"
	"linekeeper/appliance/lab/cloud"
	"linekeeper/appliance/lab/phone"
	"linekeeper/appliance/lab/ua"
	"linekeeper/appliance/lab/voice"
)

const (
	domain1     = "cloud.example"
	outside     = "+4989555100"
	outsideTone = 620.0
	longest     = 20 * time.Second // for whatever a test waits for
)

func TestMain(m *testing.M) {
	ua.Quiet()
	os.Exit(m.Run())
}

// world is a site on loopback addresses of its own: an embedded cloud, phones,
// and the whole daemon, which can be ended and started anew.
type world struct {
	t      *testing.T
	dir    string
	net    string // "127.78.3": the site's addresses begin with it
	cloud  *cloud.Cloud
	phones map[string]*phone.Phone
	log    *logged
}

// worlds numbers the sites of this process.
var worlds atomic.Int32

func newWorld(t *testing.T) *world {
	t.Helper()
	dir, err := os.MkdirTemp("", "lk") // short: a socket's path has 107 characters
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	w := &world{t: t, dir: dir, phones: make(map[string]*phone.Phone), log: &logged{}}
	w.net = fmt.Sprintf("127.%d.%d", 64+os.Getpid()%128, worlds.Add(1))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the daemon's log:\n%s", w.log)
		}
	})
	return w
}

func (w *world) addr(host int) netip.Addr {
	return netip.MustParseAddr(fmt.Sprintf("%s.%d", w.net, host))
}

// withCloud opens the cloud with the accounts 22, 23 and 24.
func (w *world) withCloud() *world {
	w.t.Helper()
	cfg := cloud.Config{
		Listen: []cloud.Listen{{Transport: ua.TLS, Addr: netip.AddrPortFrom(w.addr(3), 5061)}},
		Domain: domain1, Names: []string{domain1}, Security: voice.Required,
		Outside: map[string]cloud.Script{outside: {Does: cloud.Answers, Tone: outsideTone}},
	}
	for _, n := range []string{"22", "23", "24"} {
		cfg.Accounts = append(cfg.Accounts, cloud.Account{User: n, Password: cloudPassword(n), Public: "+4989123456" + n})
	}
	c, err := cloud.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(c.Close)
	w.cloud = c
	return w
}

func phonePassword(n string) string { return "kaffeetasse-" + n + "-ahorn" }
func cloudPassword(n string) string { return "regenschirm-" + n + "-dachs" }

// document is a site document with these extensions, changed by pairs of old
// and new text.
func (w *world) document(extensions []string, change ...string) string {
	w.t.Helper()
	ca := ""
	if w.cloud != nil {
		ca = filepath.Join(w.dir, "cloud-ca.pem")
		if err := os.WriteFile(ca, w.cloud.CA(), 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, `site: {name: Praxis, area_code: "89", main_number: "+498912345620", language: en}
provider:
  profile: generic
  domain: %s
  servers: ["tls://%s:5061"]
  transport: tls
  tls: {ca: %q}
  srtp: required
  register: {expires: 600s, spacing: 10ms}
lan:
  sip: ["udp://%[4]s:5060", "tcp://%[4]s:5060", "tls://%[4]s:5061"]
wan: {address: %[5]s}
extensions:
`, domain1, w.addr(3), ca, w.addr(1), w.addr(2))
	for _, n := range extensions {
		fmt.Fprintf(&b, "  - {number: %q, name: Platz %s, public: \"+4989123456%s\", password: %q, class: international", n, n, n, phonePassword(n))
		if w.cloud != nil {
			fmt.Fprintf(&b, ", cloud: {account: %q, password: %q}", n, cloudPassword(n))
		}
		b.WriteString("}\n")
	}
	text := b.String()
	for i := 0; i+1 < len(change); i += 2 {
		if !strings.Contains(text, change[i]) {
			w.t.Fatalf("%q is not in the document", change[i])
		}
		text = strings.ReplaceAll(text, change[i], change[i+1])
	}
	return text
}

// file writes a site document and gives its path.
func (w *world) file(text string) string {
	w.t.Helper()
	path := filepath.Join(w.dir, "site.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

func (w *world) dataDir() string { return filepath.Join(w.dir, "data") }

// daemon is one life of the box.
type daemon struct {
	*Box
	t    *testing.T
	api  *api.Client
	end  context.CancelFunc
	done chan struct{}
	err  error // valid once done is closed
}

// options are how a world's daemon is started.
func (w *world) options(path string) Options {
	s := settings.Default()
	s.DataDir, s.API.Socket, s.Metrics.Listen = w.dataDir(), filepath.Join(w.dir, "api.sock"), netip.AddrPortFrom(w.addr(1), 9464).String()
	return Options{Settings: s, SitePath: path, Version: "1.2.3", Log: slog.New(slog.NewTextHandler(w.log, nil)), DrainTime: 50 * time.Millisecond}
}

// run starts the daemon and waits until it serves.
func (w *world) run(path string, change ...func(*Options)) *daemon {
	w.t.Helper()
	o := w.options(path)
	ready := make(chan *Box, 1)
	o.Ready = func(b *Box) { ready <- b }
	for _, c := range change {
		c(&o)
	}
	ctx, end := context.WithCancel(context.Background())
	d := &daemon{t: w.t, api: api.NewClient(o.Settings.API.Socket), end: end, done: make(chan struct{})}
	go func() {
		d.err = Run(ctx, o)
		close(d.done)
	}()
	w.t.Cleanup(d.stop)
	select {
	case d.Box = <-ready:
	case <-d.done:
		w.t.Fatalf("the daemon did not start: %v", d.err)
	case <-time.After(longest):
		w.t.Fatal("the daemon does not get ready")
	}
	return d
}

// stop ends the daemon, as SIGTERM does, and waits until it is gone.
func (d *daemon) stop() {
	d.t.Helper()
	d.end()
	select {
	case <-d.done:
		if d.err != nil {
			d.t.Errorf("the daemon ended with %v", d.err)
		}
	case <-time.After(longest):
		d.t.Error("the daemon does not end")
	}
}

// phone makes the phone of an extension; it does not register by itself.
func (w *world) phone(d *daemon, ext string, t ua.Transport, change ...func(*phone.Config)) *phone.Phone {
	w.t.Helper()
	trust := x509.NewCertPool()
	trust.AppendCertsFromPEM(d.Authority())
	cfg := phone.Config{
		Extension: ext, Password: phonePassword(ext), Registrar: d.Listening(string(t)), Domain: "box.example", Transport: t,
		Local: w.addr(10), TLS: &tls.Config{RootCAs: trust, ServerName: "linekeeper"}, Tone: map[string]float64{"22": 440, "23": 523, "24": 659}[ext],
		Answer: phone.Answer{Mode: phone.Accept},
	}
	for _, c := range change {
		c(&cfg)
	}
	p, err := phone.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(p.Close)
	return p
}

// registered makes a phone and registers it.
func (w *world) registered(d *daemon, ext string, t ua.Transport) *phone.Phone {
	w.t.Helper()
	p := w.phone(d, ext, t)
	if err := p.Register(w.within()); err != nil {
		w.t.Fatalf("phone %s: %v", ext, err)
	}
	return p
}

// within is a context for whatever a test waits for.
func (w *world) within() context.Context {
	ctx, cancel := context.WithTimeout(w.t.Context(), longest)
	w.t.Cleanup(cancel)
	return ctx
}

// online waits until all lines are registered.
func (w *world) online(d *daemon) {
	w.t.Helper()
	w.until("online", func() bool {
		st := d.Status()
		return st.Mode == "online" && st.Lines.Registered == st.Lines.Total
	})
}

// until waits for something that the daemon does on its own time.
func (w *world) until(what string, holds func() bool) {
	w.t.Helper()
	ctx := w.within()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			w.t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

// talk lets two phones talk and gives both ends.
func (w *world) talk(from, to *phone.Phone) (a, b *ua.Call) {
	w.t.Helper()
	ctx := w.within()
	a, err := from.Dial(ctx, to.Extension())
	if err == nil {
		b, err = to.Incoming(ctx)
	}
	if err == nil {
		err = a.WaitState(ctx, ua.Talking)
	}
	if err != nil {
		w.t.Fatalf("%s calls %s: %v", from.Extension(), to.Extension(), err)
	}
	w.heard(a, b, from.Tone(), to.Tone())
	return a, b
}

// heard waits until both ends hear each other, from now on.
func (w *world) heard(a, b *ua.Call, aTone, bTone float64) {
	w.t.Helper()
	if err := errors.Join(a.Heard(w.within(), bTone, 200*time.Millisecond), b.Heard(w.within(), aTone, 200*time.Millisecond)); err != nil {
		w.t.Fatal(err)
	}
}

// logged keeps what the daemon logs.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write keeps a line.
func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String is all of it.
func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
