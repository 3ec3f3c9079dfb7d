package wire

import (
	"fmt"
	"net/netip"

	"linekeeper/sbc/sip"
)

// doubleCRLF is a keep-alive: a ping on a stream (RFC 5626 4.4.1), and octets
// that every SIP stack skips in a datagram.
const doubleCRLF = "\r\n\r\n"

// Ping sends a keep-alive, so that a NAT on the way keeps the flow's binding.
// A datagram leaves from the same socket as the flow's messages do. On a stream
// it is queued for the connection that stands, or is being made; none is begun
// for it: without one the error is ErrGone.
func (w *Wire) Ping(flow sip.Flow) error {
	z, err := w.zone(flow.Zone)
	if err != nil {
		return err
	}
	if flow.Transport == sip.UDP {
		return z.pingDatagram(flow)
	}
	c := z.find(flow)
	if c == nil {
		return fmt.Errorf("keep %s to %s alive: %w", flow.Transport, flow.Remote, ErrGone)
	}
	return c.send([]byte(doubleCRLF))
}

func (z *zone) pingDatagram(flow sip.Flow) error {
	s, flow, err := z.way(flow)
	if err != nil {
		return err
	}
	return s.write([]byte(doubleCRLF), flow.Local.Addr(), flow.Remote)
}

// find is the connection that a flow means, nil where none stands.
func (z *zone) find(flow sip.Flow) *conn {
	z.mu.Lock()
	defer z.mu.Unlock()
	if flow.Conn != 0 {
		return z.conns[flow.Conn]
	}
	return z.peers[peer{flow.Transport, netip.AddrPortFrom(flow.Remote.Addr().Unmap(), flow.Remote.Port())}]
}
