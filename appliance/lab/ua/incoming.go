package ua

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"linekeeper/appliance/lab/voice"
)

// invited makes a call of a new INVITE and hands it to the handler.
func (a *Agent) invited(req *sip.Request, tx *sip.ServerTx) {
	c := newCall(a, Incoming)
	c.callID, c.dest = req.CallID().Value(), req.Source()
	c.invite, c.tx = req, tx
	c.local, c.remote = req.To().Address, req.From().Address
	c.remoteTag, _ = req.From().Params.Get("tag")
	c.target = c.remote
	c.establishLocked(req.Contact(), req.GetHeaders("Record-Route"), false)
	if err := a.enter(c); err != nil {
		a.Respond(tx, req, 503, "Service Unavailable", sip.NewHeader("Retry-After", "1"))
		return
	}
	live := tx.OnCancel(func(*sip.Request) {
		// called under sipgo's lock, which then sends the 487
		a.Go(func(context.Context) { c.finish(End{Code: 487, Reason: "cancelled", ByPeer: true}) })
	})
	if !live {
		c.finish(End{Code: 487, Reason: "cancelled", ByPeer: true})
		return
	}
	a.cfg.Handler.Invited(a.ctx, c)
}

// Called is the user part that the INVITE was for.
func (c *Call) Called() string {
	if c.outgoing {
		return c.remote.User
	}
	return c.Invite().Recipient.User
}

// Ring sends 180; with early it is a 183 with our answer, and media flows.
func (c *Call) Ring(early bool) error {
	var body []byte
	code, phrase := 180, "Ringing"
	if early {
		var err error
		if body, err = c.describe(); err != nil {
			return err
		}
		code, phrase = 183, "Session Progress"
	}
	c.change(func(v *View) {
		if v.State == Incoming {
			v.State, v.Rang = Ringing, time.Now()
		}
	})
	return c.say(code, phrase, body)
}

// Reject answers the INVITE with a final response of 300 or more and ends the call.
func (c *Call) Reject(code int, phrase string, headers ...sip.Header) error {
	if s := c.State(); c.outgoing || s >= Talking {
		return fmt.Errorf("reject of a call that is %s", s)
	}
	err := c.say(code, phrase, nil, headers...)
	c.finish(End{Code: code, Reason: phrase})
	return err
}

// Answer sends 200 with our description, and repeats it until the ACK has come.
func (c *Call) Answer() error {
	if s := c.State(); c.outgoing || s >= Talking {
		return fmt.Errorf("answer of a call that is %s", s)
	}
	body, err := c.describe()
	if err != nil {
		code := 400
		if errors.Is(err, voice.ErrNotAcceptable) {
			code = 488
		}
		return errors.Join(err, c.Reject(code, "Not Acceptable Here"))
	}
	c.mu.Lock()
	tx, req := c.tx, c.invite
	c.mu.Unlock()
	c.change(func(v *View) { v.State, v.Answered = Talking, time.Now() })
	if interval, ours := askedTimer(req); ours && interval > 0 {
		c.refresh(interval)
	}
	return c.accept(tx, req, body)
}

// describe is our answer to the INVITE's offer, or our offer if it had none.
func (c *Call) describe() ([]byte, error) {
	c.mu.Lock()
	media, offer := c.media, c.invite.Body()
	c.mu.Unlock()
	if media == nil {
		fresh, err := c.agent.cfg.Handler.Media(c)
		if err != nil {
			return nil, err
		}
		c.mu.Lock()
		if c.view.State == Ended {
			c.mu.Unlock()
			fresh.Close()
			return nil, errors.New("call has ended")
		}
		media, c.media = fresh, fresh
		c.mu.Unlock()
	}
	if len(offer) == 0 {
		c.mu.Lock()
		c.lateOffer = true
		c.mu.Unlock()
		return media.Offer(), nil
	}
	return media.Answer(offer)
}

// say answers the call's INVITE.
func (c *Call) say(code int, phrase string, body []byte, headers ...sip.Header) error {
	c.mu.Lock()
	tx, req := c.tx, c.invite
	c.mu.Unlock()
	res := c.response(req, code, phrase, body)
	for _, h := range headers {
		res.AppendHeader(h)
	}
	if err := tx.Respond(res); err != nil {
		return fmt.Errorf("answering %d to the invite: %w", code, err)
	}
	return nil
}

func (c *Call) response(req *sip.Request, code int, phrase string, body []byte) *sip.Response {
	res := sip.NewResponseFromRequest(req, code, phrase, body)
	if to := res.To(); to != nil {
		to.Params.Remove("tag")
		to.Params.Add("tag", c.tag)
	}
	if code < 300 && (req.Method == sip.INVITE || req.Method == sip.UPDATE) {
		res.AppendHeader(&sip.ContactHeader{Address: c.agent.Contact(c.local.User)})
		res.AppendHeader(sip.NewHeader("Allow", allow))
	}
	if len(body) > 0 {
		res.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	}
	if code >= 200 && code < 300 {
		sessionTimer(req, res)
	}
	return res
}

// sessionTimer takes the timer that the peer asks for (RFC 4028 9), which refreshes
// unless it wants us to.
func sessionTimer(req *sip.Request, res *sip.Response) {
	interval, ours := askedTimer(req)
	if interval == 0 {
		return
	}
	seconds := strconv.Itoa(int(interval / time.Second))
	if ours {
		res.AppendHeader(sip.NewHeader("Session-Expires", seconds+";refresher=uas"))
		return
	}
	res.AppendHeader(sip.NewHeader("Session-Expires", seconds+";refresher=uac"))
	res.AppendHeader(sip.NewHeader("Require", "timer"))
}

// askedTimer is the session interval of a request, 0 if none, and whether we are to refresh.
func askedTimer(req *sip.Request) (interval time.Duration, ours bool) {
	h := req.GetHeader("Session-Expires")
	if h == nil || (req.Method != sip.INVITE && req.Method != sip.UPDATE) {
		return 0, false
	}
	seconds, params, _ := strings.Cut(h.Value(), ";")
	n, err := strconv.ParseUint(strings.TrimSpace(seconds), 10, 20)
	if err != nil {
		return 0, false
	}
	return time.Duration(n) * time.Second, strings.Contains(params, "refresher=uas")
}

// refresh re-invites at half the session interval until the call is over (RFC 4028 10).
func (c *Call) refresh(interval time.Duration) {
	c.agent.Go(func(ctx context.Context) {
		tick := time.NewTicker(interval / 2)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-c.over:
				return
			case <-tick.C:
			}
			if err := c.Reinvite(ctx); err != nil {
				c.agent.log.Debug("session refresh", "call", c.callID, "err", err)
			}
		}
	})
}

// Timers of RFC 3261 17.1.1.1 for repeating a 2xx (13.3.1.4).
const (
	t1 = 500 * time.Millisecond
	t2 = 4 * time.Second
)

// accept sends a 2xx to an INVITE and repeats it until the ACK; without one the call is ended.
func (c *Call) accept(tx *sip.ServerTx, req *sip.Request, body []byte) error {
	acked := make(chan struct{})
	seq := req.CSeq().SeqNo
	c.mu.Lock()
	c.acks[seq] = acked
	c.mu.Unlock()
	res := c.response(req, 200, "OK", body)
	if err := tx.Respond(res); err != nil {
		return fmt.Errorf("answering 200: %w", err)
	}
	c.agent.Go(func(ctx context.Context) {
		wait, end := t1, time.Now().Add(64*t1)
		for {
			timer := time.NewTimer(wait)
			select {
			case <-acked:
			case <-c.over:
			case <-ctx.Done():
			case <-timer.C:
				if time.Now().After(end) {
					c.unacked(ctx)
					return
				}
				_ = tx.Respond(res) // a failed repetition is like a lost one
				wait = min(2*wait, t2)
				continue
			}
			timer.Stop()
			return
		}
	})
	return nil
}

// unacked ends a call whose 2xx was never confirmed.
func (c *Call) unacked(ctx context.Context) {
	c.mu.Lock()
	c.acks = make(map[uint32]chan struct{})
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, t2)
	defer cancel()
	if err := c.bye(ctx); err != nil {
		c.agent.log.Debug("bye after a missing ack", "call", c.callID, "err", err)
	}
}

// waitAck waits for the ACKs that are still to come.
func (c *Call) waitAck(ctx context.Context) {
	c.mu.Lock()
	pending := make([]chan struct{}, 0, len(c.acks))
	for _, ch := range c.acks {
		pending = append(pending, ch)
	}
	c.mu.Unlock()
	for _, ch := range pending {
		select {
		case <-ch:
		case <-ctx.Done():
		case <-c.over:
		}
	}
}
