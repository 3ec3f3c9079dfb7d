package policy

import (
	"net/url"
	"strconv"
	"strings"

	"linekeeper/sbc/sip"
)

// MaxDiverts bounds the diversions that a call carries along.
const MaxDiverts = 8

// Divert is one who had the call before and sent it on.
type Divert struct {
	Named
	// Extension is set where a phone of the site did it: its Named is then for the
	// switchboard to write, for inside or outside.
	Extension string
	// Why is the reason as RFC 5806 4 has it, "unconditional" say.
	Why string
	// Times counts the diversions that this entry stands for; at least 1.
	Times int
	// Hidden says that the callee is not to learn who it was.
	Hidden bool
}

// The reasons that the box gives itself.
const (
	Unconditional = "unconditional"
	Deflection    = "deflection"
	Busy          = "user-busy"
	NoAnswer      = "no-answer"
	Unavailable   = "unavailable"
	unknownWhy    = "unknown"
)

// why lets through the reasons of RFC 5806 4.
func why(s string) string {
	s = strings.ToLower(s)
	switch s {
	case Unconditional, Deflection, Busy, NoAnswer, Unavailable, "time-of-day", "do-not-disturb", "follow-me", "out-of-service", "away":
		return s
	}
	return unknownWhy
}

// causeOf is the cause URI parameter that says the same (RFC 7544 3.1, RFC 4458).
func causeOf(why string) int {
	switch why {
	case Unconditional, "follow-me", "time-of-day", "do-not-disturb", "away":
		return 302
	case Busy:
		return 486
	case NoAnswer:
		return 408
	case Deflection:
		return 480
	case Unavailable, "out-of-service":
		return 503
	}
	return 404
}

// whyOf is the way back.
func whyOf(cause int) string {
	switch cause {
	case 302:
		return Unconditional
	case 486:
		return Busy
	case 408:
		return NoAnswer
	case 480, 487:
		return Deflection
	case 503:
		return Unavailable
	}
	return unknownWhy
}

// ReadDiverts are the diversions of a call, the latest first: those of Diversion
// (RFC 5806), else what History-Info says of them (RFC 7044, RFC 7544).
func ReadDiverts(m sip.Message) []Divert {
	var out []Divert
	for _, item := range items(m, "Diversion", MaxDiverts) {
		display, u, params, err := sip.ParseAddress(item)
		if err != nil {
			continue
		}
		d := Divert{Named: Named{display, u}, Why: why(sip.ParamValue(params, "reason")), Times: 1}
		if n, err := strconv.ParseUint(sip.ParamValue(params, "counter"), 10, 7); err == nil && n > 0 {
			d.Times = int(n)
		}
		switch strings.ToLower(sip.ParamValue(params, "privacy")) {
		case "full", "uri":
			d.Hidden = true
		case "name":
			d.Display = ""
		}
		out = append(out, d)
	}
	if out != nil {
		return out
	}
	return readHistory(m)
}

// readHistory finds the entries of History-Info that were sent on: the one
// before each that has a cause.
func readHistory(m sip.Message) []Divert {
	p, _ := ReadPrivacy(m)
	var out []Divert
	var last Divert
	lastCause := 0 // the Reason that an entry carries of its own end
	for i, item := range items(m, "History-Info", 4*MaxDiverts) {
		display, u, _, err := sip.ParseAddress(item)
		if err != nil {
			continue
		}
		cause, _ := strconv.Atoi(sip.ParamValue(u.UriParams, "cause"))
		if cause == 0 {
			cause = lastCause
		}
		if i > 0 && cause != 0 && last.URI.Host != "" {
			last.Why = whyOf(cause)
			out = append([]Divert{last}, out...)
		}
		last, lastCause = Divert{Named: Named{display, u}, Times: 1, Hidden: p&(PrivacyHistory|PrivacyHeader) != 0}, 0
		for _, h := range u.Headers {
			value, err := url.PathUnescape(h.V)
			switch {
			case err != nil:
			case strings.EqualFold(h.K, "Privacy"):
				last.Hidden = last.Hidden || !strings.EqualFold(value, "none")
			case strings.EqualFold(h.K, "Reason") && strings.HasPrefix(strings.ToUpper(value), "SIP;CAUSE="):
				lastCause, _ = strconv.Atoi(value[len("SIP;cause="):])
			}
		}
		last.URI.Headers = nil
		last.URI.UriParams = nil
	}
	return out[:min(len(out), MaxDiverts)]
}

// Diversion writes diversions as RFC 5806 has them, the latest first.
func Diversion(ds []Divert) []sip.Header {
	var out []sip.Header
	for _, d := range ds[:min(len(ds), MaxDiverts)] {
		v := d.Value() + ";reason=" + why(d.Why) + ";counter=" + strconv.Itoa(max(d.Times, 1))
		if d.Hidden {
			v += ";privacy=full"
		}
		out = append(out, sip.NewHeader("Diversion", v))
	}
	return out
}

// History writes the same as History-Info, the first called party first and the
// present target last (RFC 7044 9, RFC 7544 3.3).
func History(ds []Divert, target sip.URI) []sip.Header {
	ds = ds[:min(len(ds), MaxDiverts)]
	if len(ds) == 0 {
		return nil
	}
	var out []sip.Header
	index, cause := "1", 0
	for i := len(ds) - 1; i >= -1; i-- {
		n, hidden := Named{URI: target}, false
		if i >= 0 {
			n, hidden = ds[i].Named, ds[i].Hidden
		}
		n.URI.UriParams, n.URI.Headers = nil, nil
		text, tail := sip.URIText(&n.URI), ";index="+index
		if cause != 0 {
			text += ";cause=" + strconv.Itoa(cause)
			tail += ";mp=" + strings.TrimSuffix(index, ".1")
		}
		if hidden {
			text += "?Privacy=history"
		}
		addr := "<" + text + ">"
		if n.Display != "" {
			addr = sip.Quote(n.Display) + " " + addr
		}
		out = append(out, sip.NewHeader("History-Info", addr+tail))
		if i >= 0 {
			cause = causeOf(why(ds[i].Why))
		}
		index += ".1"
	}
	return out
}
