package exchange

import (
	"errors"

	"linekeeper/sbc/sip"
	"linekeeper/sbc/txn"
)

// larger is the error of a Sender for a request that is too large for UDP
// (RFC 3261 18.1.1): nothing was sent, it may go over another flow. When that
// comes to nothing the transaction sends it by UDP anyway.
type larger interface {
	Over() sip.Flow
	Anyway() error
}

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
	req := c.req
	c.sending = req != nil
	c.mu.Unlock()
	if req == nil {
		return
	}
	if again {
		c.x.counts.repeatsOut.Add(1)
	}
	flow := c.Flow()
	err := c.x.put(flow, req)
	if c.sent() && c.fallBack(func(f sip.Flow) bool { return f == flow }) {
		return
	}
	var l larger
	if errors.As(err, &l) && c.fellBack() {
		err = l.Anyway()
	}
	switch {
	case err == nil, c.Flow() != flow: // sent, or begun anew on another flow meanwhile
	case errors.As(err, &l) && c.move(l.Over()):
	case c.fallBack(func(f sip.Flow) bool { return f == flow }):
	default:
		c.step(txn.Input{What: txn.Broken}, act{err: err})
	}
}

// sent notes that the wire has let go of the request, and says whether its flow
// was lost meanwhile.
func (c *Client) sent() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	due := c.due
	c.sending, c.due = false, false
	return due
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

// fallBack begins anew as a datagram after all, where the stream has failed before
// any answer came. It says whether it did, or had already: who sends and who is
// told of the loss may both come here.
func (c *Client) fallBack(lost func(sip.Flow) bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !lost(c.Flow()) {
		return true
	}
	st := c.machine.State()
	if c.over.Load() == nil || c.back || c.req == nil || st != txn.Calling && st != txn.Trying {
		return false
	}
	if c.sending { // the wire is writing into the request
		c.due = true
		return true
	}
	c.back = true
	c.over.Store(nil)
	c.againLocked(c.flow)
	return true
}

// fellBack says whether a stream has been tried and has failed.
func (c *Client) fellBack() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.back
}

// againLocked starts the transaction over on a flow.
func (c *Client) againLocked(flow sip.Flow) {
	req := c.req.Clone()
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
