package wire

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"linekeeper/sbc/sip"
)

// batchSize is how many datagrams are taken from the kernel at once. A flood
// costs about a quarter less processor time then, see BenchmarkDatagramToHandler.
// Each has a buffer of 64 KiB, for each socket.
const batchSize = 8

// batches is a socket that is read with recvmmsg.
type batches interface {
	ReadBatch(into []ipv4.Message, flags int) (int, error)
}

// read hands up datagrams until the socket is closed.
func (s *datagrams) read() {
	var source batches = ipv4.NewPacketConn(s.sock)
	if s.bound.Addr().Is6() {
		source = ipv6.NewPacketConn(s.sock)
	}
	messages := make([]ipv4.Message, batchSize)
	for i := range messages {
		messages[i].Buffers = [][]byte{make([]byte, datagramMax)}
		messages[i].OOB = make([]byte, 128)
	}
	name := s.zone.config().Name
	for {
		n, err := source.ReadBatch(messages, 0)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			s.zone.wire.bad.add(fmt.Errorf("read datagram: %w", err), s.bound.String())
			continue
		}
		for _, m := range messages[:n] {
			if from, ok := m.Addr.(*net.UDPAddr); ok {
				s.take(name, m.Buffers[0][:m.N], m.OOB[:m.NN], from.AddrPort())
			}
		}
	}
}

// take hands up one datagram if it is wanted and is a message.
func (s *datagrams) take(zone string, raw, ancillary []byte, from netip.AddrPort) {
	w := s.zone.wire
	from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	if w.guard.Admit(from.Addr(), time.Now()) != Admitted || keepAlive(raw) {
		return
	}
	local := s.bound
	if to := destination(ancillary); to.IsValid() {
		local = netip.AddrPortFrom(to, s.bound.Port())
	}
	flow := sip.Flow{Zone: zone, Transport: sip.UDP, Local: local, Remote: from}
	w.observe(In, flow, raw)
	m, err := sip.Parse(raw)
	if err != nil {
		w.malformed(m, flow, err)
		return
	}
	w.deliver(m, flow)
}
