package cloud

import "linekeeper/appliance/lab/ua"

// Stats counts what a cloud saw since New.
type Stats struct {
	Registers      uint64 // REGISTER requests, challenges included
	Registered     uint64 // of them granted
	BadCredentials uint64
	Intrusions     uint64 // second contacts refused by Exclusive
	Options        uint64
	Invites        uint64 // calls that reached routing
	Calls          uint64 // calls of any direction
	Dropped        uint64 // INVITEs passed over by DeafToInvite
	Messages       uint64 // SIP messages received by the present listeners

	MediaReceived uint64 // authentic media packets
	MediaBroken   uint64 // media packets that did not open
	MediaBare     uint64 // plain RTP where SRTP was agreed
}

func (c *Cloud) count(f func(*Stats)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.stats)
}

// Stats counts what the cloud saw, running calls included.
func (c *Cloud) Stats() Stats {
	c.mu.Lock()
	s := c.stats
	calls := make([]*ua.Call, 0, len(c.calls))
	for call := range c.calls {
		calls = append(calls, call)
	}
	agents := c.agents
	c.mu.Unlock()
	for _, call := range calls {
		s.add(call)
	}
	for _, a := range agents {
		s.Messages += a.Received()
	}
	return s
}

func (s *Stats) add(call *ua.Call) {
	v := call.Stats()
	s.MediaReceived += v.Received
	s.MediaBroken += v.Broken
	s.MediaBare += v.Bare
}

// track follows a call to its end and keeps its counts.
func (c *Cloud) track(call *ua.Call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.Calls++
	c.calls[call] = struct{}{}
	c.tasks.Go(func() {
		<-call.Over() // every call is over when its agent is closed
		c.mu.Lock()
		defer c.mu.Unlock()
		c.stats.add(call)
		delete(c.calls, call)
		c.tellLocked()
	})
}

// Calls are the calls that are under way.
func (c *Cloud) Calls() []*ua.Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	calls := make([]*ua.Call, 0, len(c.calls))
	for call := range c.calls {
		calls = append(calls, call)
	}
	return calls
}
