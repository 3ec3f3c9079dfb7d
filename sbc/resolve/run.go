package resolve

import (
	"context"
	"errors"
	"slices"
	"time"
)

const (
	// minRefresh and maxRefresh bound the pause between two rounds.
	minRefresh, maxRefresh = 5 * time.Second, time.Hour
	// maxRetry bounds the pause between two rounds while DNS doesn't answer.
	maxRetry = 30 * time.Second
	// partRetry bounds it while only some of the names are answered.
	partRetry = 5 * time.Minute
	// readyWithin is how long the rooms above wait for the first round.
	readyWithin = 3 * time.Second
	// roundWithin bounds one round.
	roundWithin = 30 * time.Second
	// restless is how old a round must be to be begun anew by a kick, and how
	// long after its begin the next one may begin.
	restless = time.Second
)

// keeper is what Run owns.
type keeper struct {
	*Resolver
	source Source
	serial uint64
	cache  cache

	done   chan outcome // of the round that runs
	cancel context.CancelFunc
	begun  time.Time
	again  bool // begin anew once the round that runs has ended
	fails  int
	due    *time.Timer
}

// outcome is what a round found.
type outcome struct {
	round  *round
	groups []group
	serial uint64
	void   bool // it was cancelled
}

// Run keeps the targets known until ctx ends. It is ready once the first round
// is over or targets are known without one, but at the latest after 3 s. It
// never fails.
func (r *Resolver) Run(ctx context.Context, ready func()) error {
	k := &keeper{Resolver: r, due: time.NewTimer(maxRefresh)}
	defer k.due.Stop()
	defer k.stop()
	limit := time.NewTimer(readyWithin)
	defer limit.Stop()
	settled := k.obey(ctx)
	for {
		if settled && ready != nil {
			ready()
			ready = nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-limit.C:
			settled = true
		case <-r.wake:
			settled = k.obey(ctx) || settled
		case <-k.due.C:
			k.begin(ctx)
		case o := <-k.done:
			k.cancel()
			k.done = nil
			settled = k.settle(ctx, o) || settled
		}
	}
}

// stop ends the round that runs and waits for it.
func (k *keeper) stop() {
	if k.done != nil {
		k.cancel()
		<-k.done
	}
}

// obey takes up a new source or a kick. It says whether there are targets to
// begin with: addresses as such, or what is remembered.
func (k *keeper) obey(ctx context.Context) bool {
	source, serial, kicked := k.orders()
	fresh := serial != k.serial
	if !fresh && (!kicked || k.serial == 0) {
		return false
	}
	k.fails = 0 // the line may just have come back
	if fresh {
		first := k.serial == 0
		k.source, k.serial = source, serial
		if k.recall(ctx, first) {
			return true
		}
	}
	switch {
	case k.done == nil && (fresh || time.Since(k.begun) >= restless):
		k.begin(ctx)
	case k.done == nil:
		k.due.Reset(restless)
	case fresh || time.Since(k.begun) >= restless:
		k.again = true
		k.cancel()
	}
	return fresh && len(k.Targets()) > 0
}

// recall publishes what is known of a new source without asking: addresses as
// such, the hosts file, earlier answers, and at start what was saved. It says
// whether that is all.
func (k *keeper) recall(ctx context.Context, first bool) bool {
	look := newRound(k.deps, nil, k.cache)
	known := order(look.source(ctx, k.source), k.Targets(), k.deps.IntN)
	if first && look.named {
		if saved := k.load(); len(saved) > 0 {
			known = saved
		}
	}
	k.publish(known)
	if look.named || look.ttl < maxRefresh { // the hosts file may change, and is read again
		k.judge(Health{})
		return false
	}
	h := Health{}
	if look.cause != nil {
		h.Cause = look.cause.Error()
	}
	k.judge(h)
	k.due.Reset(maxRefresh)
	return true
}

// begin starts a round beside Run's goroutine.
func (k *keeper) begin(ctx context.Context) {
	if k.done != nil {
		return
	}
	ctx, k.cancel = context.WithTimeout(ctx, roundWithin)
	k.begun, k.again = time.Now(), false
	done := make(chan outcome, 1)
	k.done = done
	source, serial := k.source, k.serial
	look := newRound(k.deps, &asker{exchange: k.exchange, servers: k.deps.Servers()}, k.cache)
	go func() {
		groups := look.source(ctx, source)
		done <- outcome{look, groups, serial, errors.Is(context.Cause(ctx), context.Canceled)}
	}()
}

// settle takes what a round found. It says whether that was of use.
func (k *keeper) settle(ctx context.Context, o outcome) bool {
	if o.void || o.serial != k.serial || k.again {
		if ctx.Err() == nil {
			k.begin(ctx)
		}
		return false
	}
	look := o.round
	h := Health{Verdict: Good}
	if look.cause != nil {
		h.Cause = look.cause.Error()
	}
	switch {
	case !look.named:
		h.Verdict = Unknown // literals and the hosts file had it all
	case look.answered == 0:
		h.Verdict = Bad
	}
	known := order(o.groups, k.Targets(), k.deps.IntN)
	if h.Verdict == Bad && look.recalled == 0 && len(k.Targets()) > 0 {
		known = k.Targets() // even if the name is gone: better an old address than none
	} else {
		k.cache = look.known()
	}
	changed := k.publish(known)
	k.judge(h)
	if h.Verdict == Good && changed {
		k.save(known)
	}
	k.pace(h, look.ttl)
	return true
}

// pace says when the next round is due: before the TTL runs out, or, while
// there is no answer, soon, and then less and less often.
func (k *keeper) pace(h Health, ttl time.Duration) {
	next := min(max(ttl*4/5, minRefresh), maxRefresh)
	switch {
	case h.Verdict == Bad:
		next = min(minRefresh<<k.fails, maxRetry)
		k.fails = min(k.fails+1, 8)
	case h.Cause != "":
		next, k.fails = min(next, partRetry), 0
	default:
		k.fails = 0
	}
	k.due.Reset(next)
}

// publish shows a list of targets if it is another one.
func (k *keeper) publish(known []Target) (changed bool) {
	if slices.Equal(known, k.Targets()) {
		return false
	}
	k.targets.Store(&known)
	k.deps.Log.Info("targets", "count", len(known), "list", known)
	k.deps.Changed(known)
	return true
}

// judge notes how the look-ups do and tells a change of verdict.
func (k *keeper) judge(h Health) {
	was, now := k.Health(), time.Now()
	h.Since, h.Answered = was.Since, was.Answered
	if h.Verdict == Good {
		h.Answered = now
	}
	if h.Verdict != was.Verdict || h.Since.IsZero() {
		h.Since = now
	}
	k.health.Store(&h)
	if h.Verdict == was.Verdict {
		return
	}
	if h.Verdict == Bad {
		k.deps.Log.Warn("names can't be resolved, old targets stay", "cause", h.Cause, "targets", len(k.Targets()))
	} else {
		k.deps.Log.Info("look-ups", "verdict", h.Verdict.String(), "cause", h.Cause)
	}
	k.deps.Judged(h)
}
