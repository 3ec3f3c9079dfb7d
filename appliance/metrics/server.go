package metrics

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

// Bounds of the listener.
const (
	maxConns      = 16
	scrapeTimeout = 5 * time.Second
	ioTimeout     = 10 * time.Second
	idleTimeout   = 2 * time.Minute // longer than the usual scrape interval
	rebind        = 10 * time.Second
	drainTimeout  = time.Second
)

// Server serves /metrics over HTTP.
type Server struct {
	listen  string
	handler http.Handler
	log     *slog.Logger
	bound   func(net.Addr)
}

// NewServer returns a room that serves m at listen ("127.0.0.1:9464"); empty
// switches it off. bound, if not nil, is told the address once it listens.
func NewServer(listen string, m *Metrics, log *slog.Logger, bound func(net.Addr)) *Server {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.Handler())
	if bound == nil {
		bound = func(net.Addr) {}
	}
	return &Server{listen: listen, handler: mux, log: log, bound: bound}
}

// Name implements the appliance's Room.
func (s *Server) Name() string { return "metrics" }

// Run serves until ctx ends. Telephones must work without figures, so an
// address that is taken is no failure: it is tried again until it is free.
func (s *Server) Run(ctx context.Context, ready func()) error {
	if s.listen == "" {
		ready()
		<-ctx.Done()
		return nil
	}
	l, err := s.bind(ctx)
	ready()
	for err != nil {
		s.log.Warn("metrics are off until their address is free", "listen", s.listen, "err", err, "again", rebind)
		select {
		case <-time.After(rebind):
		case <-ctx.Done():
			return nil
		}
		l, err = s.bind(ctx)
	}
	return s.serve(ctx, l)
}

func (s *Server) bind(ctx context.Context) (net.Listener, error) {
	var c net.ListenConfig
	l, err := c.Listen(ctx, "tcp", s.listen)
	if err != nil {
		return nil, fmt.Errorf("listen for metrics: %w", err)
	}
	s.bound(l.Addr())
	return l, nil
}

func (s *Server) serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{
		Handler: s.handler, MaxHeaderBytes: 16 << 10,
		ReadTimeout: ioTimeout, WriteTimeout: ioTimeout, IdleTimeout: idleTimeout,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(netutil.LimitListener(l, maxConns)) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve metrics: %w", err)
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	if err := srv.Shutdown(end); err != nil {
		srv.Close()
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics: %w", err)
	}
	return nil
}
