package location

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"linekeeper/sbc/sip"
)

// Binding is one contact of an extension. It is a value: what a look-up returns
// may be kept.
type Binding struct {
	// Extension is the number the contact belongs to.
	Extension string `json:"extension"`
	// URI is the Contact as the phone sent it, without header parameters.
	URI string `json:"uri"`
	// Flow is where its requests come from, and go to.
	Flow sip.Flow `json:"flow"`
	// Instance is +sip.instance without brackets (RFC 5626 4.1), if any.
	Instance string `json:"instance,omitempty"`
	// RegID is reg-id (RFC 5626 4.2); 0: none.
	RegID uint32 `json:"reg_id,omitempty"`
	// Path is the way to it through the proxies before it (RFC 3327), in the order
	// of Route headers.
	Path []string `json:"path,omitempty"`
	// Temps are the user parts of the temporary GRUUs given to it (RFC 5627), the
	// newest first.
	Temps []string `json:"temps,omitempty"`
	// UserAgent is what the phone calls itself.
	UserAgent string `json:"user_agent,omitempty"`
	// CallID and CSeq order the registrations of one contact (RFC 3261 10.3 step 7).
	CallID string `json:"call_id"`
	CSeq   uint32 `json:"cseq"`
	// Q is the preference, 0 to 1000 thousandths (RFC 3261 20.10).
	Q uint16 `json:"q"`
	// Since is when this contact first registered, Heard when last, Expires when it runs out.
	Since   time.Time `json:"since"`
	Heard   time.Time `json:"heard,omitzero"`
	Expires time.Time `json:"expires"`
}

// same says whether b and c are registrations of one contact: the same instance
// and reg-id where both name one (RFC 5626 6), else the same URI, else the same
// flow without instances: a phone that re-registers from its old socket under a
// new URI has replaced itself, while many lines of one server differ in URI and
// extension. Whoever comes through a proxy shares its flow with others.
func (b *Binding) same(c *Binding) bool {
	if b.named(c) {
		return true
	}
	// Several contacts of one request are several phones, wherever they come from.
	one := b.CallID == c.CallID && b.CSeq == c.CSeq
	return b.Instance == "" && c.Instance == "" && len(b.Path)+len(c.Path) == 0 && !one && b.place() == c.place()
}

// named says whether b and c name the same contact: by instance and reg-id where
// both have them, else by URI.
func (b *Binding) named(c *Binding) bool {
	if b.Instance != "" && c.Instance != "" {
		return b.Instance == c.Instance && b.RegID == c.RegID
	}
	return b.URI == c.URI
}

// detach points a contact whose connection is gone to where the phone says that
// it listens, if that is the host that it registered from; behind a NAT only the
// phone itself can come back. It says whether anything changed.
func (b *Binding) detach() bool {
	if !b.Flow.Transport.Reliable() {
		return false
	}
	was := b.Flow
	b.Flow.Conn = 0
	u, err := sip.ParseURI(b.URI)
	if err != nil {
		return b.Flow != was
	}
	host, err := netip.ParseAddr(strings.Trim(u.Host, "[]"))
	if err != nil || host.Unmap() != b.Flow.Remote.Addr().Unmap() {
		return b.Flow != was
	}
	port := uint16(u.Port)
	if port == 0 {
		port = 5060
		if b.Flow.Transport == sip.TLS {
			port = 5061
		}
	}
	b.Flow.Remote = netip.AddrPortFrom(b.Flow.Remote.Addr(), port)
	return b.Flow != was
}

// place is the flow without what changes when a phone reconnects.
func (b *Binding) place() sip.Flow {
	f := b.Flow
	f.Conn = 0
	return f
}

// overtakes says whether b was registered by the same or a later request of c's Call-ID.
func (b *Binding) overtakes(c *Binding) bool {
	return b.CallID == c.CallID && b.CSeq >= c.CSeq
}

// byPreference sorts highest q first, then the newest registration.
func byPreference(all []Binding) {
	slices.SortStableFunc(all, func(a, b Binding) int {
		if a.Q != b.Q {
			return cmp.Compare(b.Q, a.Q)
		}
		return b.Since.Compare(a.Since)
	})
}
