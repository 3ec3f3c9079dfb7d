package config

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Prefix is a network for a list of who may and who mayn't. A single address
// is the network of just that address.
type Prefix struct{ netip.Prefix }

// UnmarshalText implements encoding.TextUnmarshaler. Host bits are refused
// since nobody knows which of the two was meant.
func (p *Prefix) UnmarshalText(text []byte) error {
	s := string(text)
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return errors.New("not a network and not an address")
		}
		a = a.Unmap()
		p.Prefix = netip.PrefixFrom(a, a.BitLen())
		return nil
	}
	v, err := netip.ParsePrefix(s)
	if err != nil {
		return errors.New("not a network")
	}
	if v != v.Masked() {
		return fmt.Errorf("bits are set behind the length; the network is %s", v.Masked())
	}
	p.Prefix = v
	return nil
}

// IfAddr is the address of an interface with the length of its network,
// "10.0.100.1/24".
type IfAddr struct{ netip.Prefix }

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *IfAddr) UnmarshalText(text []byte) error {
	v, err := netip.ParsePrefix(string(text))
	switch {
	case err != nil:
		return errors.New("not an address with the length of its network")
	case v.Addr() == v.Masked().Addr() && v.Bits() < v.Addr().BitLen()-1:
		return errors.New("that is the network itself, not an address in it")
	}
	a.Prefix = v
	return nil
}

// MAC is a hardware address.
type MAC [6]byte

// String is "00:04:13:aa:bb:cc".
func (m MAC) String() string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}

// MarshalText implements encoding.TextMarshaler.
func (m MAC) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. Colons, hyphens and dots
// may stand between the digits or be left out, as on the label of the phone.
func (m *MAC) UnmarshalText(text []byte) error {
	if len(text) > 17 {
		return errors.New("not a hardware address")
	}
	bare := strings.NewReplacer(":", "", "-", "", ".", "").Replace(string(text))
	v, err := strconv.ParseUint(bare, 16, 64)
	switch {
	case err != nil || len(bare) != 12:
		return errors.New("not a hardware address")
	case v == 0:
		return errors.New("no device has this address")
	case v>>40&1 == 1:
		return errors.New("that is a group address, no phone has it")
	}
	for i := range m {
		m[i] = byte(v >> (8 * (5 - i)))
	}
	return nil
}

// VLAN is the number of a VLAN, 1 to 4094; 0: none.
type VLAN uint16

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *VLAN) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 10, 16)
	if err != nil || n < 1 || n > 4094 {
		return errors.New("a VLAN is numbered 1 to 4094")
	}
	*v = VLAN(n)
	return nil
}

// DSCP is a mark of the IP header (RFC 2474), written by its name or number.
type DSCP uint8

// codepoint names the marks (RFC 2474, 2597, 3246, 5865, 8622).
type codepoint struct {
	name string
	mark DSCP
}

func codepoints() []codepoint {
	return []codepoint{
		{"EF", 46}, {"VA", 44}, {"LE", 1},
		{"CS0", 0}, {"CS1", 8}, {"CS2", 16}, {"CS3", 24}, {"CS4", 32}, {"CS5", 40}, {"CS6", 48}, {"CS7", 56},
		{"AF11", 10}, {"AF12", 12}, {"AF13", 14}, {"AF21", 18}, {"AF22", 20}, {"AF23", 22},
		{"AF31", 26}, {"AF32", 28}, {"AF33", 30}, {"AF41", 34}, {"AF42", 36}, {"AF43", 38},
	}
}

// String is the mark's name, or its number where it has none.
func (d DSCP) String() string {
	for _, c := range codepoints() {
		if c.mark == d {
			return c.name
		}
	}
	return strconv.Itoa(int(d))
}

// MarshalText implements encoding.TextMarshaler.
func (d DSCP) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *DSCP) UnmarshalText(text []byte) error {
	for _, c := range codepoints() {
		if strings.EqualFold(c.name, string(text)) {
			*d = c.mark
			return nil
		}
	}
	n, err := strconv.ParseUint(string(text), 10, 8)
	if err != nil || n > 63 {
		return errors.New("not a DSCP name, nor a number from 0 to 63")
	}
	*d = DSCP(n)
	return nil
}
