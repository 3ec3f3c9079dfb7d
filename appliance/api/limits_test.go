package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"linekeeper/appliance/events"
)

// impatient serves with short deadlines.
func impatient(t *testing.T, h http.Handler) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "lk")
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(filepath.Join(dir, "s"), h, slog.New(slog.NewTextHandler(io.Discard, nil)))
	s.limits.header, s.limits.read, s.limits.drain = 100*time.Millisecond, 200*time.Millisecond, 100*time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- s.Run(ctx, func() { close(ready) }) }()
	<-ready
	t.Cleanup(func() {
		cancel()
		<-done
		os.RemoveAll(dir)
	})
	return s.path
}

func TestHalfARequestIsHungUpOn(t *testing.T) {
	c, err := net.Dial("unix", impatient(t, http.NotFoundHandler()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET /api/v1/status HTTP/1.1\r\nHo")
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(c); err != nil {
		t.Errorf("the server held on: %v", err)
	}
}

func TestStreamOutlivesTheReadDeadline(t *testing.T) {
	hub := events.New(8, 1)
	h := NewHandler(Backend{Events: hub}, "1", slog.New(slog.NewTextHandler(io.Discard, nil)))
	c, err := net.Dial("unix", impatient(t, h))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET /api/v1/events HTTP/1.1\r\nHost: box\r\n\r\n")
	r := bufio.NewReader(c)
	for line := ""; !strings.HasPrefix(line, ": linekeeper"); {
		if line, err = r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	<-time.After(400 * time.Millisecond) // past the deadline of a request
	hub.Publish(events.Event{Text: "late"})
	for line := ""; !strings.Contains(line, "late"); {
		if line, err = r.ReadString('\n'); err != nil {
			t.Fatalf("the stream ended: %v", err)
		}
	}
}
