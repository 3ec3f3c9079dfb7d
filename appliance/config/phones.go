package config

import (
	"net/netip"
	"time"

	"linekeeper/sbc/number"
)

// Extension is a number of the site and the phones that have it.
type Extension struct {
	Number string `yaml:"number" apply:"live" need:"yes" form:"extension"`
	Name   string `yaml:"name" apply:"live"`
	// Public is the number that callers outside see; empty: the main number.
	Public number.E164 `yaml:"public" apply:"newcalls"`
	// Password of the phone at the box.
	Password Secret `yaml:"password" apply:"live"`
	// Cloud is the line that the box keeps registered for the extension.
	Cloud Cloud `yaml:"cloud" apply:"live"`
	// Class is what the extension may dial.
	Class       number.Class `yaml:"class" apply:"newcalls" one:"internal|local|national|international"`
	Voicemail   Voicemail    `yaml:"voicemail" apply:"live"`
	Forward     Forward      `yaml:"forward" apply:"newcalls"`
	PickupGroup string       `yaml:"pickup_group" apply:"newcalls" form:"word"`
	Devices     []Device     `yaml:"devices" apply:"live" most:"16"`
}

func (e *Extension) defaults() {
	e.Class = number.National
	e.Forward.NoAnswer.After = Duration(20 * time.Second)
}

// Cloud is an account at the provider. An empty Account means no line.
type Cloud struct {
	Account string `yaml:"account" apply:"live" form:"account"`
	// Auth is the name to authenticate with; left out: Account.
	Auth     string `yaml:"auth" apply:"live" form:"account"`
	Password Secret `yaml:"password" apply:"live"`
}

// Used says whether there is an account at all.
func (c Cloud) Used() bool { return c.Account != "" }

// AuthName is the name to authenticate with.
func (c Cloud) AuthName() string {
	if c.Auth != "" {
		return c.Auth
	}
	return c.Account
}

// Voicemail is an extension's mailbox.
type Voicemail struct {
	PIN   Secret `yaml:"pin" apply:"live" form:"pin"`
	Email string `yaml:"email" apply:"live" form:"email"`
}

// Forward says where calls go that the extension doesn't take.
type Forward struct {
	Always      string   `yaml:"always" apply:"newcalls" form:"dial"`
	Busy        string   `yaml:"busy" apply:"newcalls" form:"dial"`
	NoAnswer    NoAnswer `yaml:"no_answer" apply:"newcalls"`
	Unreachable string   `yaml:"unreachable" apply:"newcalls" form:"dial"`
}

// NoAnswer forwards after a time of ringing.
type NoAnswer struct {
	To    string   `yaml:"to" apply:"newcalls" form:"dial"`
	After Duration `yaml:"after" apply:"newcalls" min:"5s" max:"120s"`
}

// Device is a phone that is provisioned for the extension.
type Device struct {
	MAC   MAC    `yaml:"mac" apply:"live" need:"yes"`
	Model string `yaml:"model" apply:"live" need:"yes" form:"word"`
}

// Group rings several extensions.
type Group struct {
	Number  string   `yaml:"number" apply:"newcalls" need:"yes" form:"extension"`
	Name    string   `yaml:"name" apply:"live"`
	Members []string `yaml:"members" apply:"newcalls" need:"yes" most:"200" form:"extension"`
	// Strategy is the order in which the members ring.
	Strategy string   `yaml:"strategy" apply:"newcalls" one:"broadcast|top-down|longest-idle|circular"`
	Ring     Duration `yaml:"ring" apply:"newcalls" min:"5s" max:"10m"`
	// Then is where a call goes that nobody took; empty: it ends.
	Then string `yaml:"then" apply:"newcalls" form:"dial"`
}

func (g *Group) defaults() {
	g.Strategy = "broadcast"
	g.Ring = Duration(20 * time.Second)
}

// Gateway is an analog adapter, a DECT base or a trunk on the LAN.
type Gateway struct {
	Name    string     `yaml:"name" apply:"restart" need:"yes" form:"word"`
	Kind    string     `yaml:"kind" apply:"restart" need:"yes" one:"fxo|fxs|dect|trunk"`
	Model   string     `yaml:"model" apply:"restart" form:"word"`
	Address netip.Addr `yaml:"address" apply:"restart" need:"yes"`
	// Use is what a way out may be used for.
	Use      []string  `yaml:"use" apply:"newcalls" most:"8" one:"emergency|outbound|inbound"`
	Ports    []Port    `yaml:"ports" apply:"restart" most:"48"`
	Handsets []Handset `yaml:"handsets" apply:"restart" most:"1000"`
}

// Port is an analog port and the extension behind it.
type Port struct {
	Extension string `yaml:"extension" apply:"restart" need:"yes" form:"extension"`
	Role      string `yaml:"role" apply:"restart" one:"phone|fax|door|alarm|modem"`
}

func (p *Port) defaults() { p.Role = "phone" }

// Handset is a DECT handset and its extension.
type Handset struct {
	Extension string `yaml:"extension" apply:"restart" need:"yes" form:"extension"`
}
