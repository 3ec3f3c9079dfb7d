package sdp

import (
	"bytes"
	"encoding/base64"
	"net/netip"
	"strconv"
)

// usualText is room for a description as phones make them, five keys included.
const usualText = 1024

// Bytes is the description on the wire: lines end in CRLF, c= stands in each
// section, refused sections carry no attributes.
func (s *Session) Bytes() []byte {
	var room [usualText]byte // what is kept of a call shall be no longer than it is
	b := room[:0]
	addr := s.Origin.Addr
	user := s.Origin.User
	if !token(user) {
		user = "-"
	}
	b = append(b, "v=0\r\no="...)
	b = append(b, user...)
	b = append(b, ' ')
	b = strconv.AppendUint(b, s.Origin.ID, 10)
	b = append(b, ' ')
	b = strconv.AppendUint(b, s.Origin.Version, 10)
	b = append(b, ' ')
	b = appendNetwork(b, addr)
	b = appendLine(b, "\r\ns=", s.Name, "-")
	if addr.IsValid() {
		b = appendNetwork(append(b, "\r\nc="...), addr)
	}
	b = appendLine(b, "\r\nt=", s.Time, "0 0")
	b = append(b, "\r\n"...)
	for i := range s.Media {
		if m := &s.Media[i]; m.Port != 0 && m.ICE.used() && m.ICE.Lite {
			b = append(b, "a=ice-lite\r\n"...)
			break
		}
	}
	for i := range s.Media {
		b = s.Media[i].append(b, addr)
	}
	return bytes.Clone(b)
}

// appendLine appends a value, or what stands for none.
func appendLine(b []byte, start, value, none string) []byte {
	b = append(b, start...)
	if value == "" {
		value = none
	}
	return append(b, value...)
}

// appendNetwork appends "IN IP4 192.0.2.1"; an address that is not known is 0.0.0.0.
func appendNetwork(b []byte, a netip.Addr) []byte {
	switch {
	case !a.IsValid():
		return append(b, "IN IP4 0.0.0.0"...)
	case a.Is4():
		return a.AppendTo(append(b, "IN IP4 "...))
	}
	return a.WithZone("").AppendTo(append(b, "IN IP6 "...))
}

func (m *Media) append(b []byte, session netip.Addr) []byte {
	b = append(b, "m="...)
	b = append(b, m.Kind...)
	b = appendNumber(b, " ", int(m.Port))
	b = append(b, ' ')
	b = append(b, m.Proto...)
	b = append(m.appendList(b), "\r\n"...)
	if m.Port == 0 {
		return b
	}
	if m.Addr.IsValid() && m.Addr != session {
		b = append(appendNetwork(append(b, "c="...), m.Addr), "\r\n"...)
	}
	for i := range m.Formats {
		b = m.Formats[i].append(b)
	}
	for i := range m.Crypto {
		b = append(m.Crypto[i].append(append(b, "a=crypto:"...)), "\r\n"...)
	}
	b = m.appendKeyed(b)
	if m.Ptime > 0 {
		b = append(appendNumber(b, "a=ptime:", m.Ptime), "\r\n"...)
	}
	if m.MaxPtime > 0 {
		b = append(appendNumber(b, "a=maxptime:", m.MaxPtime), "\r\n"...)
	}
	if m.RTCP.IsValid() && m.RTCP.Addr() == m.Addr {
		b = append(appendNumber(b, "a=rtcp:", int(m.RTCP.Port())), "\r\n"...)
	}
	if m.Mux {
		b = append(b, "a=rtcp-mux\r\n"...)
	}
	if m.XR != (XR{}) {
		b = append(append(append(b, "a=rtcp-xr:"...), m.XR.text()...), "\r\n"...)
	}
	for _, line := range m.Carried {
		b = append(append(append(b, "a="...), line...), "\r\n"...)
	}
	if m.fax() && m.Direction == SendRecv {
		return b // fax machines write none
	}
	b = append(b, "a="...)
	b = append(b, m.Direction.String()...)
	return append(b, "\r\n"...)
}

// appendKeyed appends what DTLS and ICE need.
func (m *Media) appendKeyed(b []byte) []byte {
	line := func(start, value string) {
		if value != "" {
			b = append(append(append(b, start...), value...), "\r\n"...)
		}
	}
	for _, f := range m.Fingerprints {
		line("a=fingerprint:", f.Hash+" "+f.Value)
	}
	line("a=setup:", string(m.Setup))
	line("a=tls-id:", m.TLSID)
	if !m.ICE.used() {
		return b
	}
	line("a=ice-ufrag:", m.ICE.Ufrag)
	b = append(append(append(b, "a=ice-pwd:"...), m.ICE.Pwd...), "\r\n"...)
	for i := range m.ICE.Candidates {
		line("a=candidate:", m.ICE.Candidates[i].text())
	}
	return b
}

// appendList appends the format list, each with a space before it; "0" stands for none.
func (m *Media) appendList(b []byte) []byte {
	switch {
	case len(m.Formats) > 0:
		for i := range m.Formats {
			b = appendNumber(b, " ", int(m.Formats[i].Number))
		}
	case len(m.List) > 0:
		for _, f := range m.List {
			b = append(append(b, ' '), f...)
		}
	default:
		b = append(b, " 0"...)
	}
	return b
}

func appendNumber(b []byte, start string, n int) []byte {
	return strconv.AppendInt(append(b, start...), int64(n), 10)
}

func (f *Format) append(b []byte) []byte {
	b = appendNumber(b, "a=rtpmap:", int(f.Number))
	b = append(b, ' ')
	b = append(b, f.Name...)
	b = strconv.AppendUint(append(b, '/'), uint64(f.Clock), 10)
	if f.Channels > 1 {
		b = appendNumber(b, "/", int(f.Channels))
	}
	b = append(b, "\r\n"...)
	if f.Params != "" {
		b = appendNumber(b, "a=fmtp:", int(f.Number))
		b = append(b, ' ')
		b = append(b, f.Params...)
		b = append(b, "\r\n"...)
	}
	return b
}

// append appends the line for our own description: no lifetime (the default of RFC
// 3711 holds), no MKI, no parameters.
func (c *Crypto) append(b []byte) []byte {
	b = strconv.AppendInt(b, int64(c.Tag), 10)
	b = append(b, ' ')
	b = append(b, c.Key.Suite...)
	return base64.StdEncoding.AppendEncode(append(b, " inline:"...), c.Key.Material)
}
