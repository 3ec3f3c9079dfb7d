package sbc

import (
	"sync"
	"time"
)

// pace keeps the lines' registrations apart, as the provider wants them: those
// at the start, refreshes, and what is tried again. An answer to a challenge is
// part of the registration that it is for and needs no turn.
type pace struct {
	mu   sync.Mutex
	free time.Time // the next turn that nobody has
	last time.Time // when the last one went out
	by   string    // and whose it was
}

// wait is how long a registration must wait, 0: it goes out now. Who was sent
// away comes back with its turn; it waits on if the one before was late, since
// timers are not as exact as providers count. A line that asks again right after
// itself, another server say, need not wait if nobody else does.
func (p *pace) wait(now time.Time, spacing time.Duration, account string, turn bool) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	again := p.by == account && !p.free.After(p.last.Add(spacing))
	if !turn && !again {
		at := now
		if p.free.After(now) {
			at = p.free
		}
		p.free = at.Add(spacing)
		if d := at.Sub(now); d > 0 {
			return d
		}
	}
	if d := p.last.Add(spacing).Sub(now); d > 0 && !again {
		return d
	}
	p.last, p.by = now, account
	if next := now.Add(spacing); p.free.Before(next) {
		p.free = next
	}
	return 0
}
