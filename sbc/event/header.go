package event

import (
	"strconv"
	"strings"
	"time"

	"linekeeper/sbc/sip"
)

// Package is the name of an event package.
type Package string

// The packages that the box speaks.
const (
	Dialogs Package = "dialog"          // RFC 4235: which calls an extension has
	Summary Package = "message-summary" // RFC 3842: what lies in a mailbox
	Reg     Package = "reg"             // RFC 3680: how an extension is registered
)

// Packages is the value of Allow-Events.
const Packages = "dialog, message-summary, reg"

// Type is the content type of a package's documents; "" for a package that the
// box doesn't know.
func (p Package) Type() string {
	switch p {
	case Dialogs:
		return "application/dialog-info+xml"
	case Summary:
		return "application/simple-message-summary"
	case Reg:
		return "application/reginfo+xml"
	}
	return ""
}

// DefaultExpires is how long a subscription lasts that names no time (RFC 4235
// 3.4, RFC 3842 3.4, RFC 3680 4.4).
func (p Package) DefaultExpires() time.Duration {
	if p == Reg {
		return 3761 * time.Second
	}
	return time.Hour
}

// maxID bounds the id parameter of an Event header.
const maxID = 128

// Event is what an Event header says (RFC 6665 8.2.1).
type Event struct {
	Package Package
	ID      string // the id parameter, "" if there is none
}

// Of reads the Event header of m; ok is false when there is none that can be used.
func Of(m sip.Message) (e Event, ok bool) {
	name, params := cut(sip.HeaderValue(m, "Event"))
	e = Event{Package: Package(strings.ToLower(name)), ID: params["id"]}
	return e, name != "" && len(e.ID) <= maxID
}

// Header makes the Event header field.
func (e Event) Header() sip.Header {
	v := string(e.Package)
	switch {
	case strings.ContainsAny(e.ID, " \t\",;"):
		v += ";id=" + sip.Quote(e.ID)
	case e.ID != "":
		v += ";id=" + e.ID
	}
	return sip.NewHeader("Event", v)
}

// Accepts says whether whoever sent m takes the package's documents (RFC 6665
// 3.1.3): no Accept header means the package's own type.
func (p Package) Accepts(m sip.Message) bool {
	if sip.HeaderValue(m, "Accept") == "" {
		return true
	}
	major, _, _ := strings.Cut(p.Type(), "/")
	for _, t := range sip.Tokens(m, "Accept") {
		t, _, _ = strings.Cut(t, ";")
		switch strings.ToLower(strings.TrimSpace(t)) {
		case p.Type(), major + "/*", "*/*":
			return true
		}
	}
	return false
}

// Reason is why a subscription is over (RFC 6665 4.1.3).
type Reason string

// The reasons.
const (
	Deactivated Reason = "deactivated" // subscribe anew at once
	Probation   Reason = "probation"   // subscribe anew later
	Rejected    Reason = "rejected"    // don't come back
	TimedOut    Reason = "timeout"     // it ran out
	GiveUp      Reason = "giveup"      // subscribe anew later
	NoResource  Reason = "noresource"  // there is nothing to watch any more
	Invariant   Reason = "invariant"   // nothing will ever change
)

// State is what a Subscription-State header says (RFC 6665 8.2.3).
type State struct {
	// Value is "active", "pending", "terminated" or something that later RFCs
	// may bring, in lower case.
	Value   string
	Reason  Reason
	Expires time.Duration // what is left; 0: not said
	After   time.Duration // retry-after; 0: not said
}

// Active and Terminated are the states that the box itself tells.
const (
	Active     = "active"
	Terminated = "terminated"
)

// StateOf reads the Subscription-State header of a NOTIFY; ok is false when
// there is none.
func StateOf(m sip.Message) (s State, ok bool) {
	name, params := cut(sip.HeaderValue(m, "Subscription-State"))
	s.Value, s.Reason = strings.ToLower(name), Reason(strings.ToLower(params["reason"]))
	s.Expires, s.After = seconds(params["expires"]), seconds(params["retry-after"])
	return s, name != ""
}

// Header makes the Subscription-State header field.
func (s State) Header() sip.Header {
	v := s.Value
	if s.Reason != "" {
		v += ";reason=" + string(s.Reason)
	}
	if s.Value == Active {
		v += ";expires=" + strconv.Itoa(int(max(s.Expires, 0)/time.Second))
	}
	return sip.NewHeader("Subscription-State", v)
}

// cut takes a header's value apart: its first word and its parameters, names in
// lower case.
func cut(value string) (first string, params map[string]string) {
	first, rest, more := strings.Cut(value, ";")
	if more {
		params = make(map[string]string)
	}
	for more {
		var p string
		p, rest, more = strings.Cut(rest, ";")
		k, v, _ := strings.Cut(p, "=")
		params[strings.ToLower(strings.TrimSpace(k))] = sip.Unquote(strings.TrimSpace(v))
	}
	return strings.TrimSpace(first), params
}

// longest bounds every time that a peer may name.
const longest = 24 * time.Hour

func seconds(s string) time.Duration {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0
	}
	return min(time.Duration(n)*time.Second, longest)
}
