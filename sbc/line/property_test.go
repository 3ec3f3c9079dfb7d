package line

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestLineNeverFallsAsleepAndNeverTriesRefusedCredentialsAFourthTime feeds
// arbitrary inputs, answers to the REGISTER under way and late ones among them.
func TestLineNeverFallsAsleepAndNeverTriesRefusedCredentialsAFourthTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newLine(rapid.IntRange(0, 3).Draw(t, "targets"))
		now, armed := noon, false
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 600).Draw(t, "s")) * time.Second)
			in := drawInput(t, m)
			if _, is := in.(Due); is {
				if !armed {
					continue // the room has no such timer
				}
				armed = false
			}
			rested := m.state == Rejected
			for _, e := range m.Step(now, in) {
				switch e := e.(type) {
				case WakeAfter:
					armed = true
					if e.D < 0 || e.D > longestExpires {
						t.Fatalf("wakes after %v", e.D)
					}
				case Sleep:
					armed = false
				case Register:
					if e.Target < 0 || e.Target >= m.targets {
						t.Fatalf("target %d of %d", e.Target, m.targets)
					}
					if _, retry := in.(Retry); rested && !retry {
						t.Fatalf("%T made a rejected line ask", in)
					}
				}
			}
			switch {
			case m.failed > maxRejects:
				t.Fatalf("%d refusals", m.failed)
			case (m.state == Waiting || m.state == Bound) && m.phase == quiet && !armed:
				t.Fatalf("%s and asleep after %T", m.state, in)
			case (m.state == Asking || m.state == Leaving) && m.phase == quiet:
				t.Fatalf("%s with nothing under way after %T", m.state, in)
			}
		}
	})
}

func drawInput(t *rapid.T, m *Machine) Input {
	try := m.try - rapid.SampledFrom([]uint64{0, 0, 0, 1}).Draw(t, "late")
	switch rapid.IntRange(0, 14).Draw(t, "input") {
	case 0, 1:
		return Start{time.Second}
	case 2, 3, 4, 5:
		return Answer{
			Try: try, Code: rapid.SampledFrom([]int{100, 200, 200, 401, 401, 407, 403, 404, 408, 423, 486, 500, 503, 603}).Draw(t, "code"),
			Expires: time.Duration(rapid.IntRange(0, 3600).Draw(t, "expires")) * time.Second, Stale: rapid.Bool().Draw(t, "stale"),
			RetryAfter: time.Duration(rapid.IntRange(0, 100000).Draw(t, "after")) * time.Second,
			MinExpires: time.Duration(rapid.IntRange(0, 7200).Draw(t, "min")) * time.Second,
			Others:     rapid.IntRange(0, 2).Draw(t, "others"),
		}
	case 6:
		return Silent{try}
	case 7:
		return Broken{rapid.Bool().Draw(t, "cert")}
	case 8:
		return Retarget{rapid.IntRange(-1, 4).Draw(t, "count"), rapid.IntRange(-1, 4).Draw(t, "keep")}
	case 9:
		return Cut{}
	case 10:
		return Reachable{time.Second}
	case 11:
		return rapid.SampledFrom([]Input{Retry{}, PingDue{}, Cut{}, Reachable{}, Move{1}}).Draw(t, "other")
	case 12:
		return rapid.SampledFrom([]Input{Leave{}, PingDue{}, Retry{}, Due{}, Due{}}).Draw(t, "rare")
	default:
		return Due{}
	}
}
