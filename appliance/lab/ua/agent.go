package ua

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"
	"golang.org/x/sys/unix"
)

// Transport is how an agent sends SIP.
type Transport string

// The transports of the lab.
const (
	UDP Transport = "udp"
	TCP Transport = "tcp"
	TLS Transport = "tls"
)

// Config says what an agent is.
type Config struct {
	Transport Transport
	Local     netip.AddrPort // port 0: given by the kernel
	ServerTLS *tls.Config    // needed to listen on TLS
	ClientTLS *tls.Config    // needed to connect by TLS
	Name      string         // User-Agent
	Gate      *Gate          // nil: always open
	Log       *slog.Logger
	Handler   Handler
}

// Handler gets what is not for an existing dialog. Its methods are called on
// goroutines of their own and may block; ctx ends with the agent.
type Handler interface {
	// Invited is told of a new call, which it answers, rings or rejects.
	Invited(ctx context.Context, c *Call)
	// Asked is told of a request outside a dialog other than INVITE; it answers
	// through tx.
	Asked(ctx context.Context, a *Agent, req *sip.Request, tx *sip.ServerTx)
	// Admit is asked before a request makes a call or reaches Asked. false: the
	// request was dealt with, or is to be passed over in silence.
	Admit(ctx context.Context, a *Agent, req *sip.Request, tx *sip.ServerTx) bool
	// Media makes the media of a call, when its first description is due.
	Media(c *Call) (Media, error)
}

// Agent is one SIP user agent on one address.
type Agent struct {
	cfg      Config
	log      *slog.Logger
	local    netip.AddrPort
	ua       *sipgo.UserAgent
	client   *sipgo.Client
	closer   func()
	ctx      context.Context // the life of the agent, ended by Close
	end      context.CancelFunc
	tasks    sync.WaitGroup
	received atomic.Uint64

	mu     sync.Mutex
	calls  map[string]*Call // by Call-ID and our tag
	closed bool
}

// maxCalls bounds the dialogs of one agent.
const maxCalls = 8192

// Open listens on the configured address; Close ends it.
func Open(cfg Config) (*Agent, error) {
	a := &Agent{cfg: cfg, log: cfg.Log, calls: make(map[string]*Call)}
	// sipgo logs whole datagrams at error level
	quiet := slog.New(slog.DiscardHandler)
	var err error
	a.ua, err = sipgo.NewUA(sipgo.WithUserAgent(cfg.Name), sipgo.WithUserAgenTLSConfig(cfg.ClientTLS),
		sipgo.WithUserAgentTransportLayerOptions(sip.WithTransportLayerLogger(quiet)),
		sipgo.WithUserAgentTransactionLayerOptions(sip.WithTransactionLayerLogger(quiet),
			sip.WithTransactionLayerUnhandledResponseHandler(a.stray)))
	if err != nil {
		return nil, fmt.Errorf("user agent on %s %s: %w", cfg.Transport, cfg.Local, err)
	}
	if a.client, err = sipgo.NewClient(a.ua, sipgo.WithClientLogger(quiet)); err != nil {
		return nil, errors.Join(err, a.ua.Close())
	}
	a.ua.TransportLayer().OnMessage(func(sip.Message) { a.received.Add(1) })
	a.ua.TransactionLayer().OnRequest(a.request)
	a.ctx, a.end = context.WithCancel(context.Background())
	if err := a.listen(); err != nil {
		a.end()
		return nil, errors.Join(err, a.ua.Close())
	}
	return a, nil
}

func (a *Agent) listen() error {
	gate := a.cfg.Gate
	if gate == nil {
		gate = &Gate{}
	}
	if a.cfg.Transport == UDP {
		conn, err := net.ListenPacket("udp", a.cfg.Local.String())
		if err != nil {
			return fmt.Errorf("sip socket: %w", err)
		}
		a.local = conn.LocalAddr().(*net.UDPAddr).AddrPort()
		widen(conn)
		g := &gatedPackets{PacketConn: conn, gate: gate, taken: make(chan struct{})}
		a.closer = func() { _ = conn.Close() }
		a.tasks.Go(func() { _ = a.ua.TransportLayer().ServeUDP(g) }) // ends with the socket
		<-g.taken
		return nil
	}
	l, err := net.Listen("tcp", a.cfg.Local.String())
	if err != nil {
		return fmt.Errorf("sip listener: %w", err)
	}
	a.local = l.Addr().(*net.TCPAddr).AddrPort()
	g := &gatedListener{Listener: l, gate: gate, open: make(map[*gatedConn]struct{})}
	a.closer = func() { _ = l.Close(); g.reset() }
	if a.cfg.Transport == TCP {
		a.tasks.Go(func() { _ = a.ua.TransportLayer().ServeTCP(g) }) // ends with the listener
		return nil
	}
	if a.cfg.ServerTLS == nil {
		return errors.Join(errors.New("sip over tls needs a server certificate"), l.Close())
	}
	a.tasks.Go(func() { _ = a.ua.TransportLayer().ServeTLS(tls.NewListener(g, a.cfg.ServerTLS)) })
	return nil
}

// receiveBuffer lets a socket hold what comes in while this process is off its core.
const receiveBuffer = 4 << 20

// widen enlarges the socket's buffer as far as the kernel lets us; a small one works too.
func widen(conn net.PacketConn) {
	udp, ok := conn.(*net.UDPConn)
	if !ok {
		return
	}
	_ = udp.SetReadBuffer(receiveBuffer)
	if raw, err := udp.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { // beyond the system's limit only root may go
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer)
		})
	}
}

// Close drops all calls in silence, closes the sockets and waits for everything that runs.
func (a *Agent) Close() {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return
	}
	a.closed = true
	calls := make([]*Call, 0, len(a.calls))
	for _, c := range a.calls {
		calls = append(calls, c)
	}
	a.mu.Unlock()
	for _, c := range calls {
		c.Drop()
	}
	a.end()
	a.closer()
	_ = a.ua.Close() // closes connections that may be closed already
	a.tasks.Wait()
}

// Local is where the agent listens.
func (a *Agent) Local() netip.AddrPort { return a.local }

// Received counts the SIP messages that came in, requests and responses.
func (a *Agent) Received() uint64 { return a.received.Load() }

// Connections is the number of open entries in the transport's pool.
func (a *Agent) Connections() int { return a.ua.TransportLayer().Pool(string(a.cfg.Transport)).Size() }

// Go runs f as a task that Close waits for; ctx ends with the agent.
func (a *Agent) Go(f func(ctx context.Context)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return
	}
	a.tasks.Go(func() { f(a.ctx) })
}

// Contact is the agent's address as a SIP URI for user.
func (a *Agent) Contact(user string) sip.Uri {
	u := sip.Uri{Scheme: "sip", User: user, Host: a.local.Addr().String(), Port: int(a.local.Port())}
	if a.cfg.Transport != UDP {
		u.UriParams.Add("transport", string(a.cfg.Transport))
	}
	return u
}

// Do sends a request outside or inside a dialog to dest and waits for the final response.
func (a *Agent) Do(ctx context.Context, req *sip.Request, dest string) (*sip.Response, error) {
	a.prepare(req, dest)
	tx, err := a.transact(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("%s to %s: %w", req.Method, dest, err)
	}
	defer tx.Terminate()
	for {
		select {
		case res := <-tx.Responses():
			if !res.IsProvisional() {
				return res, nil
			}
		case <-tx.Done():
			return nil, fmt.Errorf("%s to %s: %w", req.Method, dest, tx.Err())
		case <-ctx.Done():
			return nil, fmt.Errorf("%s to %s: %w", req.Method, dest, context.Cause(ctx))
		}
	}
}

// transact begins a transaction. A connection that the peer has closed stays in sipgo's
// pool until its reader has noticed: who writes on it first takes a new one.
func (a *Agent) transact(ctx context.Context, req *sip.Request) (sip.ClientTransaction, error) {
	tx, err := a.client.TransactionRequest(ctx, req, keep)
	gone := errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE) || errors.Is(err, net.ErrClosed)
	if !gone || a.cfg.Transport == UDP {
		return tx, err
	}
	pool := a.ua.TransportLayer().Pool(string(a.cfg.Transport))
	if conn := pool.Get(req.Destination()); conn != nil {
		_ = pool.CloseAndDelete(conn, req.Destination()) // it is closed by the peer already
	}
	return a.client.TransactionRequest(ctx, req, keep)
}

// keep tells sipgo that the request is complete.
func keep(*sipgo.Client, *sip.Request) error { return nil }

// prepare gives a request its Via, Max-Forwards and way out.
func (a *Agent) prepare(req *sip.Request, dest string) {
	req.RemoveHeader("Via")
	via := &sip.ViaHeader{
		ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: strings.ToUpper(string(a.cfg.Transport)),
		Host: a.local.Addr().String(), Port: int(a.local.Port()),
	}
	via.Params.Add("branch", sip.RFC3261BranchMagicCookie+Token())
	via.Params.Add("rport", "")
	req.PrependHeader(via)
	if req.MaxForwards() == nil {
		forwards := sip.MaxForwardsHeader(70)
		req.AppendHeader(&forwards)
	}
	a.route(req, dest)
}

// route pins a request to our socket and to dest.
func (a *Agent) route(req *sip.Request, dest string) {
	req.SetTransport(strings.ToUpper(string(a.cfg.Transport)))
	req.SetDestination(dest)
	req.Laddr = sip.Addr{IP: a.local.Addr().AsSlice(), Hostname: a.local.Addr().String()}
	if a.cfg.Transport == UDP {
		// with the port the listener's socket is used; a stream pinned to its listener
		// would find the last accepted connection instead
		req.Laddr.Port = int(a.local.Port())
	}
	if req.GetHeader("User-Agent") == nil {
		req.AppendHeader(sip.NewHeader("User-Agent", a.cfg.Name))
	}
}

// Quiet silences sipgo's process-wide logger, which warns of its own bookkeeping. A
// program calls it once, before it opens the first agent.
func Quiet() { sip.SetDefaultLogger(slog.New(slog.DiscardHandler)) }

// Token is a fresh random identifier for tags, branches and Call-IDs.
func Token() string {
	var b [10]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// request takes every request that comes in; sipgo calls it on a goroutine of its own.
func (a *Agent) request(req *sip.Request, tx *sip.ServerTx) {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		tx.Terminate()
		return
	}
	a.tasks.Add(1)
	call := a.calls[dialogKey(req)]
	a.mu.Unlock()
	defer a.tasks.Done()
	if req.From() == nil || req.To() == nil || req.CallID() == nil || req.CSeq() == nil {
		tx.Terminate()
		return
	}
	switch {
	case call != nil:
		call.request(a.ctx, req, tx)
	case req.Method == sip.ACK:
		tx.Terminate() // of a call that is gone, or of a rejection
	case !a.cfg.Handler.Admit(a.ctx, a, req, tx):
	case req.Method == sip.CANCEL || req.To().Params.Has("tag"):
		a.Respond(tx, req, 481, "Call/Transaction Does Not Exist")
	case req.Method == sip.INVITE:
		a.invited(req, tx)
	default:
		a.cfg.Handler.Asked(a.ctx, a, req, tx)
	}
}

// dialogKey is Call-ID and our tag, which is in To for a request that came in.
func dialogKey(req *sip.Request) string {
	if req.CallID() == nil || req.To() == nil {
		return ""
	}
	tag, _ := req.To().Params.Get("tag")
	return req.CallID().Value() + " " + tag
}

// Respond answers a request outside a dialog.
func (a *Agent) Respond(tx *sip.ServerTx, req *sip.Request, code int, phrase string, headers ...sip.Header) {
	res := sip.NewResponseFromRequest(req, code, phrase, nil)
	for _, h := range headers {
		res.AppendHeader(h)
	}
	if err := tx.Respond(res); err != nil {
		a.log.Debug("answering", "method", req.Method, "code", code, "err", err)
	}
}

// stray is a response without a transaction: late, and harmless.
func (a *Agent) stray(*sip.Response) {}

func (a *Agent) enter(c *Call) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.closed:
		return net.ErrClosed
	case len(a.calls) >= maxCalls:
		return fmt.Errorf("%d calls are the limit of one agent", maxCalls)
	}
	a.calls[c.key()] = c
	return nil
}

func (a *Agent) leave(c *Call) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.calls, c.key())
}
