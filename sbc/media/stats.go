package media

import (
	"errors"
	"math"
	"sync/atomic"
	"time"

	"linekeeper/sbc/rtp"
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
	// Unkeyed came, or would have gone, before the keys were agreed.
	Unkeyed
	reasons
)

func (r Reason) String() string {
	return [...]string{"malformed", "foreign", "unauthentic", "replayed", "disorder", "unbridged", "held", "replaced", "payload", "unsent", "unkeyed", "unknown"}[min(r, reasons)]
}

// counters are written by the worker and read by anybody.
type counters struct {
	packets, octets  atomic.Uint64
	relay            atomic.Uint64
	lost             atomic.Uint64
	jitter           atomic.Int64 // nanoseconds
	last             atomic.Int64 // worker time of any datagram
	voice            atomic.Int64 // worker time of the last accepted packet; of the opening at first
	sent, sentOctets atomic.Uint64
	comfort          atomic.Bool // the last packet was comfort noise
	dropped          [reasons]atomic.Uint64
	receivedRTCP     atomic.Uint64
	sentRTCP         atomic.Uint64
	unwanted         atomic.Int64 // worker time of the end of consent; 0: it stands
	roundTrip        atomic.Int64
	remoteLost       atomic.Int64
	remoteJitter     atomic.Int64
	remoteMOS        atomic.Int64  // times 10; 0: not told
	gone             atomic.Bool   // the peer said BYE
	burst            atomic.Uint64 // bits of a float64, BurstR
	drift            atomic.Int64  // 1/1000 ppm
	fax              atomic.Bool   // UDPTL
	codec            atomic.Pointer[string]
}

// legTotals sum up the streams of one leg.
type legTotals struct {
	relayed, dropped atomic.Uint64
	lost             atomic.Int64
}

// comfortNoise is the payload number of CN (RFC 3389).
const comfortNoise = 13

// received accounts an accepted packet.
func (s *Stream) received(size int, payload uint8) {
	c, t, clock := &s.count, &s.live.track, s.live.clock
	c.packets.Add(1)
	c.octets.Add(uint64(size))
	c.voice.Store(c.last.Load())
	if quiet := payload == comfortNoise; quiet != c.comfort.Load() {
		c.comfort.Store(quiet)
	}
	if lost := t.Lost(); lost != c.lost.Load() {
		s.leg.lost.Add(int64(lost) - int64(c.lost.Swap(lost)))
		c.burst.Store(math.Float64bits(t.Bursts().Ratio()))
	}
	if n := c.packets.Load(); n%driftEvery == 0 {
		c.drift.Store(int64(t.Drift(clock) * 1000))
	}
	c.jitter.Store(units(t.Jitter(), clock))
}

// driftEvery is after how many packets the clocks are compared again.
const driftEvery = 256

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
	// Unwanted is for how long the peer has not agreed to hear us (RFC 7675); 0: it
	// does, or was never asked.
	Unwanted time.Duration
	// RoundTrip is measured with RTCP; 0: not known.
	RoundTrip time.Duration
	// Drift is by how many parts per million the peer's clock is faster than ours.
	Drift float64
	// Codec is the encoding name that was agreed first, Fax says that UDPTL is passed.
	Codec string
	Fax   bool
	// Gone says that the peer took its leave by RTCP, Comfort that it has fallen
	// silent with a comfort noise packet.
	Gone, Comfort bool
}

// Pulse is what must be known of a stream many times a second, and cheaply.
type Pulse struct {
	// Packets have been accepted; Silence is as in Stats.
	Packets uint64
	Silence time.Duration
	// Fax, Gone and Comfort are as in Stats: reasons to be silent. So is Unwanted.
	Fax, Gone, Comfort bool
	Unwanted           time.Duration
}

// Pulse takes the stream's pulse; it never waits for the worker.
func (s *Stream) Pulse() Pulse {
	c, now := &s.count, time.Since(s.engine.start)
	p := Pulse{Packets: c.packets.Load(), Silence: now - time.Duration(c.voice.Load()), Fax: c.fax.Load(), Gone: c.gone.Load(), Comfort: c.comfort.Load()}
	if at := c.unwanted.Load(); at != 0 {
		p.Unwanted = now - time.Duration(at)
	}
	return p
}

// Direction is one direction of a stream.
type Direction struct {
	Packets, Octets uint64
	// Lost and Jitter are measured here for In, and told by the peer's RTCP for Out.
	Lost    uint64
	Jitter  time.Duration
	Reports uint64 // RTCP packets
	// Burst is how much longer than by chance losses in a row are (BurstR of
	// G.107), 1 at least. In only.
	Burst float64
	// Told is the MOS that the peer itself tells by RTCP-XR, 0: none. Out only.
	Told float64
}

// MOS estimates how well this direction is heard (ITU-T G.107), by codec and the
// round trip: half of it, a frame, and a jitter buffer of twice the jitter.
func (d Direction) MOS(codec string, roundTrip time.Duration) float64 {
	if d.Packets == 0 {
		return 0
	}
	return rtp.MOS(d.rating(codec, roundTrip))
}

func (d Direction) rating(codec string, roundTrip time.Duration) float64 {
	return rtp.R(rtp.Path{
		Loss: float64(d.Lost) / float64(max(1, d.Lost+d.Packets)), Burst: d.Burst, Codec: rtp.CodecOf(codec),
		Delay: float64(roundTrip/2+frame+2*d.Jitter) / float64(time.Millisecond),
	})
}

const frame = 20 * time.Millisecond

// metrics are what the peer is told of what it sends (RFC 3611 4.7).
func (s *Stream) metrics() rtp.VoIPMetrics {
	st := s.Stats()
	b := s.live.track.Bursts().Metrics()
	b.BurstLength *= float64(frame / time.Millisecond)
	b.GapLength *= float64(frame / time.Millisecond)
	r := st.In.rating(st.Codec, st.RoundTrip)
	return rtp.VoIPMetrics{
		SSRC: s.live.track.SSRC(), Loss: float64(st.In.Lost) / float64(max(1, st.In.Lost+st.In.Packets)), Bursts: b,
		RoundTrip: float64(st.RoundTrip / time.Millisecond), R: r,
		ListeningMOS: rtp.MOS(st.In.rating(st.Codec, 0)), ConversationalMOS: rtp.MOS(r),
	}
}

// Stats takes a snapshot; it never waits for the worker.
func (s *Stream) Stats() Stats {
	c := &s.count
	st := Stats{
		In: Direction{Packets: c.packets.Load(), Octets: c.octets.Load(), Lost: c.lost.Load(), Jitter: time.Duration(c.jitter.Load()), Reports: c.receivedRTCP.Load(),
			Burst: max(1, math.Float64frombits(c.burst.Load()))},
		Out: Direction{Packets: c.sent.Load(), Octets: c.sentOctets.Load(), Lost: uint64(max(0, c.remoteLost.Load())), Jitter: time.Duration(c.remoteJitter.Load()),
			Reports: c.sentRTCP.Load(), Told: float64(c.remoteMOS.Load()) / 10},
		Relayed:   c.relay.Load(),
		RoundTrip: time.Duration(c.roundTrip.Load()),
		Drift:     float64(c.drift.Load()) / 1000,
	}
	if name := c.codec.Load(); name != nil {
		st.Codec = *name
	}
	for r := range reasons {
		if n := c.dropped[r].Load(); n > 0 {
			if st.Dropped == nil {
				st.Dropped = make(map[Reason]uint64)
			}
			st.Dropped[r] = n
		}
	}
	p := s.Pulse()
	st.Silence, st.Unwanted, st.Fax, st.Gone, st.Comfort = p.Silence, p.Unwanted, p.Fax, p.Gone, p.Comfort
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
