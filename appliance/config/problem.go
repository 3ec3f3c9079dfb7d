package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Severity says how bad a finding is.
type Severity int

// The severities.
const (
	// Error: the document can't be used.
	Error Severity = iota
	// Warning: it can be used, and somebody will regret it.
	Warning
	// Note: it is right, and there is something to know.
	Note
)

// String is the severity's name.
func (s Severity) String() string {
	switch s {
	case Error:
		return "error"
	case Warning:
		return "warning"
	case Note:
		return "note"
	}
	return fmt.Sprintf("severity %d", int(s))
}

// MarshalText implements encoding.TextMarshaler.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Problem is one finding in a site document.
type Problem struct {
	File     string   `json:"file"`
	Line     int      `json:"line"`   // from 1; 0: the document as a whole
	Column   int      `json:"column"` // from 1
	Path     string   `json:"path"`   // "extensions[0].number"
	Text     string   `json:"text"`
	Hint     string   `json:"hint,omitempty"` // what to write instead
	Severity Severity `json:"severity"`
}

// String is "site.yaml:3:5: lan.sip: text (hint)"; warnings and notes say so
// before the text.
func (p Problem) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: ", p.File, p.Line, p.Column)
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	if p.Severity != Error {
		b.WriteString(p.Severity.String() + ": ")
	}
	b.WriteString(p.Text)
	if p.Hint != "" {
		b.WriteString(" (" + p.Hint + ")")
	}
	return b.String()
}

// Problems are the findings in a document in the order of their places.
type Problems []Problem

// Of are the findings of one severity.
func (ps Problems) Of(s Severity) Problems {
	var out Problems
	for _, p := range ps {
		if p.Severity == s {
			out = append(out, p)
		}
	}
	return out
}

// Failed says whether an error is among the findings.
func (ps Problems) Failed() bool { return len(ps.Of(Error)) > 0 }

// Err is nil, or an error whose text has a line for each finding that is one.
func (ps Problems) Err() error {
	errs := ps.Of(Error)
	if len(errs) == 0 {
		return nil
	}
	lines := make([]string, len(errs))
	for i, p := range errs {
		lines[i] = p.String()
	}
	return fmt.Errorf("%s", strings.Join(lines, "\n"))
}

// maxProblems bounds what a hopeless document can make us print.
const maxProblems = 200

// sorted orders the findings by place and cuts what is too much.
func (ps Problems) sorted() Problems {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Text, b.Text))
	})
	ps = slices.Compact(ps)
	if len(ps) <= maxProblems {
		return ps
	}
	rest := ps[maxProblems:]
	last := Problem{
		File: ps[0].File, Line: rest[0].Line, Column: rest[0].Column, Severity: Note,
		Text: fmt.Sprintf("%d more findings are not shown", len(rest)),
	}
	if rest.Failed() {
		last.Severity = Error // what isn't shown must still fail the document
	}
	return append(ps[:maxProblems:maxProblems], last)
}
