package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

// Bounds of the socket's server.
const (
	maxConns  = 64
	maxHeader = 32 << 10
)

// limits are how long a client may take. A field of the server, so that tests
// need not wait.
type limits struct {
	header time.Duration // the request line and headers
	read   time.Duration // a whole request, body included
	write  time.Duration // an answer; event streams renew it with each write
	idle   time.Duration // between two requests
	drain  time.Duration // running requests, once the daemon stops
}

func defaultLimits() limits {
	return limits{header: 5 * time.Second, read: 15 * time.Second, write: 30 * time.Second, idle: time.Minute, drain: 3 * time.Second}
}

// Server serves the API on a unix socket.
type Server struct {
	path    string
	handler http.Handler
	log     *slog.Logger
	limits  limits
}

// NewServer returns a room that serves handler (see NewHandler) at the unix
// socket path.
func NewServer(path string, handler http.Handler, log *slog.Logger) *Server {
	return &Server{path: path, handler: handler, log: log, limits: defaultLimits()}
}

// Name implements the appliance's Room.
func (s *Server) Name() string { return "api" }

// Run serves until ctx ends, then lets running requests finish for a moment
// and takes the socket away.
func (s *Server) Run(ctx context.Context, ready func()) error {
	l, release, err := claim(s.path)
	if err != nil {
		return fmt.Errorf("api socket: %w", err)
	}
	defer release()
	srv := &http.Server{
		Handler: s.handler, MaxHeaderBytes: maxHeader,
		ReadHeaderTimeout: s.limits.header, ReadTimeout: s.limits.read,
		WriteTimeout: s.limits.write, IdleTimeout: s.limits.idle,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		ConnContext: func(c context.Context, conn net.Conn) context.Context {
			return context.WithValue(WithActor(c, conn.RemoteAddr().String()), drainKey{}, ctx)
		},
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(netutil.LimitListener(namedListener{l}, maxConns)) }()
	ready()
	select {
	case err := <-done:
		return fmt.Errorf("serve %s: %w", s.path, err)
	case <-ctx.Done():
	}
	return s.drain(srv, done)
}

// drainKey is the context key under which an event stream finds the context
// that ends it when the daemon stops; other requests may finish.
type drainKey struct{}

// drain waits for running requests and then for the server's goroutine.
func (s *Server) drain(srv *http.Server, done <-chan error) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.limits.drain)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		s.log.Warn("api requests cut off", "err", err)
		srv.Close()
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", s.path, err)
	}
	return nil
}
