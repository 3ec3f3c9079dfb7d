package cloud

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"linekeeper/appliance/lab/ua"
	"linekeeper/appliance/lab/voice"
)

// Cloud is one embedded cloud PBX. Its methods are safe for concurrent use.
type Cloud struct {
	cfg       Config
	log       *slog.Logger
	authority *ua.Authority
	server    *tls.Config
	gate      ua.Gate
	pacer     *voice.Pacer
	nonces    nonces
	stop      context.CancelFunc
	tasks     sync.WaitGroup

	faulting sync.Mutex // one change of fault at a time; held while sockets open and close

	mu       sync.Mutex // guards all below, never held across I/O
	fault    Fault
	closed   bool
	agents   []*ua.Agent // one for each of cfg.Listen; nil while cut
	accounts map[string]*subscriber
	byNumber map[string]string // public number → user
	records  []Registration
	calls    map[*ua.Call]struct{}
	arrived  []*ua.Call // calls to outside numbers that no test has fetched
	stats    Stats
	breaches []string
	codes    []Code
	early    map[netip.Addr]int // registrations that came too soon
	lastAt   time.Time          // of the last new registration
	lastBy   string
	changed  chan struct{}
}

// Bounds of what a cloud remembers.
const (
	maxRecords  = 20000
	maxArrived  = 256
	maxContacts = 10
)

// New opens a cloud's sockets; Close ends it.
func New(cfg Config) (*Cloud, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if len(cfg.Algorithms) == 0 {
		cfg.Algorithms = []string{"SHA-256", "MD5"}
	}
	if cfg.Expires == 0 {
		cfg.Expires = time.Hour
	}
	if cfg.NonceLife == 0 {
		cfg.NonceLife = 5 * time.Minute
	}
	c := &Cloud{
		cfg: cfg, log: cfg.Log, pacer: voice.NewPacer(), changed: make(chan struct{}),
		early:    make(map[netip.Addr]int),
		accounts: make(map[string]*subscriber), byNumber: make(map[string]string), calls: make(map[*ua.Call]struct{}),
		nonces: nonces{life: cfg.NonceLife, used: make(map[string]uint32)},
	}
	c.cfg.Listen = append([]Listen(nil), cfg.Listen...)
	if _, err := rand.Read(c.nonces.secret[:]); err != nil {
		return nil, err
	}
	for _, a := range cfg.Accounts {
		c.addLocked(a)
	}
	if err := c.certify(); err != nil {
		return nil, err
	}
	if err := c.open(); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	c.tasks.Go(func() { c.pacer.Run(ctx) })
	return c, nil
}

func (c *Cloud) certify() (err error) {
	if c.authority, err = ua.NewAuthority("lab cloud"); err != nil {
		return err
	}
	addrs := make([]netip.Addr, 0, len(c.cfg.Listen))
	for _, l := range c.cfg.Listen {
		addrs = append(addrs, l.Addr.Addr())
	}
	names := append([]string{c.cfg.Domain}, c.cfg.Names...)
	if c.server, err = c.authority.Server(names, addrs...); err != nil || !c.cfg.Rules.ServerName {
		return err
	}
	c.server.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if slices.Contains(names, hello.ServerName) {
			return nil, nil // the setting stands
		}
		c.breach("server name: %q", hello.ServerName)
		return nil, fmt.Errorf("nobody here is called %q", hello.ServerName)
	}
	return nil
}

// open opens every listener, on the ports of the last time.
func (c *Cloud) open() error {
	agents := make([]*ua.Agent, 0, len(c.cfg.Listen))
	for i, l := range c.cfg.Listen {
		a, err := ua.Open(ua.Config{
			Transport: l.Transport, Local: l.Addr, ServerTLS: c.server, Name: "Lab Cloud",
			ClientTLS: &tls.Config{RootCAs: c.authority.Pool(), MinVersion: tls.VersionTLS12},
			Gate:      &c.gate, Log: c.log, Handler: handler{c},
		})
		if err != nil {
			for _, a := range agents {
				a.Close()
			}
			return fmt.Errorf("cloud: %w", err)
		}
		c.cfg.Listen[i].Addr = a.Local()
		agents = append(agents, a)
	}
	c.mu.Lock()
	c.agents = agents
	c.mu.Unlock()
	return nil
}

// Close ends the cloud without a word and waits for all its goroutines.
func (c *Cloud) Close() {
	c.faulting.Lock()
	defer c.faulting.Unlock()
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.gate.Shut(false) // what waits for it must go on to end
	c.shut()
	c.stop()
	c.tasks.Wait()
}

// shut closes every listener and all calls.
func (c *Cloud) shut() {
	c.mu.Lock()
	agents := c.agents
	c.agents = nil
	c.mu.Unlock()
	for _, a := range agents {
		a.Close()
	}
}

// CA is the certificate in PEM that vouches for the cloud's TLS.
func (c *Cloud) CA() []byte { return c.authority.PEM() }

// ClientTLS is a setting that trusts the cloud.
func (c *Cloud) ClientTLS() *tls.Config {
	return &tls.Config{RootCAs: c.authority.Pool(), MinVersion: tls.VersionTLS12}
}

// Addr is where the cloud listens on transport; zero if it does not.
func (c *Cloud) Addr(t ua.Transport) netip.AddrPort {
	c.faulting.Lock()
	defer c.faulting.Unlock()
	for _, l := range c.cfg.Listen {
		if l.Transport == t {
			return l.Addr
		}
	}
	return netip.AddrPort{}
}

// Target is the cloud's address on transport as a site document writes it: tls://127.0.0.3:5061.
func (c *Cloud) Target(t ua.Transport) string { return string(t) + "://" + c.Addr(t).String() }

// SetFault replaces what is wrong with the cloud. It returns when the change holds.
// Setting the same fault twice changes nothing.
func (c *Cloud) SetFault(f Fault) error {
	c.faulting.Lock()
	defer c.faulting.Unlock()
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return errors.New("cloud is closed")
	}
	was := c.fault
	c.fault = f
	c.mu.Unlock()
	c.gate.Shut(f.Silent)
	switch {
	case f.Cut && !was.Cut:
		c.shut()
	case !f.Cut && was.Cut:
		return c.open()
	}
	return nil
}

// Fault is what is wrong with the cloud now.
func (c *Cloud) Fault() Fault {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fault
}

// wait waits until ok, which is called under the lock.
func (c *Cloud) wait(ctx context.Context, ok func() bool) error {
	for {
		c.mu.Lock()
		done, changed := ok(), c.changed
		c.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		}
	}
}

// tellLocked wakes who waits.
func (c *Cloud) tellLocked() {
	close(c.changed)
	c.changed = make(chan struct{})
}
