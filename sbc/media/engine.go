package media

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Errors of the engine.
var (
	// ErrNoPorts says that every port pair of the range is taken or resting.
	ErrNoPorts = errors.New("no free media port")
	// ErrClosed says that the stream, or the engine, is closed.
	ErrClosed = errors.New("media stream is closed")
)

// Config is how the engine behaves. The zero value works.
type Config struct {
	// Workers is how many threads relay; 0: 1. One moves more than 1000 calls.
	Workers int
	// DSCP marks what we send, 0 to 63; 46 is EF.
	DSCP uint8
	// Tick is how long a busy worker sleeps between two passes, half of it above
	// some 150 calls; 0: 2 ms.
	Tick time.Duration
	// Rest is how long a closed port stays unused; 0: 5 s, negative: none.
	Rest time.Duration
	// Rand gives SSRCs and port starts; nil: crypto/rand.
	Rand io.Reader
	// Plain keeps to one socket and one system call for each packet, as where
	// the kernel or our rights allow no more; for tests and comparisons.
	Plain bool
	// Certificate is shown in DTLS handshakes; nil: there are none.
	Certificate *Certificate
	// Log hears about starts, stops and broken sockets; nil: nobody.
	Log *slog.Logger
}

// Engine owns the workers and the ports.
type Engine struct {
	conf    Config
	log     *slog.Logger
	start   time.Time
	ports   *ports
	workers []*worker
	steer   *steering // nil: each port's own socket
	path    Path
	streams atomic.Int64
	digits  chan keyNews

	// life ends with Run; handshakes has a place for each handshake that runs.
	life       context.Context
	end        context.CancelFunc
	handshakes chan struct{}

	mu    sync.Mutex
	legs  map[string]*legTotals
	ended bool
	talks sync.WaitGroup // associations
}

// New makes an engine; Run brings it to life. The error is one of the system
// (descriptors).
func New(conf Config) (*Engine, error) {
	if conf.Workers <= 0 {
		conf.Workers = 1
	}
	if conf.Tick <= 0 {
		conf.Tick = 2 * time.Millisecond
	}
	if conf.Rest == 0 {
		conf.Rest = 5 * time.Second
	}
	if conf.Rand == nil {
		conf.Rand = rand.Reader
	}
	if conf.Log == nil {
		conf.Log = slog.New(slog.DiscardHandler)
	}
	e := &Engine{conf: conf, log: conf.Log, start: time.Now(), legs: make(map[string]*legTotals), digits: make(chan keyNews, maxDigits)}
	e.handshakes = make(chan struct{}, maxHandshakes)
	e.life, e.end = context.WithCancel(context.Background())
	e.ports = newPorts(conf.Rand, conf.Rest)
	for i := range conf.Workers {
		w, err := newWorker(i, e.start, conf)
		if err != nil {
			for _, w := range e.workers {
				w.shut()
			}
			return nil, fmt.Errorf("media worker %d: %w", i, err)
		}
		e.workers = append(e.workers, w)
	}
	e.choosePath()
	return e, nil
}

// Run relays until ctx ends, then closes every socket. ready is called once
// packets move. It can run once.
func (e *Engine) Run(ctx context.Context, ready func()) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, w := range e.workers {
		g.Go(func() error { return w.run(ctx) })
	}
	g.Go(func() error {
		e.report(ctx)
		return nil
	})
	stop := context.AfterFunc(ctx, func() {
		for _, w := range e.workers {
			w.wake()
		}
	})
	defer stop()
	if e.steer != nil {
		defer e.steer.close()
	}
	if ready != nil {
		ready()
	}
	e.log.Info("media relay runs", "workers", len(e.workers), "tick", e.conf.Tick, "path", e.path.String())
	err := g.Wait()
	e.mu.Lock()
	e.ended = true
	e.mu.Unlock()
	e.end()
	e.talks.Wait()
	return err
}

// begin runs f until the engine ends, which waits for it.
func (e *Engine) begin(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ended {
		return
	}
	e.talks.Go(f)
}

// report hands digits to the owners of their streams.
func (e *Engine) report(ctx context.Context) {
	for {
		select {
		case t := <-e.digits:
			if f := t.s.onDigit.Load(); f != nil {
				(*f)(t.d)
			}
		case <-ctx.Done():
			return
		}
	}
}

// Side says where a stream is opened.
type Side struct {
	// Leg names the side in the totals, "lan" or "wan".
	Leg string
	// Addr is the local address that the sockets are bound to.
	Addr netip.Addr
	// Low and High bound the ports, both included. RTP has the even one of a pair.
	Low, High uint16
	// Notify hears of the stream's keys and paths; nil: nobody. It must not block,
	// nor call a method of the stream.
	Notify func(Event)
	// Relay is an address at a TURN server for the stream, which closes it at its end;
	// nil: none. It is of use with ICE alone, and for RTCP only where that shares the port.
	Relay *Relayed
	// With is a stream of the same call: both then live on one worker from the
	// start. Nil: the least busy worker.
	With *Stream
}

// Open binds a port pair on the least busy worker. The stream is silent until
// Set and Bridge. The error is ErrNoPorts, ErrClosed or the system's.
func (e *Engine) Open(side Side) (*Stream, error) {
	w := e.workers[0]
	for _, o := range e.workers[1:] {
		if o.load.Load() < w.load.Load() {
			w = o
		}
	}
	if side.With != nil {
		w = side.With.home.Load()
	}
	pair, err := e.ports.open(side, e.conf.DSCP)
	if err != nil {
		return nil, fmt.Errorf("open media on %s: %w", side.Addr, err)
	}
	s, err := newStream(e, side, pair)
	if err != nil {
		e.ports.close(pair)
		return nil, fmt.Errorf("open media on %s: %w", side.Addr, err)
	}
	if s.relay = side.Relay; s.relay != nil {
		s.relay.serve(s.Local())
	}
	s.home.Store(w)
	w.load.Add(1)
	e.streams.Add(1)
	if !w.post(command{kind: doAdd, s: s}) {
		s.release()
		return nil, fmt.Errorf("open media on %s: %w", side.Addr, ErrClosed)
	}
	return s, nil
}

// Bridge relays between two streams, whatever they were bridged with before.
// Closed streams are left alone.
func (e *Engine) Bridge(a, b *Stream) {
	if a == b {
		return
	}
	bridge(a, b)
}

// legOf finds the totals of a leg; they live as long as the engine.
func (e *Engine) legOf(name string) *legTotals {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.legs[name]
	if t == nil {
		t = &legTotals{}
		e.legs[name] = t
	}
	return t
}
