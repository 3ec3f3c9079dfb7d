package health

import "time"

// Severity says how bad a condition is.
type Severity string

// Severities in rising order.
const (
	Info     Severity = "info"     // worth knowing
	Warning  Severity = "warning"  // the appliance copes, something is weaker
	Critical Severity = "critical" // users notice, a human must act
)

// Text is a sentence in the languages of the appliance.
type Text struct {
	DE string `json:"de" doc:"German"`
	EN string `json:"en" doc:"English"`
}

// In returns the sentence in language ("de" or "en"); English where it is
// neither.
func (t Text) In(language string) string {
	if language == "de" {
		return t.DE
	}
	return t.EN
}

// Alarm is a condition that is raised now.
type Alarm struct {
	// Code names the condition, one of the catalogue.
	Code Code `json:"code" doc:"stable name of the condition" example:"line-rejected"`
	// Subject tells apart several of one code (an account, a certificate).
	Subject string `json:"subject,omitempty" doc:"what it is about, such as an account"`
	// Title is the condition in a few words.
	Title Text `json:"title" doc:"the condition in a few words"`
	// Severity says how bad it is.
	Severity Severity `json:"severity" enum:"info,warning,critical" doc:"how bad it is"`
	// Cause is a sentence for a technician, in English: what was seen.
	Cause string `json:"cause" doc:"what was seen, for a technician"`
	// Since is when it was raised.
	Since time.Time `json:"since" doc:"when it was raised"`
	// VisibleAfter is when its patience ends.
	VisibleAfter time.Time `json:"visible_after" doc:"shown once it has lasted until then"`
}

// key identifies an alarm on the board.
type key struct {
	code    Code
	subject string
}

// Change is an alarm that became visible or stopped being visible.
type Change struct {
	Raised bool
	Alarm  Alarm
}
