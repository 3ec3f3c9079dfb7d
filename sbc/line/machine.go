package line

import "time"

// Config is how a line behaves. Durations of zero take the defaults below.
type Config struct {
	// Expires is what to ask for; default 600 s.
	Expires time.Duration
	// NATRefresh is the pace of keep-alives while bound; 0: none.
	NATRefresh time.Duration
	// Exclusive says that the provider allows one contact per account only.
	Exclusive bool
	// Targets is how many targets the resolver knows at first.
	Targets int
	// Failed is how often the credentials were refused before a restart, so that
	// restarting never locks an account.
	Failed int
	// Rand gives random numbers in [0, 1) for jitter. Required.
	Rand func() float64
}

// Bounds and paces of a line.
const (
	defaultExpires = 600 * time.Second
	firstWait      = time.Second
	longestWait    = 5 * time.Minute
	cutWait        = time.Minute // while the path is known to be gone: mode wakes us earlier
	rejectWait     = 30 * time.Second
	longestAfter   = time.Hour // bound of Retry-After
	// shortestFlowTimer is the least Flow-Timer that is believed.
	shortestFlowTimer = 10 * time.Second
	longestExpires    = 24 * time.Hour // bound of what a provider grants or demands
	maxRejects        = 3              // tries with refused credentials (PROVIDERS.md, Telekom)
	maxStale          = 3              // stale nonces in a row
	maxIntervalTrys   = 2              // 423s in a row
)

// phase is what the REGISTER under way has proved.
type phase uint8

const (
	quiet  phase = iota // none under way
	plain               // sent without, or with no remembered, challenge
	cached              // sent with a nonce of an earlier exchange
	fresh               // sent with the nonce of the challenge just before
)

// Machine is one line. Make it with New.
type Machine struct {
	cfg     Config
	state   State
	cause   Cause
	phase   phase
	try     uint64
	target  int
	targets int
	round   int  // targets that failed in this round
	proven  bool // the room remembers a challenge that once worked
	expires time.Duration
	wait    time.Duration // next back-off
	after   time.Duration // largest Retry-After of this round
	stale   int
	brief   int // 423s in a row
	failed  int // refusals of the credentials
	cut     bool
	keep    time.Duration // pace of the keep-alives; 0: none
	until   time.Time
	alarms  [AlarmCertificate + 1]bool
	out     []Effect
}

// New makes a line that waits for Start.
func New(cfg Config) *Machine {
	if cfg.Expires <= 0 {
		cfg.Expires = defaultExpires
	}
	return &Machine{cfg: cfg, targets: max(cfg.Targets, 0), expires: cfg.Expires, wait: firstWait, failed: max(cfg.Failed, 0)}
}

// View is what a line looks like from outside.
type View struct {
	State State
	Cause Cause
	// Target is the number of the present target.
	Target int
	// Until is when the provider's binding runs out; zero: none known.
	Until time.Time
	// Failed is how often the credentials were refused in a row; it is to be
	// kept over a restart (Config.Failed).
	Failed int
}

// View is the line's present look.
func (m *Machine) View() View {
	return View{m.state, m.cause, m.target, m.until, m.failed}
}

// Step takes one input. It is total: what doesn't fit the state is dropped.
// The effects are valid until the next Step.
func (m *Machine) Step(now time.Time, in Input) []Effect {
	m.out = m.out[:0]
	if m.state == Gone {
		return nil
	}
	switch in := in.(type) {
	case Start:
		m.start(in)
	case Answer:
		m.answer(now, in)
	case Silent:
		if in.Try == m.try && m.phase != quiet {
			m.lost(NoAnswer)
		}
	case Broken:
		m.broken(in)
	case Due:
		m.due(now)
	case PingDue:
		m.ping()
	case Retarget:
		m.retarget(in)
	case Cut:
		m.cutOff()
	case Reachable:
		m.reachable(in)
	case Move:
		m.move(in)
	case Retry:
		m.retry()
	case Leave:
		m.leave(now)
	}
	return m.out
}

func (m *Machine) do(e Effect) { m.out = append(m.out, e) }

// to is the only door between states.
func (m *Machine) to(s State, c Cause) {
	if s == m.state && c == m.cause {
		return
	}
	m.state, m.cause = s, c
	m.do(Became{s, c})
}

func (m *Machine) alarm(code AlarmCode, on bool) {
	if m.alarms[code] != on {
		m.alarms[code] = on
		m.do(Alarm{code, on})
	}
}

func (m *Machine) start(in Start) {
	if m.state != Idle {
		return
	}
	if m.failed >= maxRejects {
		m.reject(WrongPassword)
		return
	}
	m.to(Waiting, NoCause)
	m.do(WakeAfter{max(in.Delay, 0)})
}

// ask sends a REGISTER to the present target. A remembered challenge is used
// at once: it saves a round trip per refresh.
func (m *Machine) ask() {
	if m.targets == 0 {
		m.rest(NoTarget)
		return
	}
	if m.state != Bound && m.state != Leaving {
		m.to(Asking, m.cause)
	}
	p := plain
	if m.proven {
		p = cached
	}
	m.send(p)
}

func (m *Machine) send(p phase) {
	if m.targets == 0 { // the list ran empty between a challenge and its answer
		m.rest(NoTarget)
		return
	}
	m.phase = p
	m.try++
	expires := m.expires
	if m.state == Leaving {
		expires = 0
	}
	m.do(Sleep{})
	m.do(Register{m.try, m.target, p != plain, expires})
}

func (m *Machine) due(now time.Time) {
	switch {
	case m.phase != quiet:
		return
	case m.state == Waiting || m.state == Bound:
		if m.state == Bound && !now.Before(m.until) {
			m.to(Asking, NoCause) // slept past the expiry, after a suspend say
		}
		m.round, m.after, m.stale, m.brief = 0, 0, 0, 0
		m.ask()
	}
}

func (m *Machine) ping() {
	if m.state == Bound && m.keep > 0 {
		m.do(Ping{m.target})
		m.do(PingAfter{m.keep})
	}
}
