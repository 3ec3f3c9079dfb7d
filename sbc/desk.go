package sbc

import (
	"linekeeper/sbc/call"
	"linekeeper/sbc/number"
)

// The switchboard as both brains see it.

// Dial understands what was dialled at this site.
func (s *Switch) Dial(dialled string) number.Dialled { return s.dial(s.cfg.Load(), dialled) }

// May says whether an extension may dial a class of numbers.
func (s *Switch) May(ext string, class number.Class) bool {
	e, _ := s.member(s.cfg.Load(), ext)
	return e.Class.Covers(class)
}

// ExtensionOf is the extension behind a cloud account; empty if there is none.
func (s *Switch) ExtensionOf(account string) string {
	cfg := s.cfg.Load()
	if l, ok := cfg.byAccount[account]; ok {
		return l.Extension
	}
	if _, ok := s.pass.ledger.get(account); ok {
		if ext, still := cfg.passes(account); still {
			return ext
		}
	}
	return ""
}

// Emergency leaves by the caller's line, else by any other, registered or not:
// that a line is held for dead must not decide over such a call. Only the last
// way is given all the time it wants; a call that asks again because the cloud
// kept silent tries the caller's own line last.
func (s *Switch) Emergency(inv call.Invite, d number.Dialled) call.Plan {
	cfg := s.cfg.Load()
	var steps []call.Step
	add := func(inv call.Invite, account string) {
		if out, err := s.wayOut(inv, cfg, account, d); err == nil {
			steps = append(steps, out...)
		}
	}
	if inv.Through != nil { // the cloud may ask the phone for its credentials: that way goes first
		add(inv, "")
		inv.Through = nil
	}
	own := cfg.Extensions[inv.Caller.Extension].Account
	var accounts []string
	for _, l := range cfg.Lines {
		if l.Account != own {
			accounts = append(accounts, l.Account)
		}
	}
	accounts = accounts[:min(len(accounts), maxWaysOut-1)]
	if inv.Silent {
		accounts = append(accounts, own)
	} else {
		accounts = append([]string{own}, accounts...)
	}
	for _, a := range accounts {
		add(inv, a)
	}
	if len(steps) == 0 {
		return unavailable(errNoTrunk)
	}
	steps[len(steps)-1].Silent = 0
	return call.Plan{Way: call.Cloud, Steps: steps, Insist: true}
}
