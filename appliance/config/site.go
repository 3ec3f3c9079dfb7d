package config

import (
	"net/netip"

	"linekeeper/sbc/number"
	"linekeeper/sbc/provider"
	"linekeeper/sbc/sip"
)

// The tags of the fields:
//
//	yaml   the key
//	apply  what a change costs: "live" nothing, "newcalls" it reaches the next
//	       call, "restart" the sockets or lines concerned start anew
//	need   "yes": the key must be written
//	one    the words allowed, separated by |
//	form   what a text must look like (see form.go)
//	min    least value of a number or a duration
//	max    greatest value
//	most   greatest length of a list or a table

// Site is a whole site document with every value filled in. It is immutable
// once Parse has returned it.
type Site struct {
	// Site names the place and its numbers.
	Site Place `yaml:"site" apply:"live" need:"yes"`
	// Provider is the cloud PBX.
	Provider Provider `yaml:"provider" apply:"restart" need:"yes"`
	// LAN is the side of the phones.
	LAN LAN `yaml:"lan" apply:"restart"`
	// WAN is the side of the provider.
	WAN WAN `yaml:"wan" apply:"restart"`
	// Extensions are the phones' numbers.
	Extensions []Extension `yaml:"extensions" apply:"live" need:"yes" most:"2000"`
	// Groups ring several extensions.
	Groups []Group `yaml:"groups" apply:"newcalls" most:"500"`
	// Gateways are analog adapters, DECT bases and trunks on the LAN.
	Gateways []Gateway `yaml:"gateways" apply:"restart" most:"100"`
	// Dialplan says what dialled numbers mean.
	Dialplan Dialplan `yaml:"dialplan" apply:"newcalls"`
	// Survivability is how the box behaves when the cloud is gone.
	Survivability Survivability `yaml:"survivability" apply:"live"`
	// Quality bounds what the line must carry.
	Quality Quality `yaml:"quality" apply:"newcalls"`
	// Security is who may talk to the box.
	Security Security `yaml:"security" apply:"live"`
	// Network is set up only where the daemon's settings say network.manage.
	Network Network `yaml:"network" apply:"restart"`
	// Management is the tunnel to the provider's controller.
	Management Management `yaml:"management" apply:"restart"`
	// UI is the web interface.
	UI UI `yaml:"ui" apply:"restart"`
}

// Place names the site and its numbers.
type Place struct {
	Name string `yaml:"name" apply:"live" need:"yes"`
	// Country is an ISO 3166-1 code, it decides number plan, tones and
	// emergency numbers.
	Country string `yaml:"country" apply:"newcalls" form:"country"`
	// AreaCode is the area code without its leading 0, "89"; empty: none.
	AreaCode string `yaml:"area_code" apply:"newcalls" form:"area"`
	// MainNumber is the caller ID for emergency calls and where an extension
	// has none.
	MainNumber number.E164 `yaml:"main_number" apply:"newcalls"`
	// Timezone is a name of the IANA database.
	Timezone string `yaml:"timezone" apply:"live" form:"timezone"`
	// Language of announcements and the web interface.
	Language string `yaml:"language" apply:"live" one:"de|en"`
}

// Provider is the cloud PBX. Transport, SRTP, Keying and Internal are never
// empty in a parsed site: what isn't written comes from the profile.
type Provider struct {
	Profile provider.Name `yaml:"profile" apply:"restart" need:"yes" one:"mnet-cloudcom|cnt-callmanager|telekom-cloudpbx|hfo-centrex|generic"`
	// Domain is what the accounts belong to.
	Domain string `yaml:"domain" apply:"restart" form:"domain"`
	// Servers in the order they are tried; empty: NAPTR, SRV and A of Domain.
	Servers   []Server          `yaml:"servers" apply:"restart" most:"16"`
	Transport sip.Transport     `yaml:"transport" apply:"restart" one:"|udp|tcp|tls"`
	TLS       TLS               `yaml:"tls" apply:"restart"`
	SRTP      provider.SRTP     `yaml:"srtp" apply:"newcalls" one:"|required|preferred|off"`
	Keying    provider.Keying   `yaml:"keying" apply:"newcalls" one:"|sdes|dtls|either"`
	ICE       provider.ICE      `yaml:"ice" apply:"newcalls" one:"off|offered|required"`
	STUN      []string          `yaml:"stun" apply:"live" most:"8" form:"hostport"`
	TURN      TURN              `yaml:"turn" apply:"live"`
	Register  Register          `yaml:"register" apply:"live"`
	Codecs    []string          `yaml:"codecs" apply:"newcalls" most:"16" form:"codec"`
	Internal  provider.Internal `yaml:"internal_calls" apply:"newcalls" one:"|local|cloud"`
}

// TLS is how the box proves itself to the provider and the provider to it.
type TLS struct {
	// CA is a PEM file of authorities; empty: those of the system.
	CA string `yaml:"ca" apply:"restart" form:"file"`
	// Certificate and Key are PEM files of the box's own certificate.
	Certificate string `yaml:"certificate" apply:"restart" form:"file"`
	Key         string `yaml:"key" apply:"restart" form:"file"`
	// ServerName is the name that the provider's certificate must carry;
	// empty: the domain, or else the server's own name.
	ServerName string `yaml:"server_name" apply:"restart" form:"domain"`
}

// TURN are servers that relay speech where no other path is found (RFC 8656, over UDP).
type TURN struct {
	Servers []string `yaml:"servers" apply:"live" most:"8" form:"hostport"`
	// User and Password are long-term credentials, the same for all servers.
	User     string `yaml:"user" apply:"live" form:"account"`
	Password Secret `yaml:"password" apply:"live"`
}

// Register is how the lines keep registered.
type Register struct {
	Expires    Duration `yaml:"expires" apply:"live" min:"60s" max:"24h"`
	Spacing    Duration `yaml:"spacing" apply:"live" min:"0s" max:"60s"`
	NATRefresh Duration `yaml:"nat_refresh" apply:"live" min:"5s" max:"10m"`
}

// LAN is the side of the phones.
type LAN struct {
	// SIP are the addresses that phones reach the box at.
	SIP []Listen `yaml:"sip" apply:"restart" most:"16"`
	// MediaAddress; zero: the address that the phone came in on.
	MediaAddress netip.Addr    `yaml:"media_address" apply:"newcalls"`
	MediaPorts   PortRange     `yaml:"media_ports" apply:"newcalls"`
	SRTP         provider.SRTP `yaml:"srtp" apply:"newcalls" one:"required|preferred|off"`
	// Keying and ICE are how media keys are agreed and paths are found.
	Keying provider.Keying `yaml:"keying" apply:"newcalls" one:"sdes|dtls|either"`
	ICE    provider.ICE    `yaml:"ice" apply:"newcalls" one:"off|answered|offered|required"`
	// DirectMedia lets internal calls of phones on one segment go past the box.
	DirectMedia bool `yaml:"direct_media" apply:"newcalls"`
	// PassThrough lets a phone register through the box with the cloud's own
	// credentials.
	PassThrough bool `yaml:"pass_through" apply:"live"`
	// Clients are UC servers beside the phones.
	Clients []Client `yaml:"clients" apply:"live" most:"32"`
}

// WAN is the side of the provider.
type WAN struct {
	// Address is the local address for the provider's traffic; zero: by route.
	Address    netip.Addr `yaml:"address" apply:"restart"`
	MediaPorts PortRange  `yaml:"media_ports" apply:"newcalls"`
	// Bandwidth of the line; zero: not known, nothing is limited by it.
	Bandwidth UpDown `yaml:"bandwidth" apply:"newcalls"`
	// Backup is the second path, LTE say.
	Backup Backup `yaml:"backup" apply:"restart"`
}

// UpDown is a bandwidth in both directions.
type UpDown struct {
	Up   Bandwidth `yaml:"up" apply:"newcalls"`
	Down Bandwidth `yaml:"down" apply:"newcalls"`
}

// Backup is a second path to the provider.
type Backup struct {
	Address   netip.Addr `yaml:"address" apply:"restart"`
	Bandwidth UpDown     `yaml:"bandwidth" apply:"newcalls"`
}

// Dialplan says what dialled numbers mean.
type Dialplan struct {
	// OutsidePrefix is dialled before outside numbers, "0" say; empty: none.
	OutsidePrefix string `yaml:"outside_prefix" apply:"newcalls" form:"prefix"`
	// Emergency numbers are matched before anything else.
	Emergency []string `yaml:"emergency" apply:"newcalls" most:"32" form:"short"`
	// Blocked are beginnings of numbers that nobody may dial.
	Blocked []string `yaml:"blocked" apply:"newcalls" most:"256" form:"blocked"`
	// Short are short numbers and what they stand for.
	Short map[string]string `yaml:"short" apply:"newcalls" most:"1000" form:"dial" keyform:"short"`
}

// Survivability is how the box behaves when the cloud is gone.
type Survivability struct {
	Probe Probe `yaml:"probe" apply:"live"`
	// CallTimeout without an answer of any kind: the call goes on locally.
	CallTimeout Duration `yaml:"call_timeout" apply:"newcalls" min:"500ms" max:"10s"`
	// HoldExternal is how long an external call is kept while its path is gone.
	HoldExternal Duration `yaml:"hold_external" apply:"newcalls" min:"0s" max:"10m"`
	// Announce says aloud what isn't available.
	Announce bool `yaml:"announce" apply:"newcalls"`
}

// Probe is how the cloud is watched.
type Probe struct {
	Interval Duration `yaml:"interval" apply:"live" min:"1s" max:"10m"`
	// Fast is the interval on suspicion.
	Fast Duration `yaml:"fast" apply:"live" min:"100ms" max:"1m"`
	// Fail misses in a row mean survival, Recover answers in a row the return.
	Fail    int `yaml:"fail" apply:"live" min:"1" max:"100"`
	Recover int `yaml:"recover" apply:"live" min:"1" max:"100"`
}

// Quality bounds what the line must carry.
type Quality struct {
	MinMOS float64 `yaml:"min_mos" apply:"live" min:"1" max:"4.5"`
	// MaxCalls at a time; 0: from the bandwidth, see Site.CallLimit.
	MaxCalls int `yaml:"max_calls" apply:"newcalls" min:"0" max:"10000"`
	// Transcode lets the box convert speech where a call's sides share no codec.
	Transcode bool `yaml:"transcode" apply:"newcalls"`
}

// Security is who may talk to the box. An entry of Allow wins over one of Deny.
type Security struct {
	Allow []Prefix `yaml:"allow" apply:"live" most:"1000"`
	Deny  []Prefix `yaml:"deny" apply:"live" most:"1000"`
	Ban   Ban      `yaml:"ban" apply:"live"`
}

// Ban silences an address after failed attempts to authenticate.
type Ban struct {
	After int      `yaml:"after" apply:"live" min:"1" max:"1000"`
	For   Duration `yaml:"for" apply:"live" min:"1s" max:"168h"`
}

// Management is the tunnel to the provider's controller.
type Management struct {
	Controller string `yaml:"controller" apply:"restart" form:"https"`
}

// UI is the web interface; an empty address switches it off.
type UI struct {
	Listen string `yaml:"listen" apply:"restart" form:"listen"`
}
