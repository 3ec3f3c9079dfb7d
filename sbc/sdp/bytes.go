package sdp

import (
	"fmt"
	"net/netip"
	"strings"
)

// Bytes is the description on the wire: lines end in CRLF, c= stands in each
// section, refused sections carry no attributes.
func (s *Session) Bytes() []byte {
	var b strings.Builder
	addr := s.Origin.Addr
	user := s.Origin.User
	if !token(user) {
		user = "-"
	}
	fmt.Fprintf(&b, "v=0\r\no=%s %d %d %s\r\n", user, s.Origin.ID, s.Origin.Version, network(addr))
	name := s.Name
	if name == "" {
		name = "-"
	}
	fmt.Fprintf(&b, "s=%s\r\n", name)
	if addr.IsValid() {
		fmt.Fprintf(&b, "c=%s\r\n", network(addr))
	}
	time := s.Time
	if time == "" {
		time = "0 0"
	}
	fmt.Fprintf(&b, "t=%s\r\n", time)
	for i := range s.Media {
		s.Media[i].write(&b, addr)
	}
	return []byte(b.String())
}

// network is "IN IP4 192.0.2.1"; an address that is not known is 0.0.0.0.
func network(a netip.Addr) string {
	switch {
	case !a.IsValid():
		return "IN IP4 0.0.0.0"
	case a.Is4():
		return "IN IP4 " + a.String()
	}
	return "IN IP6 " + a.WithZone("").String()
}

func (m *Media) write(b *strings.Builder, session netip.Addr) {
	list := m.List
	if len(m.Formats) > 0 {
		list = make([]string, len(m.Formats))
		for i, f := range m.Formats {
			list[i] = fmt.Sprint(f.Number)
		}
	}
	if len(list) == 0 {
		list = []string{"0"}
	}
	fmt.Fprintf(b, "m=%s %d %s %s\r\n", m.Kind, m.Port, m.Proto, strings.Join(list, " "))
	if m.Port == 0 {
		return
	}
	if m.Addr.IsValid() && m.Addr != session {
		fmt.Fprintf(b, "c=%s\r\n", network(m.Addr))
	}
	for _, f := range m.Formats {
		fmt.Fprintf(b, "a=rtpmap:%d %s/%d", f.Number, f.Name, f.Clock)
		if f.Channels > 1 {
			fmt.Fprintf(b, "/%d", f.Channels)
		}
		b.WriteString("\r\n")
		if f.Params != "" {
			fmt.Fprintf(b, "a=fmtp:%d %s\r\n", f.Number, f.Params)
		}
	}
	for i := range m.Crypto {
		fmt.Fprintf(b, "a=crypto:%s\r\n", m.Crypto[i].text())
	}
	if m.Ptime > 0 {
		fmt.Fprintf(b, "a=ptime:%d\r\n", m.Ptime)
	}
	if m.MaxPtime > 0 {
		fmt.Fprintf(b, "a=maxptime:%d\r\n", m.MaxPtime)
	}
	if m.RTCP.IsValid() && m.RTCP.Addr() == m.Addr {
		fmt.Fprintf(b, "a=rtcp:%d\r\n", m.RTCP.Port())
	}
	if m.Mux {
		b.WriteString("a=rtcp-mux\r\n")
	}
	fmt.Fprintf(b, "a=%s\r\n", m.Direction)
}
