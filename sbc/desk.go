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

// Emergency leaves by the caller's line, else by any line that still has a way.
func (s *Switch) Emergency(inv call.Invite, d number.Dialled) call.Plan {
	cfg := s.cfg.Load()
	accounts := []string{cfg.Extensions[inv.Caller.Extension].Account}
	for _, l := range cfg.Lines {
		accounts = append(accounts, l.Account)
	}
	var steps []call.Step
	for _, a := range accounts {
		t, err := s.lineTarget(inv, cfg, a, d)
		if err != nil || len(steps) > 0 && t.Line == steps[0].Targets[0].Line {
			continue
		}
		if steps = append(steps, call.Step{Targets: []call.Target{t}, Silent: cfg.CallTimeout}); len(steps) == maxWaysOut {
			break
		}
	}
	if len(steps) == 0 {
		return unavailable(errNoTrunk)
	}
	return call.Plan{Way: call.Cloud, Steps: steps}
}
