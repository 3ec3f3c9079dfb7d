package sbc

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"linekeeper/appliance/loop"
	"linekeeper/sbc/call"
	"linekeeper/sbc/event"
	"linekeeper/sbc/exchange"
	"linekeeper/sbc/location"
	"linekeeper/sbc/media"
	"linekeeper/sbc/sdp"
	"linekeeper/sbc/sip"
)

// Flows finds the way to start something new toward a peer. It must not block.
type Flows interface {
	Flow(zone string, t sip.Transport, remote netip.AddrPort) (sip.Flow, error)
}

// Guard is told who behaves and who doesn't.
type Guard interface {
	// Punish counts a failure against a source address; enough of them ban it.
	Punish(addr netip.Addr, reason string)
}

// Pinger keeps a NAT's mapping open by sending something tiny on a flow.
type Pinger interface{ Ping(flow sip.Flow) }

// Memory outlives a restart. Its methods must not block.
type Memory interface {
	// Refused is how often a line's credentials were refused in a row.
	Refused(Line) int
	// NoteRefused keeps that number.
	NoteRefused(Line, int)
}

// Evidence is what calls and lines reveal about the way to the cloud. Its
// methods must not block.
type Evidence interface {
	// Answered says that the cloud gave an answer to a request of this line; for
	// an INVITE any sign of life, a code of 100 then.
	Answered(line string, target, code int)
	// InviteSilent says that an INVITE over the line got no sign at all.
	InviteSilent(line string, target int)
	// MediaDead says how many running external calls no longer hear the cloud.
	MediaDead(calls int)
	// LineChanged says how a line stands.
	LineChanged(LineView)
}

// Watch is told what happens to calls and phones, for people. Its methods must
// not block.
type Watch interface {
	CallChanged(CallView)
	CallEnded(CallView)
	PhoneRegistered(ext string, flow sip.Flow, fresh bool)
	PhoneGone(ext string)
	Refused(reason string, flow sip.Flow, req *sip.Request)
	// MediaChanged tells of trouble with the media of a call, and of its end.
	MediaChanged(MediaView)
}

// Deps are what the switchboard stands on; all are required.
type Deps struct {
	Log      *slog.Logger
	Exchange *exchange.Exchange
	Flows    Flows
	Pings    Pinger
	Media    Media
	Location *location.Table
	Guard    Guard
	Evidence Evidence
	Watch    Watch
	// Brain gives the router that new calls ask: the online one or survival.
	Brain  func() call.Router
	Memory Memory
	// Fingerprint is of the certificate of media; zero: no DTLS-SRTP. Public is our
	// address as the world sees it, where it is known; nil: it never is.
	Fingerprint sdp.Fingerprint
	Public      func() netip.Addr
	// Relayed is a relayed address for one leg toward the cloud; nil, or yielding nil: none.
	Relayed func() *media.Relayed
	// Certificate tells a TLS failure over a certificate from other errors.
	Certificate func(error) bool
	// Survival is asked by a call whose cloud keeps silent.
	Survival call.Router
	// Clock is what calls live by; nil: the system's.
	Clock loop.Clock
	// Subscriptions and Mailboxes keep over a restart what phones watch and what
	// lay in their mailboxes; nil: nothing does.
	// Passages keeps which phones have proved themselves to the cloud; nil: nothing does.
	Passages      Saver[Passage]
	Subscriptions Saver[Subscription]
	Mailboxes     Saver[event.Counts]
}

// CallView is a call as the API and the records see it.
type CallView struct {
	call.View
	Ended time.Time
	Media *CallReport
	// Codec is the one that the callee's leg prefers; LANSecure and CloudSecure
	// say which side's media is encrypted. Known while the call runs.
	Codec                  string
	LANSecure, CloudSecure bool
}

// Switch is the switchboard.
type Switch struct {
	log         *slog.Logger
	exchange    *exchange.Exchange
	flows       Flows
	pings       Pinger
	media       Media
	location    *location.Table
	guard       Guard
	evidence    Evidence
	watch       Watch
	brain       func() call.Router
	survival    call.Router
	memory      Memory
	certificate func(error) bool
	fingerprint sdp.Fingerprint
	public      func() netip.Addr
	relayed     func() *media.Relayed
	clock       loop.Clock
	crew        *loop.Crew // works at the calls

	cfg     atomic.Pointer[Config]
	auth    atomic.Pointer[authority]
	lines   *lines
	notices *notices
	pass    *passages
	// couriers counts messages under way.
	couriers atomic.Int64
	puzzled  puzzled
	guesses  guesses

	mu    sync.Mutex
	calls map[string]*owner
	// moved finds legs that have gone over to another call, by their tag.
	moved map[string]place
	live  int // calls that have not ended
	// merged are the INVITEs being handled, against the same request coming in twice by different ways (RFC 3261 8.2.2.2).
	merged map[string]string
	// chains counts the calls of each chain, places are where they have been.
	chains map[string]int
	places map[string]bool

	life  context.Context // owners' lifetime, nil before and after Run; guarded by mu
	drain bool            // guarded by mu
	wg    sync.WaitGroup
	ready atomic.Bool
	count counters
	dead  int // belongs to Run's goroutine
	// judges are those of the calls that talk, by token; Run's goroutine as well.
	judges map[string]*judge
}

type counters struct {
	replans atomic.Uint64
}

// New makes a switchboard. Configure must be called before Run.
func New(d Deps) *Switch {
	s := &Switch{
		log: d.Log, exchange: d.Exchange, flows: d.Flows, pings: d.Pings, media: d.Media, location: d.Location, guard: d.Guard,
		evidence: d.Evidence, watch: d.Watch, brain: d.Brain, survival: d.Survival, memory: d.Memory, certificate: d.Certificate, fingerprint: d.Fingerprint, public: d.Public, relayed: d.Relayed, clock: d.Clock, crew: loop.NewCrew(idleHands),
		calls: make(map[string]*owner), moved: make(map[string]place),
		merged: make(map[string]string), chains: make(map[string]int), places: make(map[string]bool),
	}
	s.lines = newLines(s)
	s.pass = newPassages(s, d.Passages)
	s.notices = newNotices(s, d.Subscriptions, d.Mailboxes)
	return s
}

// Name is the room's name.
func (s *Switch) Name() string { return "switchboard" }

// Run serves until ctx ends. Calls that are still up then end without a word:
// a restart must look like nothing to the cloud; Drain comes first where there is time.
func (s *Switch) Run(ctx context.Context, ready func()) error {
	if s.cfg.Load() == nil {
		return errors.New("switchboard has no configuration")
	}
	if err := s.notices.load(time.Now()); err != nil {
		return err
	}
	if err := s.pass.ledger.load(); err != nil {
		return err
	}
	s.prune(s.cfg.Load())
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.mu.Lock()
	s.life = life
	s.mu.Unlock()
	s.exchange.Handle(s)
	s.notices.renew()
	s.wg.Go(func() { s.notices.run(life) })
	s.wg.Go(func() { s.pass.run(life) })
	_ = s.notices.post(noticeRules{}) // the site may have changed meanwhile
	s.lines.start(life)
	s.ready.Store(true)
	ready()
	tick := time.NewTicker(mediaWatch)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			s.ready.Store(false)
			s.mu.Lock()
			s.life = nil // no call begins any more
			for _, o := range s.calls {
				o.loop.Stop()
			}
			s.mu.Unlock()
			stop()
			s.lines.wait()
			s.wg.Wait()
			s.crew.Close()
			return nil
		case <-tick.C:
			s.watchMedia()
		}
	}
}

// Configure makes c the settings of all calls to come.
func (s *Switch) Configure(c *Config) {
	c.prepare()
	s.cfg.Store(c)
	if a := s.auth.Load(); a == nil || a.a.Realm() != c.Realm { // else the nonces that are out stay good
		s.auth.Store(newAuthority(c.Realm))
	}
	if s.ready.Load() { // at the start Run does it, once it knows all
		s.prune(c)
	}
	s.lines.configure(c)
	_ = s.notices.post(noticeRules{}) // not yet running: the start does it
}

// prune forgets the contacts of extensions that are no more.
func (s *Switch) prune(c *Config) {
	for ext := range s.location.Snapshot(time.Now()) {
		if _, known := s.member(c, ext); !known {
			s.location.Forget(ext)
		}
	}
}

// Request dispatches one new server transaction. It runs on the wire's reader
// and does not block.
func (s *Switch) Request(tx *exchange.Server, req *sip.Request, flow sip.Flow) {
	if !s.ready.Load() {
		s.unavailable(tx, req, time.Second)
		return
	}
	if lanZone(flow.Zone) && req.Method != sip.REGISTER {
		s.ground(req)
	}
	if tag := sip.ToTag(req); tag != "" {
		s.inDialog(tx, req, flow, tag)
		return
	}
	if mf := req.MaxForwards(); mf != nil && mf.Val() == 0 && req.Method != sip.OPTIONS && req.Method != sip.REGISTER {
		s.answer(tx, req, 483)
		return
	}
	switch req.Method {
	case sip.REGISTER:
		s.register(tx, req, flow)
	case sip.INVITE:
		s.invite(tx, req, flow)
	case sip.OPTIONS:
		s.options(tx, req, flow)
	case sip.MESSAGE:
		s.message(tx, req, flow)
	case sip.SUBSCRIBE:
		s.subscribe(tx, req, flow)
	case sip.NOTIFY:
		s.told(tx, req, flow, "")
	case sip.BYE, sip.INFO, sip.UPDATE, sip.PRACK:
		s.answer(tx, req, 481)
	case sip.REFER: // the box calls nobody for somebody who is in no call
		s.answer(tx, req, 603)
	default:
		s.answer(tx, req, 405)
	}
}

// Ack finds the call whose 2xx is acknowledged.
func (s *Switch) Ack(req *sip.Request, _ sip.Flow) {
	if o, leg := s.owner(sip.ToTag(req)); o != nil {
		_ = o.post(call.Acked{Leg: leg, Req: req})
	}
}

// Stray gives a 2xx that belongs to no transaction any more to its call, which
// repeats the ACK.
func (s *Switch) Stray(resp *sip.Response, flow sip.Flow) {
	if o, leg := s.owner(sip.FromTag(resp)); o != nil {
		_ = o.post(call.Answer{Leg: leg, Resp: resp, Flow: flow})
	}
}

func (s *Switch) owner(tag string) (*owner, call.LegID) {
	token, leg, ok := call.Owner(tag)
	if !ok {
		return nil, 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p, moved := s.moved[tag]; moved {
		return p.owner, p.leg
	}
	return s.calls[token], leg
}

func (s *Switch) inDialog(tx *exchange.Server, req *sip.Request, flow sip.Flow, tag string) {
	switch {
	case strings.HasPrefix(tag, noticeTag):
		s.resubscribe(tx, req, flow, tag)
		return
	case strings.HasPrefix(tag, lampTag):
		s.told(tx, req, flow, tag)
		return
	}
	o, leg := s.owner(tag)
	if o == nil {
		s.answer(tx, req, 481)
		return
	}
	switch err := o.request(leg, tx, req, flow); {
	case errors.Is(err, loop.ErrEnded):
		s.answer(tx, req, 481)
	case err != nil:
		s.unavailable(tx, req, time.Second)
	}
}

// forget lets go of a call that is over.
func (s *Switch) forget(o *owner) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.calls, o.token)
	for _, tag := range o.moved {
		if s.moved[tag].owner == o {
			delete(s.moved, tag)
		}
	}
	delete(s.merged, o.merge)
	s.overLocked(o)
}

// over takes a call off the bound: it has ended, though its owner may still wait
// for answers, of a phone that is gone say.
func (s *Switch) over(o *owner) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.overLocked(o)
}

func (s *Switch) overLocked(o *owner) {
	if !o.over {
		o.over = true
		s.live--
		s.leaveLocked(o)
	}
}

// answer gives a response that needs nothing but a code.
func (s *Switch) answer(tx *exchange.Server, req *sip.Request, code int) {
	resp := sip.Respond(req, code, "", s.random())
	switch code {
	case 405, 200:
		resp.AppendHeader(sip.NewHeader("Allow", Allow))
	case 489:
		resp.AppendHeader(sip.NewHeader("Allow-Events", event.Packages))
	}
	resp.AppendHeader(sip.NewHeader("Server", s.cfg.Load().Agent))
	tx.Respond(resp)
}

// Allow lists the methods that the switchboard takes.
const Allow = "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, INFO, UPDATE, PRACK, REFER, SUBSCRIBE, NOTIFY, MESSAGE"

func (s *Switch) unavailable(tx *exchange.Server, req *sip.Request, after time.Duration) {
	resp := sip.Respond(req, 503, "", s.random())
	resp.AppendHeader(sip.RetryAfterHeader(after))
	tx.Respond(resp)
}

func (s *Switch) options(tx *exchange.Server, req *sip.Request, flow sip.Flow) {
	if !lanZone(flow.Zone) && !s.lines.knows(flow.Remote.Addr()) {
		s.watch.Refused("options from a stranger", flow, req)
		s.guard.Punish(flow.Remote.Addr(), "options")
		s.answer(tx, req, 403)
		return
	}
	resp := sip.Respond(req, 200, "", s.random())
	resp.AppendHeader(sip.NewHeader("Allow", Allow))
	resp.AppendHeader(sip.NewHeader("Allow-Events", event.Packages))
	resp.AppendHeader(sip.NewHeader("Accept", "application/sdp"))
	resp.AppendHeader(sip.NewHeader("Supported", sip.Supported))
	tx.Respond(resp)
}

// random is 80 bits of unguessable text, fit for tags and call tokens.
func (s *Switch) random() string {
	b := make([]byte, 10)
	_, _ = rand.Read(b)
	return strings.ToLower(base32.StdEncoding.EncodeToString(b))
}
