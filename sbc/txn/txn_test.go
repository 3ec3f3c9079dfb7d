package txn

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

var inputs = []Input{
	{What: Begun}, {Answered, 180}, {Answered, 200}, {Answered, 486}, {Replied, 180}, {Replied, 200}, {Replied, 486},
	{What: Repeated}, {What: Confirm}, {What: Woken}, {What: Broken}, {What: Cancelled},
}

// TestTransitions holds the four machines, both transports, every state and
// every input against a file that a person can read.
func TestTransitions(t *testing.T) {
	timers := Defaults()
	kinds := []struct {
		name  string
		make  func(reliable bool) Machine
		paths [][]Input // how each state is reached
	}{
		{"ClientInvite", func(r bool) Machine { return NewClientInvite(&timers, r) }, [][]Input{
			{}, {{What: Begun}}, {{What: Begun}, {What: Cancelled}}, {{What: Begun}, {Answered, 180}},
			{{What: Begun}, {Answered, 180}, {What: Cancelled}}, {{What: Begun}, {Answered, 486}}, {{What: Begun}, {Answered, 200}}, {{What: Begun}, {What: Broken}},
		}},
		{"ClientNonInvite", func(r bool) Machine { return NewClientNonInvite(&timers, r) }, [][]Input{
			{}, {{What: Begun}}, {{What: Begun}, {Answered, 180}}, {{What: Begun}, {Answered, 200}}, {{What: Begun}, {What: Broken}},
		}},
		{"ServerInvite", func(r bool) Machine { return NewServerInvite(&timers, r) }, [][]Input{
			{}, {{What: Begun}}, {{What: Begun}, {Replied, 180}}, {{What: Begun}, {What: Woken}}, {{What: Begun}, {Replied, 486}},
			{{What: Begun}, {Replied, 486}, {What: Confirm}}, {{What: Begun}, {Replied, 200}}, {{What: Begun}, {Replied, 200}, {What: Confirm}},
			{{What: Begun}, {Replied, 200}, {What: Confirm}, {What: Woken}, {What: Woken}},
		}},
		{"ServerNonInvite", func(r bool) Machine { return NewServerNonInvite(&timers, r) }, [][]Input{
			{}, {{What: Begun}}, {{What: Begun}, {Replied, 180}}, {{What: Begun}, {Replied, 200}}, {{What: Begun}, {What: Woken}},
		}},
	}
	var b strings.Builder
	for _, k := range kinds {
		for _, reliable := range []bool{false, true} {
			fmt.Fprintf(&b, "# %s, reliable transport: %v\n", k.name, reliable)
			for _, path := range k.paths {
				for _, in := range inputs {
					m := k.make(reliable)
					for _, p := range path {
						m.Step(p, nil)
					}
					from := m.State()
					effects := m.Step(in, nil)
					fmt.Fprintf(&b, "%-11s %-34s %-13v -> %-11s %v\n", from, fmt.Sprint(path), in, m.State(), effects)
				}
			}
		}
	}
	golden(t, "transitions.golden", b.String())
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
	if string(want) != got {
		t.Errorf("%s differs; run with -update and read the diff", path)
	}
}

// schedule lets m sleep until it has ended and tells when it repeated.
func schedule(t *testing.T, m Machine, ins ...Input) (repeats []time.Duration, last []Effect, at time.Duration) {
	t.Helper()
	var wake time.Duration
	step := func(in Input) {
		last = m.Step(in, nil)
		for _, e := range last {
			switch e.Do {
			case Wake:
				wake = e.After
			case Rest:
				wake = 0
			case Again:
				repeats = append(repeats, at)
			default: // nothing to do
			}
		}
	}
	for _, in := range ins {
		step(in)
	}
	for i := 0; m.State() != Terminated; i++ {
		if wake == 0 || i > 100 {
			t.Fatalf("sleeps for ever in %v", m.State())
		}
		at += wake
		step(Input{What: Woken})
	}
	return repeats, last, at
}

func ms(n ...int) string {
	out := make([]time.Duration, len(n))
	for i, v := range n {
		out[i] = time.Duration(v) * time.Millisecond
	}
	return fmt.Sprint(out)
}

func TestRepetitionsComeWhenTheRFCSays(t *testing.T) {
	timers := Defaults()
	cases := []struct {
		name string
		m    Machine
		ins  []Input
		want string
		end  time.Duration
		last string
	}{
		{"timers A and B", NewClientInvite(&timers, false), []Input{{What: Begun}}, ms(500, 1500, 3500, 7500, 15500, 31500), 32 * time.Second, "[Expire End]"},
		{"timer B alone", NewClientInvite(&timers, true), []Input{{What: Begun}}, ms(), 32 * time.Second, "[Expire End]"},
		{"timers E and F", NewClientNonInvite(&timers, false), []Input{{What: Begun}},
			ms(500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500), 32 * time.Second, "[Expire End]"},
		{"timer E in proceeding", NewClientNonInvite(&timers, false), []Input{{What: Begun}, {Answered, 100}},
			ms(500, 4500, 8500, 12500, 16500, 20500, 24500, 28500), 32 * time.Second, "[Expire End]"},
		{"timers G and H", NewServerInvite(&timers, false), []Input{{What: Begun}, {Replied, 486}},
			ms(500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500), 32 * time.Second, "[End]"},
		{"2xx until timer L, tcp too", NewServerInvite(&timers, true), []Input{{What: Begun}, {Replied, 200}},
			ms(500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500), 32 * time.Second, "[Unacked End]"},
		{"2xx acknowledged", NewServerInvite(&timers, false), []Input{{What: Begun}, {Replied, 200}, {What: Confirm}}, ms(), 32 * time.Second, "[End]"},
		{"timer D", NewClientInvite(&timers, false), []Input{{What: Begun}, {Answered, 486}}, ms(), 32 * time.Second, "[End]"},
		{"timer K", NewClientNonInvite(&timers, false), []Input{{What: Begun}, {Answered, 200}}, ms(), 5 * time.Second, "[End]"},
		{"timer I", NewServerInvite(&timers, false), []Input{{What: Begun}, {Replied, 486}, {What: Confirm}}, ms(), 5 * time.Second, "[End]"},
	}
	for _, c := range cases {
		repeats, last, at := schedule(t, c.m, c.ins...)
		if got := fmt.Sprint(repeats); got != c.want || at != c.end || fmt.Sprint(last) != c.last {
			t.Errorf("%s: repeats %s, ended %v with %v; want %s, %v, %s", c.name, got, at, last, c.want, c.end, c.last)
		}
	}
}
