package voice

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Direction is the direction attribute of RFC 3264, seen by its sender.
type Direction string

// The four directions.
const (
	SendRecv Direction = "sendrecv"
	SendOnly Direction = "sendonly"
	RecvOnly Direction = "recvonly"
	Inactive Direction = "inactive"
)

// Mirror is the direction as the other side sees it.
func (d Direction) Mirror() Direction {
	switch d {
	case SendOnly:
		return RecvOnly
	case RecvOnly:
		return SendOnly
	case SendRecv, Inactive:
	}
	return d
}

// Sends says whether the one who wrote d sends media.
func (d Direction) Sends() bool { return d == SendRecv || d == SendOnly || d == "" }

// Receives says whether the one who wrote d wants media.
func (d Direction) Receives() bool { return d == SendRecv || d == RecvOnly || d == "" }

// Crypto is one a=crypto line (RFC 4568) with inline key and salt.
type Crypto struct {
	Tag   int
	Suite Suite
	Key   []byte
}

// Stream is the audio line of a description.
type Stream struct {
	Remote    netip.AddrPort // port 0: refused
	Profile   string         // RTP/AVP or RTP/SAVP
	Payloads  []uint8
	Events    uint8 // payload type of telephone-event, 0: none
	Cryptos   []Crypto
	Direction Direction
}

// Description is what a peer said: its first audio line, and all m-lines in order for the answer.
type Description struct {
	Audio   Stream
	lines   []string // the m-lines
	audioAt int      // index in lines
}

const maxSDP = 16 << 10

var errNoAudio = errors.New("description without an audio line")

// Parse reads a session description; of several audio lines the first open one counts.
func Parse(text []byte) (*Description, error) {
	if len(text) > maxSDP {
		return nil, fmt.Errorf("description of %d bytes is over the limit of %d", len(text), maxSDP)
	}
	d := &Description{audioAt: -1}
	var session, here netip.Addr
	sessionDirection := SendRecv
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\r\n")
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			continue
		}
		inAudio := d.audioAt >= 0 && d.audioAt == len(d.lines)-1
		switch {
		case key == "m":
			if err := d.media(value); err != nil {
				return nil, err
			}
		case key == "c":
			addr, err := connection(value)
			if err != nil {
				return nil, err
			}
			if len(d.lines) == 0 {
				session = addr
			} else if inAudio {
				here = addr
			}
		case key == "a" && len(d.lines) == 0 && isDirection(value):
			sessionDirection = Direction(value)
		case key == "a" && inAudio:
			d.Audio.attribute(value)
		}
	}
	if d.audioAt < 0 {
		return nil, errNoAudio
	}
	if !here.IsValid() {
		here = session
	}
	if !here.IsValid() {
		return nil, errors.New("description without a connection address")
	}
	d.Audio.Remote = netip.AddrPortFrom(here, d.Audio.Remote.Port())
	if d.Audio.Direction == "" {
		d.Audio.Direction = sessionDirection
	}
	if here.IsUnspecified() {
		d.Audio.Direction = Inactive // RFC 3264 8.4: the old way to hold
	}
	return d, nil
}

func (d *Description) media(value string) error {
	f := strings.Fields(value)
	if len(f) < 4 || len(d.lines) >= 16 {
		return fmt.Errorf("media line %q", value)
	}
	d.lines = append(d.lines, value)
	port, err := strconv.ParseUint(strings.SplitN(f[1], "/", 2)[0], 10, 16)
	if err != nil {
		return fmt.Errorf("media line %q: %w", value, err)
	}
	if f[0] != "audio" || (d.audioAt >= 0 && d.Audio.Remote.Port() != 0) {
		return nil
	}
	d.audioAt = len(d.lines) - 1
	d.Audio = Stream{Remote: netip.AddrPortFrom(netip.Addr{}, uint16(port)), Profile: f[2]}
	for _, p := range f[3:] {
		if n, err := strconv.ParseUint(p, 10, 7); err == nil {
			d.Audio.Payloads = append(d.Audio.Payloads, uint8(n))
		}
	}
	return nil
}

func (s *Stream) attribute(value string) {
	name, rest, _ := strings.Cut(value, ":")
	switch {
	case isDirection(value):
		s.Direction = Direction(value)
	case name == "crypto" && len(s.Cryptos) < 16:
		if c, err := parseCrypto(rest); err == nil {
			s.Cryptos = append(s.Cryptos, c)
		}
	case name == "rtpmap" && strings.Contains(strings.ToLower(rest), "telephone-event/8000"):
		if n, err := strconv.ParseUint(strings.Fields(rest)[0], 10, 7); err == nil {
			s.Events = uint8(n)
		}
	}
}

func isDirection(s string) bool {
	switch Direction(s) {
	case SendRecv, SendOnly, RecvOnly, Inactive:
		return true
	}
	return false
}

func connection(value string) (netip.Addr, error) {
	f := strings.Fields(value)
	if len(f) != 3 {
		return netip.Addr{}, fmt.Errorf("connection line %q", value)
	}
	addr, err := netip.ParseAddr(strings.SplitN(f[2], "/", 2)[0])
	if err != nil {
		return netip.Addr{}, fmt.Errorf("connection line %q: %w", value, err)
	}
	return addr, nil
}
