package voice

import (
	"context"
	"sync"
	"time"
)

// ptime is the packet interval of the lab.
const ptime = 20 * time.Millisecond

// maxBehind is how far a pacer that was held off its core catches up; what is older is left out.
const maxBehind = 5

// Pacer sends the next packet of every end each 20 ms, all from one goroutine.
type Pacer struct {
	mu   sync.Mutex
	ends map[*End]struct{}
}

// NewPacer makes a pacer; Run drives it.
func NewPacer() *Pacer { return &Pacer{ends: make(map[*End]struct{})} }

// Run sends until ctx ends.
func (p *Pacer) Run(ctx context.Context) {
	tick := time.NewTicker(ptime)
	defer tick.Stop()
	next := time.Now()
	var batch []*End
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		due := int(time.Since(next) / ptime)
		next = next.Add(time.Duration(due) * ptime)
		batch = p.snapshot(batch[:0])
		for range min(due, maxBehind) {
			for _, e := range batch {
				e.sendTone()
			}
		}
	}
}

func (p *Pacer) snapshot(into []*End) []*End {
	p.mu.Lock()
	defer p.mu.Unlock()
	for e := range p.ends {
		into = append(into, e)
	}
	return into
}

func (p *Pacer) add(e *End) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ends[e] = struct{}{}
}

func (p *Pacer) remove(e *End) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.ends, e)
}
