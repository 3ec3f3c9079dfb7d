package mode

// Cause is why the mode isn't Online.
type Cause uint8

// The causes, as a technician can act on them.
const (
	// NoCause: nothing is wrong.
	NoCause Cause = iota
	// Starting: the box has just started and has no evidence yet.
	Starting
	// Returning: the path is back, the lines register.
	Returning
	// CableOut: the WAN port has no link.
	CableOut
	// RouterGone: the next hop doesn't answer.
	RouterGone
	// NoInternet: the next hop answers, nothing beyond it does.
	NoInternet
	// DNSBroken: names can't be resolved.
	DNSBroken
	// ProviderDown: nothing of the provider answers.
	ProviderDown
	// ProviderOverloaded: the provider answers 503.
	ProviderOverloaded
	// AccountRejected: the provider refuses credentials.
	AccountRejected
	// CertificateBad: TLS fails over a certificate.
	CertificateBad
	// MediaDead: signalling answers but speech doesn't arrive.
	MediaDead
	// CallsUnanswered: probes are answered but calls are not.
	CallsUnanswered
	// SomeTargets: only some of the provider's servers answer.
	SomeTargets
	// LinesMissing: not all lines are registered.
	LinesMissing
)

type wording struct{ code, de, en string }

var causes = [...]wording{
	NoCause:            {"", "", ""},
	Starting:           {"starting", "Das Gerät ist eben gestartet und prüft den Anschluss.", "The appliance has just started and is checking the line."},
	Returning:          {"returning", "Der Anschluss ist wieder da, die Leitungen melden sich an.", "The connection is back; the lines are registering."},
	CableOut:           {"cable-out", "Am WAN-Anschluss steckt kein Kabel oder die Gegenseite ist aus.", "The WAN port has no link: cable out, or the other end is switched off."},
	RouterGone:         {"router-gone", "Der Router antwortet nicht.", "The router does not answer."},
	NoInternet:         {"no-internet", "Der Router antwortet, aber das Internet ist nicht erreichbar.", "The router answers, but the internet cannot be reached."},
	DNSBroken:          {"dns-broken", "Die Namensauflösung (DNS) funktioniert nicht.", "Name resolution (DNS) does not work."},
	ProviderDown:       {"provider-down", "Die Telefonanlage des Anbieters antwortet nicht.", "The provider's telephone system does not answer."},
	ProviderOverloaded: {"provider-overloaded", "Die Telefonanlage des Anbieters ist überlastet (503).", "The provider's telephone system is overloaded (503)."},
	AccountRejected:    {"account-rejected", "Der Anbieter lehnt Zugangsdaten ab.", "The provider rejects credentials."},
	CertificateBad:     {"certificate-bad", "Das TLS-Zertifikat wird nicht akzeptiert.", "The TLS certificate is not accepted."},
	MediaDead:          {"media-dead", "Der Anbieter antwortet, aber es kommt keine Sprache an.", "The provider answers, but no speech arrives."},
	CallsUnanswered:    {"calls-unanswered", "Der Anbieter antwortet auf Prüfungen, aber nicht auf Anrufe.", "The provider answers probes, but not calls."},
	SomeTargets:        {"some-targets", "Nur ein Teil der Server des Anbieters antwortet.", "Only some of the provider's servers answer."},
	LinesMissing:       {"lines-missing", "Nicht alle Leitungen sind beim Anbieter angemeldet.", "Not all lines are registered with the provider."},
}

// String is the cause's code, for events and metrics.
func (c Cause) String() string { return causes[c].code }

// Sentence says the cause to a person; language is "de", all else is English.
func (c Cause) Sentence(language string) string {
	if language == "de" {
		return causes[c].de
	}
	return causes[c].en
}
