package ua

import (
	"context"
	"fmt"
	"time"
)

// State is where a call stands.
type State uint8

// The states of a call, in the order in which they come.
const (
	Dialling State = iota // INVITE sent, nothing heard but 100
	Incoming              // INVITE received, nothing said but 100
	Ringing               // 18x sent or received
	Talking               // 2xx sent or received
	Ended
)

// String is the state in lower case.
func (s State) String() string {
	return [...]string{"dialling", "incoming", "ringing", "talking", "ended"}[s]
}

// End is why a call is over.
type End struct {
	Code   int    // final response of the INVITE that ended it, 200 after a conversation, 0 if dropped
	Reason string // the phrase, or the error in words
	ByPeer bool
}

// View is a call as it stands.
type View struct {
	State    State
	HeldByUs bool
	Held     bool // the peer put us on hold
	End      End
	Began    time.Time
	Rang     time.Time // first 18x
	Answered time.Time
	Finished time.Time
	Reoffers int // re-INVITEs and UPDATEs with an offer received
}

// View tells how the call stands.
func (c *Call) View() View {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.view
}

// State is where the call stands.
func (c *Call) State() State { return c.View().State }

// WaitState waits until the call has reached state. A call that ends before is an
// error, unless Ended is what was waited for.
func (c *Call) WaitState(ctx context.Context, state State) error {
	err := c.wait(ctx, func(v View) bool { return v.State >= state || v.State == Ended })
	if err != nil {
		return fmt.Errorf("waiting for %s: %w", state, err)
	}
	if v := c.View(); v.State == Ended && state != Ended {
		return fmt.Errorf("waiting for %s: call ended with %d %s", state, v.End.Code, v.End.Reason)
	}
	return nil
}

// WaitHeld waits until the peer has put us on hold, or taken us back.
func (c *Call) WaitHeld(ctx context.Context, held bool) error {
	err := c.wait(ctx, func(v View) bool { return v.Held == held || v.State == Ended })
	if err == nil && c.State() == Ended {
		err = fmt.Errorf("call ended with %d %s", c.View().End.Code, c.View().End.Reason)
	}
	if err != nil {
		return fmt.Errorf("waiting for held=%v: %w", held, err)
	}
	return nil
}

func (c *Call) wait(ctx context.Context, ok func(View) bool) error {
	for {
		c.mu.Lock()
		view, changed := c.view, c.changed
		c.mu.Unlock()
		if ok(view) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("call is %s: %w", view.State, context.Cause(ctx))
		case <-changed:
		}
	}
}

// change steps the view and wakes who waits; a call that ended stays so.
func (c *Call) change(f func(*View)) (ended bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.view.State == Ended {
		return false
	}
	f(&c.view)
	close(c.changed)
	c.changed = make(chan struct{})
	return c.view.State == Ended
}

// finish ends the call once and frees what it holds.
func (c *Call) finish(end End) {
	ended := c.change(func(v *View) {
		v.State, v.End, v.Finished = Ended, end, time.Now()
	})
	if !ended {
		return
	}
	c.agent.leave(c)
	c.mu.Lock()
	media := c.media
	c.mu.Unlock()
	if media != nil {
		media.Close()
	}
	close(c.over)
}
