package provider

import (
	"net/netip"
	"slices"
	"time"

	"linekeeper/sbc/number"
	"linekeeper/sbc/sip"
)

// Name is the name of a profile as the site document writes it.
type Name string

// The profiles.
const (
	MNet    Name = "mnet-cloudcom"
	CNT     Name = "cnt-callmanager"
	Telekom Name = "telekom-cloudpbx"
	HFO     Name = "hfo-centrex"
	Generic Name = "generic"
)

// SRTP is how much media encryption is asked for.
type SRTP string

// The three policies.
const (
	// Required refuses a call whose media would not be encrypted.
	Required SRTP = "required"
	// Preferred offers encryption and takes plain RTP (RFC 8643).
	Preferred SRTP = "preferred"
	// Off neither offers nor takes encryption.
	Off SRTP = "off"
)

// Keying is how media keys are agreed.
type Keying string

// The ways.
const (
	SDES Keying = "sdes" // RFC 4568
	DTLS Keying = "dtls" // RFC 5764
	// Either offers SDES and takes both.
	Either Keying = "either"
)

// ICE is what is done about candidates (RFC 8445).
type ICE string

// The policies.
const (
	// ICEOff reads over candidates.
	ICEOff ICE = "off"
	// ICEAnswered answers peers that have candidates, as a lite agent.
	ICEAnswered ICE = "answered"
	// ICEOffered offers candidates, and does without where the peer has none.
	ICEOffered ICE = "offered"
	// ICERequired offers candidates and refuses peers that have none.
	ICERequired ICE = "required"
)

// Offers says whether candidates are offered.
func (i ICE) Offers() bool { return i == ICEOffered || i == ICERequired }

// Internal says where a call between two extensions of the site is signalled.
type Internal string

// The two places.
const (
	Local Internal = "local" // never leaves the box
	Cloud Internal = "cloud" // signalled through the cloud, media kept on the LAN
)

// Register is how the lines keep registered.
type Register struct {
	Expires    time.Duration // asked for
	Longest    time.Duration // most that the provider accepts, 0 if it names none
	Spacing    time.Duration // least time between two registrations
	NATRefresh time.Duration // keep-alive toward the provider
	Outbound   bool          // the registrar keeps flows (RFC 5626)
}

// Identity is how the box tells the cloud who calls.
type Identity struct {
	From      From      // user part of the From header
	Header    Header    // header that carries the shown number
	Anonymous Anonymous // how the number is withheld (CLIR)
	// Caller is the header of an incoming call whose number a phone shows.
	Caller Caller
}

// Caller is where the number of an incoming call is read.
type Caller string

// The places.
const (
	// CallerAsserted is the number that the network vouches for (RFC 3325), From
	// where there is none.
	CallerAsserted Caller = "P-Asserted-Identity"
	// CallerFrom is the number that the caller gives, which the network has not
	// screened (CLIP no screening): a company's main number from a mobile, say.
	CallerFrom Caller = "From"
)

// From is what stands in the user part of From.
type From string

// What can stand there.
const (
	FromAccount From = "account" // the line's account
	FromNumber  From = "number"  // the caller's public number
)

// Header is the header that carries the identity.
type Header string

// The headers.
const (
	Preferred3325 Header = "P-Preferred-Identity" // RFC 3325 9.2, from a client that isn't trusted
	Asserted3325  Header = "P-Asserted-Identity"  // RFC 3325 9.1
)

// Anonymous is how a caller's number is withheld.
type Anonymous string

// The ways.
const (
	PrivacyID Anonymous = "privacy-id" // anonymous From and Privacy: id (RFC 3323, RFC 3325 9.3)
)

// Diverts is how the cloud is told who sent a call on.
type Diverts string

// The ways.
const (
	DivertNone      Diverts = "none"         // not at all
	DivertDiversion Diverts = "diversion"    // Diversion (RFC 5806)
	DivertHistory   Diverts = "history-info" // History-Info (RFC 7044)
	DivertBoth      Diverts = "both"
)

// Range is a network of the provider and what it is for.
type Range struct {
	Prefix netip.Prefix
	Use    string
}

// Thresholds are what the site check measures the line against.
type Thresholds struct {
	RoundTrip time.Duration
	Jitter    time.Duration
	Loss      float64 // percent
	Voice     uint64  // bit/s of one call, gross, one direction
	Fax       uint64  // bit/s of one T.38 call, 0 if the provider names none
}

// Source says where a fact is from.
type Source struct {
	Document bool   // the provider's own document says so; else it is our default
	Note     string // what exactly, or why
}

// Profile is everything that the box knows about one kind of cloud PBX. It is
// read only; ask Lookup for a copy.
type Profile struct {
	Name       Name
	Title      string
	Transports []sip.Transport // allowed, the default first
	Ports      map[sip.Transport]uint16
	Register   Register
	Codecs     []string // toward the provider, best first; "telephone-event" among them
	SRTP       SRTP
	Keying     Keying
	ICE        bool
	STUNPorts  []uint16
	Internal   Internal
	// OutsidePrefix is dialled before outside numbers; empty for none.
	OutsidePrefix string
	// Write is how numbers are written toward the provider, Accept how they
	// may come from it.
	Write    number.Style
	Accept   []number.Style
	Identity Identity
	// Diverts is how the cloud is told who had a call before that the box sends on.
	Diverts Diverts
	// Messages says that the cloud takes SIP MESSAGE (RFC 3428) for outside numbers.
	Messages bool
	// Subscribe are the event packages that the box subscribes to for each line.
	Subscribe []string
	Codes     []StarCode
	Blocked   []string // prefixes that are barred unless the site says otherwise
	// Exclusive accounts must be registered by one device only.
	Exclusive bool
	// CredentialTries is how often rejected credentials are tried before an alarm.
	CredentialTries int
	// Refusals say what a SIP status code of this system usually means, for a person.
	Refusals   map[int]string
	Thresholds Thresholds
	Ranges     []Range
	Notes      []string
	// Sources has an entry for every field above but Name, Title and Notes.
	Sources map[string]Source
}

// Names lists the profiles in the order of the documentation.
func Names() []Name { return []Name{MNet, CNT, Telekom, HFO, Generic} }

// Lookup is the profile of that name.
func Lookup(name Name) (Profile, bool) {
	switch name {
	case MNet:
		return mnet(), true
	case CNT:
		return cnt(), true
	case Telekom:
		return telekom(), true
	case HFO:
		return hfo(), true
	case Generic:
		return generic(), true
	}
	return Profile{}, false
}

// Transport is the transport used where the site names none.
func (p Profile) Transport() sip.Transport { return p.Transports[0] }

// Allows says whether the provider can be reached over t.
func (p Profile) Allows(t sip.Transport) bool { return slices.Contains(p.Transports, t) }

// Port is the provider's port for t.
func (p Profile) Port(t sip.Transport) uint16 { return p.Ports[t] }

// Stricter takes the stricter of two demands, value by value; the greater
// bandwidth is the stricter one.
func (t Thresholds) Stricter(o Thresholds) Thresholds {
	return Thresholds{
		RoundTrip: min(t.RoundTrip, o.RoundTrip),
		Jitter:    min(t.Jitter, o.Jitter),
		Loss:      min(t.Loss, o.Loss),
		Voice:     max(t.Voice, o.Voice),
		Fax:       max(t.Fax, o.Fax),
	}
}
