package events

import (
	"time"
	"unicode/utf8"
)

// Kind says what an event is about.
type Kind string

// The kinds of events that the appliance publishes.
const (
	Registration  Kind = "registration"  // a phone registered, left or expired
	LineState     Kind = "line"          // a cloud account changed its state
	ModeChange    Kind = "mode"          // online, degraded, survival, recovering
	CallStarted   Kind = "call-started"  // an INVITE was accepted for routing
	CallEnded     Kind = "call-ended"    // a call is over, with who ended it
	AlarmRaised   Kind = "alarm-raised"  // an alarm became visible
	AlarmCleared  Kind = "alarm-cleared" // a visible alarm is gone
	SiteRevision  Kind = "revision"      // the site document changed
	Media         Kind = "media"         // a call is not heard well, or is again
	GuardRejected Kind = "guard"         // a stranger was refused or banned
	Lifecycle     Kind = "lifecycle"     // the appliance started or stops
)

// Severity says who should look.
type Severity string

// Severities in rising order; the words are those of appliance/health.
const (
	Info     Severity = "info"     // nobody needs to act
	Warning  Severity = "warning"  // the appliance coped
	Critical Severity = "critical" // a human must act
)

// Bounds of a single event: whatever is longer is cut, since texts may carry
// what a stranger sent.
const (
	MaxText       = 512 // octets of Text
	MaxAttributes = 16  // entries of Attributes
	MaxAttribute  = 256 // octets of a key or a value
)

// Event is one fact. Events are values: once published they never change.
type Event struct {
	// Seq rises by one with every event and never repeats in one run.
	Seq uint64 `json:"seq" doc:"rises by one with every event; use it as Last-Event-ID"`
	// Time is when it happened.
	Time time.Time `json:"time" doc:"when it happened"`
	// Kind says what it is about.
	Kind Kind `json:"kind" doc:"what it is about" example:"registration"`
	// Severity says who should look.
	Severity Severity `json:"severity" enum:"info,warning,critical" doc:"who should look"`
	// Text is a sentence for a person, in English.
	Text string `json:"text" doc:"a sentence for a person"`
	// Attributes are the facts behind the sentence (extension, line, call…).
	Attributes map[string]string `json:"attributes,omitempty" doc:"the facts behind the sentence"`
}

// bounded returns e with everything cut to its bound and nothing shared with
// the publisher, who may go on to change its map.
func bounded(e Event) Event {
	e.Text = cut(e.Text, MaxText)
	if len(e.Attributes) == 0 {
		e.Attributes = nil
		return e
	}
	own := make(map[string]string, min(len(e.Attributes), MaxAttributes))
	for k, v := range e.Attributes {
		if len(own) == MaxAttributes {
			break
		}
		own[cut(k, MaxAttribute)] = cut(v, MaxAttribute)
	}
	e.Attributes = own
	return e
}

// cut shortens s to at most n octets without splitting a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
