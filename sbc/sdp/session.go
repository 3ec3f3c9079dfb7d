package sdp

import (
	"net/netip"
	"strings"
)

// Session is one parsed session description (RFC 8866). What the box does not
// act on is not kept.
type Session struct {
	// Origin is the o= line.
	Origin Origin
	// Name is the s= line; "-" where none was given.
	Name string
	// Time is the t= line, which an answer repeats (RFC 3264 6); "0 0" as a rule.
	Time string
	// Media are the m= sections, in order.
	Media []Media
}

// Origin is the o= line (RFC 8866 5.2).
type Origin struct {
	User        string
	ID, Version uint64
	// Addr is invalid where the peer wrote a host name.
	Addr netip.Addr
}

// Media is one m= section with all that the session level handed down to it.
type Media struct {
	// Kind is "audio", "video", "image", ...
	Kind string
	// Port is 0 for a section that is refused or switched off.
	Port uint16
	// Proto is the transport profile, "RTP/AVP" for instance.
	Proto string
	// List is the format list as written; for RTP see Formats.
	List []string
	// Formats are the payload types that are defined, in order of preference. RTP only.
	Formats []Format
	// Addr is where the peer wants its media. It is invalid where c= names a
	// host or is missing, unspecified (0.0.0.0) for the old form of hold.
	Addr netip.Addr
	// RTCP is where the peer wants its control packets (RFC 3605); zero: port+1.
	RTCP netip.AddrPort
	// Mux says that RTP and RTCP may share one port (RFC 5761).
	Mux bool
	// Direction is as the describing side sees it.
	Direction Direction
	// Ptime and MaxPtime are in milliseconds; 0: not given.
	Ptime, MaxPtime int
	// XR are the extended reports that the describing side wants (RFC 3611 5).
	XR XR
	// Carried are attributes that go from one leg to the other as they are written:
	// those of T.38, silenceSupp and ecan (RFC 3108).
	Carried []string
	// Crypto are the well-formed SDES lines, in order (RFC 4568).
	Crypto []Crypto
	// Fingerprints are of the certificate that the DTLS handshake will show (RFC
	// 8122), Setup who begins it; TLSID names the association (RFC 8842).
	Fingerprints []Fingerprint
	Setup        Setup
	TLSID        string
	// ICE are the credentials and candidates (RFC 8839).
	ICE ICE
}

// XR says which extended reports a side wants to be sent (RFC 3611 5).
type XR struct {
	// VoIP are the VoIP metrics, Summary the statistics summary.
	VoIP, Summary bool
}

// Format is one RTP payload type.
type Format struct {
	// Number is 0 to 127.
	Number uint8
	// Name is the encoding name as written, "PCMA".
	Name string
	// Clock is the RTP clock rate in hertz: 8000 for G722 too (RFC 3551 4.5.2).
	Clock uint32
	// Channels is 1 where none was given.
	Channels uint8
	// Params is the text of a=fmtp.
	Params string
}

// Same says whether two formats name the same encoding, whatever their numbers.
func (f Format) Same(g Format) bool {
	return f.Clock == g.Clock && f.Channels == g.Channels && strings.EqualFold(f.Name, g.Name)
}

// Auxiliary says that a format cannot carry a call alone: telephone-event,
// comfort noise, redundancy.
func (f Format) Auxiliary() bool {
	switch strings.ToLower(f.Name) {
	case "telephone-event", "tone", "cn", "red":
		return true
	}
	return false
}

// Direction says which way media flows, as the describing side sees it.
type Direction uint8

// The directions of RFC 8866 6.7.
const (
	Inactive Direction = 0
	SendOnly Direction = 1
	RecvOnly Direction = 2
	SendRecv Direction = 3
)

// Sends says whether the describing side sends.
func (d Direction) Sends() bool { return d&SendOnly != 0 }

// Receives says whether the describing side wants to receive.
func (d Direction) Receives() bool { return d&RecvOnly != 0 }

// Reverse is the same flow seen from the other side.
func (d Direction) Reverse() Direction { return (d&SendOnly)<<1 | (d&RecvOnly)>>1 }

func (d Direction) String() string {
	return [...]string{"inactive", "sendonly", "recvonly", "sendrecv"}[d&3]
}

// discard is the port of who has no candidate yet.
const discard = 9

// Effective is the direction with the old form of hold resolved: who describes
// itself at 0.0.0.0 cannot receive (RFC 3264 8.4), unless it does ICE and has not found
// its candidates yet, which it says by port 9 (RFC 8840 4.1.1).
func (m *Media) Effective() Direction {
	if m.Port == 0 {
		return Inactive
	}
	if m.Addr.IsValid() && m.Addr.IsUnspecified() && !(m.Port == discard && m.ICE.used()) {
		return m.Direction & SendOnly
	}
	return m.Direction
}

// Held says whether the describing side does not want to hear the other:
// sendonly, inactive, or 0.0.0.0. A session without live audio is not held.
func (s *Session) Held() bool {
	for i := range s.Media {
		if m := &s.Media[i]; m.Kind == "audio" && m.Port != 0 {
			return !m.Effective().Receives()
		}
	}
	return false
}

// Audio is the first live audio section over RTP, or nil.
func (s *Session) Audio() *Media {
	for i := range s.Media {
		if m := &s.Media[i]; m.Kind == "audio" && m.Port != 0 && m.rtp() {
			return m
		}
	}
	return nil
}

// Image is the first live fax section (T.38 over UDPTL), or nil.
func (s *Session) Image() *Media {
	for i := range s.Media {
		if m := &s.Media[i]; m.Port != 0 && m.fax() {
			return m
		}
	}
	return nil
}

// Live is what the session is about: its audio, else its fax, or nil.
func (s *Session) Live() *Media {
	if a := s.Audio(); a != nil {
		return a
	}
	return s.Image()
}

// Fax says whether the session is about a fax alone.
func (s *Session) Fax() bool { return s.Audio() == nil && s.Image() != nil }

// rtp says whether the profile is one of the RTP ones.
func (m *Media) rtp() bool { return strings.Contains(m.Proto, "RTP/") }

// plain, sdes and dtls tell the profiles that we speak from the rest (TCP).
func (m *Media) plain() bool { return m.Proto == "RTP/AVP" || m.Proto == "RTP/AVPF" }
func (m *Media) sdes() bool  { return m.Proto == "RTP/SAVP" || m.Proto == "RTP/SAVPF" }
func (m *Media) dtls() bool {
	switch m.Proto {
	case "UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF":
		return true
	}
	// Before RFC 5764 had its own profile, and in browsers of that time.
	return m.sdes() && len(m.Crypto) == 0 && len(m.Fingerprints) > 0
}
