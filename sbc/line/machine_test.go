package line

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func newLine(targets int) *Machine {
	return New(Config{Targets: targets, NATRefresh: 25 * time.Second, Exclusive: true, Rand: func() float64 { return 0.5 }})
}

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// walk steps m through inputs; an Answer or Silent without a number is for the
// REGISTER under way.
func walk(m *Machine, inputs ...Input) (last []Effect) {
	for _, in := range inputs {
		switch i := in.(type) {
		case Answer:
			i.Try = m.try
			in = i
		case Silent:
			i.Try = m.try
			in = i
		}
		last = append([]Effect(nil), m.Step(noon, in)...)
	}
	return last
}

func text(effects []Effect) string {
	var all []string
	for _, e := range effects {
		s := strings.TrimPrefix(fmt.Sprintf("%T", e), "line.")
		if f := fmt.Sprintf("%+v", e); f != "{}" {
			s += f
		}
		all = append(all, s)
	}
	return strings.Join(all, " ")
}

var (
	ok        = Answer{Code: 200, Expires: 10 * time.Minute}
	challenge = Answer{Code: 401}
)

func TestTransitionsOfEveryStateAndInputAreTheGoldenOnes(t *testing.T) {
	states := []struct {
		name string
		way  []Input
	}{
		{"idle", nil},
		{"paced", []Input{Start{time.Second}}},
		{"asking", []Input{Start{}, Due{}}},
		{"proving", []Input{Start{}, Due{}, challenge}},
		{"asking-2nd-target", []Input{Start{}, Due{}, Silent{}}},
		{"bound", []Input{Start{}, Due{}, challenge, ok}},
		{"refreshing", []Input{Start{}, Due{}, challenge, ok, Due{}}},
		{"refresh-proving", []Input{Start{}, Due{}, challenge, ok, Due{}, challenge}},
		{"backed-off", []Input{Start{}, Due{}, Silent{}, Silent{}}},
		{"refused-once", []Input{Start{}, Due{}, challenge, challenge}},
		{"refused-twice-proving", []Input{Start{}, Due{}, challenge, challenge, Due{}, challenge, challenge, Due{}, challenge}},
		{"cut", []Input{Start{}, Due{}, ok, Cut{}}},
		{"no-target", []Input{Retarget{0, -1}, Start{}, Due{}}},
		{"rejected", []Input{Start{}, Due{}, Answer{Code: 403}, Due{}, Answer{Code: 403}, Due{}, Answer{Code: 403}}},
		{"leaving", []Input{Start{}, Due{}, challenge, ok, Leave{}}},
		{"leaving-proving", []Input{Start{}, Due{}, challenge, ok, Leave{}, challenge}},
		{"gone", []Input{Leave{}}},
	}
	inputs := []Input{
		Start{time.Second}, Due{}, PingDue{}, Answer{Code: 100}, ok,
		Answer{Code: 200, Expires: time.Minute, Others: 1}, Answer{Code: 200}, challenge,
		Answer{Code: 407, Stale: true}, Answer{Code: 403}, Answer{Code: 423, MinExpires: time.Hour},
		Answer{Code: 423}, Answer{Code: 503, RetryAfter: 2 * time.Minute}, Answer{Code: 500}, Answer{Code: 486, RetryAfter: time.Minute},
		Silent{}, Broken{}, Broken{Certificate: true}, Retarget{3, 1}, Retarget{2, -1}, Retarget{0, -1},
		Cut{}, Reachable{300 * time.Millisecond}, Move{1}, Retry{}, Leave{},
	}
	var b strings.Builder
	for _, s := range states {
		for _, in := range inputs {
			m := newLine(2)
			walk(m, s.way...)
			effects := walk(m, in)
			fmt.Fprintf(&b, "%-22s %-60s -> %-8s %s\n", s.name, text1(in), m.state, text(effects))
		}
	}
	golden(t, "transitions.golden", b.String())
}

func text1(in Input) string {
	s := strings.TrimPrefix(fmt.Sprintf("%T", in), "line.")
	if a, is := in.(Answer); is {
		s += fmt.Sprintf("{%d", a.Code)
		if a.Expires > 0 {
			s += fmt.Sprintf(" expires=%v", a.Expires)
		}
		if a.Others > 0 {
			s += fmt.Sprintf(" others=%d", a.Others)
		}
		if a.RetryAfter > 0 {
			s += fmt.Sprintf(" after=%v", a.RetryAfter)
		}
		if a.MinExpires > 0 {
			s += fmt.Sprintf(" min=%v", a.MinExpires)
		}
		if a.Stale {
			s += " stale"
		}
		return s + "}"
	}
	if f := fmt.Sprintf("%+v", in); f != "{}" && f != "{Try:0}" {
		s += f
	}
	return s
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
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
	for i := range max(len(g), len(w)) {
		var a, b string
		if i < len(g) {
			a = g[i]
		}
		if i < len(w) {
			b = w[i]
		}
		if a != b {
			t.Errorf("line %d\n got %s\nwant %s", i+1, a, b)
		}
	}
}

func TestThirdRefusalOfThePasswordEndsAllTriesUntilAnAdminSaysSo(t *testing.T) {
	m := newLine(1)
	walk(m, Start{}, Due{}, challenge, challenge, Due{}, challenge, challenge, Due{}, challenge)
	if got := text(walk(m, challenge)); !strings.Contains(got, "Alarm{Code:line-rejected On:true}") {
		t.Fatalf("no alarm: %s", got)
	}
	for _, in := range []Input{Due{}, Reachable{}, Cut{}, Reachable{}, Due{}, Broken{}, Retarget{4, -1}, Start{}} {
		if got := text(walk(m, in)); strings.Contains(got, "Register") {
			t.Fatalf("%T made it try again: %s", in, got)
		}
	}
	if got := text(walk(m, Retry{})); !strings.Contains(got, "Register") || !strings.Contains(got, "On:false") {
		t.Fatalf("retry: %s", got)
	}
}

func TestRestartDoesNotGiveNewTriesToRefusedCredentials(t *testing.T) {
	m := New(Config{Targets: 1, Failed: 3, Rand: func() float64 { return 0 }})
	if got := text(walk(m, Start{})); strings.Contains(got, "WakeAfter") || m.state != Rejected {
		t.Fatalf("%s in state %s", got, m.state)
	}
}

func TestStaleNonceIsNotAFailedTry(t *testing.T) {
	m := newLine(1)
	walk(m, Start{}, Due{}, challenge, Answer{Code: 401, Stale: true}, Answer{Code: 401, Stale: true}, ok)
	if m.failed != 0 || m.state != Bound {
		t.Fatalf("%d failed, %s", m.failed, m.state)
	}
	walk(m, Due{}) // the refresh uses the remembered nonce
	if got := text(walk(m, challenge)); !strings.Contains(got, "Auth:true") || m.failed != 0 {
		t.Fatalf("a forgotten nonce was counted: %s", got)
	}
}

func TestEndlessStaleAnswersComeToRest(t *testing.T) {
	m := newLine(1)
	walk(m, Start{}, Due{}, challenge)
	for range 10 {
		walk(m, Answer{Code: 401, Stale: true})
	}
	if m.state != Waiting {
		t.Fatalf("still %s", m.state)
	}
}

func TestBackOffDoublesToFiveMinutesAndRetryAfterIsHonoured(t *testing.T) {
	m := newLine(1)
	walk(m, Start{}, Due{})
	want := time.Second
	for range 12 {
		if got := walk(m, Silent{}); got[len(got)-1] != (WakeAfter{want}) {
			t.Fatalf("got %s, want %v", text(got), want)
		}
		want = min(2*want, 5*time.Minute)
		walk(m, Due{})
	}
	got := walk(m, Answer{Code: 503, RetryAfter: 20 * time.Minute})
	if got[len(got)-1] != (WakeAfter{20 * time.Minute}) {
		t.Fatalf("retry-after: %s", text(got))
	}
	walk(m, Reachable{})
	walk(m, Due{})
	if got := walk(m, Silent{}); got[len(got)-1] != (WakeAfter{time.Second}) {
		t.Fatalf("after the return of the path: %s", text(got))
	}
}

func TestWorkingTargetIsKept(t *testing.T) {
	m := newLine(3)
	walk(m, Start{}, Due{}, Silent{}, Answer{Code: 503}, ok)
	if m.target != 2 {
		t.Fatalf("bound to %d", m.target)
	}
	if got := walk(m, Due{}); !strings.Contains(text(got), "Target:2") {
		t.Fatalf("refresh went elsewhere: %s", text(got))
	}
	walk(m, ok, Retarget{4, 1})
	if got := walk(m, Due{}); !strings.Contains(text(got), "Target:1") {
		t.Fatalf("target that moved in the list was lost: %s", text(got))
	}
}

func TestLateAnswerIsDropped(t *testing.T) {
	m := newLine(2)
	walk(m, Start{}, Due{})
	old := m.try
	walk(m, Silent{})
	if got := m.Step(noon, Answer{Try: old, Code: 403}); len(got) != 0 {
		t.Fatalf("late answer was taken: %s", text(got))
	}
}
