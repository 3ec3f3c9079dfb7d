package appliance

import (
	"fmt"
	"strconv"
	"sync"

	"linekeeper/appliance/events"
	"linekeeper/appliance/health"
	"linekeeper/sbc"
)

// speech remembers which calls are not heard well, by token.
type speech struct {
	mu    sync.Mutex
	calls map[string]sbc.MediaView
}

// sides of a call, as subjects of alarms.
const bothSides = "both"

// note takes a change and tells how many calls have the trouble, by alarm and side.
func (s *speech) note(v sbc.MediaView) (was sbc.MediaView, count func(code health.Code, side string) int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls == nil {
		s.calls = make(map[string]sbc.MediaView)
	}
	was = s.calls[v.Call]
	if v.Trouble == "" {
		delete(s.calls, v.Call)
	} else {
		s.calls[v.Call] = v
	}
	counts := make(map[[2]string]int)
	for _, c := range s.calls {
		counts[[2]string{string(codeOf(c.Trouble)), c.Side}]++
	}
	return was, func(code health.Code, side string) int { return counts[[2]string{string(code), side}] }
}

func codeOf(t sbc.Trouble) health.Code {
	if t == sbc.Bad {
		return health.MediaBad
	}
	return health.MediaDead
}

// MediaChanged tells of a call that is not heard well, or is again, and keeps an
// alarm for each side of which calls are unheard.
func (p phoneNews) MediaChanged(v sbc.MediaView) {
	was, count := p.b.speech.note(v)
	facts := map[string]string{"call": v.Call, "side": v.Side}
	switch {
	case v.Trouble == "" && was.Trouble != "":
		facts["side"], facts["trouble"] = was.Side, string(was.Trouble)
		p.publish(events.Media, events.Info, facts, "the call is heard well again, or is over")
	case v.Trouble != "":
		facts["trouble"], facts["cause"] = string(v.Trouble), v.Cause
		if v.MOS > 0 {
			facts["mos"] = strconv.FormatFloat(v.MOS, 'f', 1, 64)
		}
		p.metrics.MediaTrouble(string(v.Trouble), v.Side)
		p.publish(events.Media, events.Warning, facts, "%s: %s", troubleText(v), v.Cause)
	}
	for _, code := range []health.Code{health.MediaDead, health.MediaBad} {
		for _, side := range []string{sbc.LAN, "cloud", bothSides} {
			switch n := count(code, side); {
			case n == 0:
				p.b.health.Clear(code, side)
			case codeOf(v.Trouble) == code && v.Side == side && v.Trouble != "":
				p.b.health.Raise(code, side, fmt.Sprintf("%d calls, the last one: %s", n, v.Cause))
			}
		}
	}
}

func troubleText(v sbc.MediaView) string {
	side := "the phone"
	if v.Side == "cloud" {
		side = "the cloud"
	}
	switch v.Trouble {
	case sbc.NoMedia:
		return "neither side of a call is heard"
	case sbc.OneWay:
		return "a call is one-way, nothing is heard from " + side
	case sbc.Bad:
		return "a call is heard badly from " + side
	}
	return "a call is heard"
}
