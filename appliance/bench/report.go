package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"
)

// figure is one measured value, with its floor if it has one.
type figure struct {
	Case  string  `json:"case"`
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Floor string  `json:"floor,omitempty"` // as a person reads it
	Held  bool    `json:"held"`
}

// report gathers the figures of one run.
type report struct {
	Date    string     `json:"date"`
	Machine string     `json:"machine"`
	Commit  string     `json:"commit,omitempty"`
	Command string     `json:"command"`
	Against string     `json:"against"`
	Load    string     `json:"load_average"` // of the machine, before and after
	Runs    []callRun  `json:"runs,omitempty"`
	Relays  []relayRun `json:"relays,omitempty"`
	Figures []figure   `json:"figures"`
	Notes   []string   `json:"notes,omitempty"`
}

func (r *report) add(in, name string, value float64, unit string) {
	r.Figures = append(r.Figures, figure{Case: in, Name: name, Value: value, Unit: unit, Held: true})
}

// atLeast adds a figure that must not be below floor.
func (r *report) atLeast(in, name string, value, floor float64, unit string) {
	r.Figures = append(r.Figures, figure{in, name, value, unit, fmt.Sprintf("at least %g", floor), value >= floor})
}

// atMost adds a figure that must not be above ceiling.
func (r *report) atMost(in, name string, value, ceiling float64, unit string) {
	r.Figures = append(r.Figures, figure{in, name, value, unit, fmt.Sprintf("at most %g", ceiling), value <= ceiling})
}

// below adds a figure that must be under limit.
func (r *report) below(in, name string, value, limit float64, unit string) {
	r.Figures = append(r.Figures, figure{in, name, value, unit, fmt.Sprintf("under %g", limit), value < limit})
}

// none adds a count that must be zero.
func (r *report) none(in, name string, value float64) {
	r.Figures = append(r.Figures, figure{in, name, value, "", "none", value == 0})
}

func (r *report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// missed counts the floors that did not hold.
func (r *report) missed() int {
	n := 0
	for _, f := range r.Figures {
		if !f.Held {
			n++
		}
	}
	return n
}

// table is the report as a person reads it.
func (r *report) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nmachine: %s\nmeasured: %s %s\ncommand: %s\nload average: %s\n\n", r.Date, r.Machine, r.Against, r.Commit, r.Command, r.Load)
	r.writeRuns(&b)
	r.writeRelays(&b)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "case\tfigure\tvalue\tunit\tfloor\t")
	for _, f := range r.Figures {
		verdict := ""
		switch {
		case f.Floor != "" && f.Held:
			verdict = "ok"
		case f.Floor != "":
			verdict = "MISSED"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", f.Case, f.Name, readable(f.Value), f.Unit, f.Floor, verdict)
	}
	_ = w.Flush() // a strings.Builder takes everything
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	return b.String()
}

// writeRuns lists the call loads one by one.
func (r *report) writeRuns(b *strings.Builder) {
	if len(r.Runs) == 0 {
		return
	}
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "case\tsystem\trate /s\tok\tfailed\t503\trepeats\tCPU ms/call\tours to it\tset-up p50 ms\tp99 ms\t")
	for _, c := range r.Runs {
		ratio := ""
		if c.Ratio > 0 {
			ratio = readable(c.Ratio)
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t%s\t%s\t\n", c.Case, c.Who, c.Rate, c.OK, c.Failed, c.Shed, c.Repeats,
			readable(c.CPU), ratio, readable(c.P50), readable(c.P99))
	}
	_ = w.Flush() // a strings.Builder takes everything
	b.WriteByte('\n')
}

// writeRelays lists the media loads one by one.
func (r *report) writeRelays(b *strings.Builder) {
	if len(r.Relays) == 0 {
		return
	}
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "case\tsystem\tcalls\tCPU us/packet\tours to it\tcore %\tadded p50 ms\tp99 ms\tmax ms\tlost\tof\tKiB/call\t")
	for _, c := range r.Relays {
		ratio := ""
		if c.Ratio > 0 {
			ratio = readable(c.Ratio)
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%.0f\t%s\t%s\t%s\t%d\t%d\t%.1f\t\n", c.Case, c.Who, c.Calls, readable(c.CPU), ratio, c.Core,
			readable(c.P50), readable(c.P99), readable(c.Max), c.Lost, c.Sent, c.Memory)
	}
	_ = w.Flush() // a strings.Builder takes everything
	b.WriteByte('\n')
}

func readable(v float64) string {
	switch {
	case v == float64(int64(v)):
		return fmt.Sprintf("%d", int64(v))
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

// write keeps the report as text and JSON under dir, named by the time and the suite.
func (r *report) write(dir, suite string, at time.Time) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("keeping the report: %w", err)
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("keeping the report: %w", err)
	}
	base := filepath.Join(dir, at.Format("2006-01-02")+suite)
	for name, data := range map[string][]byte{base + ".json": append(text, '\n'), base + ".txt": []byte(r.table())} {
		if err := os.WriteFile(name, data, 0o644); err != nil {
			return fmt.Errorf("keeping the report: %w", err)
		}
	}
	return nil
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
