package sbc

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"linekeeper/sbc/call"
	"linekeeper/sbc/call/calltest"
	"linekeeper/sbc/event"
	"linekeeper/sbc/exchange"
	"linekeeper/sbc/line"
	"linekeeper/sbc/location"
	"linekeeper/sbc/sip"
	"linekeeper/sbc/wire"
	"linekeeper/sbc/wire/wiretest"
)

// The ladders of testdata/ladders/room are of what needs the whole switchboard:
// registrations, subscriptions, messages, lines, several calls at a time, and what is
// refused before anybody acts on it. A phone has the number of its extension, with a
// letter if there are several; a server of the provider is called cloud, cloud2. Both
// worlds play the same file: one in memory, in a bubble, and one over sockets.
//
// What the box says to one user is checked in order; lines with ~> instead of -> may
// change places with their neighbours of that kind, where two of the box's owners speak.

// minutes are the ladders that live by a minute or more: over sockets they are left
// before their first wait. Each is asserted to have one.
func minutes() []string { return []string{"line-returns-when-steady"} }

func TestRoomLaddersInMemory(t *testing.T) {
	calltest.Play(t, "../testdata/ladders/room", func(t *testing.T, _ string, lines []calltest.Line) {
		synctest.Test(t, func(t *testing.T) {
			fabric, n := wiretest.New(), byte(0)
			r := newRoom(t, lines, func(h wire.Handler, ts []sip.Transport, zones ...string) *host {
				node, at := fabric.Node(), map[string]netip.AddrPort{}
				node.Handle(h)
				for _, z := range zones {
					n++
					at[z] = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, n}), 5060)
				}
				x := &host{wire: node, raw: node.Write, at: func(z string, _ sip.Transport) netip.AddrPort { return at[z] }}
				x.up = func() {
					for z, a := range at {
						node.SetZone(z, a, ts...)
					}
				}
				x.up()
				return x
			})
			r.play(lines, "")
			synctest.Wait()
			r.besides()
		})
	})
}

func TestRoomLaddersOverSockets(t *testing.T) {
	for _, name := range minutes() {
		if _, err := os.Stat("../testdata/ladders/room/" + name + ".ladder"); err != nil {
			t.Errorf("an exception for nothing: %v", err)
		}
	}
	calltest.Play(t, "../testdata/ladders/room", func(t *testing.T, file string, lines []calltest.Line) {
		t.Parallel()
		r := newRoom(t, lines, func(h wire.Handler, ts []sip.Transport, zones ...string) *host { return onSockets(t, h, ts, zones) })
		until := ""
		if slices.Contains(minutes(), strings.TrimSuffix(filepath.Base(file), ".ladder")) {
			until = "wait"
		}
		r.play(lines, until)
		if until == "" {
			r.besides()
		}
	})
}

// loopback gives each zone an address that no other test and no other process of the
// tests has: a server that is dead for a while finds its port free when it returns.
func loopback() netip.Addr {
	n, pid := zonesOnSockets.Add(1), os.Getpid()
	return netip.AddrFrom4([4]byte{127, 100 + byte(pid>>8)&63, byte(pid), byte(n)})
}

var zonesOnSockets atomic.Uint32

// onSockets is a host of loopback, one address a zone for all its transports.
func onSockets(t *testing.T, h wire.Handler, ts []sip.Transport, zones []string) *host {
	w, at := wire.New(wire.Deps{Log: slog.New(slog.DiscardHandler), Guard: wire.NewGuard(wire.Rules{})}), map[string]wire.Zone{}
	w.Handle(h)
	live(t, w.Run)
	for _, z := range zones {
		at[z] = listens(t, w, z, ts)
	}
	return &host{
		wire: w,
		at:   func(z string, _ sip.Transport) netip.AddrPort { return at[z].Listen[0].Addr },
		up: func() {
			for _, z := range at {
				if err := w.SetZone(z); err != nil {
					t.Error(err)
				}
			}
		},
		raw: func(flow sip.Flow, b []byte) error { return writes(t, h, flow, b) },
	}
}

// listens opens a zone of its own address.
func listens(t *testing.T, w *wire.Wire, name string, ts []sip.Transport) wire.Zone {
	t.Helper()
	at := netip.AddrPortFrom(loopback(), 5060)
	z := wire.Zone{Name: name, Source: at.Addr()}
	for _, lead := range ts {
		z.Listen = append(z.Listen, wire.Listen{Transport: lead, Addr: at})
	}
	if err := w.SetZone(z); err != nil {
		t.Fatal(err)
	}
	return z
}

// writes sends octets from a socket that hears one answer.
func writes(t *testing.T, h wire.Handler, flow sip.Flow, b []byte) error {
	c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(flow.Remote))
	if err != nil {
		return err
	}
	var heard sync.WaitGroup
	heard.Go(func() {
		answer := make([]byte, 65536)
		if n, err := c.Read(answer); err == nil {
			if m, err := sip.Parse(answer[:n]); err == nil && m != nil {
				h.Receive(m, flow)
			}
		}
	})
	t.Cleanup(func() {
		_ = c.Close()
		heard.Wait()
	})
	_, err = c.Write(b)
	return err
}

// live lets a room live until the test ends, or until the function that it returns is
// called.
func live(t *testing.T, room func(context.Context, func()) error) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ready, gone := make(chan struct{}), make(chan error, 1)
	go func() { gone <- room(ctx, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-gone:
		t.Fatal(err)
	}
	end = sync.OnceFunc(func() {
		cancel()
		if err := <-gone; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(end)
	return end
}

// host is a place in the network: the box's, or a user's.
type host struct {
	wire wiretest.Wire
	at   func(zone string, t sip.Transport) netip.AddrPort // where it listens
	up   func()                                            // opens its zones again
	raw  func(sip.Flow, []byte) error                      // sends octets as they are
}

// opener makes a host with zones.
type opener func(h wire.Handler, ts []sip.Transport, zones ...string) *host

// room is the world around the switchboard of a ladder.
type room struct {
	t      *testing.T
	w      *world // the small parts
	box    *host
	open   opener
	show   []string
	users  map[string]*user
	leads  map[string][]sip.Transport // what a user speaks, where that isn't UDP
	hidden map[string]bool            // users behind a NAT
	order  []string                   // of the servers
	given  relayed

	s     *Switch
	x     *exchange.Exchange
	leave func()
	cfg   *Config
	kept  struct {
		watching shelf[Subscription]
		boxes    shelf[event.Counts]
		passages shelf[Passage]
	}
}

func newRoom(t *testing.T, lines []calltest.Line, open opener) *room {
	w := &world{t: t, media: &fakeMedia{}, memory: memory{refused: map[string]int{}}, location: location.New(nil)}
	r := &room{t: t, w: w, open: open, users: map[string]*user{}, leads: map[string][]sip.Transport{}, hidden: map[string]bool{}}
	r.box = open(&r.given, []sip.Transport{sip.UDP, sip.TCP}, LAN, trunk)
	r.cfg = site(t)
	r.cfg.Lines, r.cfg.CallTimeout = r.cfg.Lines[:1], time.Minute // no ladder depends on how quick the machine is
	for _, l := range lines {
		if len(l.Words) > 0 {
			r.settle(l.Words)
		}
	}
	r.start()
	return r
}

// settle takes what a ladder wants of the configuration.
func (r *room) settle(words []string) {
	switch words[0] {
	case "through":
		passing1(r.cfg)
	case "summaries":
		r.cfg.Trunk.Summary = true
	case "group": // may pick up each other's calls
		for _, n := range words[1:] {
			e := r.cfg.Extensions[n]
			e.PickupGroup = "front"
			r.cfg.Extensions[n] = e
		}
	case "hides": // behind a NAT: what it says of itself is not where it is
		r.hidden[words[1]] = true
	case "speaks":
		for _, lead := range words[2:] {
			r.leads[words[1]] = append(r.leads[words[1]], sip.Transport(lead))
		}
	}
}

// start makes a switchboard, which finds what an earlier one has kept.
func (r *room) start() {
	log := slog.New(slog.DiscardHandler)
	x, err := exchange.New(exchange.Deps{Sender: r.box.wire, Log: log, Rand: rand.Reader})
	if err != nil {
		r.t.Fatal(err)
	}
	w := r.w
	s := New(Deps{
		Log: log, Exchange: x, Flows: r.box.wire, Pings: w, Media: w.media, Location: w.location, Guard: w, Evidence: w, Watch: w,
		Brain: func() call.Router { return r.s.Online() }, Memory: &w.memory, Certificate: func(error) bool { return false },
		Survival:      routerFunc(func(inv call.Invite) call.Plan { return r.s.RingExtension(inv, r.s.Dial(inv.Dialled).Text) }),
		Subscriptions: &r.kept.watching, Mailboxes: &r.kept.boxes, Passages: &r.kept.passages,
	})
	r.s, r.x = s, x
	s.Configure(r.cfg)
	end := live(r.t, s.Run)
	stop := sync.OnceFunc(x.Stop)
	r.t.Cleanup(stop)
	r.leave = func() { end(); stop() }
	r.given.to(s, x)
}

// relayed gives the present switchboard what comes, once there is one.
type relayed struct {
	mu sync.Mutex
	s  *Switch
	x  *exchange.Exchange
}

func (h *relayed) to(s *Switch, x *exchange.Exchange) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.s, h.x = s, x
}

func (h *relayed) both() (*Switch, *exchange.Exchange) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.s, h.x
}

func (h *relayed) Receive(m sip.Message, flow sip.Flow) {
	_, x := h.both()
	x.Receive(m, flow)
}

func (h *relayed) Lost(flow sip.Flow, err error) {
	s, x := h.both()
	x.Lost(flow, err)
	if flow.Zone == LAN {
		s.location.Lost(flow)
		return
	}
	s.Lost(flow, false)
}

// play plays the lines up to the one that begins with a word; empty: all of them.
func (r *room) play(lines []calltest.Line, until string) {
	r.t.Helper()
	for _, l := range lines {
		if until != "" && len(l.Words) > 0 && l.Words[0] == until {
			return
		}
		r.line(l)
	}
	if until != "" {
		r.t.Errorf("it is played to its end: no exception any more")
	}
}

// besides checks that nobody has heard anything else.
func (r *room) besides() {
	for _, u := range r.users {
		u.besides()
	}
}

// line plays one line.
func (r *room) line(l calltest.Line) {
	r.t.Helper()
	f := l.Words
	switch {
	case len(f) == 0:
	case l.Box():
		r.user(f[2]).expect(l)
	case f[0] == "show":
		r.show = f[1:]
	case slices.Contains([]string{"through", "summaries", "group", "speaks", "hides"}, f[0]): // the configuration has it
	case f[0] == "servers":
		var ts []Target
		r.order = f[1:]
		for _, name := range r.order {
			lead := r.speaks(name)[0]
			ts = append(ts, Target{lead, r.user(name).host.at("user", lead)})
		}
		r.s.SetTargets(ts)
	case f[0] == "down":
		r.user(f[1]).host.wire.RemoveZone("user")
	case f[0] == "up":
		r.user(f[1]).host.up()
	case f[0] == "probe":
		r.s.Probe(slices.Index(r.order, f[1]), func(int, time.Duration) {})
	case f[0] == "bound": // the line, at a server
		lead := r.speaks(f[1])[0]
		at := Target{lead, r.user(f[1]).host.at("user", lead)}
		r.until(l.Text, func() bool {
			v := r.s.Lines()
			return len(v) == 1 && v[0].State == line.Bound && v[0].Target == at
		})
	case f[0] == "wait":
		d, err := time.ParseDuration(f[1])
		if err != nil {
			r.t.Fatal(err)
		}
		<-time.After(d)
	case f[0] == "path":
		map[string]func(){"lost": r.s.PathLost, "back": r.s.PathBack}[f[1]]()
	case f[0] == "restart": // nobody is told
		r.leave()
		r.start()
	case len(f) > 3 && f[1] == "->":
		r.user(f[0]).says(f[3], f[4:])
	default:
		r.t.Fatalf("cannot read %q", l.Text)
	}
}

// until waits for what shows in no message.
func (r *room) until(what string, ok func() bool) {
	r.t.Helper()
	for late := time.Now().Add(30 * time.Second); !ok(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(late) {
			r.t.Fatalf("never: %s", what)
		}
	}
}

// speaks are the transports of a user, the one it prefers first.
func (r *room) speaks(name string) []sip.Transport {
	if ts := r.leads[name]; ts != nil {
		return ts
	}
	return []sip.Transport{sip.UDP}
}

func (r *room) user(name string) *user {
	if u := r.users[name]; u != nil {
		return u
	}
	u := &user{r: r, name: name, zone: LAN, heard: make(chan arrived, 256), seen: map[string]bool{}, got: map[sip.Method]arrived{},
		dialogs: map[string]*dlg{}, told: map[string]uint32{}, refused: map[string]bool{}}
	if strings.HasPrefix(name, "cloud") {
		u.zone = trunk
	}
	u.host = r.open(u, r.speaks(name), "user")
	r.users[name] = u
	return u
}
