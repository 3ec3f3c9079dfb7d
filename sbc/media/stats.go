package media

import (
	"errors"
	"sync/atomic"
	"time"
)

// Reason says why a packet was dropped.
type Reason uint8

// The reasons.
const (
	// Malformed is no RTP or RTCP, or too large.
	Malformed Reason = iota
	// Foreign came from an address that the stream doesn't listen to.
	Foreign
	// Unauthentic failed the SRTP authentication.
	Unauthentic
	// Replayed was seen before.
	Replayed
	// Disorder is too far from the sequence, or a straggler of a former source.
	Disorder
	// Unbridged had nobody to go to.
	Unbridged
	// Held would have gone to a peer that doesn't want to hear, or has no address yet.
	Held
	// Replaced gave way to a source that plays.
	Replaced
	// Payload has a number that the other side doesn't know.
	Payload
	// Unsent was refused by the kernel.
	Unsent
	reasons
)

func (r Reason) String() string {
	return [...]string{"malformed", "foreign", "unauthentic", "replayed", "disorder", "unbridged", "held", "replaced", "payload", "unsent", "unknown"}[min(r, reasons)]
}

// counters are written by the worker and read by anybody.
type counters struct {
	packets, octets  atomic.Uint64
	relay            atomic.Uint64
	lost             atomic.Uint64
	jitter           atomic.Int64 // nanoseconds
	last             atomic.Int64 // worker time of any datagram
	voice            atomic.Int64 // worker time of the last accepted packet; of the opening at first
	dropped          [reasons]atomic.Uint64
	sent, sentOctets atomic.Uint64
	receivedRTCP     atomic.Uint64
	sentRTCP         atomic.Uint64
	roundTrip        atomic.Int64
	remoteLost       atomic.Int64
	remoteJitter     atomic.Int64
}

// legTotals sum up the streams of one leg.
type legTotals struct {
	relayed, dropped atomic.Uint64
	lost             atomic.Int64
}

// received accounts an accepted packet.
func (s *Stream) received(size int) {
	c, t, clock := &s.count, &s.live.track, s.live.clock
	c.packets.Add(1)
	c.octets.Add(uint64(size))
	c.voice.Store(c.last.Load())
	if lost := t.Lost(); lost != c.lost.Load() {
		s.leg.lost.Add(int64(lost) - int64(c.lost.Swap(lost)))
	}
	c.jitter.Store(int64(t.Jitter()) * int64(time.Second) / int64(max(clock, 1)))
}

func (s *Stream) relayed() {
	s.count.relay.Add(1)
	s.leg.relayed.Add(1)
}

func (s *Stream) drop(why Reason) {
	s.count.dropped[why].Add(1)
	s.leg.dropped.Add(1)
}

// refused counts what unprotect refused; nil is fine.
func (s *Stream) refused(err error) {
	switch {
	case err == nil:
	case errors.Is(err, errReplay):
		s.drop(Replayed)
	case errors.Is(err, errAuth):
		s.drop(Unauthentic)
	default:
		s.drop(Malformed)
	}
}

// silentAfter is how long nothing may arrive before a stream counts as silent.
const silentAfter = 5 * time.Second

// Stats is a snapshot of one stream.
type Stats struct {
	// In is what the peer sent us, Out what we sent it.
	In, Out Direction
	// Relayed is how many of In went on to the other leg.
	Relayed uint64
	// Dropped counts by Reason what did not.
	Dropped map[Reason]uint64
	// Silence is how long nothing usable has arrived; counted from the opening
	// at first. Silent says that it is beyond 5 s.
	Silence time.Duration
	Silent  bool
	// RoundTrip is measured with RTCP; 0: not known.
	RoundTrip time.Duration
}

// Direction is one direction of a stream.
type Direction struct {
	Packets, Octets uint64
	// Lost and Jitter are measured here for In, and told by the peer's RTCP for Out.
	Lost    uint64
	Jitter  time.Duration
	Reports uint64 // RTCP packets
}

// Stats takes a snapshot; it never waits for the worker.
func (s *Stream) Stats() Stats {
	c := &s.count
	st := Stats{
		In:        Direction{c.packets.Load(), c.octets.Load(), c.lost.Load(), time.Duration(c.jitter.Load()), c.receivedRTCP.Load()},
		Out:       Direction{c.sent.Load(), c.sentOctets.Load(), uint64(max(0, c.remoteLost.Load())), time.Duration(c.remoteJitter.Load()), c.sentRTCP.Load()},
		Relayed:   c.relay.Load(),
		RoundTrip: time.Duration(c.roundTrip.Load()),
		Dropped:   make(map[Reason]uint64),
	}
	for r := range reasons {
		if n := c.dropped[r].Load(); n > 0 {
			st.Dropped[r] = n
		}
	}
	st.Silence = time.Since(s.engine.start) - time.Duration(c.voice.Load())
	st.Silent = st.Silence >= silentAfter
	return st
}

// LegTotals are the packets of all streams of one leg since the start.
type LegTotals struct {
	Leg                    string
	Relayed, Dropped, Lost uint64
}

// Totals are what the metrics show.
type Totals struct {
	Streams int
	Legs    []LegTotals
}

// Totals takes a snapshot, legs in no particular order.
func (e *Engine) Totals() Totals {
	t := Totals{Streams: int(e.streams.Load())}
	e.mu.Lock()
	defer e.mu.Unlock()
	for name, l := range e.legs {
		t.Legs = append(t.Legs, LegTotals{name, l.relayed.Load(), l.dropped.Load(), uint64(max(0, l.lost.Load()))})
	}
	return t
}
