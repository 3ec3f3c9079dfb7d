package ua

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"

	"linekeeper/appliance/lab/voice"
)

// request takes what comes in on this dialog.
func (c *Call) request(ctx context.Context, req *sip.Request, tx *sip.ServerTx) {
	switch req.Method {
	case sip.ACK:
		tx.Terminate() // an ACK has no transaction; sipgo would keep one for ever
		c.acked(req)
	case sip.BYE:
		c.respond(tx, req, 200, "OK", nil)
		c.finish(End{Code: 200, Reason: "peer hung up", ByPeer: true})
	case sip.INVITE, sip.UPDATE:
		c.reoffered(tx, req)
	case sip.INFO, sip.OPTIONS, sip.NOTIFY, sip.MESSAGE, sip.PRACK:
		c.respond(tx, req, 200, "OK", nil)
	default:
		c.respond(tx, req, 405, "Method Not Allowed", nil)
	}
}

func (c *Call) respond(tx *sip.ServerTx, req *sip.Request, code int, phrase string, body []byte) {
	if err := tx.Respond(c.response(req, code, phrase, body)); err != nil {
		c.agent.log.Debug("answering in a dialog", "method", req.Method, "code", code, "err", err)
	}
}

func (c *Call) acked(req *sip.Request) {
	c.mu.Lock()
	ch := c.acks[req.CSeq().SeqNo]
	delete(c.acks, req.CSeq().SeqNo)
	late, media := c.lateOffer, c.media
	c.lateOffer = false
	c.mu.Unlock()
	if ch != nil {
		close(ch)
	}
	if late && len(req.Body()) > 0 && media != nil {
		if err := media.Accept(req.Body()); err != nil {
			c.agent.log.Debug("answer in the ack", "call", c.callID, "err", err)
		}
	}
}

// reoffered answers a re-INVITE or UPDATE.
func (c *Call) reoffered(tx *sip.ServerTx, req *sip.Request) {
	c.mu.Lock()
	busy, media, state := c.busy, c.media, c.view.State
	c.mu.Unlock()
	switch {
	case state == Ended || media == nil:
		c.respond(tx, req, 481, "Call/Transaction Does Not Exist", nil)
		return
	case busy:
		c.respond(tx, req, 491, "Request Pending", nil) // RFC 3261 14.2
		return
	case req.Method == sip.UPDATE && len(req.Body()) == 0:
		c.respond(tx, req, 200, "OK", nil)
		return
	}
	body, err := c.reanswer(media, req.Body())
	if err != nil {
		code := 400
		if errors.Is(err, voice.ErrNotAcceptable) {
			code = 488
		}
		c.respond(tx, req, code, "Not Acceptable Here", nil)
		return
	}
	if h := req.Contact(); h != nil {
		c.mu.Lock()
		c.target = *h.Address.Clone()
		c.mu.Unlock()
	}
	held := len(req.Body()) > 0 && onHold(req.Body())
	c.change(func(v *View) { v.Held = held; v.Reoffers++ })
	if req.Method == sip.UPDATE {
		c.respond(tx, req, 200, "OK", body)
		return
	}
	if err := c.accept(tx, req, body); err != nil {
		c.agent.log.Debug("answering a re-invite", "call", c.callID, "err", err)
	}
}

func (c *Call) reanswer(media Media, offer []byte) ([]byte, error) {
	if len(offer) > 0 {
		return media.Answer(offer)
	}
	c.mu.Lock()
	c.lateOffer = true
	c.mu.Unlock()
	return media.Offer(), nil
}

func onHold(offer []byte) bool {
	d, err := voice.Parse(offer)
	return err == nil && !d.Audio.Direction.Receives()
}

// Reinvite offers the media anew, as it stands; glare is retried (RFC 3261 14.1).
func (c *Call) Reinvite(ctx context.Context) error {
	c.mu.Lock()
	if c.offering || c.view.State != Talking {
		c.mu.Unlock()
		return errors.New("re-invite while another is under way or the call is not up")
	}
	c.offering = true
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.offering = false
		c.mu.Unlock()
	}()
	for {
		code, err := c.reinviteOnce(ctx)
		if err != nil || code < 300 {
			return err
		}
		if code != 491 {
			return fmt.Errorf("re-invite was answered with %d", code)
		}
		timer := time.NewTimer(time.Duration(100+rand.IntN(900)) * time.Millisecond)
		select {
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("re-invite after glare: %w", context.Cause(ctx))
		case <-timer.C:
		}
	}
}

// reinviteOnce sends one re-INVITE; only while it is pending is the peer's one refused.
func (c *Call) reinviteOnce(ctx context.Context) (int, error) {
	c.setBusy(true)
	defer c.setBusy(false)
	media := c.Media()
	req := c.inDialog(sip.INVITE, media.Offer())
	for try := 0; ; try++ {
		c.agent.prepare(req, c.dest)
		tx, err := c.agent.transact(ctx, req)
		if err != nil {
			return 0, fmt.Errorf("re-invite: %w", err)
		}
		res, err := final(ctx, tx)
		if err != nil {
			return 0, fmt.Errorf("re-invite: %w", err)
		}
		if res.IsSuccess() {
			_, err := c.settle(media, res.Body(), false)
			c.confirm(tx, res, nil)
			return res.StatusCode, err
		}
		if (res.StatusCode != 401 && res.StatusCode != 407) || try > 0 {
			return res.StatusCode, nil
		}
		next := req.Clone()
		c.mu.Lock()
		c.cseq++
		next.CSeq().SeqNo = c.cseq
		c.mu.Unlock()
		if err := c.cred.answer(next, res, 1); err != nil {
			return res.StatusCode, err
		}
		req = next
	}
}

func (c *Call) setBusy(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = on
}

func final(ctx context.Context, tx sip.ClientTransaction) (*sip.Response, error) {
	for {
		select {
		case res := <-tx.Responses():
			if !res.IsProvisional() {
				return res, nil
			}
		case <-tx.Done():
			return nil, tx.Err()
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// rerouted pins a copied request to our flow again.
func (c *Call) rerouted(_ *sipgo.Client, req *sip.Request) error {
	c.agent.route(req, c.dest)
	return nil
}
