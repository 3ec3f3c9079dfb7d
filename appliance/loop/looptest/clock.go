// Package looptest has a clock for loops that moves when a test says so.
package looptest

import (
	"slices"
	"sync"
	"time"

	"linekeeper/appliance/loop"
)

// Clock stands still until Advance moves it. Every loop that is made with it must run:
// Advance and Settle wait for each.
type Clock struct {
	mu     sync.Mutex
	now    time.Time
	alarms []*alarm
}

// New makes a clock that begins at now.
func New(now time.Time) *Clock { return &Clock{now: now} }

// Now tells the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Alarm makes an alarm; rings returns when the loop has done what it is rung for.
func (c *Clock) Alarm(d time.Duration, rings func()) loop.Alarm {
	a := &alarm{clock: c, rings: rings}
	c.mu.Lock()
	c.alarms = append(c.alarms, a)
	c.mu.Unlock()
	a.Set(d)
	return a
}

// Advance moves the clock by d, from one alarm to the next. When it returns, each
// loop has done what its alarms were set for, what they led to in this time included.
func (c *Clock) Advance(d time.Duration) {
	until := c.Now().Add(d)
	for {
		next := c.next(until)
		if next == nil {
			break
		}
		next.rings()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = until
}

// Settle waits, without moving the clock, until each loop has done what it was at.
func (c *Clock) Settle() {
	c.mu.Lock()
	alarms := slices.Clone(c.alarms)
	c.mu.Unlock()
	for _, a := range alarms {
		a.rings()
	}
}

// next moves the clock to the alarm that is due first and takes it.
func (c *Clock) next(until time.Time) *alarm {
	c.mu.Lock()
	defer c.mu.Unlock()
	var first *alarm
	for _, a := range c.alarms {
		if !a.at.IsZero() && !a.at.After(until) && (first == nil || a.at.Before(first.at)) {
			first = a
		}
	}
	if first != nil {
		if first.at.After(c.now) {
			c.now = first.at
		}
		first.at = time.Time{}
	}
	return first
}

type alarm struct {
	clock *Clock
	rings func()
	at    time.Time // zero: not set; guarded by the clock's mutex
}

// Set lets it ring after d.
func (a *alarm) Set(d time.Duration) {
	a.clock.mu.Lock()
	defer a.clock.mu.Unlock()
	a.at = a.clock.now.Add(d)
}

// Stop ends it.
func (a *alarm) Stop() {
	a.clock.mu.Lock()
	defer a.clock.mu.Unlock()
	a.at = time.Time{}
}
