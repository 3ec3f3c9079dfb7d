package policy

import (
	"strings"

	"linekeeper/sbc/sip"
)

// Privacy is what a peer wants kept from the other side (RFC 3323 4.2, RFC 3325
// 9.3, RFC 7044 10.1).
type Privacy uint8

// What can be wanted.
const (
	PrivacyHeader   Privacy = 1 << iota // Via, Contact, Record-Route: the box hides them from everybody
	PrivacySession                      // addresses of the media: the box anchors it or hides it
	PrivacyUser                         // what the user agent says of its user
	PrivacyID                           // the asserted identity
	PrivacyHistory                      // who had the call before
	PrivacyCritical                     // refuse rather than fall short
	PrivacyNone                         // show everything, whatever the line is set to
)

// maxPrivacy bounds the values of one message.
const maxPrivacy = 16

// ReadPrivacy is what a message asks for; unknown are the values that the box
// has never heard of.
func ReadPrivacy(m sip.Message) (p Privacy, unknown []string) {
	n := 0
	for _, line := range sip.HeaderValues(m, "Privacy") {
		for v := range strings.FieldsFuncSeq(line, func(r rune) bool { return r == ';' || r == ',' || r == ' ' || r == '\t' }) {
			if n++; n > maxPrivacy {
				return p, unknown
			}
			bit := privacyBit(v)
			if p |= bit; bit == 0 {
				unknown = append(unknown, v)
			}
		}
	}
	return p, unknown
}

func privacyBit(v string) Privacy {
	switch strings.ToLower(v) {
	case "header":
		return PrivacyHeader
	case "session":
		return PrivacySession
	case "user":
		return PrivacyUser
	case "id":
		return PrivacyID
	case "history":
		return PrivacyHistory
	case "critical":
		return PrivacyCritical
	case "none":
		return PrivacyNone
	}
	return 0
}

// Hides says whether the identity is to be kept back. "none" beside another
// value is against the RFC; the cautious reading wins.
func (p Privacy) Hides() bool { return p&(PrivacyHeader|PrivacyUser|PrivacyID) != 0 }

// Refused are the values for which a message must be refused with 500 (RFC 3323
// 5): it calls privacy critical, and the box does not know how to give it.
func Refused(m sip.Message) []string {
	p, unknown := ReadPrivacy(m)
	if p&PrivacyCritical == 0 {
		return nil
	}
	return unknown
}
