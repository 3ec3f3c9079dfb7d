package sbc

import (
	"linekeeper/sbc/call"
	"linekeeper/sbc/policy"
	"linekeeper/sbc/sip"
)

// A chain is what becomes of one call as it is sent on: out to the cloud, back to
// us, out again. A call that comes to the same destination a second time within
// its chain is in a loop (RFC 3261 16.3, RFC 5393); a back-to-back user agent
// finds no Via of its own to tell it by. The chain is known by the name that the
// caller's end has in Session-ID, or by our own tag and Call-ID where the other
// side only passed them on.

// maxChain bounds the calls of one chain that run at a time.
const maxChain = 5

// chained names the chain that a new call belongs to and its place in it.
func (s *Switch) chained(req *sip.Request, inv call.Invite) (chain, place string) {
	chain = inv.Token
	if sid, ok := policy.ReadSession(req); ok && sid.Local != policy.NilUUID {
		chain = sid.Local
	}
	for _, tag := range []string{sip.FromTag(req), sip.CallIDOf(req)} {
		if o, _ := s.owner(tag); o != nil {
			chain = o.chain
			break
		}
	}
	to := inv.Dialled
	if inv.Caller.Line != "" {
		to = inv.Caller.Line
	}
	return chain, chain + "\x00" + inv.Zone + "\x00" + to
}

// loopsLocked says whether a call's chain has been here before.
func (s *Switch) loopsLocked(o *owner) bool {
	return s.places[o.place] || s.chains[o.chain] >= maxChain
}

// enterLocked and leaveLocked keep the book of chains.
func (s *Switch) enterLocked(o *owner) {
	s.chains[o.chain]++
	s.places[o.place] = true
}

func (s *Switch) leaveLocked(o *owner) {
	delete(s.places, o.place)
	if s.chains[o.chain]--; s.chains[o.chain] <= 0 {
		delete(s.chains, o.chain)
	}
}
