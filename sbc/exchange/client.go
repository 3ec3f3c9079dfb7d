package exchange

import (
	"fmt"
	"strings"
	"sync/atomic"

	"linekeeper/sbc/sip"
	"linekeeper/sbc/txn"
)

// ClientEvent is what became of a request: a response, or a fault after which
// nothing more comes (ErrTimeout, ErrLost, ErrBusy).
type ClientEvent struct {
	Response *sip.Response
	Flow     sip.Flow
	Err      error
}

// Client is a request of ours under way.
type Client struct {
	tx
	key    string
	branch string
	flow   sip.Flow
	method sip.Method
	// over is the flow in place of flow for a request too large for UDP; back says
	// that it came to nothing.
	over      atomic.Pointer[sip.Flow]
	back      bool
	withdrawn bool
	// sending says that the wire has the request at this moment, due that its flow
	// was lost meanwhile.
	sending, due bool

	req   *sip.Request      // until the final response
	on    func(ClientEvent) // until nothing more can come
	extra []sip.Header      // for the CANCEL
	ack   []byte            // of a refused INVITE
}

// Do sends req on flow as a new client transaction. It puts a Via on top, with
// a fresh branch, in place of any Via of req; req belongs to the exchange from
// then on (clone it to ask again). on is called in order, never concurrently
// with itself and never under a lock; perhaps before Do returns. Of an INVITE
// every 2xx is told, repeated and forked ones too, for 64*T1: the owner
// acknowledges each with Send. When the exchange is short of room this ends
// early, and further 2xx go to Handler.Stray.
func (x *Exchange) Do(req *sip.Request, flow sip.Flow, on func(ClientEvent)) *Client {
	sip.RemoveHeader(req, "Via")
	branch := x.branch()
	req.PrependHeader(x.newVia(flow, branch))
	return x.do(req, flow, branch, on)
}

func (x *Exchange) do(req *sip.Request, flow sip.Flow, branch string, on func(ClientEvent)) *Client {
	c := &Client{branch: branch, flow: flow, method: req.Method, req: req, on: on}
	c.x, c.self = x, c
	c.machine = c.begin(flow)
	c.key = string(appendClientKey(nil, branch, req.Method, flow.Zone))
	if x.stopped.Load() || x.full(true) {
		c.machine = over{}
		x.counts.refused.Add(1)
		c.tell(ClientEvent{Err: ErrBusy, Flow: flow})
		return c
	}
	x.counts.clients.Add(1)
	x.clients.add(c.key, c)
	c.step(txn.Input{What: txn.Begun}, act{})
	return c
}

// appendClientKey makes the key of RFC 3261 17.1.3, and our zone.
func appendClientKey(b []byte, branch string, method sip.Method, zone string) []byte {
	b = append(b, branch...)
	b = append(b, 0)
	b = append(b, method...)
	b = append(b, 0)
	return append(b, zone...)
}

// Cancel gives up a pending INVITE: the CANCEL goes out once a provisional
// response has come (RFC 3261 9.1), with extra headers such as Reason on it.
// The final response is still told, be it 487 or a 200 that crossed. On any
// other request, or after the final response, it does nothing.
func (c *Client) Cancel(extra ...sip.Header) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.method != sip.INVITE {
		return
	}
	c.withdrawn = true
	if c.extra == nil {
		c.extra = extra
	}
	c.stepLocked(txn.Input{What: txn.Cancelled}, act{})
	c.drainLocked()
}

// Release lets the owner go: after an answered call nothing more is told, and
// further 2xx go to Handler.Stray.
func (c *Client) Release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.machine.State() == txn.Accepted {
		c.on = nil
	}
}

// Flow is where the request went.
func (c *Client) Flow() sip.Flow {
	if f := c.over.Load(); f != nil {
		return *f
	}
	return c.flow
}

// response finds the transaction of a response (RFC 3261 17.1.3).
func (x *Exchange) response(resp *sip.Response, flow sip.Flow) {
	var room [160]byte
	_, method := sip.Seq(resp)
	if c, ok := x.clients.get(appendClientKey(room[:0], sip.Branch(resp), method, flow.Zone)); ok {
		c.step(txn.Input{What: txn.Answered, Code: resp.StatusCode}, act{msg: resp, flow: flow})
		return
	}
	x.stray(resp, flow)
}

func (x *Exchange) stray(resp *sip.Response, flow sip.Flow) {
	x.counts.strays.Add(1)
	if _, method := sip.Seq(resp); method == sip.INVITE && resp.IsSuccess() {
		x.handler.Stray(resp, flow)
	}
}

// ended runs under the mutex when the machine has ended.
func (c *Client) ended() {
	c.x.clients.remove(c.key)
	c.x.counts.clients.Add(-1)
	if c.req == nil { // all was told; an owner may keep the client for longer
		c.on = nil
	}
}

// perform follows one order; the drain makes it the only one at it.
func (c *Client) perform(a act) {
	switch a.do {
	case txn.Send, txn.Again:
		c.send(a.do == txn.Again)
	case txn.Deliver:
		c.deliver(a)
	case txn.Ack:
		c.acknowledge(a)
	case txn.Withdraw:
		if cancel := c.cancelRequest(); cancel != nil {
			c.x.do(cancel, c.Flow(), c.branch, nil)
		}
	case txn.Expire:
		c.x.counts.timeouts.Add(1)
		c.finish(ClientEvent{Err: ErrTimeout, Flow: c.flow})
	case txn.Fail:
		c.x.counts.lost.Add(1)
		err := ErrLost
		if a.err != nil {
			err = fmt.Errorf("%w: %w", ErrLost, a.err)
		}
		c.finish(ClientEvent{Err: err, Flow: c.flow})
	default: // nothing to do
	}
}

func (c *Client) deliver(a act) {
	resp := a.msg.(*sip.Response)
	ev := ClientEvent{Response: resp, Flow: a.flow}
	switch {
	case resp.IsProvisional():
		c.tell(ev)
	case c.method == sip.INVITE && resp.IsSuccess():
		c.mu.Lock()
		c.req, c.extra = nil, nil
		c.mu.Unlock()
		c.tell(ev)
	default:
		c.finish(ev)
	}
}

// finish tells the last event and lets the owner's things go.
func (c *Client) finish(ev ClientEvent) {
	c.tell(ev)
	c.mu.Lock()
	c.on, c.req, c.extra = nil, nil, nil
	c.mu.Unlock()
}

func (c *Client) tell(ev ClientEvent) {
	c.mu.Lock()
	on := c.on
	c.mu.Unlock()
	switch {
	case on != nil:
		on(ev)
	case ev.Response != nil && c.method == sip.INVITE && ev.Response.IsSuccess():
		c.x.stray(ev.Response, ev.Flow)
	}
}

// acknowledge sends the ACK of a refused INVITE (RFC 3261 17.1.1.3).
func (c *Client) acknowledge(a act) {
	if c.ack != nil {
		c.x.again(c.Flow(), c.ack)
		return
	}
	if c.req == nil {
		return
	}
	ack := c.sibling(sip.ACK)
	if to := a.msg.To(); to != nil {
		ack.AppendHeader(&sip.To{DisplayName: to.DisplayName, Address: to.Address, Params: to.Params.Clone()})
	}
	if err := c.x.put(c.Flow(), ack); err != nil {
		c.x.log.Debug("ack not sent", "remote", c.flow.Remote, "err", err)
	}
	if !a.over && ack.Via().Host != "" {
		c.ack = sip.Bytes(ack)
	}
}

// cancelRequest builds the CANCEL (RFC 3261 9.1).
func (c *Client) cancelRequest() *sip.Request {
	if c.req == nil {
		return nil
	}
	cancel := c.sibling(sip.CANCEL)
	if to := c.req.To(); to != nil {
		cancel.AppendHeader(&sip.To{DisplayName: to.DisplayName, Address: to.Address, Params: to.Params.Clone()})
	}
	c.mu.Lock()
	extra := c.extra
	c.mu.Unlock()
	for _, h := range extra {
		cancel.AppendHeader(h)
	}
	return cancel
}

// sibling makes an ACK or CANCEL with what both take over from the INVITE; the
// To is for the caller to add.
func (c *Client) sibling(method sip.Method) *sip.Request {
	req := sip.NewRequest(method, c.req.Recipient)
	req.AppendHeader(c.req.Via().Clone())
	for _, h := range c.req.Headers() {
		if name := h.Name(); strings.EqualFold(name, "Route") || strings.EqualFold(name, "Session-ID") {
			req.AppendHeader(h)
		}
	}
	hops := sip.MaxForwards(70)
	req.AppendHeader(&hops)
	if from := c.req.From(); from != nil {
		req.AppendHeader(&sip.From{DisplayName: from.DisplayName, Address: from.Address, Params: from.Params.Clone()})
	}
	if id := c.req.CallID(); id != nil {
		req.AppendHeader(id)
	}
	seq, _ := sip.Seq(c.req)
	req.AppendHeader(&sip.CSeq{SeqNo: seq, MethodName: method})
	return req
}
