package health

import "time"

// Code names a condition. Codes are stable: scripts and controllers use them.
type Code string

// The conditions that the appliance knows.
const (
	LinkDown            Code = "link-down"
	NoInternet          Code = "no-internet"
	DNSBroken           Code = "dns-broken"
	ProviderUnreachable Code = "provider-unreachable"
	LineLost            Code = "line-lost"
	LineRejected        Code = "line-rejected"
	CertificateBad      Code = "certificate-bad"
	CertificateExpiring Code = "certificate-expiring"
	MediaDead           Code = "media-dead"
	MediaBad            Code = "media-bad"
	Survival            Code = "survival"
	PhoneMissing        Code = "phone-missing"
	NoEmergencyWay      Code = "no-emergency-way"
	SiteRejected        Code = "site-rejected"
	StoreFailing        Code = "store-failing"
	EngineHung          Code = "engine-hung"
	Overload            Code = "overload"
	PortsExhausted      Code = "ports-exhausted"
	ClockWrong          Code = "clock-wrong"
)

// Definition is what is fixed about a condition.
type Definition struct {
	Code     Code
	Title    Text
	Severity Severity
	// Patience is how long it must last before anybody is told.
	Patience time.Duration
	// Causes are conditions that explain this one: while one of them is
	// raised, this one stays hidden.
	Causes []Code
}

// Catalogue returns every condition, causes before what they explain.
func Catalogue() []Definition {
	const second, minute = time.Second, time.Minute
	wan := []Code{LinkDown, NoInternet}
	return []Definition{
		{LinkDown, Text{"WAN-Kabel ohne Verbindung", "WAN cable has no link"}, Critical, 2 * second, nil},
		{NoInternet, Text{"Kein Internet", "No internet"}, Critical, 5 * second, []Code{LinkDown}},
		{DNSBroken, Text{"Namensauflösung gestört", "Name resolution is broken"}, Warning, 15 * second, wan},
		{ProviderUnreachable, Text{"Cloud-Telefonanlage nicht erreichbar", "Cloud PBX cannot be reached"}, Critical, 5 * second, append(wan, DNSBroken, CertificateBad)},
		{Survival, Text{"Notbetrieb", "Survival operation"}, Warning, 0, append(wan, ProviderUnreachable)},
		{LineLost, Text{"Leitung nicht angemeldet", "Line is not registered"}, Warning, 30 * second, append(wan, DNSBroken, CertificateBad, ProviderUnreachable, Survival)},
		{LineRejected, Text{"Zugangsdaten abgelehnt", "Credentials rejected"}, Critical, 0, nil},
		{CertificateBad, Text{"Zertifikat ungültig", "Certificate is not valid"}, Critical, 0, nil},
		{CertificateExpiring, Text{"Zertifikat läuft bald ab", "Certificate expires soon"}, Warning, 0, nil},
		{MediaDead, Text{"Sprache kommt nicht an", "No speech arrives"}, Warning, 0, append(wan, ProviderUnreachable)}, // whoever raises it has waited
		{MediaBad, Text{"Sprache kommt schlecht an", "Speech arrives badly"}, Warning, 0, append(wan, ProviderUnreachable, MediaDead)},
		{PhoneMissing, Text{"Telefon nicht angemeldet", "Phone is not registered"}, Warning, 5 * minute, nil},
		{NoEmergencyWay, Text{"Kein Weg für Notrufe", "No way out for emergency calls"}, Critical, 10 * second, nil},
		{SiteRejected, Text{"Standortdatei abgelehnt", "Site document was refused"}, Warning, 0, nil},
		{StoreFailing, Text{"Speicher schreibt nicht", "Storage does not write"}, Critical, 0, nil},
		{EngineHung, Text{"Vermittlung antwortet nicht", "Call engine does not answer"}, Critical, 0, nil},
		{Overload, Text{"Überlast", "Overload"}, Warning, 10 * second, nil},
		{PortsExhausted, Text{"Keine Sprachkanäle frei", "No media ports left"}, Critical, 0, nil},
		{ClockWrong, Text{"Uhrzeit falsch", "Clock is wrong"}, Warning, minute, nil},
	}
}
