package wire

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"linekeeper/sbc/sip"
)

// What Send, Flow and Handler.Lost report; test with errors.Is.
var (
	// ErrNoZone says that the flow's zone does not exist or is gone.
	ErrNoZone = errors.New("no such zone")
	// ErrGone says that the flow's connection has ended.
	ErrGone = errors.New("connection is gone")
	// ErrBusy says that a bound was reached: the kernel's send buffer or the
	// queue of a connection is full. The message was not sent.
	ErrBusy = errors.New("send queue is full")
	// ErrTooLarge says that the message fits in no datagram, or no queue.
	ErrTooLarge = errors.New("message is too large")
	// ErrClosed says that the wire is not running.
	ErrClosed = errors.New("wire is not running")
	// ErrIdle ends a connection over which nothing has come for too long.
	ErrIdle = errors.New("peer has been silent for too long")
	// ErrHalf ends a connection whose peer began a message and did not end it.
	ErrHalf = errors.New("peer stopped within a message")
	// ErrFraming ends a connection on which message borders are lost.
	ErrFraming = errors.New("stream is not sip")
)

// Handler receives what comes in. Its methods are called by the reader of the
// flow, one at a time for each socket and connection, and must not block.
type Handler interface {
	// Receive takes a parsed and validated message. It owns m from then on.
	Receive(m sip.Message, flow sip.Flow)
	// Lost says, once, that a stream connection has ended or could not be made.
	// flow.Conn is its number; what was sent with Conn 0 is found by zone,
	// transport and remote address. Messages still queued were not sent.
	Lost(flow sip.Flow, err error)
}

// Deps are what a wire needs.
type Deps struct {
	// Zones that Run opens.
	Zones []Zone
	// Log takes bad input, folded to one line a second.
	Log *slog.Logger
	// Guard decides which sources are heard.
	Guard *Guard
	// Late is asked about a valid request that waited longer than Limits.Stale to be
	// read, as others did before it: the box has more to do than it can. True: it has been answered, the
	// handler need not see it. It is called like the handler. Nil: all are taken.
	Late func(req *sip.Request, flow sip.Flow) bool
	// Limits bound queues, connections and patience; zero fields take Defaults.
	Limits Limits
}

// Wire sends and receives SIP messages.
type Wire struct {
	guard      *Guard
	limits     Limits
	first      []Zone
	handler    Handler
	late       func(*sip.Request, sip.Flow) bool
	tap        atomic.Pointer[Tap]
	stats      counters
	bad        folded
	big        folded        // large messages that had to be datagrams
	numbers    atomic.Uint64 // of connections
	routes     routes
	unstreamed datagramOnly
	accepts    crowd

	work sync.WaitGroup // every goroutine but Run's own

	mu    sync.Mutex
	open  bool
	zones map[string]*zone
}

// New makes a wire that opens nothing yet.
func New(deps Deps) *Wire {
	return &Wire{
		guard:  deps.Guard,
		limits: deps.Limits.orDefaults(),
		late:   deps.Late,
		first:  slices.Clone(deps.Zones),
		zones:  make(map[string]*zone),
		bad:    folded{log: deps.Log, text: "bad sip input"},
		big:    folded{log: deps.Log, text: "large sip message"},
	}
}

// Handle names who receives. It must be called once, before Run.
func (w *Wire) Handle(h Handler) { w.handler = h }

// Run opens every zone, calls ready, and serves until ctx ends; then it closes
// all sockets and returns when the last reader has. An error means that a
// zone could not be opened.
func (w *Wire) Run(ctx context.Context, ready func()) error {
	if w.handler == nil || w.guard == nil {
		return errors.New("run wire: a handler and a guard are needed")
	}
	w.mu.Lock()
	w.open = true
	w.mu.Unlock()
	defer w.shut()
	for _, z := range w.first {
		if err := w.SetZone(z); err != nil {
			return err
		}
	}
	ready()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			w.bad.flush(now)
			w.big.flush(now)
			w.guard.expire(now)
		}
	}
}

// shut closes everything and waits for the last goroutine.
func (w *Wire) shut() {
	w.mu.Lock()
	w.open = false
	zones := w.zones
	w.zones = make(map[string]*zone)
	w.mu.Unlock()
	for _, z := range zones {
		z.close(ErrClosed)
	}
	w.work.Wait()
	w.bad.flush(time.Now().Add(time.Minute))
}

// spawn runs f in a goroutine that Run waits for; false once the wire is
// closing.
func (w *Wire) spawn(f func()) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.open {
		return false
	}
	w.work.Go(f)
	return true
}

// zone finds a zone by name.
func (w *Wire) zone(name string) (*zone, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.open {
		return nil, ErrClosed
	}
	z, ok := w.zones[name]
	if !ok {
		return nil, fmt.Errorf("zone %q: %w", name, ErrNoZone)
	}
	return z, nil
}

// SetZone adds a zone, or changes the one of that name while it serves:
// listeners that stay are not touched, new ones are opened before old ones are
// closed, and on an error nothing has changed. Connections that the zone
// dialled from another source address or port are reported lost.
func (w *Wire) SetZone(want Zone) error {
	if err := want.check(); err != nil {
		return err
	}
	want = want.settled()
	w.mu.Lock()
	if !w.open {
		w.mu.Unlock()
		return ErrClosed
	}
	z, ok := w.zones[want.Name]
	if !ok {
		z = newZone(w, want)
		w.zones[want.Name] = z
	}
	w.mu.Unlock()
	if err := z.set(want); err != nil {
		if !ok {
			w.RemoveZone(want.Name)
		}
		return fmt.Errorf("zone %q: %w", want.Name, err)
	}
	return nil
}

// RemoveZone closes a zone's sockets; its connections are reported lost.
func (w *Wire) RemoveZone(name string) {
	w.mu.Lock()
	z := w.zones[name]
	delete(w.zones, name)
	w.mu.Unlock()
	if z != nil {
		z.close(ErrNoZone)
	}
}

// Listening are the addresses that a zone's sockets really have, for ports
// that were left to the kernel.
func (w *Wire) Listening(zone string) []Listen {
	z, err := w.zone(zone)
	if err != nil {
		return nil
	}
	return z.listening()
}

// Flow is the way to begin something new toward remote: over a connection that
// stands already, or over a new one that begins to be made now. Its Local is
// final, and is what belongs into a Contact. It neither resolves nor waits.
func (w *Wire) Flow(zone string, t sip.Transport, remote netip.AddrPort) (sip.Flow, error) {
	z, err := w.zone(zone)
	if err != nil {
		return sip.Flow{}, err
	}
	remote = netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())
	if t == sip.UDP {
		return z.datagramFlow(remote)
	}
	c, err := z.connection(t, remote)
	if err != nil {
		return sip.Flow{}, err
	}
	return c.flow, nil
}

// Send sends a message on a flow. A datagram has been handed to the kernel
// when it returns. On a stream it has been queued: with Conn 0 for whichever
// connection to Remote there is or can be made, otherwise for that connection
// alone; what becomes of that is told by Handler.Lost. An empty sent-by in a
// request's top Via is filled in, in the message itself.
func (w *Wire) Send(flow sip.Flow, m sip.Message) error {
	z, err := w.zone(flow.Zone)
	if err != nil {
		return err
	}
	if flow.Transport == sip.UDP {
		return z.sendDatagram(flow, m)
	}
	c, err := z.standing(flow)
	if err != nil {
		return err
	}
	if req, ok := m.(*sip.Request); ok {
		Leaving(req, c.flow)
		if c.aliased {
			alias(req)
		}
	}
	raw := sip.Bytes(m)
	w.observe(Out, c.flow, raw)
	return c.send(raw)
}
