package provider

import "strings"

// Feature is what a star code does.
type Feature string

// The features.
const (
	CLIROn         Feature = "clir on"
	CLIROff        Feature = "clir off"
	ForwardAlways  Feature = "forward always"
	ForwardOff     Feature = "forward always off"
	ForwardAfter   Feature = "forward after a time"
	ForwardAllOff  Feature = "forwards off"
	DNDRouteOn     Feature = "do not disturb for the route on"
	DNDRouteOff    Feature = "do not disturb for the route off"
	DNDOn          Feature = "do not disturb on"
	DNDOff         Feature = "do not disturb off"
	PickUpAny      Feature = "pick up a ringing call of the domain"
	PickUp         Feature = "pick up an extension"
	Mailbox        Feature = "mailbox"
	MailboxTarget  Feature = "mailbox as forwarding target"
	MailboxGreet   Feature = "record a greeting"
	MailboxForward Feature = "forward to the mailbox on"
	MailboxOff     Feature = "forward to the mailbox off"
)

// StarCode is one code that a user of the system knows. In Pattern, NUMBER
// and SECONDS stand for what the user adds.
type StarCode struct {
	Pattern string
	Feature Feature
}

const (
	argNumber  = "NUMBER"
	argSeconds = "SECONDS"
	maxArg     = 20 // digits of an argument
)

// Dialled is a star code with the arguments that the user gave.
type Dialled struct {
	Feature Feature
	Number  string
	Seconds string
}

// Match finds the star code that a user dialled. Codes without an argument win
// over those with one ("*80" over "*8NUMBER"), more fixed text over less.
func (p Profile) Match(dialled string) (Dialled, bool) {
	_, d, found := p.find(dialled)
	return d, found
}

func (p Profile) find(dialled string) (code StarCode, best Dialled, found bool) {
	most := -1
	for _, c := range p.Codes {
		d, ok := c.match(dialled)
		if !ok {
			continue
		}
		if fixed := c.fixed(); fixed > most {
			code, best, most, found = c, d, fixed, true
		}
	}
	return code, best, found
}

// Target is the number that a code lets the cloud call in the user's name, as
// the user dialled it; empty for a code that calls nobody outside. Whoever may
// not dial it must not forward to it either.
func (d Dialled) Target() string {
	switch d.Feature {
	case ForwardAlways, ForwardAfter:
		return d.Number
	default: // its argument, if any, is an extension
	}
	return ""
}

// Respell writes a dialled code as the cloud wants it: the number in it is
// passed through spell ("*72*5601" becomes "*72*0895601" where the area code is
// always dialled). What is no code with such a number comes back as it is.
func (p Profile) Respell(dialled string, spell func(number string) string) string {
	c, d, found := p.find(dialled)
	if !found || d.Target() == "" {
		return dialled
	}
	return strings.NewReplacer(argNumber, spell(d.Number), argSeconds, d.Seconds).Replace(c.Pattern)
}

// Prefixes lists the fixed beginnings of the codes, so that an extension that
// collides with one can be found.
func (p Profile) Prefixes() []string {
	var out []string
	for _, c := range p.Codes {
		head, _, _ := strings.Cut(c.Pattern, argNumber)
		out = append(out, head)
	}
	return out
}

func (c StarCode) fixed() int {
	n := len(c.Pattern)
	if strings.Contains(c.Pattern, argNumber) {
		n -= len(argNumber)
	} else {
		n += maxArg // an exact code wins over any pattern
	}
	if strings.Contains(c.Pattern, argSeconds) {
		n -= len(argSeconds)
	}
	return n
}

func (c StarCode) match(dialled string) (Dialled, bool) {
	head, tail, has := strings.Cut(c.Pattern, argNumber)
	if !has {
		return Dialled{Feature: c.Feature}, dialled == c.Pattern
	}
	rest, ok := strings.CutPrefix(dialled, head)
	if !ok {
		return Dialled{}, false
	}
	num, after := leadingDigits(rest)
	if num == "" || len(num) > maxArg {
		return Dialled{}, false
	}
	d := Dialled{Feature: c.Feature, Number: num}
	if lead, _, timed := strings.Cut(tail, argSeconds); timed {
		secs, ok := strings.CutPrefix(after, lead)
		digits, left := leadingDigits(secs)
		if !ok || digits == "" || left != "" || len(digits) > 3 {
			return Dialled{}, false
		}
		d.Seconds = digits
		return d, true
	}
	return d, after == tail
}

func leadingDigits(text string) (digits, rest string) {
	i := 0
	for i < len(text) && (text[i] >= '0' && text[i] <= '9' || i == 0 && text[i] == '+') {
		i++
	}
	if i == 1 && text[0] == '+' {
		return "", text
	}
	return text[:i], text[i:]
}
