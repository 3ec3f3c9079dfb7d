package api

import (
	"time"

	"linekeeper/appliance/health"
)

// Status is the appliance at a glance.
type Status struct {
	Mode       string           `json:"mode" enum:"online,degraded,survival,recovering" doc:"how the appliance works now"`
	Cause      string           `json:"cause" doc:"why, in a sentence for a person; empty while online"`
	Since      time.Time        `json:"since" doc:"when this mode began"`
	Version    string           `json:"version" doc:"version of the software"`
	UptimeS    int64            `json:"uptime_s" minimum:"0" doc:"seconds since the daemon started"`
	Site       SiteStatus       `json:"site" doc:"the site document in force"`
	Provider   ProviderStatus   `json:"provider" doc:"the cloud PBX"`
	Lines      Count            `json:"lines" doc:"cloud accounts"`
	Extensions Count            `json:"extensions" doc:"phones' numbers"`
	Calls      CallCount        `json:"calls" doc:"calls in progress"`
	Relay      string           `json:"relay" doc:"which way speech takes through the kernel" example:"in: steered into one socket, out: in batches, 1 worker(s), tick 2ms"`
	Readiness  health.Readiness `json:"readiness" doc:"what would happen if the line dropped now"`
	Alarms     []health.Alarm   `json:"alarms" doc:"what a person should look at, the worst first"`
}

// SiteStatus names the site document in force.
type SiteStatus struct {
	Name     string `json:"name" doc:"site.name of the document"`
	Revision int    `json:"revision" minimum:"0" doc:"revision in force; 0: none yet"`
	// ConfirmBefore is when a change that waits to be confirmed is taken back.
	ConfirmBefore *time.Time `json:"confirm_before,omitempty" doc:"a waiting change is taken back then unless confirmed"`
}

// ProviderStatus is the cloud PBX as the appliance sees it.
type ProviderStatus struct {
	Profile   string `json:"profile" doc:"provider profile" example:"hfo-centrex"`
	Reachable bool   `json:"reachable" doc:"it answers"`
	Target    string `json:"target" doc:"the server in use" example:"tls://192.0.2.1:5061"`
}

// Count is how many of a kind are registered.
type Count struct {
	Registered int `json:"registered" minimum:"0" doc:"registered now"`
	Total      int `json:"total" minimum:"0" doc:"configured"`
}

// CallCount is how many calls there are.
type CallCount struct {
	Active int `json:"active" minimum:"0" doc:"ringing or talking"`
}

// Extension is a phone's number and who is registered for it.
type Extension struct {
	Number     string    `json:"number" doc:"what colleagues dial" example:"22"`
	Name       string    `json:"name" doc:"name in the site document"`
	Public     string    `json:"public,omitempty" doc:"number in the world (E.164)"`
	Class      string    `json:"class,omitempty" doc:"what it may dial: internal, local, national, international"`
	Registered bool      `json:"registered" doc:"at least one phone is registered"`
	Contacts   []Contact `json:"contacts" doc:"phones registered now"`
	LastSeen   time.Time `json:"last_seen,omitzero" doc:"last registration of any phone; absent: never"`
	Line       string    `json:"line,omitempty" doc:"state of the cloud account behind it; absent: none"`
	Calls      int       `json:"calls" minimum:"0" doc:"calls in progress"`
	Watches    int       `json:"watches" minimum:"0" doc:"lamps and lists that its phones subscribe to (BLF, MWI)"`
}

// Contact is one phone registered for an extension.
type Contact struct {
	Address   string    `json:"address" doc:"where its REGISTER came from" example:"192.0.2.22:5060"`
	Transport string    `json:"transport" doc:"udp, tcp or tls"`
	Agent     string    `json:"agent,omitempty" doc:"what the phone calls itself"`
	Since     time.Time `json:"since" doc:"first registration of this contact"`
	Expires   time.Time `json:"expires" doc:"gone then unless refreshed"`
}

// Line is a cloud account.
type Line struct {
	Account   string    `json:"account" doc:"account name" example:"22"`
	Extension string    `json:"extension,omitempty" doc:"extension that it belongs to"`
	State     string    `json:"state" doc:"state of the registration" example:"registered"`
	Since     time.Time `json:"since" doc:"when this state began"`
	Target    string    `json:"target,omitempty" doc:"server in use or tried"`
	Expires   time.Time `json:"expires,omitzero" doc:"end of the granted registration"`
	Next      time.Time `json:"next,omitzero" doc:"next REGISTER"`
	Code      int       `json:"code,omitempty" doc:"last SIP answer"`
	Failures  int       `json:"failures" minimum:"0" doc:"failures in a row"`
	Cause     string    `json:"cause,omitempty" doc:"why it is not registered, in a sentence"`
}

// Call is a call in progress.
type Call struct {
	ID       string    `json:"id" doc:"the appliance's name of the call"`
	Route    string    `json:"route" enum:"internal,cloud,gateway" doc:"which way it went"`
	State    string    `json:"state" doc:"ringing, talking, held or ending" example:"talking"`
	From     string    `json:"from" doc:"caller"`
	To       string    `json:"to" doc:"callee as dialled"`
	Started  time.Time `json:"started" doc:"when the caller dialled"`
	Answered time.Time `json:"answered,omitzero" doc:"when it was answered; absent: not yet"`
	Brain    string    `json:"brain,omitempty" doc:"mode that the call was born in"`
	Media    Media     `json:"media" doc:"its speech path"`
}

// Media is the speech path of a call.
type Media struct {
	Codec   string  `json:"codec,omitempty" doc:"codec in use" example:"PCMA"`
	SRTP    string  `json:"srtp,omitempty" doc:"legs that are encrypted: none, lan, cloud or both"`
	Relayed uint64  `json:"relayed" doc:"RTP packets passed on, both directions"`
	Lost    uint64  `json:"lost" doc:"RTP packets that never came, both directions"`
	MOS     float64 `json:"mos,omitempty" minimum:"0" maximum:"5" doc:"estimated quality, 1 to 4.5; absent: not known yet"`
}
