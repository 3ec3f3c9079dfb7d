package mode

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func machine(targets int) *Machine {
	return New(Config{Targets: targets, Rand: func() float64 { return 0.5 }})
}

// after lets time pass between two inputs of a walk.
type after struct {
	Due
	d time.Duration
}

func walk(m *Machine, now time.Time, inputs ...Input) (time.Time, []Effect) {
	var last []Effect
	for _, in := range inputs {
		if a, is := in.(after); is {
			now = now.Add(a.d)
			last = append([]Effect(nil), m.Step(now, Due{})...)
			continue
		}
		last = append([]Effect(nil), m.Step(now, in)...)
	}
	return now, last
}

// times repeats inputs with a pause after each round.
func times(n int, d time.Duration, inputs ...Input) (all []Input) {
	for range n {
		all = append(append(all, inputs...), after{d: d})
	}
	return all
}

func join(parts ...[]Input) (all []Input) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func name(v any) string {
	s := strings.TrimPrefix(fmt.Sprintf("%T", v), "mode.")
	if f := fmt.Sprintf("%+v", v); f != "{}" {
		s += f
	}
	return s
}

func TestTransitionsOfEveryModeAndInputAreTheGoldenOnes(t *testing.T) {
	lines := Lines{Registered: 2, Total: 2}
	online := join([]Input{Start{}, lines}, times(1, time.Second, Answered{0, 200, 0}, Answered{1, 200, 0}), []Input{after{d: time.Minute}})
	misses := times(3, time.Second, Missed{0}, Missed{1})
	survival := join(online, misses)
	states := []struct {
		name string
		way  []Input
	}{
		{"not-started", nil},
		{"starting", []Input{Start{}}},
		{"online", online},
		{"online-suspect", join(online, []Input{Silent{0, true}})},
		{"online-two-missed", join(online, times(2, time.Second, Missed{0}, Missed{1}))},
		{"degraded-one-target", join(online, times(3, time.Second, Missed{0}, Answered{1, 200, 0}), []Input{after{d: time.Minute}})},
		{"survival", survival},
		{"survival-nearly-back", join(survival, times(4, time.Second, Answered{0, 200, 0}))},
		{"survival-cable-out", join(online, []Input{Link{false}})},
		{"recovering", join(survival, []Input{Lines{0, 0, 2}}, times(5, time.Second, Answered{0, 200, 0}))},
	}
	inputs := []Input{
		Start{}, Due{}, after{d: time.Hour}, Answered{0, 200, time.Millisecond}, Answered{1, 404, 0}, Answered{0, 503, 0}, Answered{7, 200, 0},
		Missed{0}, Missed{1}, Silent{0, true}, Silent{1, false}, CallHeard{0}, Lost{0, false}, Lost{0, true},
		Media{1}, Media{3}, Media{0}, Link{false}, Link{true}, Gateway{Bad}, Internet{Bad}, DNS{Bad}, DNS{Good},
		Lines{2, 0, 2}, Lines{1, 0, 2}, Lines{0, 2, 2}, Retarget{1}, Retarget{0},
	}
	var b strings.Builder
	for _, s := range states {
		for _, in := range inputs {
			m := machine(2)
			now, _ := walk(m, noon, s.way...)
			_, effects := walk(m, now, in)
			var out []string
			for _, e := range effects {
				out = append(out, name(e))
			}
			fmt.Fprintf(&b, "%-21s %-38s -> %-10s %s\n", s.name, name(in), m.mode, strings.Join(out, " "))
		}
	}
	golden(t, "transitions.golden", b.String())
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	path := filepath.Join("testdata", file)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	g, w := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	if len(g) != len(w) {
		t.Errorf("%d lines, want %d", len(g), len(w))
	}
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			t.Errorf("line %d\n got %s\nwant %s", i+1, g[i], w[i])
		}
	}
}

func TestEveryCauseHasACodeAndASentenceInBothLanguages(t *testing.T) {
	for c := Starting; c <= LinesMissing; c++ {
		if c.String() == "" || c.Sentence("de") == "" || c.Sentence("en") == "" || c.Sentence("de") == c.Sentence("en") {
			t.Errorf("cause %d: %q %q %q", c, c, c.Sentence("de"), c.Sentence("en"))
		}
	}
}

func TestCausesAreToldApart(t *testing.T) {
	dead := times(3, time.Second, Missed{0})
	for _, c := range []struct {
		want Cause
		mode Mode
		in   []Input
	}{
		{CableOut, Survival, []Input{Link{false}}},
		{RouterGone, Survival, join([]Input{Gateway{Bad}}, dead)},
		{NoInternet, Survival, join([]Input{Gateway{Good}, Internet{Bad}, DNS{Bad}}, dead)},
		{NoInternet, Survival, join([]Input{DNS{Bad}}, dead)},
		{DNSBroken, Survival, join([]Input{Internet{Good}, DNS{Bad}}, dead)},
		{ProviderDown, Survival, join([]Input{Internet{Good}, DNS{Good}}, dead)},
		{ProviderOverloaded, Survival, times(3, time.Second, Answered{0, 503, 0})},
		{CertificateBad, Survival, times(3, time.Second, Lost{0, true})},
		{AccountRejected, Degraded, []Input{Lines{0, 1, 1}}},
		{MediaDead, Degraded, []Input{Media{2}, Answered{0, 200, 0}}},
		{CallsUnanswered, Degraded, []Input{Silent{0, true}, Answered{0, 200, 0}, Silent{0, true}, Answered{0, 200, 0}}},
		{LinesMissing, Degraded, []Input{Lines{0, 0, 1}}},
	} {
		t.Run(c.want.String(), func(t *testing.T) {
			m := machine(1)
			now, _ := walk(m, noon, Start{}, Lines{1, 0, 1}, Answered{0, 200, 0}, after{d: time.Minute})
			if m.mode != Online {
				t.Fatalf("not online but %s", m.mode)
			}
			walk(m, now, c.in...)
			if m.mode != c.mode || m.cause != c.want {
				t.Errorf("%s for %q", m.mode, m.cause)
			}
		})
	}
}

// TestNoEvidenceMakesItOscillateFasterThanTheDwell feeds arbitrary evidence at
// arbitrary times.
func TestNoEvidenceMakesItOscillateFasterThanTheDwell(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := machine(rapid.IntRange(0, 3).Draw(t, "targets"))
		now := noon
		m.Step(now, Start{})
		last, at, count := m.mode, now, 0
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 4000).Draw(t, "ms")) * time.Millisecond)
			dwell, since := m.dwell, m.since
			for _, e := range m.Step(now, drawInput(t)) {
				became, is := e.(Became)
				if !is || became.Mode == last {
					continue
				}
				switch {
				case last == Survival && now.Sub(since) < dwell:
					t.Fatalf("left survival after %v, dwell %v", now.Sub(since), dwell)
				case (last == Online || last == Degraded) && became.Mode != Survival && now.Sub(at) < m.cfg.Soft:
					t.Fatalf("%s became %s after %v", last, became.Mode, now.Sub(at))
				case became.Mode == Survival:
					count++
				}
				last, at = became.Mode, now
			}
			if last != m.mode {
				t.Fatalf("mode %s was never announced", m.mode)
			}
		}
		// Relapses double the dwell: an hour holds only so many of them.
		if most := int(now.Sub(noon)/m.shortest()) + 2; count > most {
			t.Fatalf("%d outages in %v", count, now.Sub(noon))
		}
	})
}

func drawInput(t *rapid.T) Input {
	target := rapid.IntRange(-1, 3).Draw(t, "target")
	switch rapid.IntRange(0, 15).Draw(t, "input") {
	case 0, 1, 2, 3:
		return Answered{target, rapid.SampledFrom([]int{200, 404, 503}).Draw(t, "code"), 0}
	case 4, 5, 6:
		return Missed{target}
	case 7:
		return Silent{target, rapid.Bool().Draw(t, "call")}
	case 8:
		return Lost{target, rapid.Bool().Draw(t, "cert")}
	case 9:
		return Link{rapid.Bool().Draw(t, "up")}
	case 10:
		return Media{rapid.IntRange(0, 3).Draw(t, "dead")}
	case 11:
		return Lines{rapid.IntRange(0, 2).Draw(t, "registered"), 0, 2}
	case 12:
		return DNS{Fact(rapid.IntRange(0, 2).Draw(t, "dns"))}
	case 13:
		return Retarget{rapid.IntRange(0, 3).Draw(t, "count")}
	case 14:
		return CallHeard{target}
	default:
		return Due{}
	}
}
