package mode

import "time"

// Config is how quickly the mode follows the evidence. Values of zero take the defaults.
type Config struct {
	// Interval between probes while all is well; default 10 s.
	Interval time.Duration
	// Fast is the pace under suspicion, and how long an answer may take; default 1 s.
	Fast time.Duration
	// Fail is how many misses in a row put a target down; default 3.
	Fail int
	// Recover is how many good probes in a row end survival; default 5.
	Recover int
	// Deadline bounds Recovering; default 60 s.
	Deadline time.Duration
	// Soft is how long Online and Degraded stay before one follows the other; default 10 s.
	Soft time.Duration
	// Calm is how long after survival a relapse still counts as flapping; default 5 min.
	Calm time.Duration
	// Targets is how many targets there are at first.
	Targets int
	// Rand gives random numbers in [0, 1) for jitter. Required.
	Rand func() float64
}

const (
	longestDwell = 2 * time.Minute
	maxTargets   = 32
	deadCalls    = 2 // external calls without speech that are more than a coincidence
	silentCalls  = 2 // unanswered INVITEs in a row that are more than one
	slowProbe    = 3 // survival's slowest pace, in units of Fast: the return must be seen soon
)

func or[T time.Duration | int](v, otherwise T) T {
	if v > 0 {
		return v
	}
	return otherwise
}

// target is what is known of one of the provider's servers.
type target struct {
	misses   int // in a row
	good     int // in a row
	since    time.Time
	lastMiss time.Time
	busy     bool // its last answer was 503
	badCert  bool // its last connection failed over a certificate
	calls    int  // unanswered INVITEs in a row
}

// Machine is the site's mode. Make it with New.
type Machine struct {
	cfg      Config
	mode     Mode
	cause    Cause
	began    bool
	since    time.Time // of the present mode
	left     time.Time // when survival last ended; zero: never
	dwell    time.Duration
	targets  []target
	rounds   int // slow-down of the probes in survival
	linkDown bool
	gateway  Fact
	internet Fact
	dns      Fact
	lines    Lines
	dead     int
	suspect  bool
	wake     time.Time
	out      []Effect
}

// New makes a machine that waits for Start, in Recovering: what holds after a
// restart is established from evidence.
func New(cfg Config) *Machine {
	cfg.Interval, cfg.Fast = or(cfg.Interval, 10*time.Second), or(cfg.Fast, time.Second)
	cfg.Fail, cfg.Recover = or(cfg.Fail, 3), or(cfg.Recover, 5)
	cfg.Deadline, cfg.Soft = or(cfg.Deadline, time.Minute), or(cfg.Soft, 10*time.Second)
	cfg.Calm = or(cfg.Calm, 5*time.Minute)
	m := &Machine{cfg: cfg, cause: Starting}
	m.dwell = m.shortest()
	m.targets = make([]target, bounded(cfg.Targets))
	return m
}

func bounded(n int) int { return min(max(n, 0), maxTargets) }

// shortest is the dwell of the first outage: what Recover probes at Fast take.
func (m *Machine) shortest() time.Duration {
	return time.Duration(m.cfg.Recover-1) * m.cfg.Fast * 9 / 10
}

// View is the mode as seen from outside.
type View struct {
	Mode  Mode
	Cause Cause
	Since time.Time
	// Suspect says that probes go fast though the mode hasn't changed.
	Suspect bool
	// Reachable is how many of Targets answer.
	Reachable, Targets int
}

// View is the machine's present look.
func (m *Machine) View() View {
	v := View{Mode: m.mode, Cause: m.cause, Since: m.since, Suspect: m.suspect, Targets: len(m.targets)}
	for i := range m.targets {
		if !m.down(i) {
			v.Reachable++
		}
	}
	return v
}

// Step takes one piece of evidence. It is total. The effects are valid until
// the next Step.
func (m *Machine) Step(now time.Time, in Input) []Effect {
	m.out = m.out[:0]
	if !m.began {
		if _, is := in.(Start); is {
			m.began, m.since = true, now
			m.probeAll(0)
			m.judge(now)
			return m.out
		}
	}
	m.take(now, in)
	if m.began {
		m.judge(now)
	}
	return m.out
}

func (m *Machine) do(e Effect) { m.out = append(m.out, e) }

// to is the only door between modes and causes.
func (m *Machine) to(now time.Time, mode Mode, cause Cause) {
	if mode == m.mode && cause == m.cause {
		return
	}
	if mode != m.mode {
		m.enter(now, mode)
	}
	m.mode, m.cause = mode, cause
	m.do(Became{mode, cause})
}

// enter keeps the dwell: each relapse within Calm doubles it.
func (m *Machine) enter(now time.Time, mode Mode) {
	m.since = now
	switch {
	case mode == Survival:
		m.rounds = 0
		m.dwell = m.nextDwell(now)
		for i := range m.targets {
			m.targets[i].good, m.targets[i].calls = 0, 0
		}
		m.suspect = false
		m.probeAll(m.cfg.Fast) // in place of what was ordered at another pace
	case m.mode == Survival:
		m.left = now
	}
}

func (m *Machine) nextDwell(now time.Time) time.Duration {
	if m.left.IsZero() || now.Sub(m.left) > m.cfg.Calm {
		return m.shortest()
	}
	return min(2*m.dwell, longestDwell)
}
