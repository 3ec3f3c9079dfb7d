package sdp

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// ICEPolicy says what a side does about ICE (RFC 8445, RFC 8839).
type ICEPolicy uint8

// The policies.
const (
	// ICEOff offers no candidates and reads over those of others.
	ICEOff ICEPolicy = iota
	// ICELite answers peers that have candidates, as a lite agent: for sides
	// where our address can be reached.
	ICELite
	// ICEFull offers candidates and checks those of the peer.
	ICEFull
	// ICERequired does so too and refuses peers without candidates.
	ICERequired
)

// Full says whether candidates are offered.
func (p ICEPolicy) Full() bool { return p >= ICEFull }

// Bounds of what is read (RFC 8839 5.3, 5.4).
const (
	maxCandidates  = 32
	maxCredential  = 256
	minUfrag       = 4
	minICEPassword = 22
)

// ICE is what a section says about ICE.
type ICE struct {
	// Ufrag and Pwd are the short-term credentials; "" without ICE.
	Ufrag string
	Pwd   Secret
	// Lite says that the agent only answers checks.
	Lite bool
	// Candidates are those over UDP with an address, in order.
	Candidates []Candidate
	// Hidden says that there were others: TCP, host names.
	Hidden bool
}

func (i *ICE) used() bool { return i.Ufrag != "" && len(i.Pwd) > 0 }

// Candidate is one a=candidate line over UDP (RFC 8839 5.1).
type Candidate struct {
	Foundation string
	// Component is 1 for RTP, 2 for RTCP.
	Component int
	Priority  uint32
	Addr      netip.AddrPort
	// Type is host, srflx, prflx or relay.
	Type string
	// Related is the base of a candidate that is no host; zero: not given.
	Related netip.AddrPort
}

// parseCandidate reads "1 1 UDP 2130706431 192.0.2.1 4000 typ host". ok is false
// for a malformed line; a candidate without an address is one over TCP or a name.
func parseCandidate(text string) (c Candidate, ok bool) {
	f := strings.Fields(text)
	if len(f) < 8 || !strings.EqualFold(f[6], "typ") || len(f[0]) > 32 {
		return c, false
	}
	component, err := strconv.ParseUint(f[1], 10, 9)
	priority, err2 := strconv.ParseUint(f[3], 10, 32)
	port, err3 := strconv.ParseUint(f[5], 10, 16)
	if err != nil || err2 != nil || err3 != nil || component < 1 || component > 256 {
		return c, false
	}
	c = Candidate{Foundation: f[0], Component: int(component), Priority: uint32(priority), Type: strings.ToLower(f[7])}
	addr, err := netip.ParseAddr(f[4])
	if err != nil || !strings.EqualFold(f[2], "UDP") || port == 0 || addr.IsUnspecified() || addr.IsMulticast() {
		return c, true
	}
	c.Addr = netip.AddrPortFrom(addr.Unmap().WithZone(""), uint16(port))
	for i := 8; i+1 < len(f); i += 2 {
		switch strings.ToLower(f[i]) {
		case "raddr":
			if a, err := netip.ParseAddr(f[i+1]); err == nil {
				c.Related = netip.AddrPortFrom(a.Unmap(), c.Related.Port())
			}
		case "rport":
			if n, err := strconv.ParseUint(f[i+1], 10, 16); err == nil {
				c.Related = netip.AddrPortFrom(c.Related.Addr(), uint16(n))
			}
		}
	}
	return c, true
}

func (c *Candidate) text() string {
	s := fmt.Sprintf("%s %d UDP %d %s %d typ %s", c.Foundation, c.Component, c.Priority, c.Addr.Addr(), c.Addr.Port(), c.Type)
	if c.Related.Addr().IsValid() {
		s += fmt.Sprintf(" raddr %s rport %d", c.Related.Addr(), c.Related.Port())
	}
	return s
}

// Priority is that of a candidate of ours: type and component, one address of each
// (RFC 8445 5.1.2.1).
func Priority(preference, component int) uint32 {
	return uint32(preference)<<24 | 65535<<8 | uint32(256-component)
}

// Type preferences of RFC 8445 5.1.2.2.
const (
	PreferHost      = 126
	PreferPeer      = 110
	PreferReflexive = 100
	PreferRelayed   = 0
)

// candidate reads one a=candidate line of a section.
func (i *ICE) candidate(text string) {
	c, ok := parseCandidate(text)
	switch {
	case !ok:
	case !c.Addr.IsValid():
		i.Hidden = true
	case len(i.Candidates) < maxCandidates:
		i.Candidates = append(i.Candidates, c)
	}
}

// iceText says whether text may be a user fragment or a password.
func iceText(text string, least int) bool {
	return len(text) >= least && len(text) <= maxCredential && strings.IndexFunc(text, func(r rune) bool {
		return r <= ' ' || r > '~'
	}) < 0
}

// Checks says how a flow finds its path (RFC 8445).
type Checks struct {
	// Local and Remote are the credentials of the two agents; only those of the
	// present session ever match.
	Local, Remote ICE
	// Controlling says that we nominate.
	Controlling bool
}

// Equal says whether two are one ICE session.
func (c *Checks) Equal(o *Checks) bool {
	if c == nil || o == nil {
		return c == o
	}
	return c.Local.Ufrag == o.Local.Ufrag && string(c.Local.Pwd) == string(o.Local.Pwd) &&
		c.Remote.Ufrag == o.Remote.Ufrag && string(c.Remote.Pwd) == string(o.Remote.Pwd)
}

// iceSession is what a leg remembers of its ICE session.
type iceSession struct {
	peer    string // ufrag of the peer; "": none yet
	turn    int    // counts restarts
	offered bool   // by us: then we control
}

// ice is our own part: credentials out of the seed, and a candidate for each of
// our addresses and components.
func (l *Local) iceOf(mux bool) (ICE, error) {
	if len(l.Keys) < 16 {
		return ICE{}, ErrKeys
	}
	info := fmt.Sprintf("linekeeper ice %s %d", netip.AddrPortFrom(l.Addr, l.Port), l.ice.turn)
	raw, err := hkdf.Key(sha256.New, l.Keys, nil, info, 24)
	if err != nil {
		return ICE{}, fmt.Errorf("derive ice credentials: %w", err)
	}
	text := base64.RawStdEncoding.EncodeToString(raw) // its alphabet is that of ICE
	// No longer than RFC 8445 5.3 wants: a request with candidates is large enough.
	i := ICE{Ufrag: text[:4], Pwd: Secret(text[4:26]), Lite: l.ICE == ICELite}
	for component := 1; component <= 2 && !(mux && component == 2); component++ {
		host := netip.AddrPortFrom(l.Addr, l.Port+uint16(component-1))
		i.Candidates = append(i.Candidates, Candidate{"1", component, Priority(PreferHost, component), host, "host", netip.AddrPort{}})
		if l.ICE.Full() && l.Public.IsValid() && l.Public != l.Addr && l.Public.Is4() == l.Addr.Is4() {
			i.Candidates = append(i.Candidates, Candidate{"2", component, Priority(PreferReflexive, component),
				netip.AddrPortFrom(l.Public, host.Port()), "srflx", host})
		}
		if l.ICE.Full() && component == 1 && l.Relayed.IsValid() && l.Relayed.Addr().Is4() == l.Addr.Is4() {
			i.Candidates = append(i.Candidates, Candidate{"3", component, Priority(PreferRelayed, component), l.Relayed, "relay", host})
		}
	}
	return i, nil
}

// mismatched says that somebody between us changed the address of the media and
// not the candidates: then ICE would go round him (RFC 8839 4.2.5).
func (m *Media) mismatched() bool {
	if m.ICE.Hidden || len(m.ICE.Candidates) == 0 || !m.Addr.IsValid() || m.Addr.IsUnspecified() {
		return false
	}
	for _, c := range m.ICE.Candidates {
		if c.Component == 1 && c.Addr == netip.AddrPortFrom(m.Addr, m.Port) {
			return false
		}
	}
	return true
}

// checkable says whether a peer's section lets us do ICE with it.
func (l *Local) checkable(t *Media) bool {
	return l.ICE != ICEOff && t.ICE.used() && !t.mismatched() && !(l.ICE == ICELite && t.ICE.Lite)
}

// meet remembers the peer's agent; a new one, or a new session of the old one,
// gets new credentials of ours (RFC 8839 4.4.1.1.1).
func (l *Local) meet(t *Media) {
	if l.ice.peer == t.ICE.Ufrag {
		return
	}
	if l.ice.peer != "" {
		l.ice.turn++
	}
	l.ice.peer, l.ice.offered = t.ICE.Ufrag, false
}

// checks is what the two descriptions agree on; nil: no ICE.
func (l *Local) checks(m, t *Media) *Checks {
	if !m.ICE.used() || !l.checkable(t) {
		return nil
	}
	c := &Checks{Local: m.ICE, Remote: t.ICE}
	if l.ice.peer == "" {
		l.ice.peer = t.ICE.Ufrag
	}
	c.Controlling = !m.ICE.Lite && (t.ICE.Lite || l.ice.offered)
	return c
}
