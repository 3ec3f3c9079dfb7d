package sbc

import (
	"crypto/rand"
	"sync"
	"time"

	"linekeeper/sbc/exchange"
	"linekeeper/sbc/sip"
)

const (
	// nonceLife is how long a digest nonce serves.
	nonceLife = 5 * time.Minute
	// noncesKept bounds the nonces whose counts are remembered.
	noncesKept = 8192
)

// authority lets one request at a time to the digest authority.
type authority struct {
	mu sync.Mutex
	a  *sip.Authority
}

func newAuthority(realm string) *authority {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	return &authority{a: sip.NewAuthority(realm, secret, nonceLife, noncesKept, uint64(time.Now().UnixNano()))}
}

func (a *authority) check(req *sip.Request, password func(string) (string, bool)) (string, sip.Proof) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.a.Check(time.Now(), req, password)
}

// challenge makes the challenges, the strongest first; simple: MD5 alone.
func (a *authority) challenge(stale, simple bool) []sip.Header {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := a.a.Challenge(time.Now(), stale, false)
	if simple {
		return all[len(all)-1:]
	}
	return all
}

// prove makes a caller prove by digest who it is. Where it does not, the
// request is answered here and ok is false. An unknown extension is challenged
// and refused exactly like a wrong password, so that nobody learns which exist.
func (s *Switch) prove(tx *exchange.Server, req *sip.Request, flow sip.Flow, password func(user string) (string, bool)) (user string, ok bool) {
	auth := s.auth.Load()
	user, proof := auth.check(req, s.patiently(flow, password))
	simple := s.simple(req, flow, proof)
	switch proof {
	case sip.Proven:
		return user, true
	case sip.Wrong:
		s.guesses.note(asker{addr: flow.Remote.Addr(), user: user}, time.Now())
		s.watch.Refused("wrong credentials", flow, req)
		s.guard.Punish(flow.Remote.Addr(), "credentials")
	case sip.Missing, sip.Stale: // only a challenge is due
	}
	resp := sip.Respond(req, 401, "", s.random())
	for _, h := range auth.challenge(proof == sip.Stale, simple) {
		resp.AppendHeader(h)
	}
	tx.Respond(resp)
	return "", false
}

// password is the password of an extension; an extension without one can't register.
func (c *Config) password(ext string) (string, bool) {
	e, ok := c.Extensions[ext]
	return e.Password, ok && e.Password != ""
}
