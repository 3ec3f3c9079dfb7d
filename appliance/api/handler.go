package api

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// Prefix is where the routes of this version of the API are.
const Prefix = "/api/v1"

// bodyTimeout bounds how long a request body may take to arrive.
const bodyTimeout = 10 * time.Second

// routes is the API's state behind its handlers.
type routes struct {
	backend Backend
	log     *slog.Logger
	streams chan struct{} // holds one token for each open event stream
}

// NewHandler returns the API over a backend, for the socket, the web interface
// and the tunnel. version is the software's.
func NewHandler(b Backend, version string, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	config := huma.DefaultConfig("Linekeeper", version)
	config.Info.Description = "The appliance between an office's telephones and its cloud PBX. Errors are problem documents (RFC 9457)."
	config.OpenAPIPath = "/api/openapi"
	config.DocsPath, config.SchemasPath = "", ""
	config.CreateHooks = nil // no $schema member in answers
	config.RejectUnknownQueryParameters = true
	r := &routes{backend: b, log: log, streams: make(chan struct{}, maxStreams)}
	h := humago.New(mux, config)
	r.snapshots(h)
	r.site(h)
	r.events(h)
	r.cdrs(h)
	return honest(mux)
}

// listOutput is a JSON list.
type listOutput[T any] struct{ Body []T }

// snapshots registers what is answered from snapshots.
func (r *routes) snapshots(h huma.API) {
	type output struct{ Body Status }
	huma.Register(h, operation("status", http.MethodGet, "/status", "The appliance at a glance"),
		func(context.Context, *struct{}) (*output, error) {
			s := r.backend.Status.Status()
			s.Alarms = list(s.Alarms)
			s.Readiness.Findings = list(s.Readiness.Findings)
			return &output{s}, nil
		})
	huma.Register(h, operation("extensions", http.MethodGet, "/extensions", "Extensions and who is registered for them"),
		func(context.Context, *struct{}) (*listOutput[Extension], error) {
			all := list(r.backend.Phones.Extensions())
			for i := range all {
				all[i].Contacts = list(all[i].Contacts)
			}
			return &listOutput[Extension]{all}, nil
		})
	huma.Register(h, operation("lines", http.MethodGet, "/lines", "Cloud accounts and their registration"),
		func(context.Context, *struct{}) (*listOutput[Line], error) {
			return &listOutput[Line]{list(r.backend.Lines.Lines())}, nil
		})
	retry := operation("retry-lines", http.MethodPost, "/lines/retry", "Let accounts that rest after refused credentials try again")
	retry.DefaultStatus = http.StatusNoContent
	huma.Register(h, retry, func(context.Context, *struct{}) (*struct{}, error) {
		r.backend.Lines.RetryLines()
		return nil, nil
	})
	huma.Register(h, operation("calls", http.MethodGet, "/calls", "Calls in progress"),
		func(context.Context, *struct{}) (*listOutput[Call], error) {
			return &listOutput[Call]{list(r.backend.Calls.Calls())}, nil
		})
}

// operation describes a route with this API's bounds.
func operation(id, method, path, summary string, errors ...int) huma.Operation {
	return huma.Operation{
		OperationID: id, Method: method, Path: Prefix + path, Summary: summary, Errors: errors,
		MaxBodyBytes: MaxSite, BodyReadTimeout: bodyTimeout,
	}
}

// list makes an absent list an empty one: [] in JSON, never null.
func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

// honest answers what the mux has no route for with a problem document.
func honest(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		h, pattern := mux.Handler(req)
		if pattern != "" {
			mux.ServeHTTP(w, req)
			return
		}
		// The mux has its own answer, in plain text; only its verdict counts.
		v := verdict{header: http.Header{}, status: http.StatusOK}
		h.ServeHTTP(&v, req)
		if v.status == http.StatusMethodNotAllowed {
			allow := v.header.Get("Allow")
			w.Header().Set("Allow", allow)
			writeProblem(w, newProblem(v.status, fmt.Sprintf("%s is not possible here, only %s", req.Method, allow)))
			return
		}
		writeProblem(w, missing(req.URL.Path))
	})
}

// verdict is a response that keeps its status and header only.
type verdict struct {
	header http.Header
	status int
}

func (v *verdict) Header() http.Header         { return v.header }
func (v *verdict) Write(b []byte) (int, error) { return len(b), nil }
func (v *verdict) WriteHeader(status int)      { v.status = status }

// actorKey is the context key of WithActor.
type actorKey struct{}

// WithActor returns a context in which requests are made by name. The web
// interface and the tunnel set it; the socket sets it from the peer's uid.
func WithActor(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, actorKey{}, name)
}

// Actor returns who makes the request, "unknown" where nobody said.
func Actor(ctx context.Context) string {
	if name, ok := ctx.Value(actorKey{}).(string); ok && name != "" {
		return name
	}
	return "unknown"
}
