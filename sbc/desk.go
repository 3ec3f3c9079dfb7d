package sbc

import (
	"linekeeper/sbc/call"
	"linekeeper/sbc/number"
)

// The switchboard as both brains see it.

// Dial understands what was dialled at this site.
func (s *Switch) Dial(dialled string) number.Dialled { return s.cfg.Load().Book.Dial(dialled) }

// May says whether an extension may dial a class of numbers.
func (s *Switch) May(ext string, class number.Class) bool {
	return s.cfg.Load().Extensions[ext].Class.Covers(class)
}

// ExtensionOf is the extension behind a cloud account; empty if there is none.
func (s *Switch) ExtensionOf(account string) string {
	return s.cfg.Load().byAccount[account].Extension
}

// Emergency leaves by the caller's line, else by any other, registered or not:
// that a line is held for dead must not decide over such a call. Only the last
// way is given all the time it wants; a call that asks again because the cloud
// kept silent tries the caller's own line last.
func (s *Switch) Emergency(inv call.Invite, d number.Dialled) call.Plan {
	cfg := s.cfg.Load()
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
	var steps []call.Step
	for _, a := range accounts {
		if t, err := s.lineTarget(inv, cfg, a, d); err == nil {
			steps = append(steps, call.Step{Targets: []call.Target{t}, Silent: cfg.CallTimeout})
		}
	}
	if len(steps) == 0 {
		return unavailable(errNoTrunk)
	}
	steps[len(steps)-1].Silent = 0
	return call.Plan{Way: call.Cloud, Steps: steps, Insist: true}
}
