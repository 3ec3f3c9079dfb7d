package resolve

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// zone is a name server: in memory under synctest, or on loopback sockets.
type zone struct {
	mu      sync.Mutex
	records []dns.RR
	rcodes  map[string]int // by "TYPE name." or "" for all
	silent  bool
	twist   func(q, r *dns.Msg, network string) // spoils an answer
	asked   []string
}

func newZone(t *testing.T, text ...string) *zone {
	z := &zone{}
	z.set(t, text...)
	return z
}

// set replaces the records; the TTL is 600 s where none is written.
func (z *zone) set(t *testing.T, text ...string) {
	t.Helper()
	z.mu.Lock()
	defer z.mu.Unlock()
	z.records, z.rcodes, z.silent = nil, map[string]int{}, false
	for _, line := range text {
		rr, err := dns.NewRR("$TTL 600\n" + line)
		if err != nil || rr == nil {
			t.Fatalf("record %q: %v", line, err)
		}
		z.records = append(z.records, rr)
	}
}

// fail makes questions ("" is all) answer with a code.
func (z *zone) fail(what string, rcode int) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.rcodes[what] = rcode
}

func (z *zone) hush(silent bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.silent = silent
}

func (z *zone) count() int {
	z.mu.Lock()
	defer z.mu.Unlock()
	return len(z.asked)
}

// answer is nil for silence.
func (z *zone) answer(m *dns.Msg, network string) *dns.Msg {
	z.mu.Lock()
	defer z.mu.Unlock()
	q := question{strings.ToLower(m.Question[0].Name), m.Question[0].Qtype}
	z.asked = append(z.asked, q.String())
	if z.silent {
		return nil
	}
	r := new(dns.Msg).SetReply(m)
	name, exists := q.name, false
	for hop := 0; hop < 10; hop++ {
		next := ""
		for _, rr := range z.records {
			if rr.Header().Name != name {
				continue
			}
			exists = true
			if alias, ok := rr.(*dns.CNAME); ok {
				next = alias.Target
				r.Answer = append(r.Answer, rr)
			} else if rr.Header().Rrtype == q.kind {
				r.Answer = append(r.Answer, rr)
			}
		}
		if next == "" {
			break
		}
		name = next
	}
	if !exists {
		r.Rcode = dns.RcodeNameError
	}
	if len(r.Answer) == 0 {
		soa, _ := dns.NewRR("test. 600 IN SOA ns.test. m.test. 1 1 1 1 600")
		r.Ns = append(r.Ns, soa)
	}
	for _, key := range []string{"", q.String()} {
		if code, ok := z.rcodes[key]; ok {
			r.Rcode, r.Answer, r.Ns = code, nil, nil
		}
	}
	if z.twist != nil {
		z.twist(m, r, network)
	}
	return r
}

// exchange is the zone in memory.
func (z *zone) exchange(ctx context.Context, m *dns.Msg, _ netip.AddrPort, network string) (*dns.Msg, error) {
	if r := z.answer(m, network); r != nil {
		return r, nil
	}
	<-ctx.Done()
	return nil, errors.New("no answer")
}

// serve opens the zone on one port of loopback for UDP and TCP.
func (z *zone) serve(t *testing.T) netip.AddrPort {
	t.Helper()
	for range 20 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		pc, err := net.ListenPacket("udp", l.Addr().String())
		if err != nil { // that port is somebody's on UDP
			_ = l.Close()
			continue
		}
		for network, s := range map[string]*dns.Server{"udp": {PacketConn: pc}, "tcp": {Listener: l}} {
			up := make(chan struct{})
			s.NotifyStartedFunc = func() { close(up) }
			s.Handler = dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) {
				if r := z.answer(m, network); r != nil {
					if network == "udp" {
						r.Truncate(bufferSize)
					}
					_ = w.WriteMsg(r)
				}
			})
			done := make(chan struct{})
			go func() { defer close(done); _ = s.ActivateAndServe() }()
			<-up
			t.Cleanup(func() { _ = s.Shutdown(); <-done })
		}
		return netip.MustParseAddrPort(l.Addr().String())
	}
	t.Fatal("no port is free on both UDP and TCP")
	return netip.AddrPort{}
}

// world is a resolver that runs.
type world struct {
	*Resolver
	mu       sync.Mutex
	changes  [][]Target
	verdicts []Verdict
	ready    chan time.Time
	leave    context.CancelFunc
	done     chan error
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// start runs a resolver over an exchange until the test's end or leave.
func start(t *testing.T, ex exchanger, s Source, adjust ...func(*Deps)) *world {
	t.Helper()
	w := &world{ready: make(chan time.Time, 1), done: make(chan error, 1)}
	d := Deps{
		Log:     quiet(),
		Servers: func() []netip.AddrPort { return []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:53")} },
		Hosts:   filepath.Join(t.TempDir(), "none"),
		Usable:  func(netip.Addr) bool { return true },
		IntN:    func(int) int { return 0 },
		Changed: func(ts []Target) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.changes = append(w.changes, ts)
		},
		Judged: func(h Health) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.verdicts = append(w.verdicts, h.Verdict)
		},
	}
	for _, f := range adjust {
		f(&d)
	}
	w.Resolver = New(d)
	w.exchange = ex
	w.SetSource(s)
	ctx, cancel := context.WithCancel(context.Background())
	w.leave = cancel
	go func() { w.done <- w.Run(ctx, func() { w.ready <- time.Now() }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-w.done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return w
}

func (w *world) told() (changes int, verdicts []Verdict) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.changes), slices.Clone(w.verdicts)
}

// text writes the targets in a line.
func text(ts []Target) string {
	var all []string
	for _, t := range ts {
		all = append(all, string(t.Transport)+"://"+t.Addr.String())
	}
	return strings.Join(all, " ")
}

func (w *world) want(t *testing.T, list string, v Verdict) {
	t.Helper()
	if got := text(w.Targets()); got != list {
		t.Errorf("targets\n got %s\nwant %s", got, list)
	}
	if h := w.Health(); h.Verdict != v {
		t.Errorf("verdict %v (%s), want %v", h.Verdict, h.Cause, v)
	}
}
