package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"linekeeper/appliance/events"
	"linekeeper/appliance/records"
)

// ErrUnreachable: no daemon answers on the socket.
var ErrUnreachable = errors.New("no daemon answers")

// Bounds of what the client takes from a daemon.
const (
	maxAnswer    = 16 << 20
	maxEventLine = 64 << 10
	askTimeout   = 20 * time.Second
)

// Client speaks the API over a daemon's unix socket.
type Client struct {
	socket string
	http   *http.Client
}

// NewClient returns a client of the daemon at the unix socket. It connects
// when it is first used.
func NewClient(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}
	return &Client{socket: socket, http: &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
}

// Status returns the appliance at a glance.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	return s, c.get(ctx, "/status", &s)
}

// Extensions returns the extensions and who is registered for them.
func (c *Client) Extensions(ctx context.Context) (l []Extension, err error) {
	return l, c.get(ctx, "/extensions", &l)
}

// Lines returns the cloud accounts.
func (c *Client) Lines(ctx context.Context) (l []Line, err error) {
	return l, c.get(ctx, "/lines", &l)
}

// RetryLines lets accounts that rest after refused credentials try again.
func (c *Client) RetryLines(ctx context.Context) error {
	return c.ask(ctx, http.MethodPost, "/lines/retry", nil, nil)
}

// Calls returns the calls in progress.
func (c *Client) Calls(ctx context.Context) (l []Call, err error) {
	return l, c.get(ctx, "/calls", &l)
}

// Records returns at most limit call records from number from on, the oldest first.
func (c *Client) Records(ctx context.Context, from uint64, limit int) (l []records.Record, err error) {
	return l, c.get(ctx, fmt.Sprintf("/cdrs?from=%d&limit=%d", from, limit), &l)
}

// Revisions returns the versions of the site document, the newest first.
func (c *Client) Revisions(ctx context.Context) (l []Revision, err error) {
	return l, c.get(ctx, "/site/revisions", &l)
}

// Site returns revision n of the site document; 0 means the one in force.
func (c *Client) Site(ctx context.Context, n int) (d Document, err error) {
	path := "/site"
	if n != 0 {
		path = "/site/revisions/" + strconv.Itoa(n)
	}
	return d, c.get(ctx, path, &d)
}

// Apply puts a site document in force. A refused document is an *Problem with
// findings.
func (c *Client) Apply(ctx context.Context, text []byte, confirmWithin time.Duration) (a Applied, err error) {
	path := "/site?confirm_within=" + url.QueryEscape(confirmWithin.String())
	return a, c.ask(ctx, http.MethodPut, path, text, &a)
}

// Confirm keeps the change that waits; n is its revision, 0: whichever.
func (c *Client) Confirm(ctx context.Context, n int) (r Revision, err error) {
	return r, c.ask(ctx, http.MethodPost, "/site/confirm?revision="+strconv.Itoa(n), nil, &r)
}

// Rollback goes back to revision n; 0: to the one before.
func (c *Client) Rollback(ctx context.Context, n int) (a Applied, err error) {
	return a, c.ask(ctx, http.MethodPost, "/site/rollback?revision="+strconv.Itoa(n), nil, &a)
}

// Events calls on for each of the last events and then, if follow is set, for
// each that comes, until ctx ends, on fails or the daemon ends the stream.
// missed counts events that were lost before e, because on is too slow.
func (c *Client) Events(ctx context.Context, last int, follow bool, on func(e events.Event, missed uint64) error) error {
	path := fmt.Sprintf("/events?last=%d&follow=%t", last, follow)
	resp, err := c.send(ctx, http.MethodGet, path, nil, "text/event-stream")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return readEvents(resp.Body, on)
}

// readEvents parses server-sent events as this API writes them: one data line
// for each message.
func readEvents(r io.Reader, on func(events.Event, uint64) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxEventLine)
	kind, missed := "", uint64(0)
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ": ")
		switch {
		case field == "event":
			kind = value
		case field == "data" && kind == "missed":
			var m Missed
			if err := json.Unmarshal([]byte(value), &m); err != nil {
				return fmt.Errorf("read events: %w", err)
			}
			missed += m.Missed
		case field == "data":
			var e events.Event
			if err := json.Unmarshal([]byte(value), &e); err != nil {
				return fmt.Errorf("read events: %w", err)
			}
			if err := on(e, missed); err != nil {
				return err
			}
			missed = 0
		case lines.Text() == "":
			kind = ""
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	return nil
}

func (c *Client) get(ctx context.Context, path string, into any) error {
	return c.ask(ctx, http.MethodGet, path, nil, into)
}

// ask sends a request and decodes its answer.
func (c *Client) ask(ctx context.Context, method, path string, body []byte, into any) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	resp, err := c.send(ctx, method, path, body, "application/json")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(into); err != nil {
		return fmt.Errorf("read the daemon's answer: %w", err)
	}
	return nil
}

// send sends a request and turns every answer that is not a success into an
// error.
func (c *Client) send(ctx context.Context, method, path string, body []byte, accept string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://linekeeper"+Prefix+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Accept", accept)
	if body != nil {
		req.Header.Set("Content-Type", "application/yaml")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	p := newProblem(resp.StatusCode, "")
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(p); err != nil || p.Detail == "" {
		return nil, newProblem(resp.StatusCode, "the daemon answered "+resp.Status)
	}
	return nil, p
}

// unreachable takes the HTTP wrapping off a failed connection and says what
// the reader can do.
func (c *Client) unreachable(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return fmt.Errorf("%w on %s: %w; is linekeeper running, and may you use its socket?", ErrUnreachable, c.socket, op.Err)
	}
	return fmt.Errorf("ask the daemon on %s: %w", c.socket, err)
}
