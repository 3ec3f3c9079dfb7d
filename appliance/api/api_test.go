package api_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
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

	"linekeeper/appliance/api"
	"linekeeper/appliance/api/apitest"
	"linekeeper/appliance/events"
)

// served is a made-up appliance on a real socket.
type served struct {
	*apitest.Appliance
	path string
	log  *bytes.Buffer // read after stop only
	stop func() error
}

func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "lk") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "api.sock")
}

func serve(t *testing.T, path string) *served {
	t.Helper()
	s := &served{Appliance: apitest.Weber(), path: path, log: &bytes.Buffer{}}
	log := slog.New(slog.NewTextHandler(s.log, nil))
	srv := api.NewServer(path, api.NewHandler(s.Backend(), "1.0.0", log), log)
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- srv.Run(ctx, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-done:
		t.Fatal(err)
	}
	ended := false
	s.stop = func() error {
		if ended {
			return nil
		}
		ended = true
		cancel()
		return <-done
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// ask sends a raw request and returns the answer with its body read.
func (s *served) ask(t *testing.T, method, path, body string, header ...string) (*http.Response, string) {
	t.Helper()
	c := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", s.path)
		}}}
	req, err := http.NewRequest(method, "http://box"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(got)
}

func TestStatusHasWhatTheContractPromises(t *testing.T) {
	s := serve(t, socketPath(t))
	_, body := s.ask(t, "GET", "/api/v1/status", "")
	var got map[string]any
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"mode", "cause", "since", "version", "uptime_s", "provider.profile", "provider.reachable", "provider.target",
		"lines.registered", "lines.total", "extensions.registered", "extensions.total", "calls.active", "readiness.score", "readiness.findings"} {
		var at any = got
		for key := range strings.SplitSeq(path, ".") {
			at = at.(map[string]any)[key]
		}
		if at == nil {
			t.Errorf("%s is not in %s", path, body)
		}
	}
	if _, ok := got["$schema"]; ok {
		t.Error("status has a $schema member")
	}
}

func TestEveryErrorIsAProblemDocument(t *testing.T) {
	s := serve(t, socketPath(t))
	for _, tc := range []struct {
		method, path, body string
		status             int
		detail             string
	}{
		{"GET", "/api/v1/nothing", "", 404, "nothing at this path"},
		{"GET", "/", "", 404, "nothing at this path"},
		{"GET", "/api/v1/calls/c1/trace", "", 404, "trace is not part of this version"},
		{"POST", "/api/v1/drill", "", 404, "drill is not part of this version"},
		{"GET", "/api/v1/drill", "", 404, "drill is not part of this version"},
		{"GET", "/api/v1/support-bundle", "", 404, "support-bundle is not part"},
		{"DELETE", "/api/v1/site", "", 405, "DELETE is not possible here, only "},
		{"GET", "/api/v1/events?last=-1", "", 422, "validation failed"},
		{"GET", "/api/v1/site/revisions/77", "", 404, "no such revision"},
		{"GET", "/api/v1/site/revisions/x", "", 422, "validation failed"},
		{"POST", "/api/v1/site/confirm", "", 409, "no change waits"},
		{"PUT", "/api/v1/site", "bogus: 1\n", 422, "1 error"},
		{"PUT", "/api/v1/site?confirm_within=5h", "x", 400, "confirm_within"},
		{"PUT", "/api/v1/site", strings.Repeat("x", api.MaxSite+1), 413, "too large"},
	} {
		resp, body := s.ask(t, tc.method, tc.path, tc.body, "Content-Type", "application/yaml")
		var p api.Problem
		if err := json.Unmarshal([]byte(body), &p); err != nil {
			t.Errorf("%s %s: %v: %s", tc.method, tc.path, err, body)
		}
		if ct := resp.Header.Get("Content-Type"); ct != "application/problem+json" {
			t.Errorf("%s %s: content type %s", tc.method, tc.path, ct)
		}
		if resp.StatusCode != tc.status || p.Status != tc.status || p.Title == "" || !strings.Contains(p.Detail, tc.detail) {
			t.Errorf("%s %s: %d %s", tc.method, tc.path, resp.StatusCode, body)
		}
	}
}

func TestInternalErrorsAreLoggedAndNotTold(t *testing.T) {
	s := serve(t, socketPath(t))
	s.Broken = errors.New("bolt page 7 torn")
	resp, body := s.ask(t, "GET", "/api/v1/site", "")
	if resp.StatusCode != 500 || strings.Contains(body, "bolt") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(s.log.String(), "bolt page 7 torn") {
		t.Error("the log does not say what went wrong")
	}
}

func TestSiteDocumentIsVersioned(t *testing.T) {
	s := serve(t, socketPath(t))
	resp, body := s.ask(t, "GET", "/api/v1/site", "")
	if body != "site: {name: Praxis Dr. Weber}\n" || resp.Header.Get("ETag") != `"1"` || resp.Header.Get("Content-Type") != "application/yaml" {
		t.Errorf("%v %s", resp.Header, body)
	}
	resp, body = s.ask(t, "PUT", "/api/v1/site", "site: {name: B}\n", "If-Match", `"1"`)
	if resp.StatusCode != 200 || !strings.Contains(body, `"number":2`) || !strings.Contains(body, `"findings":[]`) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if resp, body = s.ask(t, "PUT", "/api/v1/site", "site: {name: C}\n", "If-Match", `"1"`); resp.StatusCode != 412 {
		t.Errorf("lost update let through: %d %s", resp.StatusCode, body)
	}
	c := api.NewClient(s.path)
	if a, err := c.Rollback(t.Context(), 1); err != nil || a.Revision.Number != 3 || a.Revision.Author == "unknown" {
		t.Errorf("%+v, %v", a, err)
	}
	all, err := c.Revisions(t.Context())
	if err != nil || len(all) != 3 || all[0].Number != 3 {
		t.Errorf("%+v, %v", all, err)
	}
	if d, err := c.Site(t.Context(), 2); err != nil || d.Text != "site: {name: B}\n" || d.State != "replaced" {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestOpenAPIDescribesEveryRoute(t *testing.T) {
	s := serve(t, socketPath(t))
	resp, body := s.ask(t, "GET", "/api/openapi.json", "")
	var doc struct{ Paths map[string]any }
	if err := json.Unmarshal([]byte(body), &doc); err != nil || resp.StatusCode != 200 {
		t.Fatal(resp.Status, err)
	}
	for _, p := range []string{"status", "extensions", "lines", "calls", "events", "site", "site/confirm", "site/rollback", "site/revisions"} {
		if doc.Paths["/api/v1/"+p] == nil {
			t.Errorf("%s is not described", p)
		}
	}
}

func TestStreamReplaysAfterLastEventID(t *testing.T) {
	s := serve(t, socketPath(t))
	_, body := s.ask(t, "GET", "/api/v1/events?follow=false", "", "Last-Event-ID", "1")
	if !strings.Contains(body, "id: 2\ndata: {\"seq\":2,") || strings.Contains(body, "id: 1\n") {
		t.Error(body)
	}
	for i := range 100 { // the ring keeps 64
		s.Hub.Publish(events.Event{Text: fmt.Sprint(i)})
	}
	_, body = s.ask(t, "GET", "/api/v1/events?follow=false", "", "Last-Event-ID", "1")
	if !strings.Contains(body, "event: missed\ndata: {\"missed\":37}\n\nid: 39\n") {
		t.Error(body[:min(len(body), 300)])
	}
	if resp, body := s.ask(t, "GET", "/api/v1/events", "", "Last-Event-ID", "soon"); resp.StatusCode != 400 {
		t.Error(body)
	}
}

func TestStreamDeliversWhatComesAndEndsWithTheDaemon(t *testing.T) {
	s := serve(t, socketPath(t))
	got, done := make(chan events.Event, 10), make(chan error, 1)
	go func() {
		done <- api.NewClient(s.path).Events(context.Background(), 1, true, func(e events.Event, _ uint64) error { got <- e; return nil })
	}()
	if e := <-got; e.Seq != 2 {
		t.Errorf("replayed %+v", e)
	}
	s.Hub.Publish(events.Event{Kind: events.ModeChange, Text: "survival"})
	if e := <-got; e.Seq != 3 || e.Text != "survival" || e.Kind != events.ModeChange {
		t.Errorf("got %+v", e)
	}
	begin := time.Now()
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil || time.Since(begin) > 10*time.Second {
		t.Errorf("stream ended with %v after %v", err, time.Since(begin))
	}
}

func TestStreamsAreBounded(t *testing.T) {
	s := serve(t, socketPath(t))
	open := 0
	for range 40 {
		c, err := net.Dial("unix", s.path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprint(c, "GET /api/v1/events HTTP/1.1\r\nHost: box\r\n\r\n")
		line, err := bufio.NewReader(c).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(line, "200") {
			open++
		} else if !strings.Contains(line, "503") {
			t.Fatal(line)
		}
	}
	if open != 32 {
		t.Errorf("%d streams are open", open)
	}
	if _, err := api.NewClient(s.path).Status(t.Context()); err != nil {
		t.Errorf("status beside the streams: %v", err)
	}
}

func TestSocketIsForItsGroupOnly(t *testing.T) {
	s := serve(t, socketPath(t))
	info, err := os.Stat(s.path)
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(s.path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
}

func TestStaleSocketIsReplaced(t *testing.T) {
	path := socketPath(t)
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	old.SetUnlinkOnClose(false)
	old.Close()
	s := serve(t, path)
	if _, err := api.NewClient(s.path).Status(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestSocketThatSomebodyAnswersOnIsLeftAlone(t *testing.T) {
	s := serve(t, socketPath(t))
	foreign := socketPath(t)
	l, err := net.Listen("unix", foreign)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file := socketPath(t)
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{s.path: "another daemon", foreign: "another daemon", file: "not a socket"} {
		err := api.NewServer(path, http.NotFoundHandler(), slog.New(slog.NewTextHandler(io.Discard, nil))).Run(t.Context(), func() { t.Error("ready") })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := api.NewClient(s.path).Status(t.Context()); err != nil {
		t.Errorf("the first daemon: %v", err)
	}
}

func TestLongestSocketPathWorks(t *testing.T) {
	dir := filepath.Dir(socketPath(t))
	path := filepath.Join(dir, strings.Repeat("x", 107-len(dir)-1))
	s := serve(t, path)
	if _, err := api.NewClient(s.path).Status(t.Context()); err != nil {
		t.Error(err)
	}
}
