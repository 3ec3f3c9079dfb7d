package media

import (
	"net/netip"
	"slices"
)

// verdicts of a latch about a source.
type standing uint8

const (
	foreign standing = iota
	known
	candidate // may become known: if its packet is authentic, or at once where it fits
)

// latch is symmetric RTP with source restriction: it holds the one source that
// a stream listens to, and where its own packets go.
type latch struct {
	signalled netip.AddrPort
	source    netip.AddrPort // valid: latched
	dest      sockaddr
	// checked says that ICE decides; valid are the sources whose path has been proved.
	checked bool
	valid   []netip.AddrPort
}

// set takes the signalled address; again forgets the source that was latched.
// Until the next one is heard, packets go on to the old one if the signalled
// address stayed: behind NAT it is the only one that works.
func (l *latch) set(signalled netip.AddrPort, again bool) {
	if l.signalled != signalled {
		l.signalled = signalled
		l.dest = sockaddrOf(signalled)
		l.source = netip.AddrPort{}
	}
	if again {
		l.source = netip.AddrPort{}
	}
}

// judge says what a source is to us.
func (l *latch) judge(from netip.AddrPort) standing {
	switch {
	case l.source == from:
		return known
	case l.checked:
		if slices.Contains(l.valid, from) {
			return known
		}
		return foreign
	case from == l.signalled:
		// The signalled address beats one that only fitted.
		return candidate
	case l.source.IsValid() || !l.signalled.IsValid():
		return foreign
	}
	return candidate
}

// hold latches.
func (l *latch) hold(from netip.AddrPort) {
	l.source, l.dest = from, sockaddrOf(from)
}

// allow lets a source in whose path has been proved.
func (l *latch) allow(from netip.AddrPort) {
	if !slices.Contains(l.valid, from) {
		l.valid = append(l.valid, from)
	}
}

// reachable says whether an address is one to send to, unlike that of a hold.
func reachable(a netip.AddrPort) bool {
	return a.IsValid() && a.Port() != 0 && !a.Addr().IsUnspecified()
}

// fits says whether a plain RTP source may be the peer that signalled an
// address: the address itself, another port of the same host, or, where the
// signalled address is private and so behind NAT, the same port elsewhere or a
// public address.
func (l *latch) fits(from netip.AddrPort) bool {
	if from.Addr() == l.signalled.Addr() {
		return true
	}
	if !l.signalled.Addr().IsValid() || !inner(l.signalled.Addr()) {
		return false
	}
	return from.Port() == l.signalled.Port() || !inner(from.Addr())
}

// inner says whether an address is one that NAT hides.
func inner(a netip.Addr) bool {
	if a.IsPrivate() || a.IsLinkLocalUnicast() {
		return true
	}
	if !a.Is4() {
		return false
	}
	b := a.As4()
	return b[0] == 100 && b[1]&0xc0 == 64 // 100.64.0.0/10, RFC 6598
}
