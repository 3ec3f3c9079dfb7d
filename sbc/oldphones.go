package sbc

import (
	"net/netip"
	"strings"
	"sync"
	"time"

	"linekeeper/sbc/sip"
)

// RFC 8760 lets a server challenge with several algorithms. Some older phones
// give up when they meet one that they don't know, instead of taking the next.
// They get MD5 alone: known ones at once, others when they ask again without
// having answered.

// oldAgents are beginnings of User-Agent texts, lower case, of software known to
// give up at SHA-256.
var oldAgents = [...]string{"baresip v0.", "baresip v1.0", "sipp"}

const (
	// puzzledFor is how soon somebody who was challenged and did not answer must
	// ask again to count as puzzled.
	puzzledFor = 5 * time.Minute
	// maxPuzzled bounds the memory for it.
	maxPuzzled = 4096
)

// asker is who asks: an address and the user that it claims to be.
type asker struct {
	addr netip.Addr
	user string
}

// puzzled remembers who was challenged and has not answered.
type puzzled struct {
	mu    sync.Mutex
	since map[asker]time.Time
}

// asked notes a request without credentials and says whether its sender did not
// understand the last challenge.
func (p *puzzled) asked(a asker, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	last, ok := p.since[a]
	if p.since == nil || len(p.since) >= maxPuzzled {
		p.since = make(map[asker]time.Time)
	}
	p.since[a] = now
	return ok && now.Sub(last) < puzzledFor
}

// answered forgets somebody who understood.
func (p *puzzled) answered(a asker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.since, a)
}

// simple says whether a request is to be challenged with MD5 alone.
func (s *Switch) simple(req *sip.Request, flow sip.Flow, proof sip.Proof) bool {
	agent := strings.ToLower(sip.HeaderValue(req, "User-Agent"))
	for _, old := range oldAgents {
		if strings.HasPrefix(agent, old) {
			return true
		}
	}
	a := asker{addr: flow.Remote.Addr()}
	if f := req.From(); f != nil {
		a.user = f.Address.User
	}
	if proof != sip.Missing {
		s.puzzled.answered(a)
		return usesMD5(req)
	}
	return s.puzzled.asked(a, time.Now())
}

// usesMD5 says whether the credentials of a request are MD5 ones: a new nonce
// goes to such a phone in the form that it has understood before.
func usesMD5(req *sip.Request) bool {
	for _, name := range []string{"Authorization", "Proxy-Authorization"} {
		for _, v := range sip.HeaderValues(req, name) {
			if low := strings.ToLower(v); !strings.Contains(low, "sha-") && strings.Contains(low, "digest") {
				return true
			}
		}
	}
	return false
}
