package event

import "time"

// Subscriber is the subscriber's end of one subscription. Make it with
// NewSubscriber; Step is total.
type Subscriber struct {
	cfg     SubscriberConfig
	state   Standing
	asking  proof // what the SUBSCRIBE under way has proved
	try     uint64
	bound   bool      // there is a dialog to refresh
	since   time.Time // of the dialog
	until   time.Time
	expires time.Duration
	wait    time.Duration // next back-off
	refusal time.Duration // next long back-off
	proven  bool          // the room remembers a challenge that once worked
	stale   int
	brief   int
	cut     bool
	out     []SubscriberEffect
}

// SubscriberConfig is how a subscription behaves.
type SubscriberConfig struct {
	// Expires is what to ask for; 0: an hour.
	Expires time.Duration
	// Rand gives random numbers in [0, 1) for jitter. Required.
	Rand func() float64
}

// Standing is where a subscription stands.
type Standing string

// The standings.
const (
	NotYet     Standing = "idle"
	Waits      Standing = "waiting"
	Asks       Standing = "asking"
	Subscribed Standing = "active"
	Refused    Standing = "refused" // the server doesn't want it: asked again hours later
	Leaves     Standing = "leaving"
	Gone       Standing = "gone"
)

// Paces and bounds of a subscriber.
const (
	firstWait    = 5 * time.Second
	longestWait  = 10 * time.Minute
	firstRefusal = time.Hour // 403, 489 and the like: somebody must change something there first
	// shortLife is how soon a subscription that is ended again counts as failed.
	shortLife = time.Minute
	maxStale  = 3
	maxBrief  = 2
)

type proof uint8

const (
	quiet  proof = iota // no SUBSCRIBE under way
	plain               // sent without credentials
	cached              // sent with a nonce of an earlier exchange
	fresh               // sent with the nonce of the challenge just before
)

// SubscriberInput is something that happened to a subscription of ours.
type SubscriberInput interface{ subscriberInput() }

type (
	// Start begins it.
	Start struct{ Delay time.Duration }
	// Answer is the final answer to the SUBSCRIBE numbered Try.
	Answer struct {
		Try                             uint64
		Code                            int
		Expires, RetryAfter, MinExpires time.Duration
		Stale                           bool
	}
	// Silent says that the SUBSCRIBE numbered Try got no answer, or could not be sent.
	Silent struct{ Try uint64 }
	// Notified is a NOTIFY of the subscription.
	Notified struct{ State State }
	// Awake says that the time of WakeAfter has passed.
	Awake struct{}
	// Cut says that the way to the server is gone: nothing is asked until Reachable.
	Cut struct{}
	// Reachable says that the server is there again.
	Reachable struct{ Delay time.Duration }
	// Leave ends it for good.
	Leave struct{}
)

func (Start) subscriberInput()     {}
func (Answer) subscriberInput()    {}
func (Silent) subscriberInput()    {}
func (Notified) subscriberInput()  {}
func (Awake) subscriberInput()     {}
func (Cut) subscriberInput()       {}
func (Reachable) subscriberInput() {}
func (Leave) subscriberInput()     {}

// SubscriberEffect is an order to the room.
type SubscriberEffect interface{ subscriberEffect() }

type (
	// Subscribe sends a SUBSCRIBE; Fresh makes a new dialog for it, else it goes
	// within the present one. Expires 0 ends the subscription.
	Subscribe struct {
		Try         uint64
		Fresh, Auth bool
		Expires     time.Duration
	}
	// WakeAfter arms the one timer, which comes back as Awake.
	WakeAfter struct{ D time.Duration }
	// Became tells of a change of the standing.
	Became struct{ Standing Standing }
)

func (Subscribe) subscriberEffect() {}
func (WakeAfter) subscriberEffect() {}
func (Became) subscriberEffect()    {}

// NewSubscriber makes a subscription that waits for Start.
func NewSubscriber(cfg SubscriberConfig) *Subscriber {
	if cfg.Expires <= 0 {
		cfg.Expires = time.Hour
	}
	return &Subscriber{cfg: cfg, state: NotYet, expires: cfg.Expires, wait: firstWait, refusal: firstRefusal}
}

// Standing is where the subscription stands.
func (s *Subscriber) Standing() Standing { return s.state }

// Step takes one input. The effects are valid until the next Step.
func (s *Subscriber) Step(now time.Time, in SubscriberInput) []SubscriberEffect {
	s.out = s.out[:0]
	if s.state == Gone {
		return nil
	}
	switch in := in.(type) {
	case Start:
		if s.state == NotYet {
			s.later(in.Delay)
		}
	case Answer:
		s.answer(now, in)
	case Silent:
		if in.Try == s.try && s.asking != quiet {
			s.failed(now, 0)
		}
	case Notified:
		s.notified(now, in.State)
	case Awake:
		s.awake(now)
	case Cut:
		s.cut = true
		if s.asking != quiet && s.state != Leaves {
			s.asking = quiet
			s.to(Waits)
		}
	case Reachable:
		s.reachable(in.Delay)
	case Leave:
		s.leave(now)
	}
	return s.out
}

func (s *Subscriber) do(e SubscriberEffect) { s.out = append(s.out, e) }

func (s *Subscriber) to(st Standing) {
	if s.state != st {
		s.state = st
		s.do(Became{st})
	}
}

// later waits a while before the next SUBSCRIBE.
func (s *Subscriber) later(d time.Duration) {
	s.asking = quiet
	s.to(Waits)
	s.do(WakeAfter{max(d, 0)})
}

// ask begins a new SUBSCRIBE, with what is known of the server's challenge.
func (s *Subscriber) ask() {
	s.stale, s.brief = 0, 0
	if s.proven {
		s.send(cached)
		return
	}
	s.send(plain)
}

func (s *Subscriber) send(p proof) {
	expires := s.expires
	switch s.state {
	case Leaves:
		expires = 0
	case Subscribed: // stays so while it is refreshed
	default: // all others ask
		s.to(Asks)
	}
	s.asking = p
	s.try++
	s.do(Subscribe{s.try, !s.bound, p != plain, expires})
}

func (s *Subscriber) awake(now time.Time) {
	switch s.state {
	case Waits, Subscribed, Refused:
		if s.asking != quiet {
			return
		}
		if s.cut {
			s.do(WakeAfter{longestWait})
			return
		}
		if s.bound && !now.Before(s.until) { // ran out while the server was away
			s.bound = false
			s.to(Waits)
		}
		s.ask()
	default: // nothing is due
	}
}

// reachable refreshes what may still live at the server (RFC 6665 4.1.2.2).
func (s *Subscriber) reachable(d time.Duration) {
	s.cut = false
	s.wait = firstWait
	switch s.state {
	case Waits, Asks:
		s.later(d)
	case Subscribed:
		s.asking = quiet
		s.do(WakeAfter{max(d, 0)})
	default: // a refusal isn't mended by a new path
	}
}

func (s *Subscriber) leave(now time.Time) {
	if s.state == Leaves {
		return
	}
	if !s.bound || s.cut || !now.Before(s.until) {
		s.to(Gone)
		return
	}
	s.to(Leaves)
	s.ask()
}
