package sbc

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"linekeeper/sbc/event"
	"linekeeper/sbc/line"
	"linekeeper/sbc/sip"
)

// Target is one address at which the cloud's registrar can be reached, resolved
// ahead of time.
type Target struct {
	Transport sip.Transport
	Addr      netip.AddrPort
}

// LineView is how a line stands, for people.
type LineView struct {
	Account, Extension string
	State              line.State
	Cause              line.Cause
	Alarm              string
	Target             Target
	Since              time.Time
	Expires            time.Time
}

// lines keeps every cloud account registered, each with an owner of its own.
type lines struct {
	s *Switch

	mu      sync.Mutex
	owners  map[string]*lineOwner
	life    context.Context // nil before start and after wait
	wg      sync.WaitGroup
	pace    pace
	targets atomic.Pointer[[]Target]
	// standings order the targets by what was seen of them.
	standings standings
	peers     atomic.Pointer[map[netip.Addr]bool]
}

func newLines(s *Switch) *lines {
	l := &lines{s: s, owners: make(map[string]*lineOwner)}
	l.targets.Store(&[]Target{})
	l.peers.Store(&map[netip.Addr]bool{})
	return l
}

// start lets the lines live; those configured before wait for it.
func (l *lines) start(life context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.life = life
	for i, o := range l.ordered() {
		l.wake(o, i)
	}
}

// wait returns once all owners are gone; life has ended.
func (l *lines) wait() {
	l.mu.Lock()
	l.life = nil
	l.mu.Unlock()
	l.wg.Wait()
}

func (l *lines) ordered() []*lineOwner {
	out := make([]*lineOwner, 0, len(l.owners))
	for _, o := range l.owners {
		out = append(out, o)
	}
	slices.SortFunc(out, func(a, b *lineOwner) int { return cmp.Compare(a.cfg.Load().line.Account, b.cfg.Load().line.Account) })
	return out
}

// wake runs an owner; the n-th begins n times the provider's spacing later.
func (l *lines) wake(o *lineOwner, n int) {
	spacing := o.cfg.Load().trunk.Spacing
	count := len(*l.targets.Load())
	o.post(lineEvent{in: line.Retarget{Count: count, Keep: min(0, count-1)}})
	o.post(lineEvent{in: line.Start{Delay: time.Duration(n) * spacing}})
	life, stop := context.WithCancel(l.life)
	o.stop = stop
	if o.lamp != nil {
		l.wg.Go(func() { o.lamp.run(life) })
	}
	l.wg.Go(func() {
		defer stop()
		o.run(life)
	})
}

// configure brings the owners in line with a new configuration: gone accounts
// unregister, changed ones start anew, the others go on undisturbed.
func (l *lines) configure(c *Config) {
	l.mu.Lock()
	defer l.mu.Unlock()
	wanted := make(map[string]bool, len(c.Lines))
	for _, ln := range c.Lines {
		wanted[ln.Account] = true
	}
	for account, o := range l.owners {
		if !wanted[account] {
			delete(l.owners, account)
			l.s.SetMailbox(CloudMailbox, o.cfg.Load().line.Extension, event.Counts{})
			o.post(lineEvent{in: line.Leave{}})
		}
	}
	fresh := 0
	for _, ln := range c.Lines {
		if l.keep(lineConfig{ln, c.Trunk, c.Agent}) {
			continue
		}
		o := newLineOwner(l.s, lineConfig{ln, c.Trunk, c.Agent})
		l.owners[ln.Account] = o
		if l.life != nil {
			l.wake(o, fresh)
			fresh++
		}
	}
}

// keep lets an account's owner go on with a new configuration; false says that
// there is none, or that it had to go: a machine keeps what it was born with.
func (l *lines) keep(w lineConfig) bool {
	o := l.owners[w.line.Account]
	if o == nil {
		return false
	}
	was := o.cfg.Load()
	switch {
	case was.trunk.Domain != w.trunk.Domain || was.trunk.Zone != w.trunk.Zone: // another registrar
		o.post(lineEvent{in: line.Leave{}})
		return false
	case was.trunk.Expires != w.trunk.Expires || was.trunk.Refresh != w.trunk.Refresh || was.trunk.Exclusive != w.trunk.Exclusive || was.trunk.Summary != w.trunk.Summary:
		o.quit() // its binding is put in place of by the new owner's
		return false
	}
	o.cfg.Store(&w)
	if was.line.Auth != w.line.Auth || was.line.Password != w.line.Password {
		o.post(lineEvent{in: line.Retry{}})
	}
	return true
}

// SetTargets hands in the registrar's addresses, best first; the resolver calls
// it whenever they change.
func (s *Switch) SetTargets(ts []Target) {
	l := s.lines
	ts = slices.Clone(ts)
	l.mu.Lock()
	defer l.mu.Unlock()
	was := *l.targets.Load()
	if slices.Equal(was, ts) {
		return
	}
	l.targets.Store(&ts)
	peers := make(map[netip.Addr]bool, len(ts)+len(was))
	for _, t := range append(slices.Clone(was), ts...) { // lines move over by and by
		peers[t.Addr.Addr().Unmap()] = true
	}
	l.peers.Store(&peers)
	for _, o := range l.owners {
		keep := -1
		if at := int(o.at.Load()); at < len(was) {
			keep = slices.Index(ts, was[at])
		}
		o.post(lineEvent{in: line.Retarget{Count: len(ts), Keep: keep}})
	}
}

// knows says whether an address is one of the cloud's.
func (l *lines) knows(a netip.Addr) bool { return (*l.peers.Load())[a.Unmap()] }

// way is how an account's calls reach the cloud now. Anyhow makes do with a way
// to the registrar that nothing has come back on yet, or no more.
func (l *lines) way(account string, anyhow bool) (sip.Flow, []sip.URI, bool) {
	l.mu.Lock()
	o := l.owners[account]
	l.mu.Unlock()
	if o == nil {
		return sip.Flow{}, nil, false
	}
	if w := o.way.Load(); w != nil {
		return w.flow, w.routes, true
	}
	ts, at := *l.targets.Load(), int(o.at.Load())
	if !anyhow || at >= len(ts) {
		return sip.Flow{}, nil, false
	}
	flow, err := l.s.flows.Flow(o.cfg.Load().trunk.Zone, ts[at].Transport, ts[at].Addr)
	if err != nil {
		return sip.Flow{}, nil, false
	}
	var routes []sip.URI
	if w := o.last.Load(); w != nil && w.flow.Remote == flow.Remote {
		routes = w.routes
	}
	return flow, routes, true
}

// lamp is the subscription whose tag ends like this; nil if there is none.
func (l *lines) lamp(token string) *lamp {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, o := range l.owners {
		if o.lamp != nil && o.lamp.token == token {
			return o.lamp
		}
	}
	return nil
}

// suspect is told of a server that gave a call no sign, broke, or answered 503. Calls
// try others first for a while, and the line looks at once whether it is still there.
func (l *lines) suspect(account string, flow sip.Flow, after time.Duration) {
	if !l.standings.failed(Target{flow.Transport, flow.Remote}, after, time.Now()) {
		return
	}
	l.mu.Lock()
	o := l.owners[account]
	l.mu.Unlock()
	if o != nil && len(*l.targets.Load()) > 1 {
		o.post(lineEvent{in: line.Due{}})
	}
}

// Lines lists how the lines stand.
func (s *Switch) Lines() []LineView {
	s.lines.mu.Lock()
	defer s.lines.mu.Unlock()
	out := make([]LineView, 0, len(s.lines.owners))
	for _, o := range s.lines.ordered() {
		out = append(out, o.look())
	}
	return out
}

// PathLost and PathBack tell the lines what the WAN state machine has found.
// Back, they register at the provider's pace.
func (s *Switch) PathLost() {
	s.pass.cut.Store(true)
	s.lines.tell(func(int) line.Input { return line.Cut{} })
}

// PathBack lets all lines register anew at the provider's pace.
func (s *Switch) PathBack() {
	s.pass.cut.Store(false)
	s.pass.afresh()
	spacing := s.cfg.Load().Trunk.Spacing
	s.lines.tell(func(i int) line.Input { return line.Reachable{Delay: time.Duration(i) * spacing} })
}

// RetryLines is an administrator's order to try rejected accounts again.
func (s *Switch) RetryLines() { s.lines.tell(func(int) line.Input { return line.Retry{} }) }

func (l *lines) tell(in func(i int) line.Input) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, o := range l.ordered() {
		o.post(lineEvent{in: in(i)})
	}
}

// alike says whether two flows go to the same place the same way.
func alike(a, b sip.Flow) bool {
	return a.Zone == b.Zone && a.Remote == b.Remote && a.Transport == b.Transport
}

// Lost tells the lines whose flow it was that a connection broke.
func (s *Switch) Lost(flow sip.Flow, certificate bool) {
	if lanZone(flow.Zone) {
		return
	}
	s.pass.lost(flow)
	s.lines.mu.Lock()
	defer s.lines.mu.Unlock()
	for _, o := range s.lines.owners {
		w := o.way.Load()
		if w != nil && w.flow.Conn != 0 && flow.Conn != 0 && w.flow.Conn != flow.Conn {
			continue // an older connection; the line has a better one
		}
		if f := o.flow.Load(); f != nil && alike(*f, flow) {
			o.way.CompareAndSwap(w, nil) // no call goes there any more
			o.post(lineEvent{in: line.Broken{Certificate: certificate}, flow: &flow})
		}
	}
}
