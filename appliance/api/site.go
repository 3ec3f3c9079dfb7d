package api

import (
	"errors"
	"fmt"
	"time"
)

// Revision is one version of the site document.
type Revision struct {
	Number int       `json:"number" minimum:"1" doc:"rises by one with every version"`
	Time   time.Time `json:"time" doc:"when it was made"`
	Author string    `json:"author" doc:"who made it"`
	Origin string    `json:"origin" doc:"where it came from: file, api or rollback" example:"api"`
	// State is active, waiting (for a confirmation), replaced, or taken-back.
	State         string     `json:"state" enum:"active,waiting,replaced,taken-back" doc:"what became of it"`
	ConfirmBefore *time.Time `json:"confirm_before,omitempty" doc:"taken back then unless confirmed"`
	Note          string     `json:"note,omitempty" doc:"why, where something is to be said"`
}

// Document is a revision with its text. Secrets in the text are redacted.
type Document struct {
	Revision
	Text string `json:"document" doc:"the YAML text, secrets redacted"`
}

// Change is a new site document on its way in.
type Change struct {
	Text   []byte // YAML, at most MaxSite octets
	Author string
	// Base is the revision that the author started from; 0: any.
	Base int
	// ConfirmWithin is how long the change waits for its confirmation if it
	// touches the network; between 10 s and 1 h.
	ConfirmWithin time.Duration
}

// Applied says what became of a change.
type Applied struct {
	Revision Revision  `json:"revision" doc:"the revision that was made, or the one in force if nothing changed"`
	Changed  bool      `json:"changed" doc:"false: the document is the one in force already"`
	Cost     string    `json:"cost,omitempty" enum:"live,newcalls,restart" doc:"what it costs: nothing, reaches the next call, restarts what is concerned"`
	Findings []Finding `json:"findings" doc:"warnings and notes on the document"`
}

// Finding is something to say about a site document.
type Finding struct {
	Line     int    `json:"line,omitempty" doc:"line in the document, from 1"`
	Column   int    `json:"column,omitempty" doc:"column in the line, from 1"`
	Path     string `json:"path,omitempty" doc:"key" example:"extensions[0].number"`
	Severity string `json:"severity" enum:"error,warning,note" doc:"how bad it is"`
	Text     string `json:"text" doc:"what is wrong"`
	Hint     string `json:"hint,omitempty" doc:"what to write instead"`
}

// String prints f as "3:5: error: extensions[0].number: text (hint)".
func (f Finding) String() string {
	s := fmt.Sprintf("%d:%d: %s: ", f.Line, f.Column, f.Severity)
	if f.Path != "" {
		s += f.Path + ": "
	}
	s += f.Text
	if f.Hint != "" {
		s += " (" + f.Hint + ")"
	}
	return s
}

// MaxSite is the greatest site document in octets.
const MaxSite = 1 << 20

// What a SiteStore may answer besides success. Wrap them with what was asked;
// the wrapped text is shown to the person, so it says what to do.
var (
	// ErrNoRevision: there is no such revision.
	ErrNoRevision = errors.New("no such revision")
	// ErrConflict: somebody else changed the document, or another change waits.
	ErrConflict = errors.New("conflict with another change")
	// ErrNothingWaits: no change waits to be confirmed.
	ErrNothingWaits = errors.New("no change waits to be confirmed")
)

// InvalidError refuses a site document with everything that is wrong with it.
type InvalidError struct{ Findings []Finding }

// Error implements error.
func (e *InvalidError) Error() string {
	n := 0
	for _, f := range e.Findings {
		if f.Severity == "error" {
			n++
		}
	}
	if n == 1 {
		return "the site document has 1 error"
	}
	return fmt.Sprintf("the site document has %d errors", n)
}
