package sbc

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

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
	life    context.Context
	wg      sync.WaitGroup
	targets atomic.Pointer[[]Target]
	peers   atomic.Pointer[map[netip.Addr]bool]
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

func (l *lines) wait() { l.wg.Wait() }

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
	o.post(line.Retarget{Count: count, Keep: min(0, count-1)})
	o.post(line.Start{Delay: time.Duration(n) * spacing})
	l.wg.Go(func() { o.run(l.life) })
}

// configure brings the owners in line with a new configuration: gone accounts
// unregister, changed ones start anew, the others go on undisturbed.
func (l *lines) configure(c *Config) {
	l.mu.Lock()
	defer l.mu.Unlock()
	wanted := make(map[string]lineConfig, len(c.Lines))
	for _, ln := range c.Lines {
		wanted[ln.Account] = lineConfig{ln, c.Trunk, c.Agent}
	}
	for account, o := range l.owners {
		if _, keep := wanted[account]; !keep {
			delete(l.owners, account)
			o.post(line.Leave{})
		}
	}
	fresh := 0
	for _, ln := range c.Lines {
		w := wanted[ln.Account]
		if o := l.owners[ln.Account]; o != nil {
			if was := o.cfg.Swap(&w); *was != w {
				o.post(line.Retry{})
			}
			continue
		}
		o := newLineOwner(l.s, w)
		l.owners[ln.Account] = o
		if l.life != nil {
			l.wake(o, fresh)
			fresh++
		}
	}
}

// SetTargets hands in the registrar's addresses, best first; the resolver calls
// it whenever they change.
func (s *Switch) SetTargets(ts []Target) {
	l := s.lines
	peers := make(map[netip.Addr]bool, len(ts))
	for _, t := range ts {
		peers[t.Addr.Addr().Unmap()] = true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	was := *l.targets.Swap(&ts)
	l.peers.Store(&peers)
	for _, o := range l.owners {
		keep := -1
		if at := int(o.at.Load()); at < len(was) {
			keep = slices.Index(ts, was[at])
		}
		o.post(line.Retarget{Count: len(ts), Keep: keep})
	}
}

// knows says whether an address is one of the cloud's.
func (l *lines) knows(a netip.Addr) bool { return (*l.peers.Load())[a.Unmap()] }

// way is how an account's calls reach the cloud now.
func (l *lines) way(account string) (sip.Flow, []sip.URI, bool) {
	l.mu.Lock()
	o := l.owners[account]
	l.mu.Unlock()
	if o == nil {
		return sip.Flow{}, nil, false
	}
	w := o.way.Load()
	if w == nil {
		return sip.Flow{}, nil, false
	}
	return w.flow, w.routes, true
}

// Lines lists how the lines stand.
func (s *Switch) Lines() []LineView {
	s.lines.mu.Lock()
	defer s.lines.mu.Unlock()
	out := make([]LineView, 0, len(s.lines.owners))
	for _, o := range s.lines.ordered() {
		out = append(out, *o.view.Load())
	}
	return out
}

// PathLost and PathBack tell the lines what the WAN state machine has found.
// Back, they register at the provider's pace.
func (s *Switch) PathLost() { s.lines.tell(func(int) line.Input { return line.Cut{} }) }

// PathBack lets all lines register anew at the provider's pace.
func (s *Switch) PathBack() {
	spacing := s.cfg.Load().Trunk.Spacing
	s.lines.tell(func(i int) line.Input { return line.Reachable{Delay: time.Duration(i) * spacing} })
}

// RetryLines is an administrator's order to try rejected accounts again.
func (s *Switch) RetryLines() { s.lines.tell(func(int) line.Input { return line.Retry{} }) }

func (l *lines) tell(in func(i int) line.Input) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, o := range l.ordered() {
		o.post(in(i))
	}
}

// Lost tells the lines whose flow it was that a connection broke.
func (s *Switch) Lost(flow sip.Flow, certificate bool) {
	if lanZone(flow.Zone) {
		return
	}
	s.lines.mu.Lock()
	defer s.lines.mu.Unlock()
	for _, o := range s.lines.owners {
		if f := o.flow.Load(); f != nil && f.Zone == flow.Zone && f.Remote == flow.Remote && f.Transport == flow.Transport {
			o.way.Store(nil)
			o.post(line.Broken{Certificate: certificate})
		}
	}
}
