package loop

import "sync"

// Crew are the goroutines that Resting owners borrow. One that has nothing to do waits
// for the next owner with the stack that it has grown, up to a number; more come when
// they are needed, so that nobody ever waits for somebody else's work.
type Crew struct {
	mu     sync.Mutex
	idle   []chan job
	keep   int
	closed bool
}

type job interface{ work() }

// NewCrew makes a crew of which at most keep wait for work.
func NewCrew(keep int) *Crew { return &Crew{keep: keep} }

// Close sends those home who wait, and from now on everybody who has finished.
func (c *Crew) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, next := range c.idle {
		close(next)
	}
	c.idle = nil
}

// do lets somebody work at j. It does not block.
func (c *Crew) do(j job) {
	c.mu.Lock()
	n := len(c.idle) - 1
	if n < 0 {
		c.mu.Unlock()
		go c.life(j)
		return
	}
	next := c.idle[n] // who worked last, its stack is warm
	c.idle = c.idle[:n]
	c.mu.Unlock()
	next <- j
}

func (c *Crew) life(j job) {
	next := make(chan job, 1) // taken out of idle for each job: do never waits
	for ok := true; ok; j, ok = <-next {
		j.work()
		if !c.rest(next) {
			return
		}
	}
}

// rest says whether a worker may wait at next.
func (c *Crew) rest(next chan job) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.idle) >= c.keep {
		return false
	}
	c.idle = append(c.idle, next)
	return true
}
