package config

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"linekeeper/sbc/sip"
)

// Duration is a length of time, written "600s", "15m" or "300ms".
type Duration time.Duration

// D is the duration as the standard library has it.
func (d Duration) D() time.Duration { return time.Duration(d) }

// String writes the duration without parts that are zero: "10m", "1h30m".
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. A number needs a unit.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return errors.New("not a duration")
	}
	if v < 0 {
		return errors.New("a duration can't be negative")
	}
	*d = Duration(v)
	return nil
}

// Bandwidth is in bit/s, written "20Mbit", "512kbit" or "1Gbit". Zero is not
// known.
type Bandwidth uint64

// The units of a bandwidth.
const (
	Kbit Bandwidth = 1_000
	Mbit Bandwidth = 1_000_000
	Gbit Bandwidth = 1_000_000_000
)

const maxBandwidth = 400 * Gbit

// String writes the bandwidth in its greatest whole unit.
func (b Bandwidth) String() string {
	switch {
	case b == 0:
		return ""
	case b%Gbit == 0:
		return fmt.Sprintf("%dGbit", b/Gbit)
	case b%Mbit == 0:
		return fmt.Sprintf("%dMbit", b/Mbit)
	case b%Kbit == 0:
		return fmt.Sprintf("%dkbit", b/Kbit)
	}
	return fmt.Sprintf("%dbit", uint64(b))
}

// MarshalText implements encoding.TextMarshaler.
func (b Bandwidth) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *Bandwidth) UnmarshalText(text []byte) error {
	s := strings.TrimSuffix(strings.TrimSpace(string(text)), "/s")
	unit := Bandwidth(0)
	for _, u := range []struct {
		name string
		unit Bandwidth
	}{{"Gbit", Gbit}, {"Mbit", Mbit}, {"kbit", Kbit}, {"Kbit", Kbit}, {"bit", 1}} {
		if rest, ok := strings.CutSuffix(s, u.name); ok {
			s, unit = strings.TrimSpace(rest), u.unit
			break
		}
	}
	if unit == 0 {
		return errors.New("not a bandwidth with its unit (kbit, Mbit, Gbit)")
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(v) || v < 0 || v*float64(unit) > float64(maxBandwidth) {
		return errors.New("not a bandwidth")
	}
	*b = Bandwidth(math.Round(v * float64(unit)))
	return nil
}

// PortRange is a range of UDP ports, both ends in it.
type PortRange struct{ Low, High uint16 }

// Pairs is how many RTP and RTCP pairs fit in, the RTP port even.
func (r PortRange) Pairs() int {
	low := (int(r.Low) + 1) / 2 * 2
	if r.High == 0 {
		return 0
	}
	return max(0, (int(r.High)+1-low)/2)
}

// Overlaps says whether a port is in both ranges.
func (r PortRange) Overlaps(o PortRange) bool { return r.Low <= o.High && o.Low <= r.High }

// String is "20000-23999".
func (r PortRange) String() string { return fmt.Sprintf("%d-%d", r.Low, r.High) }

// MarshalText implements encoding.TextMarshaler.
func (r PortRange) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *PortRange) UnmarshalText(text []byte) error {
	from, to, ok := strings.Cut(string(text), "-")
	if !ok {
		return errors.New("not a range of ports")
	}
	low, err := strconv.ParseUint(strings.TrimSpace(from), 10, 16)
	if err != nil {
		return fmt.Errorf("%q is no port", from)
	}
	high, err := strconv.ParseUint(strings.TrimSpace(to), 10, 16)
	switch {
	case err != nil:
		return fmt.Errorf("%q is no port", to)
	case low < 1024:
		return errors.New("ports below 1024 belong to the system")
	case low >= high:
		return errors.New("the first port must be below the last")
	}
	*r = PortRange{uint16(low), uint16(high)}
	return nil
}

// Server is a server of the provider, "tls://sip1.example:5061".
type Server struct {
	Transport sip.Transport
	Host      string // a name, or an address without brackets
	Port      uint16 // never 0
}

// Addr is the address if the server was written as one.
func (s Server) Addr() (netip.Addr, bool) {
	a, err := netip.ParseAddr(s.Host)
	return a, err == nil
}

// String writes the server as a URI.
func (s Server) String() string {
	if s.Host == "" {
		return ""
	}
	return string(s.Transport) + "://" + joinHostPort(s.Host, s.Port)
}

// MarshalText implements encoding.TextMarshaler.
func (s Server) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. A port left out is 5060,
// for TLS 5061 (RFC 3261 19.1.2).
func (s *Server) UnmarshalText(text []byte) error {
	t, host, port, err := splitURI(string(text))
	switch {
	case err != nil:
		return err
	case host == "":
		return errors.New("no host")
	case port == 0:
		return errors.New("port 0 can't be called")
	case !isHost(host):
		return fmt.Errorf("%q is no host name and no address", host)
	}
	*s = Server{t, host, port}
	return nil
}

// Listen is an address that phones reach the box at, "udp://:5060".
type Listen struct {
	Transport sip.Transport
	Addr      netip.Addr // zero: every address of the box
	Port      uint16     // 0: the system chooses
}

// AddrPort is the address to bind; without an address the unspecified IPv6
// one, which takes IPv4 too.
func (l Listen) AddrPort() netip.AddrPort {
	if !l.Addr.IsValid() {
		return netip.AddrPortFrom(netip.IPv6Unspecified(), l.Port)
	}
	return netip.AddrPortFrom(l.Addr, l.Port)
}

// String writes the address as a URI.
func (l Listen) String() string {
	if l.Transport == "" {
		return ""
	}
	host := ""
	if l.Addr.IsValid() {
		host = l.Addr.String()
	}
	return string(l.Transport) + "://" + joinHostPort(host, l.Port)
}

// MarshalText implements encoding.TextMarshaler.
func (l Listen) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *Listen) UnmarshalText(text []byte) error {
	t, host, port, err := splitURI(string(text))
	if err != nil {
		return err
	}
	out := Listen{Transport: t, Port: port}
	if host != "" {
		if out.Addr, err = netip.ParseAddr(host); err != nil || out.Addr.Zone() != "" {
			return fmt.Errorf("%q is no address", host)
		}
		out.Addr = out.Addr.Unmap()
	}
	*l = out
	return nil
}

func splitURI(text string) (t sip.Transport, host string, port uint16, err error) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return "", "", 0, errors.New("no transport in front")
	}
	switch t = sip.Transport(scheme); t {
	case sip.UDP, sip.TCP:
		port = 5060
	case sip.TLS:
		port = 5061
	default:
		return "", "", 0, fmt.Errorf("%q is no transport; udp, tcp and tls are", scheme)
	}
	host = rest
	if i := strings.LastIndexByte(rest, ':'); i >= 0 && !strings.HasSuffix(rest, "]") {
		p, err := strconv.ParseUint(rest[i+1:], 10, 16)
		if err != nil {
			return "", "", 0, fmt.Errorf("%q is no port", rest[i+1:])
		}
		host, port = rest[:i], uint16(p)
	}
	if h, ok := strings.CutPrefix(host, "["); ok {
		host, ok = strings.CutSuffix(h, "]")
		if !ok {
			return "", "", 0, errors.New("a bracket isn't closed")
		}
	} else if strings.Contains(host, ":") {
		return "", "", 0, errors.New("an IPv6 address needs brackets")
	}
	return t, host, port, nil
}

func joinHostPort(host string, port uint16) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(int(port))
}

// Secret is a password. It never prints: every way of writing it gives the
// placeholder. Reveal is the only way out.
type Secret struct{ text string }

// Placeholder stands where a secret would.
const Placeholder = "(secret)"

// NewSecret makes a secret of a text.
func NewSecret(text string) Secret { return Secret{text} }

// Reveal is the secret itself, for the one who proves it to somebody.
func (s Secret) Reveal() string { return s.text }

// IsZero says whether there is no secret.
func (s Secret) IsZero() bool { return s.text == "" }

// String implements fmt.Stringer.
func (s Secret) String() string {
	if s.text == "" {
		return ""
	}
	return Placeholder
}

// GoString implements fmt.GoStringer.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// Format implements fmt.Formatter, so that no verb looks inside.
func (s Secret) Format(f fmt.State, verb rune) {
	if verb == 'q' || verb == 'v' && f.Flag('#') {
		_, _ = f.Write([]byte(s.GoString())) // a fmt.State takes what it is given
		return
	}
	_, _ = f.Write([]byte(s.String()))
}

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements encoding.TextMarshaler, for JSON and YAML alike.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
