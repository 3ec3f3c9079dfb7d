package exchange

import (
	"errors"

	"linekeeper/sbc/sip"
	"linekeeper/sbc/txn"
)

// larger is the error of a Sender for a request that is too large for UDP
// (RFC 3261 18.1.1): nothing was sent, it may go over another flow. When that
// comes to nothing the transaction tries UDP after all.
type larger interface{ Over() sip.Flow }

// begin makes the machine for a flow.
func (c *Client) begin(flow sip.Flow) txn.Machine {
	if c.method == sip.INVITE {
		return txn.NewClientInvite(&c.x.timers, flow.Transport.Reliable())
	}
	return txn.NewClientNonInvite(&c.x.timers, flow.Transport.Reliable())
}

// send puts the request on the wire.
func (c *Client) send(again bool) {
	c.mu.Lock()
	req, flow := c.req, c.Flow()
	c.mu.Unlock()
	if req == nil {
		return
	}
	if again {
		c.x.counts.repeatsOut.Add(1)
	}
	err := c.x.put(flow, req)
	var l larger
	switch {
	case err == nil:
	case errors.As(err, &l) && c.move(l.Over()):
	default:
		c.broken(func(f sip.Flow) bool { return f == flow }, err)
	}
}

// move begins anew over a stream, under the same branch: nothing has left yet.
func (c *Client) move(flow sip.Flow) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.back || c.over.Load() != nil || !flow.Transport.Reliable() {
		return false
	}
	c.over.Store(&flow)
	c.againLocked(flow)
	return true
}

// broken is told that the flow carries nothing any more, if the transaction is on one
// that has gone. Where that is the stream that stood in for a datagram, and no answer
// came by it, the transaction begins anew as a datagram after all. The send that failed
// and the loss of the connection may both tell it.
func (c *Client) broken(gone func(sip.Flow) bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	st := c.machine.State()
	switch {
	case !gone(c.Flow()): // left already
	case c.over.Load() != nil && c.back: // being left
	case c.over.Load() == nil || c.req == nil || st != txn.Calling && st != txn.Trying:
		c.stepLocked(txn.Input{What: txn.Broken}, act{err: err})
	default:
		c.back = true
		// After what is being sent: the wire writes into the request.
		c.queue = append(c.queue, act{call: c.fallBack})
	}
	c.drainLocked()
}

// fallBack begins anew as a datagram, unless all is over.
func (c *Client) fallBack() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.req != nil && c.machine.State() != txn.Terminated {
		c.over.Store(nil)
		c.againLocked(c.flow)
	}
}

// againLocked starts the transaction over on a flow.
func (c *Client) againLocked(flow sip.Flow) {
	req := c.req.Clone() // the way before may still be reading the other one
	sip.RemoveHeader(req, "Via")
	req.PrependHeader(c.x.newVia(flow, c.branch))
	c.req = req
	c.restLocked()
	c.machine = c.begin(flow)
	c.stepLocked(txn.Input{What: txn.Begun}, act{})
	if c.withdrawn {
		c.stepLocked(txn.Input{What: txn.Cancelled}, act{})
	}
	c.drainLocked()
}
