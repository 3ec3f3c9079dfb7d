package e2e

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"linekeeper/appliance/lab/tone"
)

// Capture is a running dumpcap: the witness of one link.
type Capture struct {
	proc *Proc
	file string
}

// Packet is one UDP datagram or TCP segment, as tshark reads it.
type Packet struct {
	At       time.Time
	From, To netip.AddrPort
	UDP      bool
	DSCP     int
	Payload  []byte
}

// Capture starts to witness one of the host's interfaces.
func (h *Host) Capture(t *testing.T, link string) *Capture {
	t.Helper()
	c := &Capture{file: filepath.Join(t.TempDir(), link+".pcapng")}
	c.proc = h.Start(t, "", nil, "dumpcap", "-q", "-i", link, "-s", "0", "-B", "16", "-a", "duration:300", "-w", c.file)
	c.proc.Await(t, "File: ", 10*time.Second)
	return c
}

// Packets ends the capture and reads what was seen.
func (c *Capture) Packets(t *testing.T) []Packet {
	t.Helper()
	pass(time.Second) // the kernel hands over in blocks
	c.proc.Interrupt()
	out, err := exec.Command("tshark", "-n", "-r", c.file, "-Y", "(udp or tcp) and not icmp",
		"-T", "fields", "-E", "separator=/t", "-E", "occurrence=f",
		"-e", "frame.time_epoch", "-e", "ip.src", "-e", "ip.dst", "-e", "ip.dsfield.dscp",
		"-e", "udp.srcport", "-e", "udp.dstport", "-e", "udp.payload",
		"-e", "tcp.srcport", "-e", "tcp.dstport", "-e", "tcp.payload").Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	var all []Packet
	for line := range strings.Lines(string(out)) {
		p, err := packet(strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
		if err != nil {
			t.Fatalf("tshark printed %q: %v", line, err)
		}
		if p.From.IsValid() {
			all = append(all, p)
		}
	}
	return all
}

// packet reads one line of tshark's; IPv6 chatter gives an empty Packet.
func packet(f []string) (Packet, error) {
	if len(f) != 10 {
		return Packet{}, fmt.Errorf("%d fields", len(f))
	}
	if f[1] == "" {
		return Packet{}, nil
	}
	seconds, err := strconv.ParseFloat(f[0], 64)
	if err != nil {
		return Packet{}, err
	}
	whole, part := math.Modf(seconds)
	p := Packet{At: time.Unix(int64(whole), int64(part*1e9)), UDP: f[4] != ""}
	if p.DSCP, err = strconv.Atoi(f[3]); err != nil {
		return Packet{}, err
	}
	ports, payload := f[4:6], f[6]
	if !p.UDP {
		ports, payload = f[7:9], f[9]
	}
	if p.From, err = netip.ParseAddrPort(f[1] + ":" + ports[0]); err != nil {
		return Packet{}, err
	}
	if p.To, err = netip.ParseAddrPort(f[2] + ":" + ports[1]); err != nil {
		return Packet{}, err
	}
	p.Payload, err = hex.DecodeString(payload)
	return p, err
}

// SIP is the first line of a SIP message in a datagram or at the start of a
// segment, or "".
func (p Packet) SIP() string {
	line, _, ok := bytes.Cut(p.Payload, []byte("\r\n"))
	if !ok || !bytes.Contains(line, []byte("SIP/2.0")) {
		return ""
	}
	return string(line)
}

// CSeq is the CSeq header field of a SIP message, or "".
func (p Packet) CSeq() string {
	_, rest, ok := bytes.Cut(p.Payload, []byte("\r\nCSeq:"))
	if !ok {
		return ""
	}
	line, _, _ := bytes.Cut(rest, []byte("\r\n"))
	return strings.TrimSpace(string(line))
}

// signalling says whether a packet carries SIP by its ports.
func (p Packet) signalling() bool {
	for _, port := range []uint16{p.From.Port(), p.To.Port()} {
		if port == 5060 || port == 5061 {
			return len(p.Payload) > 4 // no bare keep-alives
		}
	}
	return false
}

const rtpHeader = 12

// rtp says whether a datagram is RTP with G.711, encrypted or not: 20 ms of
// it, and an authentication tag perhaps.
func (p Packet) rtp() bool {
	return p.UDP && !p.signalling() && len(p.Payload) >= rtpHeader+tone.Frame &&
		p.Payload[0]&0xc0 == 0x80 && (p.Payload[1]&0x7f == byte(tone.A) || p.Payload[1]&0x7f == byte(tone.Mu))
}

// flow names one stream of RTP packets in a capture.
type flow struct {
	from, to netip.AddrPort
	ssrc     uint32
}

// streams groups the RTP packets between two hosts.
func streams(packets []Packet, from, to string) map[flow][]Packet {
	all := map[flow][]Packet{}
	for _, p := range packets {
		if p.rtp() && p.From.Addr().String() == from && p.To.Addr().String() == to {
			f := flow{p.From, p.To, binary.BigEndian.Uint32(p.Payload[8:])}
			all[f] = append(all[f], p)
		}
	}
	return all
}

// rtpBetween is all RTP from one host to another.
func rtpBetween(packets []Packet, from, to string) []Packet {
	var all []Packet
	for _, stream := range streams(packets, from, to) {
		all = append(all, stream...)
	}
	slices.SortFunc(all, func(a, b Packet) int { return a.At.Compare(b.At) })
	return all
}

// lost counts the sequence numbers that a stream left out between its first
// and its last packet.
func lost(stream []Packet) int {
	if len(stream) == 0 {
		return 0
	}
	first := binary.BigEndian.Uint16(stream[0].Payload[2:])
	seen := map[int]bool{}
	high, wraps, last := 0, 0, first
	for _, p := range stream {
		seq := binary.BigEndian.Uint16(p.Payload[2:])
		if int16(seq-last) > 0 && seq < last {
			wraps++
		}
		last = seq
		n := wraps<<16 + int(seq) - int(first)
		seen[n] = true
		high = max(high, n)
	}
	return high + 1 - len(seen)
}

// sounds tells for how long a tone can be heard in RTP payloads taken as they
// are, that is, if nobody encrypted them.
func sounds(packets []Packet, hz float64) time.Duration {
	d := tone.NewDetector(hz)
	for _, p := range packets {
		d.Write(tone.Law(p.Payload[1]&0x7f), p.Payload[rtpHeader:rtpHeader+tone.Frame])
	}
	return d.Of(hz).Longest
}
