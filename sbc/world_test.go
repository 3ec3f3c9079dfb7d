package sbc

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"linekeeper/sbc/call"
	"linekeeper/sbc/event"
	"linekeeper/sbc/exchange"
	"linekeeper/sbc/location"
	"linekeeper/sbc/media"
	"linekeeper/sbc/number"
	"linekeeper/sbc/provider"
	"linekeeper/sbc/sdp"
	"linekeeper/sbc/sip"
)

const trunk = "wan"

// world is a switchboard in memory: what it sends reaches scripted peers by
// address, and what they send is parsed like the wire would.
type world struct {
	t        *testing.T
	s        *Switch
	x        *exchange.Exchange
	cfg      *Config
	media    *fakeMedia
	memory   memory
	subs     shelf[Subscription]
	boxes    shelf[event.Counts]
	location *location.Table
	brain    call.Router // nil: the online one
	survival call.Router
	end      context.CancelFunc
	gone     chan error

	mu     sync.Mutex
	peers  map[netip.AddrPort]*peer
	cut    bool  // the way to the cloud swallows everything
	noFlow error // the trunk has no route
	notes  []string
	lines  []LineView
	ended  []CallView
	pings  int
	tap    func(sip.Flow, sip.Message) // sees what the box sends; nil: nobody does
	slow   chan struct{}               // holds whoever tells that a call ended; nil: nobody
}

// inWorld runs a test in a bubble with a fresh world; tune may change the
// configuration before the switchboard gets it.
func inWorld(t *testing.T, tune func(*Config), test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, tune)
		w.run()
		defer w.stop()
		test(t, w)
	})
}

func newWorld(t *testing.T, tune func(*Config)) *world {
	t.Helper()
	w := &world{t: t, media: &fakeMedia{}, memory: memory{refused: map[string]int{}}, location: location.New(nil), peers: map[netip.AddrPort]*peer{}}
	log := slog.New(slog.DiscardHandler)
	x, err := exchange.New(exchange.Deps{Sender: w, Log: log, Rand: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	w.x = x
	w.s = New(Deps{
		Log: log, Exchange: x, Flows: w, Pings: w, Media: w.media, Location: w.location, Guard: w, Evidence: w, Watch: w,
		Brain: func() call.Router {
			if w.brain != nil {
				return w.brain
			}
			return w.s.Online()
		},
		Memory: &w.memory, Subscriptions: &w.subs, Mailboxes: &w.boxes,
		Certificate: func(err error) bool { return strings.Contains(err.Error(), "certificate") },
		Survival:    routerFunc(func(inv call.Invite) call.Plan { return w.survival.Route(inv) }),
	})
	w.survival = routerFunc(func(inv call.Invite) call.Plan { return w.s.RingExtension(inv, inv.Dialled) })
	w.cfg = site(t)
	if tune != nil {
		tune(w.cfg)
	}
	w.s.Configure(w.cfg)
	return w
}

func (w *world) run() {
	ctx, end := context.WithCancel(context.Background())
	w.end, w.gone = end, make(chan error, 1)
	ready := make(chan struct{})
	go func() { w.gone <- w.s.Run(ctx, func() { close(ready) }) }()
	<-ready
}

func (w *world) stop() {
	w.end()
	if err := <-w.gone; err != nil {
		w.t.Error(err)
	}
	w.x.Stop()
	if n := w.media.open(); n != 0 {
		w.t.Errorf("%d media streams are still open", n)
	}
}

// site is a small office with two lines.
func site(t *testing.T) *Config {
	t.Helper()
	profile, ok := provider.Lookup(provider.Generic)
	if !ok {
		t.Fatal("no generic profile")
	}
	c := &Config{
		Agent: "Linekeeper", Realm: "linekeeper", Extensions: map[string]Extension{},
		Sides:      map[string]MediaSide{LAN: {}, trunk: {}},
		MinExpires: 30 * time.Second, MaxExpires: time.Hour,
		Trunk:   Trunk{Zone: trunk, Domain: "cloud.example", Expires: 10 * time.Minute, Spacing: 300 * time.Millisecond},
		Profile: profile, Internal: provider.Local, CallTimeout: 2 * time.Second, Ring: 20 * time.Second, MainNumber: "+498912345620",
	}
	inside := map[string]number.E164{}
	for _, n := range []string{"22", "23", "24"} {
		c.Extensions[n] = Extension{Number: n, Name: "Phone " + n, Password: "secret" + n, Public: number.E164("+4989123456" + n), Class: number.National}
		inside[n] = c.Extensions[n].Public
	}
	for _, n := range []string{"22", "23"} {
		e := c.Extensions[n]
		e.Account = "acc" + n
		c.Extensions[n] = e
		c.Lines = append(c.Lines, Line{Account: "acc" + n, Auth: "auth" + n, Password: "cloud" + n, Extension: n})
	}
	c.Book = number.NewBook(number.Plan{Country: "DE", AreaCode: "89", Emergency: []string{"110", "112"}, Blocked: []string{"0900"}, Extensions: inside})
	return c
}

type routerFunc func(call.Invite) call.Plan

func (f routerFunc) Route(inv call.Invite) call.Plan { return f(inv) }

// Send carries a message to its peer.
func (w *world) Send(flow sip.Flow, m sip.Message) error {
	w.mu.Lock()
	p, cut := w.peers[flow.Remote], w.cut && flow.Zone == trunk
	tap := w.tap
	w.mu.Unlock()
	if p == nil || cut {
		return nil
	}
	if v := m.Via(); v != nil && v.Host == "" {
		v.Host, v.Port = flow.Local.Addr().String(), int(flow.Local.Port())
	}
	copied, err := sip.Parse(sip.Bytes(m))
	if err != nil || copied == nil {
		w.t.Errorf("the box sent what cannot be read: %v\n%s", err, sip.Bytes(m))
		return nil
	}
	if tap != nil {
		tap(flow, copied)
	}
	if p.gone {
		return errors.New("connection refused")
	}
	p.in <- copied
	return nil
}

// Flow finds the way to the cloud.
func (w *world) Flow(zone string, t sip.Transport, remote netip.AddrPort) (sip.Flow, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return sip.Flow{Zone: zone, Transport: t, Local: netip.MustParseAddrPort("198.51.100.1:5060"), Remote: remote}, w.noFlow
}

func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.notes = append(w.notes, fmt.Sprintf(format, args...))
}

// told gives the notes so far and forgets them.
func (w *world) told() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := strings.Join(w.notes, ", ")
	w.notes = nil
	return s
}

func (w *world) Punish(a netip.Addr, reason string) { w.note("punish %s %s", a, reason) }
func (w *world) Answered(l string, _, code int)     { w.note("answered %s %d", l, code) }
func (w *world) InviteSilent(l string, _ int)       { w.note("silent %s", l) }
func (w *world) MediaDead(n int)                    { w.note("media dead %d", n) }
func (w *world) CallChanged(CallView)               {}
func (w *world) PhoneRegistered(e string, _ sip.Flow, fresh bool) {
	w.note("registered %s %v", e, fresh)
}

// MediaChanged notes the trouble and its side.
func (w *world) MediaChanged(v MediaView) { w.note("media %s %s", v.Trouble, v.Side) }

// PhoneGone notes it.
func (w *world) PhoneGone(e string) { w.note("gone %s", e) }
func (w *world) Refused(reason string, _ sip.Flow, _ *sip.Request) {
	w.note("refused %s", reason)
}

func (w *world) Ping(sip.Flow) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pings++
}

func (w *world) LineChanged(v LineView) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, v)
}

func (w *world) CallEnded(v CallView) {
	if w.slow != nil {
		<-w.slow
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = append(w.ended, v)
}

// lastEnd is how the newest ended call ended.
func (w *world) lastEnd() CallView {
	w.t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.ended) == 0 {
		w.t.Fatal("no call has ended")
	}
	return w.ended[len(w.ended)-1]
}

func (w *world) setCut(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = on
}

// idle checks that no call is left and nothing of one either.
func (w *world) idle() {
	w.t.Helper()
	synctest.Wait()
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if len(w.s.calls) != 0 || len(w.s.merged) != 0 {
		w.t.Errorf("%d calls and %d merge keys are left", len(w.s.calls), len(w.s.merged))
	}
}

// fakeMedia hands out ports and remembers what was asked.
type fakeMedia struct {
	mu      sync.Mutex
	streams []*fakeStream
	bridges int
	fail    error
}

func (f *fakeMedia) Open(side media.Side, with Stream) (Stream, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return nil, f.fail
	}
	s := &fakeStream{local: netip.AddrPortFrom(side.Addr, 20000+2*uint16(len(f.streams))), side: side, with: with}
	f.streams = append(f.streams, s)
	return s, nil
}

func (f *fakeMedia) Bridge(_, _ Stream) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bridges++
}

func (f *fakeMedia) open() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(f.streams), func(s *fakeStream) bool { return s.shut() }))
}

type fakeStream struct {
	local netip.AddrPort
	side  media.Side
	with  Stream

	mu     sync.Mutex
	flow   sdp.Flow
	stats  media.Stats
	closed bool
}

func (s *fakeStream) Local() netip.AddrPort { return s.local }

func (s *fakeStream) Set(f sdp.Flow) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flow = f
	return nil
}

func (s *fakeStream) Stats() media.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

func (s *fakeStream) OnDigit(func(media.Digit)) {}
func (s *fakeStream) Press(media.Digit)         {}
func (s *fakeStream) Play(media.Source)         {}

// Pulse is that of what heard has said.
func (s *fakeStream) Pulse() media.Pulse {
	st := s.Stats()
	return media.Pulse{Packets: st.In.Packets, Silence: st.Silence, Unwanted: st.Unwanted, Fax: st.Fax, Gone: st.Gone, Comfort: st.Comfort}
}

func (s *fakeStream) heard(packets uint64, silence time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.In.Packets, s.stats.Silence = packets, silence
}

func (s *fakeStream) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

func (s *fakeStream) shut() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// shelf keeps values over a restart.
type shelf[T any] struct {
	mu   sync.Mutex
	kept map[string]T
	fail error
}

// Save keeps what has changed.
func (s *shelf[T]) Save(changed map[string]*T) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	if s.kept == nil {
		s.kept = map[string]T{}
	}
	for k, v := range changed {
		delete(s.kept, k)
		if v != nil {
			s.kept[k] = *v
		}
	}
	return nil
}

// Load gives what was kept.
func (s *shelf[T]) Load() (map[string]T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.kept), s.fail
}

// memory outlives a restart.
type memory struct {
	mu      sync.Mutex
	refused map[string]int
}

// Refused tells what was noted.
func (m *memory) Refused(l Line) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.refused[l.Account]
}

// NoteRefused notes it.
func (m *memory) NoteRefused(l Line, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refused[l.Account] = n
}
