package xphone

import (
	"fmt"
	"slices"
	"sync"

	"linekeeper/appliance/lab/voice"
)

// Media is a voice stream whose descriptions carry a host and a server-reflexive
// candidate (RFC 8839), with the address of a NAT that never answers.
type Media struct {
	*voice.End

	mu   sync.Mutex
	peer []byte
}

// Peer is the last description of the other side.
func (m *Media) Peer() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return string(m.peer)
}

func (m *Media) keep(text []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.peer = slices.Clone(text)
}

func (m *Media) dress(text []byte) []byte {
	at := m.Local()
	return fmt.Appendf(text, "a=ice-ufrag:F7gI\r\na=ice-pwd:x9cml/YzichV2+XlhiMu8g\r\n"+
		"a=candidate:1 1 udp 2130706431 %[1]s %[2]d typ host\r\na=candidate:2 1 udp 1694498815 203.0.113.7 %[2]d typ srflx raddr %[1]s rport %[2]d\r\n",
		at.Addr(), at.Port())
}

// Offer is the stream's offer with candidates.
func (m *Media) Offer() []byte { return m.dress(m.End.Offer()) }

// Answer is the stream's answer with candidates.
func (m *Media) Answer(offer []byte) ([]byte, error) {
	m.keep(offer)
	text, err := m.End.Answer(offer)
	if err != nil {
		return nil, err
	}
	return m.dress(text), nil
}

// Accept takes the peer's answer.
func (m *Media) Accept(answer []byte) error {
	m.keep(answer)
	return m.End.Accept(answer)
}
