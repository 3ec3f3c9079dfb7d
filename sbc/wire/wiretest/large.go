package wiretest

import (
	"fmt"
	"strings"

	"linekeeper/sbc/sip"
	"linekeeper/sbc/wire"
)

// largest is the most octets of a request in a datagram, as the real wire has it.
const largest = 1300

// larger says that a request is too large for a datagram and may go over a stream; see
// wire.Larger.
type larger struct {
	flow   sip.Flow
	octets int
	anyway func() error
}

// Error says what was not sent.
func (l *larger) Error() string {
	return fmt.Sprintf("%d octets are too many for a datagram", l.octets)
}

// Over is the flow to send it on instead.
func (l *larger) Over() sip.Flow { return l.flow }

// Anyway sends the datagram.
func (l *larger) Anyway() error { return l.anyway() }

// larger looks for a stream for a large request; nil says that the datagram has to do.
// An ACK takes a connection that stands or none, and has been sent on it if done is true,
// as has one that its compact form made small enough.
func (z *zone) larger(flow sip.Flow, req *sip.Request, raw []byte) (done bool, err error) {
	if len(raw) <= largest {
		return false, nil
	}
	if b := wire.Compact(raw); len(b) <= largest {
		z.datagram(flow, b)
		return true, nil
	}
	n := z.node
	anyway := func() error {
		z.datagram(flow, raw)
		return nil
	}
	if req.Method == sip.ACK {
		e := n.find(sip.Flow{Zone: z.name, Transport: sip.TCP, Remote: flow.Remote})
		if e == nil || !e.stands() {
			return false, nil
		}
		req.Via().Transport = strings.ToUpper(string(e.flow.Transport))
		return true, e.send(sip.Bytes(req))
	}
	n.mu.Lock()
	none := n.unstreamed[flow.Remote]
	n.mu.Unlock()
	if none {
		return false, nil
	}
	e := z.connection(sip.TCP, flow.Remote)
	e.mu.Lock()
	e.tried = e.tried || e.peer == nil
	refused := e.over && e.peer == nil // before anybody could look
	e.mu.Unlock()
	if refused {
		n.mu.Lock()
		n.unstreamed[flow.Remote] = true
		n.mu.Unlock()
	}
	return false, &larger{e.flow, len(raw), anyway}
}

func (e *end) stands() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.peer != nil && !e.over
}
