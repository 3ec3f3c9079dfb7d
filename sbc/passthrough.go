package sbc

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"linekeeper/sbc/call"
	"linekeeper/sbc/dialog"
	"linekeeper/sbc/location"
	"linekeeper/sbc/number"
	"linekeeper/sbc/sip"
)

// Pass-through: a phone that holds the cloud's own credentials registers and
// calls through the box. The cloud challenges it, the box never knows the
// password. What the box keeps is who has proved himself:
//
//	phone            box                     cloud
//	  │ REGISTER ────▶ │ contact: the box ─────▶ │
//	  │ ◀───────── 401 │ ◀───────────────── 401 │
//	  │ REGISTER ────▶ │ same Authorization ───▶ │
//	  │ ◀──── 200 120 s│ ◀─────────── 200 600 s │   the device has proved itself
//	  │ REGISTER ────▶ │                         │   and is answered by the box,
//	  │ ◀──── 200 120 s│                         │   until the cloud's time is half over
//
// All phones of an account share one contact at the cloud; the box rings them all.

const (
	// passExpires is how long a registration through the box lasts on the LAN.
	passExpires = 2 * time.Minute
	// passAway is the same while the cloud is away, so that it hears of the phones
	// soon after it is back.
	passAway = time.Minute
	// passMargin is how much of the cloud's time must be left for a refresh to be
	// answered by the box: the phone's next one must still come in time.
	passMargin = passExpires + passExpires/2
	// passPatience is how long a proven phone waits for a cloud that keeps silent.
	passPatience = 4 * time.Second
	// strangerPatience is the same for a phone that has not proved itself yet: an
	// answer after 32 s would find nobody (RFC 4320).
	strangerPatience = 20 * time.Second
	// maxPassing bounds registrations on their way to the cloud.
	maxPassing = 512
	// maxStrikes is how many refused credentials in a row the cloud is shown of one
	// account and address, strikeRest how long it is left alone then.
	maxStrikes = 3
	strikeRest = 5 * time.Minute
	// maxStruck bounds whose refusals are remembered.
	maxStruck = 4096
	// passRetry is the Retry-After of a phone that nobody can judge now.
	passRetry = 30 * time.Second
	// maxUser bounds the user part of an account.
	maxUser = 128
)

// passages are the accounts whose phones register through the box.
type passages struct {
	s       *Switch
	ledger  *ledger
	secret  string
	seq     atomic.Uint32
	passing atomic.Int32
	cut     atomic.Bool  // the cloud is known to be away
	at      atomic.Int32 // number of the target that serves

	mu   sync.Mutex
	ways map[string]*path // since the start, by account: registered in the cloud on it
	bad  map[struck]strike
}

// struck is whose credentials the cloud has refused.
type struck struct {
	user string
	addr netip.Addr
}

type strike struct {
	count int
	last  time.Time
}

func newPassages(s *Switch, saver Saver[Passage]) *passages {
	return &passages{s: s, ledger: newLedger(saver, s.log), secret: s.random(), ways: make(map[string]*path), bad: make(map[struck]strike)}
}

// passes gives the extension of a user who registers through the box: any but
// those that the box itself registers and those that have a password here.
func (c *Config) passes(user string) (ext string, ok bool) {
	if !c.PassThrough || user == "" || len(user) > maxUser {
		return "", false
	}
	if ext, mapped := c.byPassage[user]; mapped {
		return ext, true
	}
	if e, known := c.Extensions[user]; known {
		return user, e.Password == "" && e.Account == ""
	}
	_, ours := c.byAccount[user]
	return user, !ours
}

// caller recognises a phone that registered through the box: by the account that
// it names and the address that it registered from.
func (p *passages) caller(cfg *Config, req *sip.Request, flow sip.Flow) (a Passage, here, known bool) {
	if !cfg.PassThrough || !lanZone(flow.Zone) {
		return Passage{}, false, false
	}
	for _, user := range claims(req) {
		ext, ok := cfg.passes(user)
		if !ok {
			continue
		}
		if a, ok = p.ledger.get(user); !ok {
			continue
		}
		known = true
		if from(p.s.location.Lookup(time.Now(), ext), flow.Remote.Addr()) {
			a.Extension = ext
			return a, true, true
		}
	}
	return Passage{}, false, known
}

// claims are the users that a request may come from; From says nothing where the
// number is withheld.
func claims(req *sip.Request) []string {
	var out []string
	if f := req.From(); f != nil {
		out = append(out, dialled(&f.Address))
	}
	for _, u := range sip.Identities(req, "P-Preferred-Identity") {
		out = append(out, dialled(&u))
	}
	if c := req.Contact(); c != nil {
		out = append(out, dialled(&c.Address))
	}
	return out[:min(len(out), 4)]
}

// from says whether a contact was registered from an address.
func from(bs []location.Binding, addr netip.Addr) bool {
	return slices.ContainsFunc(bs, func(b location.Binding) bool { return b.Flow.Remote.Addr() == addr })
}

// member is an extension of the site, or the phones of an account that register
// through the box.
func (s *Switch) member(cfg *Config, ext string) (Extension, bool) {
	if e, ok := cfg.Extensions[ext]; ok {
		return e, true
	}
	if !cfg.PassThrough || ext == "" {
		return Extension{}, false
	}
	a, ok := s.pass.ledger.find(func(a *Passage) bool { return a.Extension == ext })
	if !ok {
		return Extension{}, false
	}
	// What its account may dial outside is the cloud's to say.
	e := Extension{Number: ext, Name: a.Display, Class: number.International}
	for _, n := range a.Numbers {
		if e.Public = cfg.Book.Read(n, cfg.Profile.Accept); e.Public != "" {
			break
		}
	}
	return e, true
}

// dial understands what was dialled, numbers that the cloud has told of phones
// here included.
func (s *Switch) dial(cfg *Config, text string) number.Dialled {
	d := cfg.Book.Dial(text)
	if !cfg.PassThrough || d.Meaning != number.Vacant && d.Meaning != number.Outside && d.Meaning != number.Nonsense {
		return d
	}
	a, ok := s.pass.ledger.find(func(a *Passage) bool {
		if a.Extension == text || a.User == text || slices.Contains(a.Extensions, text) || slices.Contains(a.Numbers, text) {
			return true
		}
		return d.Number != "" && slices.ContainsFunc(a.Numbers, func(n string) bool { return cfg.Book.Read(n, cfg.Profile.Accept) == d.Number })
	})
	if !ok {
		return d
	}
	return number.Dialled{Meaning: number.Extension, Text: a.Extension, Class: number.Internal, Privacy: d.Privacy}
}

// account is the line that a request from the cloud is for, ours or a phone's own.
func (s *Switch) account(cfg *Config, req *sip.Request) (Line, bool) {
	if l, ok := cfg.account(req); ok || !cfg.PassThrough {
		return l, ok
	}
	users := []string{dialled(&req.Recipient)}
	if to := req.To(); to != nil {
		users = append(users, dialled(&to.Address))
	}
	for _, u := range users {
		if a, ok := s.pass.ledger.get(u); ok {
			if ext, still := cfg.passes(u); still {
				return Line{Account: a.User, Extension: ext}, true
			}
		}
	}
	return Line{}, false
}

// through is what of a phone's INVITE goes to the cloud as it is.
func (p *passages) through(cfg *Config, req *sip.Request, a *Passage) *call.Through {
	t := &call.Through{Account: a.User, URI: cloudURI(cfg, req.Recipient), Headers: credentialsOf(cfg, req)}
	for _, name := range []string{"P-Preferred-Identity", "Privacy"} {
		t.Headers = append(t.Headers, req.GetHeaders(name)...)
	}
	t.From = dialog.Address{Display: a.Display, URI: sip.URI{Scheme: "sip", User: userPart(a.User), Host: cfg.Trunk.Domain}}
	if f := req.From(); f != nil {
		t.From.Display = f.DisplayName
		if u := dialled(&f.Address); u == "anonymous" {
			t.From = anonymous()
		}
	}
	sum := sha256.Sum256([]byte(p.secret + "\x00" + sip.CallIDOf(req) + "\x00" + a.User))
	t.CallID = hex.EncodeToString(sum[:16])
	return t
}

// cloudURI is a URI that a phone used, at the cloud: unchanged where it names the
// cloud's domain already, since the phone's digest covers it.
func cloudURI(cfg *Config, u sip.URI) sip.URI {
	out := *u.Clone()
	if !strings.EqualFold(out.Host, cfg.Trunk.Domain) {
		out.Host, out.Port, out.UriParams = cfg.Trunk.Domain, 0, nil
	}
	return out
}

// credentialsOf are the digest answers of a request, without those for the box.
func credentialsOf(cfg *Config, req *sip.Request) []sip.Header {
	var out []sip.Header
	mine := `realm="` + strings.ToLower(cfg.Realm) + `"`
	for _, name := range []string{"Authorization", "Proxy-Authorization"} {
		for _, v := range sip.HeaderValues(req, name) {
			if !strings.Contains(strings.ToLower(v), mine) && len(out) < 4 {
				out = append(out, sip.NewHeader(name, v))
			}
		}
	}
	return out
}

// way is how an account's requests reach the cloud now.
func (p *passages) way(cfg *Config, user string) (sip.Flow, []sip.URI, bool) {
	p.mu.Lock()
	w := p.ways[user]
	p.mu.Unlock()
	if w != nil {
		return w.flow, w.routes, true
	}
	flow, ok := p.flow(cfg)
	if !ok {
		return sip.Flow{}, nil, false
	}
	var routes []sip.URI
	if a, known := p.ledger.get(user); known {
		for _, text := range a.Routes {
			if u, err := sip.ParseURI(text); err == nil {
				routes = append(routes, u)
			}
		}
	}
	return flow, routes, true
}

// flow is the way to the target that serves.
func (p *passages) flow(cfg *Config) (sip.Flow, bool) {
	ts := *p.s.lines.targets.Load()
	if len(ts) == 0 {
		return sip.Flow{}, false
	}
	t := ts[int(p.at.Load())%len(ts)]
	flow, err := p.s.flows.Flow(cfg.Trunk.Zone, t.Transport, t.Addr)
	if err != nil {
		p.s.log.Info("no way to the registrar", "target", t.Addr, "err", err)
		return sip.Flow{}, false
	}
	return flow, true
}

// moveOn leaves a target that failed; of many who say so at once one moves.
func (p *passages) moveOn(from sip.Flow) {
	ts := *p.s.lines.targets.Load()
	at := p.at.Load()
	if len(ts) > 1 && ts[int(at)%len(ts)].Addr == from.Remote {
		p.at.CompareAndSwap(at, (at+1)%int32(len(ts)))
	}
	p.lost(from)
}

// lost forgets the ways over a flow: the cloud can't reach us there any more.
func (p *passages) lost(flow sip.Flow) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for user, w := range p.ways {
		if alike(w.flow, flow) && (flow.Conn == 0 || w.flow.Conn == 0 || flow.Conn == w.flow.Conn) {
			delete(p.ways, user)
		}
	}
}

// afresh lets every account register in the cloud anew with its next refresh.
func (p *passages) afresh() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.ways)
}

// ping keeps the NAT's mappings of the accounts' flows open.
func (p *passages) ping() {
	p.mu.Lock()
	flows := make(map[sip.Flow]bool)
	for _, w := range p.ways {
		flows[w.flow] = true
	}
	p.mu.Unlock()
	for f := range flows {
		p.s.pings.Ping(f)
	}
}

// run keeps the ledger on disk and the flows open until ctx ends.
func (p *passages) run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { p.ledger.behind.run(ctx) })
	for ctx.Err() == nil {
		refresh := p.s.cfg.Load().Trunk.Refresh
		if refresh <= 0 {
			refresh = time.Minute // it may be switched on
			rest(ctx, refresh)
			continue
		}
		rest(ctx, refresh)
		p.ping()
	}
	wg.Wait()
}

// Passages lists the accounts whose phones register through the box.
func (s *Switch) Passages() []Passage {
	cfg := s.cfg.Load()
	if cfg == nil || !cfg.PassThrough {
		return nil
	}
	all := s.pass.ledger.all()
	slices.SortFunc(all, func(a, b Passage) int { return strings.Compare(a.User, b.User) })
	return all
}
