package xphone

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"

	"github.com/emiago/sipgo/sip"

	"linekeeper/appliance/lab/ua"
	"linekeeper/appliance/lab/voice"
)

// Config says what a server is; all of it is needed but Password.
type Config struct {
	Addr     netip.Addr     // of the server; SIP is on UDP 5060
	Box      netip.AddrPort // the trunk's other end
	User     string         // name and password by which it proves its calls
	Password string
	Users    []string // extensions whose softphones are signed in
	Tone     float64  // Hz that its softphones send
	Pacer    *voice.Pacer
}

// Lists are what the server's administrator has set about networks.
type Lists struct {
	Black bool // the box's network is on the black list: 403
	White bool // and on the white list, which wins
	// Strict access lists leave no candidate of the box: 488.
	Strict bool
}

// First and last of the media ports.
const (
	FirstPort = 30000
	LastPort  = 33000
)

const maxWaiting = 64 // calls that no test has fetched

// Server is one XPhone server. Its methods are safe for concurrent use.
type Server struct {
	cfg   Config
	agent *ua.Agent
	in    chan *ua.Call

	mu    sync.Mutex
	lists Lists
	media map[*ua.Call]*Media
}

// Open opens a server's socket; Close ends it.
func Open(cfg Config) (*Server, error) {
	s := &Server{cfg: cfg, in: make(chan *ua.Call, maxWaiting), media: make(map[*ua.Call]*Media)}
	a, err := ua.Open(ua.Config{Transport: ua.UDP, Local: netip.AddrPortFrom(cfg.Addr, 5060), Name: "XPhone", Log: slog.New(slog.DiscardHandler), Handler: handler{s}})
	if err != nil {
		return nil, fmt.Errorf("xphone: %w", err)
	}
	s.agent = a
	return s, nil
}

// Close ends the server without a word.
func (s *Server) Close() { s.agent.Close() }

// Set changes the access lists.
func (s *Server) Set(l Lists) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lists = l
}

// Incoming waits for the next call to a softphone, which rings.
func (s *Server) Incoming(ctx context.Context) (*ua.Call, error) {
	select {
	case c := <-s.in:
		return c, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("xphone: waiting for a call: %w", context.Cause(ctx))
	}
}

// Dial places a call in a user's name.
func (s *Server) Dial(ctx context.Context, user, number string) (*ua.Call, error) {
	return s.agent.Call(ctx, ua.Invitation{
		To:          sip.Uri{Scheme: "sip", User: number, Host: s.cfg.Box.Addr().String()},
		From:        sip.Uri{Scheme: "sip", User: user, Host: s.cfg.Addr.String()},
		Dest:        s.cfg.Box.String(),
		Credentials: ua.Credentials{User: s.cfg.User, Password: s.cfg.Password},
	})
}

// Of is a call's media; nil before there is any.
func (s *Server) Of(c *ua.Call) *Media {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.media[c]
}

// handler is the server as its agent sees it.
type handler struct{ s *Server }

// Admit goes by the access lists.
func (h handler) Admit(_ context.Context, a *ua.Agent, req *sip.Request, tx *sip.ServerTx) bool {
	h.s.mu.Lock()
	barred := h.s.lists.Black && !h.s.lists.White
	h.s.mu.Unlock()
	if barred && req.Method == sip.INVITE {
		a.Respond(tx, req, 403, "Forbidden")
		return false
	}
	return true
}

// Asked answers OPTIONS and the like.
func (h handler) Asked(_ context.Context, a *ua.Agent, req *sip.Request, tx *sip.ServerTx) {
	a.Respond(tx, req, 200, "OK")
}

// Invited rings a softphone.
func (h handler) Invited(_ context.Context, c *ua.Call) {
	h.s.mu.Lock()
	strict := h.s.lists.Strict
	h.s.mu.Unlock()
	switch {
	case !slices.Contains(h.s.cfg.Users, c.Called()):
		_ = c.Reject(404, "Not Found") // a call that ended meanwhile is no harm
	case strict:
		_ = c.Reject(488, "Not Acceptable Here")
	default:
		_ = c.Ring(false)
		select {
		case h.s.in <- c:
		default: // nobody fetches calls: it rings until the caller gives up
		}
	}
}

// Media makes the softphone's end.
func (h handler) Media(c *ua.Call) (ua.Media, error) {
	e, err := voice.Open(voice.Config{Addr: h.s.cfg.Addr, Low: FirstPort, High: LastPort, Tone: h.s.cfg.Tone}, h.s.cfg.Pacer)
	if err != nil {
		return nil, err
	}
	m := &Media{End: e}
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	h.s.media[c] = m
	return m, nil
}
