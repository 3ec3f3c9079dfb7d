package ua

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Invitation is a call to be made.
type Invitation struct {
	To, From    sip.Uri
	Target      sip.Uri // request URI; empty: To
	Name        string  // display name of From
	Dest        string  // host:port it is sent to
	Credentials Credentials
	Headers     map[string]string // more headers of the INVITE
	LateOffer   bool              // INVITE without SDP: the callee makes the offer
}

// Call sends an INVITE and returns once it is sent. The call lives until it ends,
// whatever becomes of ctx.
func (a *Agent) Call(ctx context.Context, inv Invitation) (*Call, error) {
	c := newCall(a, Dialling)
	c.outgoing, c.callID, c.dest, c.cred = true, Token(), inv.Dest, inv.Credentials
	c.local, c.remote, c.name, c.target = inv.From, inv.To, inv.Name, inv.Target
	if c.target.Host == "" {
		c.target = inv.To
	}
	media, err := a.cfg.Handler.Media(c)
	if err != nil {
		return nil, fmt.Errorf("media of a call to %s: %w", inv.To.User, err)
	}
	c.media = media
	var offer []byte
	if !inv.LateOffer {
		offer = media.Offer()
	}
	req := c.buildLocked(sip.INVITE, c.cseq, offer)
	for _, name := range slices.Sorted(maps.Keys(inv.Headers)) {
		req.AppendHeader(sip.NewHeader(name, inv.Headers[name]))
	}
	if err := a.enter(c); err != nil {
		media.Close()
		return nil, fmt.Errorf("call to %s: %w", inv.To.User, err)
	}
	tx, err := c.send(ctx, req)
	if err != nil {
		c.finish(End{Code: 503, Reason: err.Error()})
		return nil, fmt.Errorf("call to %s: %w", inv.To.User, err)
	}
	a.Go(func(ctx context.Context) { c.follow(ctx, tx) })
	return c, nil
}

func (c *Call) send(ctx context.Context, req *sip.Request) (sip.ClientTransaction, error) {
	c.agent.prepare(req, c.dest)
	c.mu.Lock()
	c.invite, c.early, c.cancelled = req.Clone(), false, false
	c.mu.Unlock()
	return c.agent.transact(ctx, req)
}

// follow reads the responses of our INVITE to its end.
func (c *Call) follow(ctx context.Context, tx sip.ClientTransaction) {
	tries := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tx.Done():
			c.finish(End{Code: 408, Reason: fmt.Sprint(tx.Err())})
			return
		case res := <-tx.Responses():
			switch {
			case res.IsProvisional():
				c.provisional(res)
			case res.IsSuccess():
				c.answered(ctx, tx, res)
				return
			case (res.StatusCode == 401 || res.StatusCode == 407) && tries < maxTries && (tries == 0 || stale(res)):
				next, err := c.retry(ctx, res)
				if err != nil {
					c.finish(End{Code: res.StatusCode, Reason: err.Error(), ByPeer: true})
					return
				}
				tx = next
				tries++
			default:
				c.finish(End{Code: res.StatusCode, Reason: res.Reason, ByPeer: true})
				return
			}
		}
	}
}

// retry sends the INVITE anew with credentials.
func (c *Call) retry(ctx context.Context, res *sip.Response) (sip.ClientTransaction, error) {
	c.mu.Lock()
	if c.cancel {
		c.mu.Unlock()
		return nil, errors.New("cancelled")
	}
	c.cseq++
	req := c.invite.Clone()
	req.CSeq().SeqNo = c.cseq
	c.mu.Unlock()
	if err := c.cred.answer(req, res, 1); err != nil {
		return nil, err
	}
	return c.send(ctx, req)
}

func (c *Call) provisional(res *sip.Response) {
	c.mu.Lock()
	c.early = true
	media := c.media
	c.mu.Unlock()
	if res.StatusCode > 100 {
		if len(res.Body()) > 0 {
			_ = media.Accept(res.Body()) // early media is a courtesy; the 200 decides
		}
		c.change(func(v *View) {
			if v.State == Dialling {
				v.State = Ringing
			}
			if v.Rang.IsZero() {
				v.Rang = time.Now()
			}
		})
	}
	c.sendCancel(false)
}

// answered confirms a 2xx; if the call was cancelled meanwhile it is ended again.
func (c *Call) answered(ctx context.Context, tx sip.ClientTransaction, res *sip.Response) {
	c.mu.Lock()
	if res.To() != nil {
		c.remoteTag, _ = res.To().Params.Get("tag")
	}
	c.establishLocked(res.Contact(), res.GetHeaders("Record-Route"), true)
	unwanted, media := c.cancel, c.media
	late := c.invite.Body() == nil
	c.mu.Unlock()
	body, err := c.settle(media, res.Body(), late)
	c.confirm(tx, res, body)
	c.change(func(v *View) { v.State, v.Answered = Talking, time.Now() })
	if unwanted || err != nil {
		if c.bye(ctx) != nil || err != nil {
			c.finish(End{Code: 488, Reason: fmt.Sprint(err)})
		}
	}
}

// settle takes the answer, or the offer of a callee that was asked without one, and
// gives the body of the ACK.
func (c *Call) settle(media Media, body []byte, late bool) ([]byte, error) {
	if late {
		return media.Answer(body)
	}
	return nil, media.Accept(body)
}

// confirm sends the ACK of a 2xx, and again for each repeated 2xx (RFC 3261 13.2.2.4).
func (c *Call) confirm(tx sip.ClientTransaction, res *sip.Response, body []byte) {
	c.mu.Lock()
	ack := c.buildLocked(sip.ACK, res.CSeq().SeqNo, body)
	c.mu.Unlock()
	c.agent.prepare(ack, c.dest)
	write := func() {
		if err := c.agent.client.WriteRequest(ack.Clone(), c.rerouted); err != nil {
			c.agent.log.Debug("ack", "call", c.callID, "err", err)
		}
	}
	tx.OnRetransmission(func(*sip.Response) { write() })
	write()
}

// sendCancel sends a CANCEL once it is wanted and allowed (RFC 3261 9.1).
func (c *Call) sendCancel(want bool) {
	c.mu.Lock()
	c.cancel = c.cancel || want
	if !c.cancel || !c.early || c.cancelled || c.view.State >= Talking {
		c.mu.Unlock()
		return
	}
	c.cancelled = true
	invite := c.invite.Clone()
	c.mu.Unlock()
	req := sip.NewRequest(sip.CANCEL, *invite.Recipient.Clone())
	for _, name := range []string{"Via", "Route", "From", "To", "Call-ID"} {
		sip.CopyHeaders(name, invite, req)
	}
	req.AppendHeader(&sip.CSeqHeader{SeqNo: invite.CSeq().SeqNo, MethodName: sip.CANCEL})
	forwards := sip.MaxForwardsHeader(70)
	req.AppendHeader(&forwards)
	req.SetBody(nil)
	c.agent.route(req, c.dest)
	c.agent.Go(func(ctx context.Context) {
		tx, err := c.agent.transact(ctx, req)
		if err != nil {
			c.agent.log.Debug("cancel", "call", c.callID, "err", err)
			return
		}
		defer tx.Terminate()
		select {
		case <-tx.Responses():
		case <-tx.Done():
		case <-ctx.Done():
		}
	})
}
