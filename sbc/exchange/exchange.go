package exchange

import (
	"encoding/base32"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"linekeeper/sbc/sip"
	"linekeeper/sbc/txn"
)

// Faults that a ClientEvent may carry.
var (
	// ErrTimeout: nobody answered in 64*T1 (act as on 408).
	ErrTimeout = errors.New("no answer in time")
	// ErrLost: the way to the peer broke (act as on 503).
	ErrLost = errors.New("way to the peer lost")
	// ErrBusy: the exchange holds as many transactions as it may (act as on 503).
	ErrBusy = errors.New("too many transactions")
)

// Sender puts messages on the wire. It must not block. An error means that the
// message cannot have left.
type Sender interface {
	Send(flow sip.Flow, m sip.Message) error
}

// Handler is told what comes in. Its methods are called from Receive, in the
// order of arrival on a flow; they must not block.
type Handler interface {
	// Request hands over a new server transaction. Repetitions and CANCEL stay
	// in the exchange. tx wants one final Respond.
	Request(tx *Server, req *sip.Request, flow sip.Flow)
	// Ack hands over every ACK of a 2xx, repeated ones too, for its body.
	Ack(req *sip.Request, flow sip.Flow)
	// Stray hands over a 2xx to INVITE whose transaction is gone or released.
	Stray(resp *sip.Response, flow sip.Flow)
}

// Deps are what an exchange needs.
type Deps struct {
	Sender Sender
	Log    *slog.Logger
	Timers txn.Timers // zero: txn.Defaults
	Rand   io.Reader  // 32 bytes are read once, as seed of branches and tags
	// Max bounds the transactions alive at once (0: 20000). Beyond it the oldest
	// of those that are settled, and have been for T1, make room. Where none
	// is left, new requests get 503 without a transaction; requests within
	// dialogs and those of our own may use a quarter more.
	Max int
}

const (
	defaultMax = 20000
	busyAfter  = 5 * time.Second // Retry-After when full
)

// Exchange owns transactions. Its methods may be called from any goroutine.
type Exchange struct {
	sender  Sender
	log     *slog.Logger
	timers  txn.Timers
	max     int64
	handler Handler
	stopped atomic.Bool

	clients *table[*Client]
	servers *table[*Server]
	unacked *table[*Server] // 2xx out, ACK not yet come, by dialog and CSeq
	settled settledQueue
	wheel   *wheel
	counts  counts

	seed maphash.Seed // of tags that must be the same again

	randMu sync.Mutex
	rand   *rand.ChaCha8
}

type counts struct {
	clients, servers                                         atomic.Int64
	repeatsIn, repeatsOut, timeouts, lost, strays, refused   atomic.Uint64
	sendErrors, unacked, cancels, requests, responses, acked atomic.Uint64
	forgotten                                                atomic.Uint64
}

// Stats are counts since the start, but for Clients and Servers, which are the
// transactions alive now, finished ones that linger included.
type Stats struct {
	Clients, Servers    int
	Requests, Responses uint64 // received
	RepeatsIn           uint64 // requests received again
	RepeatsOut          uint64 // messages sent again
	Timeouts            uint64 // client transactions without an answer
	Lost                uint64 // client transactions whose way broke
	Strays              uint64 // responses and ACKs of no transaction
	Refused             uint64 // requests turned away because the exchange was full
	Forgotten           uint64 // settled transactions that made room before their time
	SendErrors          uint64
	Acked, Unacked      uint64 // 2xx to INVITE
	Cancels             uint64 // CANCEL received for a pending INVITE
}

// New makes an exchange. Handle must be called before traffic.
func New(d Deps) (*Exchange, error) {
	if d.Sender == nil || d.Log == nil || d.Rand == nil {
		return nil, errors.New("exchange needs a sender, a log and a source of randomness")
	}
	if d.Timers == (txn.Timers{}) {
		d.Timers = txn.Defaults()
	}
	if d.Max <= 0 {
		d.Max = defaultMax
	}
	var seed [32]byte
	if _, err := io.ReadFull(d.Rand, seed[:]); err != nil {
		return nil, fmt.Errorf("seed of branches: %w", err)
	}
	return &Exchange{
		sender: d.Sender, log: d.Log, timers: d.Timers, max: int64(d.Max),
		clients: newTable[*Client](), servers: newTable[*Server](), unacked: newTable[*Server](),
		rand: rand.NewChaCha8(seed), wheel: newWheel(), seed: maphash.MakeSeed(),
	}, nil
}

// Handle sets who is told. It must be called once, before traffic.
func (x *Exchange) Handle(h Handler) { x.handler = h }

// Stats tells the counts.
func (x *Exchange) Stats() Stats {
	c := &x.counts
	return Stats{
		Clients: int(c.clients.Load()), Servers: int(c.servers.Load()),
		Requests: c.requests.Load(), Responses: c.responses.Load(), RepeatsIn: c.repeatsIn.Load(), RepeatsOut: c.repeatsOut.Load(),
		Timeouts: c.timeouts.Load(), Lost: c.lost.Load(), Strays: c.strays.Load(), Refused: c.refused.Load(),
		SendErrors: c.sendErrors.Load(), Acked: c.acked.Load(), Unacked: c.unacked.Load(), Cancels: c.cancels.Load(),
		Forgotten: c.forgotten.Load(),
	}
}

// Stop ends every transaction without a word and takes no more. Owners are not
// told: they are being stopped too.
func (x *Exchange) Stop() {
	x.stopped.Store(true)
	for _, c := range x.clients.all(func(*Client) bool { return true }) {
		c.halt()
	}
	for _, s := range x.servers.all(func(*Server) bool { return true }) {
		s.halt()
	}
}

// Token is a fresh random word of 26 letters and digits, 128 bits strong, for
// tags and Call-IDs.
func (x *Exchange) Token() string {
	var b [16]byte
	x.randMu.Lock()
	_, _ = x.rand.Read(b[:]) // never fails by contract
	x.randMu.Unlock()
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:]))
}

// Receive takes a message that sip.Validate or sip.ValidateResponse let pass.
func (x *Exchange) Receive(m sip.Message, flow sip.Flow) {
	if x.stopped.Load() {
		return
	}
	switch m := m.(type) {
	case *sip.Request:
		x.counts.requests.Add(1)
		sip.Stamp(m, flow.Remote)
		x.request(m, flow)
	case *sip.Response:
		x.counts.responses.Add(1)
		x.response(m, flow)
	}
}

// Send sends a message outside of transactions: the ACK of a 2xx, which gets a
// Via of its own if it has none.
func (x *Exchange) Send(m sip.Message, flow sip.Flow) error {
	if req, ok := m.(*sip.Request); ok && req.Via() == nil {
		req.PrependHeader(x.newVia(flow, x.branch()))
	}
	if err := x.sender.Send(flow, m); err != nil {
		x.counts.sendErrors.Add(1)
		return fmt.Errorf("send to %v: %w", flow.Remote, err)
	}
	return nil
}

// Lost ends every client transaction on flow with ErrLost. A flow without a
// connection number matches any connection to the same peer.
func (x *Exchange) Lost(flow sip.Flow, err error) {
	lost := func(f sip.Flow) bool {
		return f.Zone == flow.Zone && f.Transport == flow.Transport && f.Remote == flow.Remote &&
			(f.Conn == flow.Conn || f.Conn == 0 || flow.Conn == 0)
	}
	for _, c := range x.clients.all(func(c *Client) bool { return lost(c.Flow()) }) {
		if c.fallBack(lost) {
			continue
		}
		c.step(txn.Input{What: txn.Broken}, act{err: err})
	}
}

// full says whether there is no room for another transaction, and makes some
// where it can.
func (x *Exchange) full(mayReserve bool) bool {
	limit := x.max
	if x.counts.clients.Load()+x.counts.servers.Load() >= limit && x.forget() {
		return false
	}
	if mayReserve {
		limit += x.max / 4
	}
	return x.counts.clients.Load()+x.counts.servers.Load() >= limit
}

// forget ends the transaction that has been settled for longest. In T1 a peer that
// had missed the answer would have asked again (RFC 3261 17.1.2.2); with the default
// bound that is 40,000 transactions a second.
func (x *Exchange) forget() bool {
	t := x.settled.pop(x.timers.T1)
	if t == nil {
		return false
	}
	t.halt()
	x.counts.forgotten.Add(1)
	return true
}

func (x *Exchange) branch() string { return sip.MagicCookie + x.Token() }

// newVia makes our Via. On UDP the address is known; on a stream the wire fills
// it in, since a listener's port belongs there.
func (x *Exchange) newVia(flow sip.Flow, branch string) *sip.Via {
	v := &sip.Via{
		ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: strings.ToUpper(string(flow.Transport)),
		Params: sip.Params{{K: "branch", V: branch}, {K: "rport"}},
	}
	if flow.Transport == sip.UDP && flow.Local.IsValid() && !flow.Local.Addr().IsUnspecified() {
		v.Host, v.Port = flow.Local.Addr().Unmap().String(), int(flow.Local.Port())
	}
	return v
}

// put sends m and counts a failure.
func (x *Exchange) put(flow sip.Flow, m sip.Message) error {
	err := x.sender.Send(flow, m)
	if err != nil {
		x.counts.sendErrors.Add(1)
	}
	return err
}

// again sends the bytes of a message once more. Repetitions are rare: reading
// the message anew is cheaper than holding it.
func (x *Exchange) again(flow sip.Flow, wire []byte) {
	m, err := sip.Parse(wire)
	if err != nil {
		x.log.Error("own message cannot be read again", "err", err)
		return
	}
	x.counts.repeatsOut.Add(1)
	_ = x.put(flow, m) // counted; the next repetition tries again
}
