package wiretest

import (
	"net/netip"
	"sync"
	"time"

	"linekeeper/sbc/sip"
)

// How the fabric's streams behave, as the real wire's do by default.
const (
	// Dial is how long a connection may take to be made.
	Dial = 5 * time.Second
	// Dead is how long a stream waits on a cut path.
	Dead = 4 * time.Second
	// Resend is what the loss of one segment of a stream costs.
	Resend = 200 * time.Millisecond
)

// Fabric is the network: nodes and the paths between their addresses.
type Fabric struct {
	mu    sync.Mutex
	zones map[netip.AddrPort]*zone // who is reached there
	paths map[way]*path
}

// way is one direction between two addresses.
type way struct{ from, to netip.Addr }

type path struct {
	delay   time.Duration
	lose    func(n int) bool
	sent    int
	cut     bool
	changed chan struct{} // closed when a cut ends
}

// New makes a network without delay, loss or nodes.
func New() *Fabric {
	return &Fabric{zones: make(map[netip.AddrPort]*zone), paths: make(map[way]*path)}
}

// Delay is how long what from sends takes to to. What is under way keeps its
// time, and what follows it on a stream comes after it.
func (f *Fabric) Delay(from, to netip.Addr, d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pathLocked(way{from, to}).delay = d
}

// Lose has the path ask which packets are lost: n counts from 1 what from sends
// to to from now on. nil loses none. It must not call the fabric.
func (f *Fabric) Lose(from, to netip.Addr, lost func(n int) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.pathLocked(way{from, to})
	p.lose, p.sent = lost, 0
}

// Cut stops everything that from sends to to, also what is under way. The other
// direction stays.
func (f *Fabric) Cut(from, to netip.Addr) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.pathLocked(way{from, to})
	if !p.cut {
		p.cut, p.changed = true, make(chan struct{})
	}
}

// Mend ends a cut.
func (f *Fabric) Mend(from, to netip.Addr) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.pathLocked(way{from, to})
	if p.cut {
		p.cut = false
		close(p.changed)
	}
}

func (f *Fabric) pathLocked(w way) *path {
	p := f.paths[w]
	if p == nil {
		p = &path{}
		f.paths[w] = p
	}
	return p
}

// depart says when a packet that leaves now arrives, and whether it is lost.
func (f *Fabric) depart(w way) (arrives time.Time, lost bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.pathLocked(w)
	p.sent++
	return time.Now().Add(p.delay), p.lose != nil && p.lose(p.sent)
}

// blocked is closed when the cut of a path ends; nil where there is none.
func (f *Fabric) blocked(w way) <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.pathLocked(w); p.cut {
		return p.changed
	}
	return nil
}

// passes waits for a path that is cut, for d at most.
func (f *Fabric) passes(w way, d time.Duration) bool {
	patience := time.NewTimer(d)
	defer patience.Stop()
	for {
		mended := f.blocked(w)
		if mended == nil {
			return true
		}
		select {
		case <-mended:
		case <-patience.C:
			return false
		}
	}
}

// at finds who listens on an address for a transport.
func (f *Fabric) at(t sip.Transport, addr netip.AddrPort) *zone {
	f.mu.Lock()
	defer f.mu.Unlock()
	z := f.zones[addr]
	if z == nil || !z.listens(t) {
		return nil
	}
	return z
}

// pipe delivers in order, by a goroutine that lives while there is something
// to deliver.
type pipe struct {
	mu      sync.Mutex
	items   []item
	running bool
	last    time.Time
}

type item struct {
	at      time.Time
	deliver func()
}

func (p *pipe) put(at time.Time, deliver func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at.Before(p.last) {
		at = p.last
	}
	p.last = at
	p.items = append(p.items, item{at, deliver})
	if !p.running {
		p.running = true
		go p.run()
	}
}

func (p *pipe) run() {
	for {
		p.mu.Lock()
		if len(p.items) == 0 {
			p.running = false
			p.mu.Unlock()
			return
		}
		next := p.items[0]
		p.items = p.items[1:]
		p.mu.Unlock()
		if d := time.Until(next.at); d > 0 {
			wait := time.NewTimer(d)
			<-wait.C
		}
		next.deliver()
	}
}
