package sdp

import (
	"net/netip"
	"strconv"
	"strings"
)

// attribute reads one a= line. Only a malformed port of a=rtcp or the like
// would be worth an error, and there the line is passed over: a peer with one
// odd attribute can still be talked to.
func (p *parser) attribute(value string) error {
	name, text, _ := strings.Cut(value, ":")
	name, text = strings.ToLower(name), strings.TrimSpace(text)
	n := len(p.s.Media)
	if d, ok := direction(name); ok {
		if n == 0 {
			p.direction = d
		} else if !p.open[n-1].dir {
			p.s.Media[n-1].Direction, p.open[n-1].dir = d, true
		}
		return nil
	}
	if n == 0 {
		switch name {
		case "ptime":
			p.ptime = milliseconds(text)
		case "rtcp-xr":
			p.xr = readXR(text)
		}
		p.keyed(&p.common, name, text)
		return nil
	}
	m, s := &p.s.Media[n-1], &p.open[n-1]
	p.keyed(m, name, text)
	m.carry(name, value)
	switch name {
	case "rtpmap":
		s.addMap(text)
	case "fmtp":
		s.addParams(text)
	case "ptime":
		m.Ptime = milliseconds(text)
	case "maxptime":
		m.MaxPtime = milliseconds(text)
	case "rtcp-mux", "rtcp-mux-only":
		m.Mux = true
	case "rtcp":
		s.rtcp = text
	case "rtcp-xr":
		m.XR = readXR(text)
	case "crypto":
		if c, ok := parseCrypto(text); ok && len(m.Crypto) < maxCrypto {
			m.Crypto = append(m.Crypto, c)
		}
	}
	return nil
}

// maxFingerprints bounds the fingerprints of one section.
const maxFingerprints = 8

// keyed reads what DTLS and ICE say, of a section or of the session.
func (p *parser) keyed(m *Media, name, text string) {
	switch name {
	case "fingerprint":
		if f, ok := parseFingerprint(text); ok && len(m.Fingerprints) < maxFingerprints {
			m.Fingerprints = append(m.Fingerprints, f)
		}
	case "setup":
		m.Setup = parseSetup(text)
	case "tls-id":
		if len(text) <= maxCredential {
			m.TLSID = text
		}
	case "ice-ufrag":
		if iceText(text, minUfrag) {
			m.ICE.Ufrag = text
		}
	case "ice-pwd":
		if iceText(text, minICEPassword) {
			m.ICE.Pwd = Secret(text)
		}
	case "ice-lite":
		p.common.ICE.Lite = true // of the session alone
	case "candidate":
		m.ICE.candidate(text)
	}
}

// inherit gives a section what the session says and it does not say itself.
func (m *Media) inherit(s *Media) {
	if len(m.Fingerprints) == 0 {
		m.Fingerprints = s.Fingerprints
	}
	if m.Setup == "" {
		m.Setup = s.Setup
	}
	if m.TLSID == "" {
		m.TLSID = s.TLSID
	}
	if m.ICE.Ufrag == "" && m.ICE.Pwd == nil {
		m.ICE.Ufrag, m.ICE.Pwd = s.ICE.Ufrag, s.ICE.Pwd
	}
	m.ICE.Lite = s.ICE.Lite
}

func direction(name string) (Direction, bool) {
	for d := Inactive; d <= SendRecv; d++ {
		if name == d.String() {
			return d, true
		}
	}
	return Inactive, false
}

// milliseconds reads a=ptime; out of 1 to 400 it counts as not given. "20.0"
// and "20 " are seen in the field.
func milliseconds(text string) int {
	text, _, _ = strings.Cut(text, ".")
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || n < 1 || n > 400 {
		return 0
	}
	return n
}

// addMap reads "97 opus/48000/2".
func (s *section) addMap(text string) {
	num, enc, ok := strings.Cut(text, " ")
	n, err := strconv.ParseUint(num, 10, 7)
	if !ok || err != nil || len(s.rtpmap) >= MaxFormats {
		return
	}
	part := strings.Split(strings.TrimSpace(enc), "/")
	if len(part) < 2 || !token(part[0]) {
		return
	}
	clock, err := strconv.ParseUint(part[1], 10, 32)
	if err != nil || clock == 0 {
		return
	}
	f := Format{Number: uint8(n), Name: part[0], Clock: uint32(clock), Channels: 1}
	if len(part) > 2 {
		if c, err := strconv.ParseUint(part[2], 10, 8); err == nil && c > 0 {
			f.Channels = uint8(c)
		}
	}
	if s.rtpmap == nil {
		s.rtpmap = make(map[uint8]Format)
	}
	s.rtpmap[f.Number] = f
}

// addParams reads "101 0-16".
func (s *section) addParams(text string) {
	num, params, ok := strings.Cut(text, " ")
	n, err := strconv.ParseUint(num, 10, 7)
	if !ok || err != nil || len(s.fmtp) >= MaxFormats {
		return
	}
	if s.fmtp == nil {
		s.fmtp = make(map[uint8]string)
	}
	s.fmtp[uint8(n)] = strings.TrimSpace(params)
}

// token says whether text is an RFC 8866 token, so that it can be written again.
func token(text string) bool {
	for i := 0; i < len(text); i++ {
		if c := text[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]`, c) >= 0 {
			return false
		}
	}
	return text != ""
}

// rtcpAddr reads a=rtcp (RFC 3605): "53020" or "53020 IN IP4 192.0.2.1".
func rtcpAddr(text string, addr netip.Addr) netip.AddrPort {
	f := strings.Fields(text)
	if len(f) == 0 {
		return netip.AddrPort{}
	}
	port, err := strconv.ParseUint(f[0], 10, 16)
	if err != nil || port == 0 {
		return netip.AddrPort{}
	}
	if len(f) == 4 {
		if a, err := netip.ParseAddr(f[3]); err == nil && !a.IsMulticast() && !a.IsUnspecified() {
			addr = a.Unmap().WithZone("")
		}
	}
	if !addr.IsValid() {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(addr, uint16(port))
}

// readXR reads "voip-metrics stat-summary=loss,dup".
func readXR(text string) (x XR) {
	for _, word := range strings.Fields(text) {
		name, _, _ := strings.Cut(word, "=")
		x.VoIP = x.VoIP || name == "voip-metrics"
		x.Summary = x.Summary || name == "stat-summary"
	}
	return x
}

func (x XR) text() string {
	switch {
	case x.VoIP && x.Summary:
		return "voip-metrics stat-summary=loss,dup"
	case x.VoIP:
		return "voip-metrics"
	}
	return "stat-summary=loss,dup"
}
