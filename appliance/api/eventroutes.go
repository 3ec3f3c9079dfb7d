package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"linekeeper/appliance/events"
)

// Bounds of event streams.
const (
	maxStreams   = 32               // at once; the next gets 503
	streamWrite  = 5 * time.Second  // a client that takes nothing for so long is dropped
	streamBeat   = 15 * time.Second // a comment line in silence, so that a dead client is noticed
	maxReplay    = 1000             // greatest value of last
	streamsRetry = "5"              // seconds, Retry-After of the 503
)

// Missed is what a stream says to a client that was too slow.
type Missed struct {
	Missed uint64 `json:"missed" doc:"how many events before the next one are gone"`
}

type eventsInput struct {
	LastEventID string `header:"Last-Event-ID" doc:"replays what came after it, as far as it is kept"`
	Last        int    `query:"last" minimum:"0" maximum:"1000" doc:"replays so many of the latest events first"`
	Follow      bool   `query:"follow" default:"true" doc:"false: end after the replay"`
}

// events registers the stream of events.
func (r *routes) events(h huma.API) {
	op := operation("events", http.MethodGet, "/events", "What happens, as server-sent events", 400, 503)
	op.Description = "Each message is an Event in JSON with its seq as id. A client that is too slow gets a message of type \"missed\" and goes on with the oldest event kept."
	schemas := h.OpenAPI().Components.Schemas
	op.Responses = map[string]*huma.Response{"200": {
		Description: "a stream of events",
		Content: map[string]*huma.MediaType{"text/event-stream": {
			Schema: schemas.Schema(reflect.TypeFor[events.Event](), true, "Event"),
		}},
	}}
	huma.Register(h, op, r.stream)
}

// stream answers with events until the client goes.
func (r *routes) stream(_ context.Context, in *eventsInput) (*huma.StreamResponse, error) {
	from, err := r.start(in)
	if err != nil {
		return nil, err
	}
	select {
	case r.streams <- struct{}{}:
	default:
		p := newProblem(http.StatusServiceUnavailable, "too many event streams are open; close one or ask again later")
		return nil, huma.ErrorWithHeaders(p, http.Header{"Retry-After": {streamsRetry}})
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		defer func() { <-r.streams }()
		req, w := humago.Unwrap(c)
		ctx, cancel := context.WithCancel(req.Context())
		defer cancel()
		if end, ok := ctx.Value(drainKey{}).(context.Context); ok {
			defer context.AfterFunc(end, cancel)()
		}
		s := stream{w: w, out: http.NewResponseController(w)}
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Cache-Control", "no-store")
		if err := s.run(ctx, from, in.Follow); err != nil && ctx.Err() == nil {
			r.log.Info("event stream dropped: the client does not read", "err", err)
		}
	}}, nil
}

// start returns a follower at the place that the client asked for.
func (r *routes) start(in *eventsInput) (*events.Follower, error) {
	if in.LastEventID != "" {
		seq, err := strconv.ParseUint(in.LastEventID, 10, 64)
		if err != nil {
			return nil, newProblem(http.StatusBadRequest, "Last-Event-ID is the id of an event, a number")
		}
		return r.backend.Events.Follow(seq), nil
	}
	last := r.backend.Events.Last(min(in.Last, maxReplay))
	if len(last) == 0 {
		return r.backend.Events.Follow(r.backend.Events.Newest()), nil
	}
	return r.backend.Events.Follow(last[0].Seq - 1), nil
}

// stream writes server-sent events to one client.
type stream struct {
	w   http.ResponseWriter
	out *http.ResponseController
}

// run writes what from reads until ctx ends or the client stops taking it.
func (s stream) run(ctx context.Context, from *events.Follower, follow bool) error {
	// The server's deadline for reading a request would end the stream.
	if err := s.out.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("lift the read deadline: %w", err)
	}
	// The headers go out before the first event comes.
	if err := s.write(": linekeeper events\n\n"); err != nil {
		return err
	}
	for {
		e, missed, err := s.next(ctx, from, follow)
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			if err := s.write(": \n\n"); err != nil {
				return err
			}
			continue
		case err != nil:
			return nil // the client left, or all was replayed
		}
		if err := s.send(e, missed); err != nil {
			return err
		}
	}
}

// next waits for an event, at most a heartbeat long.
func (s stream) next(ctx context.Context, from *events.Follower, follow bool) (events.Event, uint64, error) {
	if !follow {
		e, missed, ok := from.Try()
		if !ok {
			return e, missed, context.Canceled
		}
		return e, missed, nil
	}
	beat, cancel := context.WithTimeout(ctx, streamBeat)
	defer cancel()
	e, missed, err := from.Next(beat)
	if err != nil && ctx.Err() != nil {
		return e, missed, context.Canceled
	}
	return e, missed, err
}

// send writes one event, and before it what was missed.
func (s stream) send(e events.Event, missed uint64) error {
	text := ""
	if missed > 0 {
		text = fmt.Sprintf("event: missed\ndata: {\"missed\":%d}\n\n", missed)
	}
	body, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode event %d: %w", e.Seq, err)
	}
	return s.write(fmt.Sprintf("%sid: %d\ndata: %s\n\n", text, e.Seq, body))
}

// write sends text now, within the deadline.
func (s stream) write(text string) error {
	if err := s.out.SetWriteDeadline(time.Now().Add(streamWrite)); err != nil {
		return fmt.Errorf("set deadline: %w", err)
	}
	if _, err := s.w.Write([]byte(text)); err != nil {
		return fmt.Errorf("write events: %w", err)
	}
	return s.out.Flush()
}
