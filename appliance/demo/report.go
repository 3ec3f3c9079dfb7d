package demo

import (
	"fmt"
	"io"
	"time"
)

// report prints each step with its time and what was checked.
type report struct {
	out     io.Writer
	checks  int
	failed  int
	started time.Time
}

// step runs one step and prints how it went.
func (r *report) step(name string, do func(*step)) error {
	if r.started.IsZero() {
		r.started = time.Now()
	}
	s := &step{}
	began := time.Now()
	do(s)
	took := time.Since(began).Round(time.Millisecond)
	mark := "ok  "
	if s.err != nil {
		mark = "FAIL"
	}
	fmt.Fprintf(r.out, "%s  %-44s %8s\n", mark, name, took)
	for _, line := range s.lines {
		fmt.Fprintf(r.out, "        %s\n", line)
	}
	r.checks += len(s.lines)
	if s.err != nil {
		r.failed++
		fmt.Fprintf(r.out, "        not so: %v\n", s.err)
		return fmt.Errorf("%s: %w", name, s.err)
	}
	return nil
}

func (r *report) sum() {
	verdict := "all held"
	if r.failed > 0 {
		verdict = fmt.Sprintf("%d failed", r.failed)
	}
	fmt.Fprintf(r.out, "\n%d checks in %s: %s\n", r.checks, time.Since(r.started).Round(100*time.Millisecond), verdict)
}

// step collects what one step has checked. After the first failure the rest of
// the step is passed over.
type step struct {
	lines []string
	err   error
}

// check notes a fact that must hold.
func (s *step) check(ok bool, format string, args ...any) {
	if s.err != nil {
		return
	}
	text := fmt.Sprintf(format, args...)
	if !ok {
		s.err = fmt.Errorf("%s", text)
		return
	}
	s.lines = append(s.lines, text)
}

// must notes that something was done without an error.
func (s *step) must(err error, format string, args ...any) bool {
	if s.err != nil {
		return false
	}
	text := fmt.Sprintf(format, args...)
	if err != nil {
		s.err = fmt.Errorf("%s: %w", text, err)
		return false
	}
	s.lines = append(s.lines, text)
	return true
}
