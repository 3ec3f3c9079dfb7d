package config

import "net/netip"

// Network is what the box sets up on its interfaces where the daemon's
// settings let it.
type Network struct {
	WAN      WANLink  `yaml:"wan" apply:"restart"`
	LAN      LANLink  `yaml:"lan" apply:"restart"`
	QoS      QoS      `yaml:"qos" apply:"live"`
	Firewall Firewall `yaml:"firewall" apply:"live"`
}

// WANLink is the interface toward the provider.
type WANLink struct {
	Interface string `yaml:"interface" apply:"restart" form:"interface"`
	Mode      string `yaml:"mode" apply:"restart" one:"dhcp|static|pppoe"`
	// Address, Gateway and DNS belong to mode static.
	Address IfAddr       `yaml:"address" apply:"restart"`
	Gateway netip.Addr   `yaml:"gateway" apply:"restart"`
	DNS     []netip.Addr `yaml:"dns" apply:"restart" most:"4"`
	// User and Password belong to mode pppoe.
	User     string `yaml:"user" apply:"restart"`
	Password Secret `yaml:"password" apply:"restart"`
	// VLAN tags the WAN's traffic, 7 at Telekom; 0: untagged.
	VLAN VLAN `yaml:"vlan" apply:"restart"`
}

// LANLink is the interface toward the phones.
type LANLink struct {
	Interface string    `yaml:"interface" apply:"restart" form:"interface"`
	VLANs     []Segment `yaml:"vlans" apply:"restart" most:"32"`
}

// Segment is a VLAN on the LAN. VLAN 1 is the untagged one.
type Segment struct {
	ID      VLAN   `yaml:"id" apply:"restart" need:"yes"`
	Name    string `yaml:"name" apply:"live" form:"word"`
	Address IfAddr `yaml:"address" apply:"restart" need:"yes"`
	Role    string `yaml:"role" apply:"restart" one:"voice|data"`
	DHCP    DHCP   `yaml:"dhcp" apply:"live"`
}

func (s *Segment) defaults() { s.Role = "data" }

// DHCP is the range of addresses given out; zero: none.
type DHCP struct {
	From netip.Addr `yaml:"from" apply:"live"`
	To   netip.Addr `yaml:"to" apply:"live"`
}

// QoS are the marks of our own traffic.
type QoS struct {
	Media      DSCP `yaml:"media" apply:"newcalls"`
	Signalling DSCP `yaml:"signalling" apply:"restart"`
}

// Firewall lets networks reach the box's own services from the WAN.
type Firewall struct {
	Allow []Prefix `yaml:"allow" apply:"live" most:"256"`
}
