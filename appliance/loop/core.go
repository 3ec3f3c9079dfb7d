package loop

import (
	"context"
)

// core is what every owner has: the machine, the hands, the timers.
type core[I, E any] struct {
	machine Machine[I, E]
	perform Perform[I, E]
	timers  Timers[I]
	chain   []I // inputs that perform returned, reused from turn to turn
	present I   // the input being stepped, for the report of a panic
}

// due steps every timer that has run out, earliest first. Each one is looked up
// anew, since stepping one may disarm or re-arm the next.
func (c *core[I, E]) due(ctx context.Context) error {
	now := c.timers.fired()
	for !c.timers.end {
		in, ok := c.timers.pop(now)
		if !ok {
			break
		}
		if err := c.turn(ctx, in); err != nil {
			return err
		}
	}
	c.timers.set()
	return nil
}

// turn steps one input and everything that perform makes of it.
func (c *core[I, E]) turn(ctx context.Context, in I) error {
	c.chain = append(c.chain[:0], in)
	for i := 0; i < len(c.chain); i++ {
		if i == maxChain {
			return ErrSpins
		}
		c.present = c.chain[i]
		for _, effect := range c.machine.Step(c.timers.clock.Now(), c.present) {
			c.chain = append(c.chain, c.perform(ctx, &c.timers, effect)...)
		}
		if c.timers.end {
			return nil
		}
	}
	clear(c.chain) // let go of messages that the inputs hold
	var none I
	c.present = none
	return nil
}
