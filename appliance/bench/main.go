package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"linekeeper/appliance/lab/ua"
	"linekeeper/appliance/lab/voice"
)

const pinnedVariable = "LINEKEEPER_BENCH_PINNED"

type options struct {
	suite     string
	cases     []string
	quick     bool
	against   string
	daemon    string
	out       string
	daemonCPU int
	loadCPU   int
	priority  int
}

// The cases of the suites.
const (
	allFloors = "memory,register,calls,media,kamailio"
	allCalls  = "memory,price,sustained"
	allMedia  = "rtp-srtp,rtp-rtp"
)

// longest is when a run is given up, whatever it is at.
const longest = 7*time.Minute + 30*time.Second

func main() {
	var o options
	cases := flag.String("cases", "", "what is measured, in this order (floors: "+allFloors+"; calls: "+allCalls+"; media: "+allMedia+")")
	flag.StringVar(&o.suite, "suite", "floors", "floors: all cases; calls: what a call's signalling costs, media: what a relayed packet costs, next to peers")
	flag.BoolVar(&o.quick, "quick", false, "a short run that proves the generators and measures little; nothing is kept")
	flag.StringVar(&o.against, "against", "daemon", "daemon, or lab: the lab's own cloud, to know the generators' share")
	flag.StringVar(&o.daemon, "daemon", "", "a daemon that is built already")
	flag.StringVar(&o.out, "out", "testdata/bench", "where the figures are kept")
	flag.IntVar(&o.daemonCPU, "daemon-cpu", 0, "core of the daemon")
	flag.IntVar(&o.loadCPU, "load-cpu", 1, "core of the generators")
	flag.IntVar(&o.priority, "priority", 0, "real-time priority of everything that is measured, for a machine that others use (needs root)")
	flag.Parse()
	if *cases == "" {
		*cases = map[string]string{"floors": allFloors, "calls": allCalls, "media": allMedia}[o.suite]
	}
	o.cases = strings.Split(*cases, ",")
	if err := pin(seat{core: o.loadCPU, priority: o.priority}); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	ua.Quiet()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, longest)
	measure := run
	if o.suite != "floors" {
		measure = runBeside
	}
	missed, err := measure(ctx, o)
	cancel()
	stop()
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	case missed > 0:
		fmt.Fprintf(os.Stderr, "bench: %d floors missed\n", missed)
		os.Exit(1)
	}
}

// pin puts this whole process on its seat by starting it anew there: threads that run
// already could not be moved one by one without a race.
func pin(at seat) error {
	if os.Getenv(pinnedVariable) != "" || onlineCores() < 2 {
		runtime.GOMAXPROCS(2) // the media thread must not stop the signalling
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	words := at.command(self, os.Args[1:]...)
	first, err := exec.LookPath(words[0])
	if err != nil {
		return fmt.Errorf("%s is needed to keep daemon and generators apart (util-linux): %w", words[0], err)
	}
	return syscall.Exec(first, words, append(os.Environ(), pinnedVariable+"=1"))
}

// run measures and tells how many floors were missed.
func run(ctx context.Context, o options) (missed int, err error) {
	now := time.Now()
	r := newReport(ctx, now)
	s := &site{}
	defer s.close()
	if err := s.newCloud(); err != nil {
		return 0, err
	}
	finish, words, err := aim(ctx, o, s, r)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, finish()) }()
	peerDir, err := os.MkdirTemp("", "linekeeper-peer")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(peerDir)) }()
	b := &bench{site: s, effort: fullEffort(), report: r, peerDir: peerDir, at: seat{core: o.daemonCPU, priority: o.priority}}
	if o.quick {
		b.effort = quickEffort()
	}
	err = b.measure(ctx, o.cases)
	r.Load += " before, " + loadAverage() + " after"
	if err != nil {
		fmt.Print(r.table())
		return 0, err
	}
	if r.missed() > 0 {
		if text := words(); text != "" {
			r.note("the daemon's last words:\n%s", text)
		}
	}
	fmt.Print(r.table())
	if o.quick || o.against != "daemon" {
		return r.missed(), nil
	}
	return r.missed(), r.write(o.out, "", now)
}

func newReport(ctx context.Context, now time.Time) *report {
	return &report{
		Date: now.Format(time.RFC3339), Machine: describeMachine(), Commit: commit(ctx),
		Command: strings.Join(append([]string{"go run ./appliance/bench"}, os.Args[1:]...), " "), Load: loadAverage(),
	}
}

// runBeside measures a suite next to peers, and tells how many floors were missed.
func runBeside(ctx context.Context, o options) (missed int, err error) {
	now := time.Now()
	r := newReport(ctx, now)
	dir, err := os.MkdirTemp("", "linekeeper-bench")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if o.daemon == "" {
		if o.daemon, err = build(ctx, dir); err != nil {
			return 0, err
		}
	}
	b := &bench{report: r, peerDir: dir, at: seat{core: o.daemonCPU, priority: o.priority}}
	switch o.suite {
	case "calls":
		effort := fullCallEffort()
		if o.quick {
			effort = quickCallEffort()
		}
		err = measureCalls(ctx, b, o.daemon, dir, effort, o.cases)
	case "media":
		effort := fullRelayEffort()
		if o.quick {
			effort = quickRelayEffort()
		}
		err = measureRelays(ctx, b, o.daemon, dir, effort, o.cases)
	default:
		err = fmt.Errorf("suite %q: floors, calls and media are known", o.suite)
	}
	r.Load += " before, " + loadAverage() + " after"
	fmt.Print(r.table())
	if err != nil || o.quick {
		return r.missed(), err
	}
	return r.missed(), r.write(o.out, "-"+o.suite, now)
}

// aim makes the target: the daemon, or the lab's cloud itself. words tells the end of
// the target's log.
func aim(ctx context.Context, o options, s *site, r *report) (finish func() error, words func() string, err error) {
	if o.against == "lab" {
		s.security = voice.Required
		s.target = target{UDP: s.cloud.Addr(ua.UDP), TLS: s.cloud.Addr(ua.TLS), Domain: cloudDomain, Name: "the lab's own cloud"}
		r.Against = s.target.Name
		return func() error { return nil }, func() string { return "" }, nil
	}
	if o.against != "daemon" {
		return nil, nil, fmt.Errorf("-against %q: daemon or lab", o.against)
	}
	dir, err := os.MkdirTemp("", "linekeeper-bench")
	if err != nil {
		return nil, nil, err
	}
	remove := func() error { return os.RemoveAll(dir) }
	if o.daemon == "" {
		if o.daemon, err = build(ctx, dir); err != nil {
			return nil, nil, errors.Join(err, remove())
		}
	}
	d, err := startDaemon(ctx, o.daemon, dir, seat{core: o.daemonCPU, priority: o.priority}, s.trunk())
	if err != nil {
		return nil, nil, errors.Join(err, remove())
	}
	s.target = d.target
	r.Against = d.target.Name
	finish = func() error { return errors.Join(d.stop(), remove()) }
	if err := idle(ctx, s, r); err != nil {
		return nil, nil, errors.Join(err, finish())
	}
	return finish, d.lastWords, nil
}

// idle waits for the lines and tells the memory of a daemon that nobody has called yet.
func idle(ctx context.Context, s *site, r *report) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	began := time.Now()
	if err := s.cloud.WaitRegistered(ctx); err != nil {
		return err
	}
	r.add("memory", fmt.Sprintf("%d lines registered in", phoneCount), time.Since(began).Seconds(), "s")
	n, err := resident(s.target.PIDs[0])
	r.add("memory", fmt.Sprintf("idle, %d lines and no phone", phoneCount), float64(n)/1e6, "MB")
	return err
}

// measure runs the cases in order; phones are opened before the first that needs them.
func (b *bench) measure(ctx context.Context, cases []string) error {
	known := map[string]func(context.Context) error{
		"register": b.register, "calls": b.calls, "memory": b.memoryUse, "media": b.media, "kamailio": b.compare,
	}
	if i := slices.IndexFunc(cases, func(c string) bool { return known[c] == nil }); i >= 0 {
		return fmt.Errorf("case %q: memory, register, calls, media and kamailio are known", cases[i])
	}
	for _, c := range cases {
		if c != "register" && len(b.site.phones) == 0 {
			if err := b.site.openPhones(ctx); err != nil {
				return fmt.Errorf("phones: %w", err)
			}
		}
		fmt.Fprintf(os.Stderr, "bench: %s...\n", c)
		if err := known[c](ctx); err != nil {
			return fmt.Errorf("%s: %w", c, err)
		}
	}
	return nil
}

// commit is what is checked out; empty where there is no git.
func commit(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return ""
	}
	return "at " + strings.TrimSpace(string(out))
}
