package provider

import (
	"time"

	"linekeeper/sbc/number"
	"linekeeper/sbc/sip"
)

// ClientName is the name of a LAN client profile as lan.clients writes it.
type ClientName string

// The LAN client profiles.
const (
	Estos  ClientName = "estos-ucserver"
	XPhone ClientName = "xphone-connect"
)

// Client is a UC server that stands beside the phones: what it is like as a
// peer of the box. It is read only; ask LookupClient for a copy.
type Client struct {
	Name  ClientName
	Title string
	// Registers says that it registers extensions like many phones behind one
	// address. Otherwise it is like a trunk: it takes and makes calls of
	// extensions at its address, without registration.
	Registers  bool
	Transports []sip.Transport // allowed, the default first
	Port       uint16          // where a trunk-like one takes calls
	// Spacing is the time that it leaves between two registrations.
	Spacing time.Duration
	Codecs  []string // toward it, best first
	// Write is how callers' numbers are written toward it.
	Write number.Style
	// MediaLow and MediaHigh are its UDP ports for speech; 0: not named.
	MediaLow, MediaHigh uint16
	STUNPorts           []uint16
	// ICE says that its descriptions carry candidates (RFC 8839).
	ICE bool
	// Refusals say what its SIP status codes usually mean, for a person.
	Refusals map[int]string
	Notes    []string
	// Sources has an entry for every field above but Name, Title and Notes.
	Sources map[string]Source
}

// ClientNames lists the LAN client profiles.
func ClientNames() []ClientName { return []ClientName{Estos, XPhone} }

// LookupClient is the LAN client profile of that name.
func LookupClient(name ClientName) (Client, bool) {
	switch name {
	case Estos:
		return estos(), true
	case XPhone:
		return xphone(), true
	}
	return Client{}, false
}

// Transport is the transport used where the site names none.
func (c Client) Transport() sip.Transport { return c.Transports[0] }

// estos is estos ProCall Enterprise's UCServer (estos' configuration guide for
// HFO Crown Centrex, in which the box now stands in the PBX's place).
func estos() Client {
	return Client{
		Name: Estos, Title: "estos ProCall 7 Enterprise UCServer",
		Registers:  true,
		Transports: []sip.Transport{sip.UDP},
		Port:       5060,
		Spacing:    300 * time.Millisecond,
		Codecs:     []string{"PCMA", "PCMU", "telephone-event"},
		Write:      number.WithArea,
		Refusals: map[int]string{
			401: "the extension or its password at the box is wrong",
			403: "the line is registered for another extension than it proves",
		},
		Notes: []string{
			"each line of the UCServer is an extension of the site: user and authentication name its number, registrar the box",
			"lines register 300 ms apart; the box takes them faster too",
			"what is set in the PBX (forwarding, DND) wins over what the client has set; the two aren't synchronised",
			"an extension may have a phone and a line of the UCServer: both ring",
			"picking up an extension is *8<NUMBER>, a code of the cloud",
		},
		Sources: map[string]Source{
			"Registers":  doc("the UCServer registers each user's SIP line at the PBX"),
			"Transports": doc("SIP over UDP only for the lines"),
			"Port":       ours("RFC 3261 19.1.2; it registers, so it is only its own listening port"),
			"Spacing":    doc("300 ms between registrations"),
			"Codecs":     doc("toward the PBX A-law first, µ-law second"),
			"Write":      doc("the area code is always dialled"),
			"MediaLow":   ours("not named"),
			"MediaHigh":  ours("not named"),
			"STUNPorts":  ours("none: it is in the same network"),
			"ICE":        ours("not used toward the PBX"),
			"Refusals":   ours("what the box answers"),
		},
	}
}

// xphone is C4B XPhone Connect with its Softphone Mobile (C4B's configuration
// and troubleshooting article).
func xphone() Client {
	return Client{
		Name: XPhone, Title: "C4B XPhone Connect",
		Transports: []sip.Transport{sip.UDP, sip.TCP},
		Port:       5060,
		Codecs:     []string{"PCMA", "PCMU", "G722", "opus", "telephone-event"},
		Write:      number.WithPlus,
		MediaLow:   30000, MediaHigh: 33000,
		STUNPorts: []uint16{3478, 3479},
		ICE:       true,
		Refusals: map[int]string{
			403: "an access list of the XPhone server bars the caller's network; a white-list entry wins over a black-list one",
			488: "the access lists of the XPhone server removed every ICE candidate, or the two share no codec",
			404: "no XPhone user has this number",
			480: "the softphone isn't signed in",
		},
		Notes: []string{
			"the trunk of the XPhone server points at the box; the box takes calls from its address, with digest where a password is set",
			"its media ports must pass between its network and the box; NAT must not change the port",
			"the box offers and answers with candidates of its own and checks those of the server; keys by DTLS or SDES, as the server offers",
			"white-list the box's address narrowly; too many access list entries make call set-up slow",
			"no SIP or STUN ALG may sit between",
		},
		Sources: map[string]Source{
			"Registers":  doc("a SIP trunk between the server and the PBX"),
			"Transports": ours("UDP first, TCP as well"),
			"Port":       ours("RFC 3261 19.1.2"),
			"Spacing":    ours("it doesn't register"),
			"Codecs":     ours("A-law first; the article names none"),
			"Write":      ours("E.164 with +"),
			"MediaLow":   doc("UDP 30000-33000"),
			"MediaHigh":  doc("UDP 30000-33000"),
			"STUNPorts":  doc("3478 and 3479"),
			"ICE":        doc("host and server-reflexive candidates in INVITE and in 183/200"),
			"Refusals":   doc("403 because of an ACL on the caller, 488 because ACLs removed every candidate"),
		},
	}
}
