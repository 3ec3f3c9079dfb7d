package sbc

import (
	"maps"
	"sync"
	"time"

	"linekeeper/sbc/sip"
)

// The guard never bans an address at which a phone is registered: whoever sits
// at that address could go on guessing. So passwords that were wrong too often
// for one extension from one address are not looked at any more, except on the
// very flow that the extension is registered on. The answer stays the same.

const (
	// guessesAllowed is how often an address may be wrong about an extension
	// within guessesFor.
	guessesAllowed = 10
	guessesFor     = 15 * time.Minute
	// maxGuessers bounds the memory for it.
	maxGuessers = 4096
)

// guesses counts wrong credentials.
type guesses struct {
	mu    sync.Mutex
	wrong map[asker]guessed
}

type guessed struct {
	times int
	since time.Time // of the first
}

// note counts a wrong password. A name that can be no extension's is no guess.
func (g *guesses) note(a asker, now time.Time) {
	if len(a.user) > 64 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	was, ok := g.wrong[a]
	if !ok || now.Sub(was.since) >= guessesFor {
		g.roomLocked(now)
		was = guessed{since: now}
	}
	was.times++
	g.wrong[a] = was
}

// roomLocked makes room for one more: what is over goes, else anything.
func (g *guesses) roomLocked(now time.Time) {
	if g.wrong == nil {
		g.wrong = make(map[asker]guessed)
	}
	if len(g.wrong) < maxGuessers {
		return
	}
	maps.DeleteFunc(g.wrong, func(_ asker, w guessed) bool { return now.Sub(w.since) >= guessesFor })
	for a := range g.wrong {
		if len(g.wrong) < maxGuessers {
			break
		}
		delete(g.wrong, a)
	}
}

// tooMany says whether an address has been wrong about an extension too often.
func (g *guesses) tooMany(a asker, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	w, ok := g.wrong[a]
	return ok && w.times >= guessesAllowed && now.Sub(w.since) < guessesFor
}

// patiently gives passwords to those who may still ask for them. A UC server that
// the site document names may go on: its administrator mends a wrong password, and
// the line must be there at once.
func (s *Switch) patiently(flow sip.Flow, password func(string) (string, bool)) func(string) (string, bool) {
	if s.cfg.Load().client(flow) != nil {
		return password
	}
	return func(user string) (string, bool) {
		now := time.Now()
		if s.guesses.tooMany(asker{addr: flow.Remote.Addr(), user: user}, now) && !s.registeredOn(user, flow, now) {
			return "", false
		}
		return password(user)
	}
}

// registeredOn says whether an extension is registered on this very flow.
func (s *Switch) registeredOn(ext string, flow sip.Flow, now time.Time) bool {
	for _, b := range s.location.Lookup(now, ext) {
		if b.Flow.Remote == flow.Remote && b.Flow.Transport == flow.Transport {
			return true
		}
	}
	return false
}
