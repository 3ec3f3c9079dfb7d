package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"

	"linekeeper/appliance/lab/ng"
	"linekeeper/appliance/lab/voice"
)

// The floors of relayed media, from the product's fourth issue; all for RTP to SRTP.
const (
	mediaRatio      = 0.75 // of rtpengine's processor time for a packet, the most
	mediaRatioAt500 = 0.6
	mediaP99        = 4  // ms with 1000 calls
	relayMemory     = 20 // KiB of a call's media; its signalling may hold callMemory besides
	manyMediaCalls  = 1000
)

// relayEffort is how long and how much of relayed media is measured.
type relayEffort struct {
	sizes  []int
	rounds int
	// settle is the first warm-up after calls were added: the daemon notes that they had
	// fallen silent, and that they speak again. A round and the pause that the other's
	// round is must be shorter than what it takes for silence, 4 s.
	settle, warm, span time.Duration
	forget             time.Duration // longer than a transaction lingers
}

func fullRelayEffort() relayEffort {
	return relayEffort{sizes: []int{50, 200, 500, manyMediaCalls, 1500}, rounds: 3, settle: 3500 * time.Millisecond, warm: 400 * time.Millisecond, span: 2 * time.Second, forget: 36 * time.Second}
}

func quickRelayEffort() relayEffort {
	return relayEffort{sizes: []int{20, 40}, rounds: 1, settle: 100 * time.Millisecond, warm: 100 * time.Millisecond, span: 500 * time.Millisecond}
}

// relayRun is the media of a number of calls at one system, as a line of the report:
// medians of the rounds, the longest delay and the loss of all of them.
type relayRun struct {
	Case   string  `json:"case"`
	Who    string  `json:"who"`
	Calls  int     `json:"calls"`
	CPU    float64 `json:"cpu_us_per_packet"`
	Ratio  float64 `json:"ratio,omitempty"` // of ours to this peer's
	Core   float64 `json:"core_percent"`
	P50    float64 `json:"p50_ms"`
	P99    float64 `json:"p99_ms"`
	Max    float64 `json:"max_ms"`
	Sent   uint64  `json:"sent"`
	Lost   int64   `json:"lost"`
	Memory float64 `json:"kib_per_call"`
}

// relay is a system that relays the calls of an engine.
type relay struct {
	name   string
	engine *engine
	pids   []int
	empty  int64 // resident bytes without a call
	first  int64 // held without a call
	more   func(ctx context.Context, n int) error
	calls  int
	grown  time.Time                                // when calls were added last
	held   func(ctx context.Context) (int64, error) // alive for the collector; nil: RSS is all there is
	awake  bool                                     // is never stopped: its signalling has a life of its own
}

// grow adds calls until n stand.
func (y *relay) grow(ctx context.Context, n int) error {
	if err := y.wake(true); err != nil {
		return err
	}
	if err := y.more(ctx, n-y.calls); err != nil {
		return fmt.Errorf("%s: %d calls: %w", y.name, n, err)
	}
	y.calls, y.grown = n, time.Now()
	return nil
}

// wake lets the system run, or stops it while another is measured on its core.
func (y *relay) wake(run bool) error {
	if y.awake {
		return nil
	}
	signal := syscall.SIGSTOP
	if run {
		signal = syscall.SIGCONT
	}
	for _, pid := range y.pids {
		if err := syscall.Kill(pid, signal); err != nil {
			return fmt.Errorf("%s: %w", y.name, err)
		}
	}
	return nil
}

func (y *relay) resident() (sum int64, err error) {
	for _, pid := range y.pids {
		n, err := resident(pid)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// lateEnough is how often the generator may be late in a size before it is told.
const lateEnough = 20

// relayRound is one measured time.
type relayRound struct {
	cpu, core, p50, p99, max float64
	sent                     uint64
	lost                     int64
	bad                      uint64
	late                     int
}

func (y *relay) round(ctx context.Context, b *bench, warm, span time.Duration) (relayRound, error) {
	var spent time.Duration
	t := target{PIDs: y.pids}
	if err := y.wake(true); err != nil {
		return relayRound{}, err
	}
	var began time.Time
	var took time.Duration
	res := y.engine.run(ctx, warm, span, func() { spent, began = b.usageOf(t), time.Now() }, func() { spent, took = b.usageOf(t)-spent, time.Since(began) })
	if err := y.wake(false); err != nil {
		return relayRound{}, err
	}
	all := res.ToPhone
	all.merge(&res.ToCloud)
	if res.Received == 0 {
		return relayRound{}, fmt.Errorf("%s: nothing was relayed", y.name)
	}
	return relayRound{
		cpu: perUnit(spent, int(res.Received)), core: 100 * float64(spent) / float64(took), p50: millis(all.quantile(0.5)), p99: millis(all.quantile(0.99)), max: millis(all.max),
		sent: res.Sent, lost: max(0, res.lost()), bad: res.Broken + res.Alien, late: res.Stalls + int(res.SendFails),
	}, context.Cause(ctx)
}

// measureRelays runs the suite of media: the daemon next to rtpengine, in turn, by the
// same generator.
func measureRelays(ctx context.Context, b *bench, binary, dir string, effort relayEffort, cases []string) error {
	known := map[string]voice.Security{"rtp-srtp": voice.Required, "rtp-rtp": voice.Plain}
	for _, c := range cases {
		security, ok := known[c]
		if !ok {
			return fmt.Errorf("case %q: rtp-srtp and rtp-rtp are known", c)
		}
		fmt.Fprintf(os.Stderr, "bench: %s...\n", c)
		if err := b.relayCase(ctx, c, security, binary, dir, effort); err != nil {
			return fmt.Errorf("%s: %w", c, err)
		}
	}
	return nil
}

func (b *bench) relayCase(ctx context.Context, in string, security voice.Security, binary, dir string, effort relayEffort) (err error) {
	ours, stop, err := b.daemonRelay(ctx, security, binary, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	systems := []*relay{ours}
	peer, stopPeer, err := b.rtpengineRelay(ctx, security, dir)
	if err != nil {
		b.report.note("rtpengine: %v: nothing to compare with", err)
	} else {
		defer func() { err = errors.Join(err, stopPeer()) }()
		systems = append(systems, peer)
	}
	defer func() { // who is stopped cannot end
		for _, y := range systems {
			err = errors.Join(err, y.wake(true))
		}
	}()
	for _, n := range effort.sizes {
		rounds := make([][]relayRound, len(systems))
		for _, y := range systems {
			if err := y.grow(ctx, n); err != nil {
				return err
			}
		}
		for _, y := range systems[1:] {
			if err := y.wake(false); err != nil {
				return err
			}
		}
		for k := range effort.rounds {
			for i, y := range systems {
				warm := effort.warm
				if k == 0 && y.awake {
					warm = effort.settle
				}
				r, err := y.round(ctx, b, warm, effort.span)
				if err != nil {
					return err
				}
				rounds[i] = append(rounds[i], r)
			}
		}
		if err := b.judgeRelays(in, n, systems, rounds); err != nil {
			return err
		}
	}
	if in == "rtp-rtp" {
		return nil // the memory is the same
	}
	sleepTo(ctx, ours.grown.Add(effort.forget))
	alive, err := ours.held(ctx)
	if err != nil {
		return err
	}
	b.report.below(in, fmt.Sprintf("held by one of %d calls with its signalling", ours.calls), float64(alive-ours.first)/1024/float64(ours.calls), relayMemory+callMemory, "KiB")
	share, err := mediaShare(ctx)
	if err != nil {
		return err
	}
	b.report.below(in, "held by the media of a call", share, relayMemory, "KiB")
	return nil
}

// judgeRelays keeps what the rounds of a size have shown.
func (b *bench) judgeRelays(in string, n int, systems []*relay, rounds [][]relayRound) error {
	median := func(list []relayRound, of func(relayRound) float64) float64 {
		all := make([]float64, 0, len(list))
		for _, r := range list {
			all = append(all, of(r))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	runs := make([]relayRun, len(systems))
	for i, y := range systems {
		list := rounds[i]
		run := relayRun{Case: in, Who: y.name, Calls: n,
			CPU: median(list, func(r relayRound) float64 { return r.cpu }), Core: median(list, func(r relayRound) float64 { return r.core }),
			P50: median(list, func(r relayRound) float64 { return r.p50 }), P99: median(list, func(r relayRound) float64 { return r.p99 }),
		}
		bad, late := uint64(0), 0
		for _, r := range list {
			run.Max, run.Sent, run.Lost = max(run.Max, r.max), run.Sent+r.sent, run.Lost+r.lost
			bad, late = bad+r.bad, late+r.late
		}
		memory, err := y.resident()
		if err != nil {
			return err
		}
		run.Memory = float64(memory-y.empty) / 1024 / float64(n)
		if run.Ratio = 0; i > 0 && run.CPU > 0 {
			run.Ratio = runs[0].CPU / run.CPU
		}
		if bad > 0 || late > lateEnough {
			b.report.note("%s, %s, %d calls: %d packets did not open or were another call's, the generator was late or failed %d times", in, y.name, n, bad, late)
		}
		runs[i] = run
		fmt.Fprintf(os.Stderr, "bench: %s, %s, %d calls: %.2f us, %.0f %% of the core, p50 %.2f ms, p99 %.2f, max %.2f, lost %d of %d, %.1f KiB a call\n",
			in, y.name, n, run.CPU, run.Core, run.P50, run.P99, run.Max, run.Lost, run.Sent, run.Memory)
	}
	b.report.Relays = append(b.report.Relays, runs...)
	b.relayFloors(in, n, runs)
	return nil
}

func (b *bench) relayFloors(in string, n int, runs []relayRun) {
	if in != "rtp-srtp" {
		return
	}
	r, mine := b.report, runs[0]
	most := map[int]float64{50: mediaRatio, 200: mediaRatio, 500: mediaRatioAt500, manyMediaCalls: mediaRatio}[n]
	if len(runs) > 1 && most > 0 {
		r.atMost(in, fmt.Sprintf("%d calls, processor time of a packet, ratio to rtpengine", n), runs[1].Ratio, most, "")
	}
	if n != manyMediaCalls {
		return
	}
	r.none(in, fmt.Sprintf("%d calls, packets lost of %d", n, mine.Sent), float64(mine.Lost))
	r.below(in, fmt.Sprintf("%d calls, added latency p99", n), mine.P99, mediaP99, "ms")
}

// daemonRelay runs the daemon; its calls come about by SIP.
func (b *bench) daemonRelay(ctx context.Context, security voice.Security, binary, dir string) (_ *relay, stop func() error, err error) {
	s := &site{security: voice.Plain, clear: security == voice.Plain}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if err := s.newCloud(); err != nil {
		return nil, nil, err
	}
	own, err := os.MkdirTemp(dir, "daemon")
	if err != nil {
		return nil, nil, err
	}
	d, err := startDaemon(ctx, binary, own, b.at, s.trunk())
	if err != nil {
		return nil, nil, err
	}
	stop = func() error {
		s.close()
		return d.stop()
	}
	s.target = d.target
	b.report.Against = d.target.Name + ", rtpengine on the same core in turn"
	ready, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := errors.Join(s.cloud.WaitRegistered(ready), s.openPhones(ready)); err != nil {
		return nil, nil, errors.Join(err, d.stop())
	}
	s.carry(true)
	y := &relay{name: "linekeeper", engine: s.engine, pids: d.target.PIDs, awake: true}
	y.held = func(ctx context.Context) (int64, error) {
		f, err := d.held(ctx)
		return f.held, err
	}
	if y.first, err = y.held(ctx); err != nil {
		return nil, nil, errors.Join(err, d.stop())
	}
	y.more = func(ctx context.Context, n int) error {
		_, err := standingCalls(ctx, s.phones, func(int) string { return outside }, n, 80)
		return err
	}
	if y.empty, err = y.resident(); err != nil {
		return nil, nil, errors.Join(err, d.stop())
	}
	return y, stop, nil
}

// rtpengineRelay runs rtpengine; its calls come about by its control protocol.
func (b *bench) rtpengineRelay(ctx context.Context, security voice.Security, dir string) (*relay, func() error, error) {
	at, err := freePort("udp")
	if err != nil {
		return nil, nil, err
	}
	own, err := os.MkdirTemp(dir, "rtpengine")
	if err != nil {
		return nil, nil, err
	}
	p, err := startRelay(b.at, own, at.String())
	if err != nil {
		return nil, nil, err
	}
	g, err := ng.Dial(at)
	for began := time.Now(); err == nil; { // nothing answers before it listens
		_, err = g.Ask(map[string]any{"command": "ping"})
		if err == nil || time.Since(began) > readyTimeout || !sleepTo(ctx, time.Now().Add(100*time.Millisecond)) {
			break
		}
		err = nil
	}
	if err != nil {
		return nil, nil, errors.Join(err, p.stop())
	}
	y := &relay{name: "rtpengine", engine: newEngine(), pids: []int{p.pid()}}
	y.more = func(_ context.Context, n int) error {
		for i := y.calls; i < y.calls+n; i++ {
			if err := y.offer(g, i, security); err != nil {
				return err
			}
		}
		return nil
	}
	if y.empty, err = y.resident(); err != nil {
		return nil, nil, errors.Join(err, p.stop())
	}
	return y, p.stop, nil
}

// offer sets a call of rtpengine up, from a phone to the cloud.
func (y *relay) offer(g *ng.Client, i int, security voice.Security) error {
	suites := []voice.Suite{voice.SHA1_80}
	near, err := y.engine.endpoint(phoneAddr(i%phoneCount), 0, voice.Terms{Security: voice.Plain, Suites: suites})
	if err != nil {
		return err
	}
	far, err := y.engine.endpoint(netip.MustParseAddr(cloudAddress), 1, voice.Terms{Security: security, Suites: suites})
	if err != nil {
		return err
	}
	profile := map[voice.Security]string{voice.Plain: "RTP/AVP", voice.Required: "RTP/SAVP"}
	words := func(command, profile string, sdp []byte) map[string]any {
		m := map[string]any{"command": command, "call-id": fmt.Sprint("bench-", i), "from-tag": "a", "ICE": "remove", "DTLS": "off", "rtcp-mux": []string{"demux"},
			"transport-protocol": profile, "sdp": string(sdp)}
		if command == "answer" {
			m["to-tag"] = "b"
		}
		return m
	}
	offered, err := g.Ask(words("offer", profile[security], near.Offer()))
	if err != nil {
		return err
	}
	text, _ := offered["sdp"].(string)
	answer, err := far.Answer([]byte(text))
	if err != nil {
		return err
	}
	answered, err := g.Ask(words("answer", profile[voice.Plain], answer))
	if err != nil {
		return err
	}
	text, _ = answered["sdp"].(string)
	return near.Accept([]byte(text))
}
