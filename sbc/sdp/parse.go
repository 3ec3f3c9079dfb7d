package sdp

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Bounds of what is accepted from the network.
const (
	// MaxBytes is the longest description that is read.
	MaxBytes = 64 << 10
	// MaxMedia is the most m= sections.
	MaxMedia = 32
	// MaxFormats is the most formats of one section.
	MaxFormats = 64
	// maxCrypto is the most a=crypto lines kept of one section.
	maxCrypto = 16
	// maxLine is the longest line that is read.
	maxLine = 4096
)

// Errors of Parse, besides *SyntaxError.
var (
	ErrTooBig = errors.New("session description beyond 64 KiB, 32 media or 64 formats")
)

// SyntaxError says which line of a description could not be understood.
type SyntaxError struct {
	// Line counts from 1.
	Line int
	// What was expected.
	What string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("session description line %d: %s", e.Line, e.What)
}

// Parse reads a session description. Lines may end in CRLF, LF or CR LF mixed;
// lines and attributes that mean nothing to us are passed over, malformed ones
// that do are a *SyntaxError. It answers 400 (SIP) territory only; whether we
// can serve the description is for Local to say.
func Parse(text []byte) (*Session, error) {
	if len(text) > MaxBytes {
		return nil, ErrTooBig
	}
	p := parser{s: &Session{Name: "-", Time: "0 0"}, direction: SendRecv}
	rest := string(text)
	for n := 1; rest != ""; n++ {
		var line string
		line, rest, _ = strings.Cut(rest, "\n")
		line = strings.TrimRight(line, "\r \t\x00")
		if line == "" {
			continue
		}
		if err := p.line(line); err != nil {
			if errors.Is(err, ErrTooBig) {
				return nil, err
			}
			return nil, &SyntaxError{Line: n, What: err.Error()}
		}
	}
	if !p.version {
		return nil, &SyntaxError{Line: 1, What: "no v=0 line"}
	}
	if p.s.Origin == (Origin{}) {
		return nil, &SyntaxError{Line: 1, What: "no o= line"}
	}
	for i := range p.s.Media {
		p.finish(&p.s.Media[i], p.open[i])
	}
	return p.s, nil
}

// parser holds what the session level hands down.
type parser struct {
	s         *Session
	version   bool
	addr      netip.Addr
	direction Direction
	ptime     int
	xr        XR
	common    Media // what the session says for all sections about DTLS and ICE
	open      []section
}

// section is what an m= section collects until the end is known: attributes
// may stand in any order.
type section struct {
	rtpmap map[uint8]Format
	fmtp   map[uint8]string
	conn   bool
	dir    bool
	rtcp   string
}

func (p *parser) line(line string) error {
	if len(line) < 2 || line[1] != '=' {
		return errors.New(`expected "x=value"`)
	}
	if len(line) > maxLine {
		return errors.New("line beyond 4096 bytes")
	}
	value := line[2:]
	switch line[0] {
	case 'v':
		if p.version || value != "0" {
			return errors.New("expected one v=0")
		}
		p.version = true
		return nil
	case 'm', 'o', 'c', 'a', 's', 't':
		if !p.version {
			return errors.New("expected v=0 first")
		}
	}
	switch line[0] {
	case 'o':
		return p.origin(value)
	case 's':
		p.s.Name = value
	case 't':
		if len(p.s.Media) == 0 && p.s.Time == "0 0" && len(strings.Fields(value)) == 2 {
			p.s.Time = value
		}
	case 'c':
		return p.connection(value)
	case 'm':
		return p.media(value)
	case 'a':
		return p.attribute(value)
	}
	return nil
}

func (p *parser) origin(value string) error {
	f := strings.Fields(value)
	if len(f) != 6 {
		return errors.New(`expected "o=user id version IN IP4 address"`)
	}
	if p.s.Origin != (Origin{}) || len(p.s.Media) != 0 {
		return errors.New("expected one o= line, at the session level")
	}
	o := Origin{User: f[0], ID: number(f[1]), Version: number(f[2])}
	if a, err := netip.ParseAddr(f[5]); err == nil {
		o.Addr = a.Unmap()
	}
	p.s.Origin = o
	return nil
}

// number reads digits as far as they go: some vendors write ids that are
// longer than 64 bits or not numbers at all, and nothing depends on them.
func number(s string) uint64 {
	var n uint64
	for i := 0; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
		n = n*10 + uint64(s[i]-'0')
	}
	return n
}

func (p *parser) connection(value string) error {
	f := strings.Fields(value)
	if len(f) != 3 || !strings.EqualFold(f[0], "IN") {
		return errors.New(`expected "c=IN IP4 address"`)
	}
	text, _, _ := strings.Cut(f[2], "/") // a multicast TTL
	a, err := netip.ParseAddr(text)
	if err != nil {
		a = netip.Addr{} // a host name: not resolved, since no DNS stands in a call's way
	}
	a = a.Unmap().WithZone("")
	if a.IsMulticast() {
		return errors.New("multicast connection address")
	}
	if n := len(p.s.Media); n > 0 {
		if p.open[n-1].conn {
			return nil // layered media: the first address stands
		}
		p.s.Media[n-1].Addr, p.open[n-1].conn = a, true
		return nil
	}
	p.addr = a
	return nil
}

func (p *parser) media(value string) error {
	f := strings.Fields(value)
	if len(f) < 3 {
		return errors.New(`expected "m=media port proto formats"`)
	}
	if len(p.s.Media) == MaxMedia || len(f)-3 > MaxFormats {
		return ErrTooBig
	}
	text, _, _ := strings.Cut(f[1], "/")
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return errors.New("media port is not 0 to 65535")
	}
	if !printable(f[0]) || !printable(f[2]) { // changing case makes other bytes longer
		return errors.New("media kind or profile is no token")
	}
	p.s.Media = append(p.s.Media, Media{
		Kind: strings.ToLower(f[0]), Port: uint16(port), Proto: strings.ToUpper(f[2]),
		List: f[3:], Direction: p.direction, Ptime: p.ptime, XR: p.xr,
	})
	if m := &p.s.Media[len(p.s.Media)-1]; !m.rtp() {
		m.Proto = f[2] // "udptl": kept as written, a refusal echoes it
	}
	p.open = append(p.open, section{})
	return nil
}

// finish makes the formats of a section once all attributes are known.
func (p *parser) finish(m *Media, s section) {
	if !s.conn {
		m.Addr = p.addr
	}
	if !m.rtp() {
		return
	}
	m.inherit(&p.common)
	if s.rtcp != "" {
		m.RTCP = rtcpAddr(s.rtcp, m.Addr)
	}
	seen := make(map[uint8]bool, len(m.List))
	for _, text := range m.List {
		n, err := strconv.ParseUint(text, 10, 7)
		if err != nil || seen[uint8(n)] {
			continue
		}
		f, ok := s.rtpmap[uint8(n)]
		if !ok {
			f, ok = static(uint8(n))
		}
		if !ok {
			continue // a dynamic number that nothing defines
		}
		seen[f.Number] = true
		f.Params = s.fmtp[f.Number]
		m.Formats = append(m.Formats, f)
	}
}
