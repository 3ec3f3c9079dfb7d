package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Bounds and default of Change.ConfirmWithin.
const (
	DefaultConfirmWithin = 60 * time.Second
	MinConfirmWithin     = 10 * time.Second
	MaxConfirmWithin     = time.Hour
)

type documentOutput struct {
	ContentType string `header:"Content-Type"`
	ETag        string `header:"ETag" doc:"the revision, for If-Match"`
	Body        []byte
}

type changeInput struct {
	IfMatch       string `header:"If-Match" doc:"ETag of the revision that the change is based on; refused with 412 if it is no longer in force"`
	ConfirmWithin string `query:"confirm_within" doc:"how long a change that touches the network waits for its confirmation" example:"60s"`
	RawBody       []byte `contentType:"application/yaml"`
}

type choiceInput struct {
	Revision int `query:"revision" minimum:"0" doc:"which one; absent: see the summary"`
}

type appliedOutput struct{ Body Applied }

type revisionOutput struct{ Body Revision }

// site registers the versioned site document.
func (r *routes) site(h huma.API) {
	get := operation("site", http.MethodGet, "/site", "The site document in force, as YAML or (Accept: application/json) with its revision", 404)
	huma.Register(h, get, func(ctx context.Context, in *struct {
		Accept string `header:"Accept"`
	}) (*documentOutput, error) {
		return r.document(ctx, 0, in.Accept)
	})
	huma.Register(h, operation("site-apply", http.MethodPut, "/site", "Check a site document and put it in force as a new revision", 400, 409, 412, 413, 422),
		r.apply)
	huma.Register(h, operation("site-confirm", http.MethodPost, "/site/confirm", "Keep the change that waits to be confirmed", 409),
		func(ctx context.Context, in *choiceInput) (*revisionOutput, error) {
			rev, err := r.backend.Site.Confirm(ctx, in.Revision, Actor(ctx))
			return &revisionOutput{rev}, face(r.log, "confirm site", err)
		})
	huma.Register(h, operation("site-rollback", http.MethodPost, "/site/rollback", "Go back to a revision; without one, take back the change that waits or else the last one", 404, 409),
		func(ctx context.Context, in *choiceInput) (*appliedOutput, error) {
			a, err := r.backend.Site.Rollback(ctx, in.Revision, Actor(ctx))
			a.Findings = list(a.Findings)
			return &appliedOutput{a}, face(r.log, "roll back site", err)
		})
	huma.Register(h, operation("site-revisions", http.MethodGet, "/site/revisions", "All revisions kept, the newest first"),
		func(ctx context.Context, _ *struct{}) (*listOutput[Revision], error) {
			all, err := r.backend.Site.Revisions(ctx)
			return &listOutput[Revision]{list(all)}, face(r.log, "list revisions", err)
		})
	huma.Register(h, operation("site-revision", http.MethodGet, "/site/revisions/{revision}", "One revision, as YAML or (Accept: application/json) with its facts", 404),
		func(ctx context.Context, in *struct {
			Revision int    `path:"revision" minimum:"1"`
			Accept   string `header:"Accept"`
		}) (*documentOutput, error) {
			return r.document(ctx, in.Revision, in.Accept)
		})
}

// document answers with a revision in the form that was asked for.
func (r *routes) document(ctx context.Context, n int, accept string) (*documentOutput, error) {
	d, err := r.backend.Site.Document(ctx, n)
	if err != nil {
		return nil, face(r.log, "read site", err)
	}
	out := &documentOutput{ContentType: "application/yaml", ETag: etag(d.Number), Body: []byte(d.Text)}
	if strings.Contains(accept, "application/json") {
		out.ContentType = "application/json"
		if out.Body, err = json.Marshal(d); err != nil {
			return nil, face(r.log, "encode site", err)
		}
	}
	return out, nil
}

// apply takes a new site document.
func (r *routes) apply(ctx context.Context, in *changeInput) (*appliedOutput, error) {
	// The body lies in a buffer of a pool, which the next request writes into.
	c := Change{Text: bytes.Clone(in.RawBody), Author: Actor(ctx), ConfirmWithin: DefaultConfirmWithin}
	if in.ConfirmWithin != "" {
		d, err := time.ParseDuration(in.ConfirmWithin)
		if err != nil || d < MinConfirmWithin || d > MaxConfirmWithin {
			return nil, newProblem(http.StatusBadRequest,
				fmt.Sprintf("confirm_within is a duration from %s to %s, such as 60s", MinConfirmWithin, MaxConfirmWithin))
		}
		c.ConfirmWithin = d
	}
	if in.IfMatch != "" && in.IfMatch != "*" {
		base, err := strconv.Atoi(strings.Trim(in.IfMatch, `"`))
		if err != nil || base < 1 {
			return nil, newProblem(http.StatusBadRequest, `If-Match is the ETag of GET site, such as "7"`)
		}
		c.Base = base
	}
	a, err := r.backend.Site.Apply(ctx, c)
	if err != nil {
		return nil, r.refused(c, err)
	}
	a.Findings = list(a.Findings)
	return &appliedOutput{a}, nil
}

// refused is face, but a conflict with a named base is 412 (RFC 9110 13.1.1).
func (r *routes) refused(c Change, err error) error {
	err = face(r.log, "apply site", err)
	var p *Problem
	if errors.As(err, &p) && c.Base != 0 && p.Status == http.StatusConflict {
		return newProblem(http.StatusPreconditionFailed, p.Detail)
	}
	return err
}

// etag is a revision as an entity tag.
func etag(n int) string { return strconv.Quote(strconv.Itoa(n)) }
