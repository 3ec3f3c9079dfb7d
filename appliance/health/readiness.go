package health

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Readiness says what would happen if the line to the cloud dropped now.
type Readiness struct {
	// Score runs from 0 (nothing would work) to 100 (nobody would notice).
	Score int `json:"score" minimum:"0" maximum:"100" doc:"100: nobody would notice that the line dropped"`
	// Findings are the reasons for a score below 100, the heaviest first.
	Findings []Weakness `json:"findings" doc:"why the score is below 100, heaviest first"`
}

// Weakness is one finding on the readiness: what is weak and what it costs.
type Weakness struct {
	Code     string   `json:"code" doc:"stable name of the finding" example:"extension-not-registered"`
	Severity Severity `json:"severity" enum:"info,warning,critical" doc:"how bad it is"`
	Points   int      `json:"points" doc:"what it takes off the score"`
	Text     Text     `json:"text" doc:"what is weak and what to do"`
}

// WayOut says how an emergency call would leave without the cloud.
type WayOut int

// Ways out, from none to proven.
const (
	NoWayOut       WayOut = iota // no gateway is configured for emergency calls
	UnprovenWayOut               // one is configured, but its last check failed or is missing
	ProvenWayOut                 // one was checked within its interval
)

// Facts are what the readiness score is made of.
type Facts struct {
	Now          time.Time
	Mode         string // online, degraded, survival, recovering
	Lines        []LineFact
	Extensions   []ExtensionFact
	Emergency    WayOut
	Certificates []CertificateFact
}

// LineFact is a cloud account.
type LineFact struct {
	Account    string
	Registered bool
}

// ExtensionFact is an extension of the site document.
type ExtensionFact struct {
	Number     string
	Registered bool
	EverSeen   bool
}

// CertificateFact is a certificate that calls depend on.
type CertificateFact struct {
	Name    string
	Expires time.Time
}

// What the weaknesses cost at most. Extensions and lines cost their share.
const (
	pointsNoWayOut    = 25
	pointsUnproven    = 15
	pointsExtensions  = 40
	pointsLines       = 20
	pointsCertExpired = 30
	pointsCertWeek    = 15
	pointsCertMonth   = 5
	pointsSurvival    = 10
	pointsDegraded    = 5

	// maxNamed is how many numbers a finding names before it says "and n more".
	maxNamed = 5
	day      = 24 * time.Hour
)

// Assess returns the readiness of a site. It looks at nothing but f.
func Assess(f Facts) Readiness {
	var all []Weakness
	all = append(all, assessMode(f.Mode)...)
	all = append(all, assessExtensions(f.Extensions)...)
	all = append(all, assessLines(f.Lines)...)
	all = append(all, assessEmergency(f.Emergency)...)
	for _, c := range f.Certificates {
		all = append(all, assessCertificate(f.Now, c)...)
	}
	slices.SortStableFunc(all, func(a, b Weakness) int { return cmp.Compare(b.Points, a.Points) })
	score := 100
	for _, x := range all {
		score -= x.Points
	}
	if all == nil {
		all = []Weakness{} // a list in JSON, never null
	}
	return Readiness{Score: max(score, 0), Findings: all}
}

func assessMode(mode string) []Weakness {
	switch mode {
	case "survival":
		return []Weakness{{"mode-survival", Critical, pointsSurvival, Text{
			"Die Verbindung zur Cloud fehlt bereits.", "The connection to the cloud is gone already."}}}
	case "degraded", "recovering":
		return []Weakness{{"mode-" + mode, Warning, pointsDegraded, Text{
			"Die Verbindung zur Cloud ist nicht in Ordnung.", "The connection to the cloud is not in order."}}}
	}
	return nil
}

func assessExtensions(all []ExtensionFact) []Weakness {
	if len(all) == 0 {
		return []Weakness{{"no-extensions", Critical, pointsExtensions, Text{
			"Keine Nebenstelle eingerichtet.", "No extension is configured."}}}
	}
	var gone, never []string
	for _, e := range all {
		switch {
		case e.Registered:
		case e.EverSeen:
			gone = append(gone, e.Number)
		default:
			never = append(never, e.Number)
		}
	}
	var out []Weakness
	if len(never) > 0 {
		out = append(out, Weakness{"extension-never-seen", Warning, share(pointsExtensions, len(never), len(all)), Text{
			"Noch nie angemeldet: " + names(never, "und %d weitere") + ". Telefon einrichten.",
			"Never registered: " + names(never, "and %d more") + ". Set up the phone."}})
	}
	if len(gone) > 0 {
		out = append(out, Weakness{"extension-not-registered", Warning, share(pointsExtensions, len(gone), len(all)), Text{
			"Zur Zeit nicht angemeldet: " + names(gone, "und %d weitere") + ".",
			"Not registered now: " + names(gone, "and %d more") + "."}})
	}
	return out
}

func assessLines(all []LineFact) []Weakness {
	var out []string
	for _, l := range all {
		if !l.Registered {
			out = append(out, l.Account)
		}
	}
	if len(out) == 0 {
		return nil
	}
	return []Weakness{{"line-not-registered", Warning, share(pointsLines, len(out), len(all)), Text{
		"Leitungen nicht angemeldet: " + names(out, "und %d weitere") + ".",
		"Lines not registered: " + names(out, "and %d more") + "."}}}
}

func assessEmergency(w WayOut) []Weakness {
	switch w {
	case NoWayOut:
		return []Weakness{{"emergency-no-way-out", Critical, pointsNoWayOut, Text{
			"Ohne Cloud gehen keine Notrufe hinaus: Gateway mit use: [emergency] einrichten.",
			"Without the cloud no emergency call gets out: add a gateway with use: [emergency]."}}}
	case UnprovenWayOut:
		return []Weakness{{"emergency-way-out-unproven", Warning, pointsUnproven, Text{
			"Das Gateway für Notrufe hat die letzte Prüfung nicht bestanden.",
			"The gateway for emergency calls did not pass its last check."}}}
	case ProvenWayOut:
	}
	return nil
}

func assessCertificate(now time.Time, c CertificateFact) []Weakness {
	left := c.Expires.Sub(now)
	days := int(left / day)
	soon := Text{
		fmt.Sprintf("Zertifikat %s läuft in %d Tagen ab.", c.Name, days),
		fmt.Sprintf("Certificate %s expires in %d days.", c.Name, days),
	}
	switch {
	case left <= 0:
		return []Weakness{{"certificate-expired", Critical, pointsCertExpired, Text{
			fmt.Sprintf("Zertifikat %s ist abgelaufen.", c.Name), fmt.Sprintf("Certificate %s has expired.", c.Name)}}}
	case left < 7*day:
		return []Weakness{{"certificate-expiring", Critical, pointsCertWeek, soon}}
	case left < 30*day:
		return []Weakness{{"certificate-expiring", Warning, pointsCertMonth, soon}}
	}
	return nil
}

// share returns points in proportion of part to whole, at least 1.
func share(points, part, whole int) int { return max(points*part/whole, 1) }

// names joins the first few of all; more has one %d for the rest.
func names(all []string, more string) string {
	if len(all) <= maxNamed {
		return strings.Join(all, ", ")
	}
	return strings.Join(all[:maxNamed], ", ") + " " + fmt.Sprintf(more, len(all)-maxNamed)
}
