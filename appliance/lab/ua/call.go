package ua

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"linekeeper/appliance/lab/voice"
)

// Media is what a call carries. *voice.End is one.
type Media interface {
	Offer() []byte
	Answer(offer []byte) ([]byte, error)
	Accept(answer []byte) error
	Hold(on bool) // what the next offer says
	Close()
}

// Call is one dialog with its media. Its methods are safe for concurrent use and
// those that wait take a deadline by their context.
type Call struct {
	agent    *Agent
	outgoing bool
	callID   string
	tag      string // ours
	dest     string // where requests of the dialog go: the flow it came by
	cred     Credentials
	over     chan struct{} // closed after the end

	mu        sync.Mutex // guards all below, never held across I/O
	view      View
	changed   chan struct{}
	media     Media
	invite    *sip.Request  // the INVITE that made the call
	tx        *sip.ServerTx // of an incoming INVITE
	local     sip.Uri
	name      string
	remote    sip.Uri
	remoteTag string
	target    sip.Uri // remote target
	routes    []sip.Uri
	cseq      uint32
	cancel    bool // CANCEL is wanted
	cancelled bool // CANCEL is sent
	early     bool // a provisional came: CANCEL may go
	acks      map[uint32]chan struct{}
	lateOffer bool // our offer went out in a 2xx; its answer comes in the ACK
	offering  bool // a re-INVITE of ours is wanted
	busy      bool // and is pending at the peer
}

func newCall(a *Agent, state State) *Call {
	return &Call{
		agent: a, tag: Token(), over: make(chan struct{}), changed: make(chan struct{}),
		view: View{State: state, Began: time.Now()}, acks: make(map[uint32]chan struct{}), cseq: 1,
	}
}

func (c *Call) key() string { return c.callID + " " + c.tag }

// ID is the Call-ID.
func (c *Call) ID() string { return c.callID }

// Outgoing says whether this side dialled.
func (c *Call) Outgoing() bool { return c.outgoing }

// Peer is the other side's user part.
func (c *Call) Peer() string { return c.remote.User }

// Invite is the INVITE that made the call, as it was sent or received. It is not to be changed.
func (c *Call) Invite() *sip.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.invite
}

// Over is closed when the call has ended and its media is freed.
func (c *Call) Over() <-chan struct{} { return c.over }

// Media is the call's media; nil before an incoming call was answered.
func (c *Call) Media() Media {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.media
}

// Voice is the call's media as a voice stream; nil if it has none of that kind.
func (c *Call) Voice() *voice.End {
	e, _ := c.Media().(*voice.End)
	return e
}

// Stats counts the call's voice packets.
func (c *Call) Stats() voice.Stats {
	if e := c.Voice(); e != nil {
		return e.Stats()
	}
	return voice.Stats{}
}

// Heard waits until hz is heard from the peer for d without a break, from now on.
func (c *Call) Heard(ctx context.Context, hz float64, d time.Duration) error {
	e := c.Voice()
	if e == nil {
		return errors.New("call has no voice to hear")
	}
	return e.Heard(ctx, hz, d)
}

// Drop forgets the call without a word to the peer.
func (c *Call) Drop() { c.finish(End{Reason: "dropped"}) }

// Hangup ends the call whatever its state: CANCEL, 603 or BYE. It returns when the
// peer has confirmed, or when ctx ends.
func (c *Call) Hangup(ctx context.Context) error {
	c.mu.Lock()
	state := c.view.State
	c.mu.Unlock()
	switch {
	case state == Ended:
		return nil
	case state == Talking:
		return c.bye(ctx)
	case c.outgoing:
		c.sendCancel(true)
		return c.WaitState(ctx, Ended)
	default:
		return c.Reject(603, "Decline")
	}
}

func (c *Call) bye(ctx context.Context) error {
	if !c.outgoing {
		c.waitAck(ctx) // RFC 3261 15: the callee must not send BYE before the ACK
	}
	req := c.inDialog(sip.BYE, nil)
	res, err := c.agent.Do(ctx, req, c.dest)
	if res != nil && (res.StatusCode == 401 || res.StatusCode == 407) {
		res, err = c.again(ctx, req, res)
	}
	c.finish(End{Code: 200, Reason: "hung up"})
	if err != nil {
		return fmt.Errorf("hang up: %w", err)
	}
	if res.StatusCode >= 300 && res.StatusCode != 481 && res.StatusCode != 408 {
		return fmt.Errorf("hang up: %d %s", res.StatusCode, res.Reason)
	}
	return nil
}

// Hold puts the peer on hold by re-INVITE.
func (c *Call) Hold(ctx context.Context) error { return c.hold(ctx, true) }

// Resume takes the peer back by re-INVITE.
func (c *Call) Resume(ctx context.Context) error { return c.hold(ctx, false) }

func (c *Call) hold(ctx context.Context, on bool) error {
	media := c.Media()
	if c.State() != Talking || media == nil {
		return fmt.Errorf("hold=%v of a call that is %s", on, c.State())
	}
	media.Hold(on)
	if err := c.Reinvite(ctx); err != nil {
		media.Hold(!on) // as it was
		return fmt.Errorf("hold=%v: %w", on, err)
	}
	c.change(func(v *View) { v.HeldByUs = on })
	return nil
}

// inDialog makes a request inside the dialog (RFC 3261 12.2.1.1).
func (c *Call) inDialog(method sip.RequestMethod, body []byte) *sip.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cseq++
	return c.buildLocked(method, c.cseq, body)
}

func (c *Call) buildLocked(method sip.RequestMethod, cseq uint32, body []byte) *sip.Request {
	req := sip.NewRequest(method, *c.target.Clone())
	from := &sip.FromHeader{DisplayName: c.name, Address: c.local}
	from.Params.Add("tag", c.tag)
	to := &sip.ToHeader{Address: c.remote}
	if c.remoteTag != "" {
		to.Params.Add("tag", c.remoteTag)
	}
	id := sip.CallIDHeader(c.callID)
	for i := range c.routes {
		req.AppendHeader(&sip.RouteHeader{Address: *c.routes[i].Clone()})
	}
	req.AppendHeader(from)
	req.AppendHeader(to)
	req.AppendHeader(&id)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: cseq, MethodName: method})
	if method == sip.INVITE || method == sip.UPDATE || method == sip.ACK {
		req.AppendHeader(&sip.ContactHeader{Address: c.agent.Contact(c.local.User)})
	}
	if method == sip.INVITE {
		req.AppendHeader(sip.NewHeader("Allow", allow))
		req.AppendHeader(sip.NewHeader("Supported", "timer"))
	}
	if len(body) > 0 {
		req.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	}
	req.SetBody(body)
	return req
}

const allow = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO, NOTIFY"

// establishLocked learns the dialog from the peer's message.
func (c *Call) establishLocked(contact *sip.ContactHeader, records []sip.Header, reverse bool) {
	if contact != nil {
		c.target = *contact.Address.Clone()
	}
	c.routes = nil
	for _, h := range records {
		if r, ok := h.(*sip.RecordRouteHeader); ok && len(c.routes) < 16 {
			c.routes = append(c.routes, *r.Address.Clone())
		}
	}
	if reverse {
		slices.Reverse(c.routes)
	}
}

// again repeats a request that was challenged, with credentials.
func (c *Call) again(ctx context.Context, req *sip.Request, res *sip.Response) (*sip.Response, error) {
	next := req.Clone()
	c.mu.Lock()
	c.cseq++
	next.CSeq().SeqNo = c.cseq
	c.mu.Unlock()
	if err := c.cred.answer(next, res, 1); err != nil {
		return nil, err
	}
	return c.agent.Do(ctx, next, c.dest)
}
