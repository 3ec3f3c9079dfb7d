package sbc

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"linekeeper/appliance/loop"
	"linekeeper/sbc/call"
	"linekeeper/sbc/event"
	"linekeeper/sbc/exchange"
	"linekeeper/sbc/sip"
)

// noticeTag begins our tag of a phone's subscription; call.Owner takes no such
// tag for a call's, since it has no dash.
const noticeTag = "notice."

// Bounds of subscriptions.
const (
	// maxNotices bounds subscriptions in all, maxNoticesEach those of one
	// extension's phones: a phone with three key modules and a lamp has about 200.
	maxNotices     = 10000
	maxNoticesEach = 600
	// minNotice and maxNotice bound how long a subscription may last.
	minNotice = time.Minute
	maxNotice = 2 * time.Hour
	// noticeDepth bounds what may wait for the owner.
	noticeDepth = 8192
	// reserve is how far the numbers of NOTIFYs may run ahead of what the saver
	// knows, so that they rise over a crash too.
	reserve = 1000
	// collectEvery is how late news reach the owner that found its inbox full.
	collectEvery = 5 * time.Second
	// reviveAfter and revivePace spread the first NOTIFYs after a restart.
	reviveAfter = 2 * time.Second
	revivePace  = 2 * time.Millisecond
	// retryNotices is the Retry-After of a subscription for which there is no room.
	retryNotices = time.Minute
)

// notices tells phones what they watch: dialogs, mailboxes and registrations of
// extensions. One goroutine owns all subscriptions; nobody waits for it.
type notices struct {
	s    *Switch
	log  *slog.Logger
	loop atomic.Pointer[loop.Loop[noticeInput, noticeEffect]]
	subs *behind[Subscription]
	box  *behind[event.Counts]

	// What happens is left here and collected, so that a storm of changes costs
	// one visit and no caller waits; nil: nothing.
	mu    sync.Mutex
	calls map[string][]call.LegView // by call; nil: the call is over
	boxes map[mailbox]event.Counts
	regs  map[string]bool // extensions whose registration has changed
	told  bool            // the owner knows that something waits
	held  map[string]int  // subscriptions by watching extension

	// The rest belongs to the owner's goroutine.
	all      map[string]*subscription
	watchers map[resource]map[*subscription]bool
	legs     map[string]map[string][]call.LegView // by extension and call
	extsOf   map[string][]string                  // by call
	counts   map[mailbox]event.Counts
	queue    timers
	out      []noticeEffect
}

func newNotices(s *Switch, subs Saver[Subscription], box Saver[event.Counts]) *notices {
	return &notices{
		s: s, log: s.log, subs: newBehind(subs, s.log), box: newBehind(box, s.log),
		held: make(map[string]int),
		all:  make(map[string]*subscription), watchers: make(map[resource]map[*subscription]bool),
		legs: make(map[string]map[string][]call.LegView), extsOf: make(map[string][]string), counts: make(map[mailbox]event.Counts),
	}
}

// run owns the subscriptions until ctx ends. They are not ended then: a restart
// looks like nothing to the phones. A defect costs the input that met it.
func (n *notices) run(ctx context.Context) {
	saving, stop := context.WithCancel(context.WithoutCancel(ctx))
	var savers sync.WaitGroup
	savers.Go(func() { n.subs.run(saving) })
	savers.Go(func() { n.box.run(saving) })
	for ctx.Err() == nil {
		if err := n.loop.Load().Run(ctx); err != nil {
			var p *loop.Panic
			if errors.As(err, &p) {
				n.log.Error("an input was lost by a defect", "input", fmt.Sprintf("%T", p.Input), "err", err, "stack", string(p.Stack))
			} else {
				n.log.Error("owner began anew", "err", err)
			}
			n.renew()
		}
	}
	stop()
	savers.Wait()
}

// renew makes a loop that takes inputs and has its timer set.
func (n *notices) renew() {
	n.loop.Store(loop.New(n, noticeDepth, n.perform))
	n.mu.Lock()
	n.told = false
	n.mu.Unlock()
	n.news()
}

func (n *notices) post(in noticeInput) error {
	l := n.loop.Load()
	if l == nil {
		return loop.ErrEnded
	}
	return l.Post(in)
}

// news lets the owner collect what waits.
func (n *notices) news() {
	n.mu.Lock()
	told := n.told
	n.told = true
	n.mu.Unlock()
	if told {
		return
	}
	if n.post(noticeNews{}) != nil {
		n.mu.Lock()
		n.told = false // its timer finds it
		n.mu.Unlock()
	}
}

// callChanged leaves word of a call's legs; none once it is over.
func (n *notices) callChanged(token string, legs []call.LegView) {
	n.mu.Lock()
	if n.calls == nil {
		n.calls = make(map[string][]call.LegView)
	}
	n.calls[token] = legs
	n.mu.Unlock()
	n.news()
}

// regChanged leaves word that an extension's contacts have changed.
func (n *notices) regChanged(ext string) {
	n.mu.Lock()
	if n.regs == nil {
		n.regs = make(map[string]bool)
	}
	n.regs[ext] = true
	n.mu.Unlock()
	n.news()
}

// phoneBack tells the subscriptions of a phone that lost its connection that it
// has a new one.
func (n *notices) phoneBack(ext string, flow sip.Flow) {
	n.mu.Lock()
	watches := n.held[ext] > 0
	n.mu.Unlock()
	if watches && flow.Transport.Reliable() {
		_ = n.post(noticeBack{ext, flow}) // else its next registration tells it
	}
}

// Step takes one input.
func (n *notices) Step(now time.Time, in noticeInput) []noticeEffect {
	clear(n.out)
	n.out = n.out[:0]
	switch in := in.(type) {
	case noticeAsk:
		n.subscribe(now, in)
	case noticeAgain:
		n.again(now, in)
	case noticeTold:
		if sub := n.all[in.token]; sub != nil && sub.sent == in.seq {
			n.step(now, sub, in.in)
		}
	case noticeBack:
		n.back(now, in)
	case noticeNews:
		n.collect(now)
	case noticeRules:
		n.judge(now)
	case noticeDue:
		n.collect(now)
		n.dueNow(now)
	}
	wait := collectEvery
	if len(n.queue) > 0 {
		wait = min(wait, n.queue[0].due.Sub(now))
	}
	return append(n.out, noticeEffect{wake: max(wait, time.Millisecond)})
}

// perform does what Step wants done.
func (n *notices) perform(_ context.Context, tm *loop.Timers[noticeInput], e noticeEffect) []noticeInput {
	switch {
	case e.tx != nil:
		e.tx.Respond(e.resp)
	case e.req != nil:
		seq, token := e.req.CSeq().SeqNo, e.token
		n.s.exchange.Do(e.req, anyConn(e.flow), func(ev exchange.ClientEvent) {
			if in := fate(ev); in != nil {
				_ = n.post(noticeTold{token, seq, in}) // else its timer ends the wait
			}
		})
	case e.wake > 0:
		tm.Arm("due", e.wake, noticeDue{})
	}
	return nil
}

// fate is what became of a NOTIFY; nil while that isn't known.
func fate(ev exchange.ClientEvent) event.NotifierInput {
	switch {
	case errors.Is(ev.Err, exchange.ErrTimeout):
		return event.Unanswered{}
	case ev.Err != nil:
		return event.Broken{}
	case ev.Response.StatusCode < 200:
		return nil
	}
	after, _ := sip.RetryAfterOf(ev.Response)
	return event.Answered{Code: int(ev.Response.StatusCode), RetryAfter: after}
}

// step gives a subscription's machine an input and does what it says.
func (n *notices) step(now time.Time, sub *subscription, in event.NotifierInput) {
	if out, ok := sub.notifier.Step(now, in); ok {
		n.notify(now, sub, out)
	}
	if sub.notifier.Over() {
		n.remove(sub)
		return
	}
	n.schedule(sub, sub.notifier.Next())
}

func (n *notices) schedule(sub *subscription, at time.Time) {
	sub.due = at
	switch {
	case at.IsZero() && sub.index >= 0:
		heap.Remove(&n.queue, sub.index)
	case at.IsZero():
	case sub.index >= 0:
		heap.Fix(&n.queue, sub.index)
	default:
		heap.Push(&n.queue, sub)
	}
}

func (n *notices) dueNow(now time.Time) {
	for len(n.queue) > 0 && !n.queue[0].due.After(now) {
		sub := n.queue[0]
		var in event.NotifierInput = event.Due{}
		if sub.revived {
			sub.revived = false
			in = event.Changed{}
		}
		n.step(now, sub, in)
	}
}

// add and remove keep the tables in step.
func (n *notices) add(sub *subscription) {
	n.all[sub.token] = sub
	of := resource{sub.what.Package, sub.of}
	if n.watchers[of] == nil {
		n.watchers[of] = make(map[*subscription]bool)
	}
	n.watchers[of][sub] = true
	n.mu.Lock()
	n.held[sub.ext]++
	n.mu.Unlock()
}

func (n *notices) remove(sub *subscription) {
	if n.all[sub.token] == nil {
		return
	}
	n.schedule(sub, time.Time{})
	delete(n.all, sub.token)
	of := resource{sub.what.Package, sub.of}
	delete(n.watchers[of], sub)
	if len(n.watchers[of]) == 0 {
		delete(n.watchers, of)
	}
	n.mu.Lock()
	n.held[sub.ext]--
	if n.held[sub.ext] == 0 {
		delete(n.held, sub.ext)
	}
	n.mu.Unlock()
	n.subs.note(sub.token, nil)
}

// Watching counts the subscriptions of each extension's phones.
func (s *Switch) Watching() map[string]int {
	s.notices.mu.Lock()
	defer s.notices.mu.Unlock()
	return maps.Clone(s.notices.held)
}
