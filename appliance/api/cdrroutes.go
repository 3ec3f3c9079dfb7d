package api

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"linekeeper/appliance/records"
)

// Records are the call records kept.
type Records interface {
	// Each reads them from number from on, the oldest first, until use returns false.
	Each(from uint64, use func(records.Record) bool) error
}

type cdrsInput struct {
	Format string `query:"format" enum:"json,csv" default:"json" doc:"json: a list; csv: with a header line, times in UTC"`
	From   uint64 `query:"from" doc:"first record's seq"`
	Limit  int    `query:"limit" minimum:"1" maximum:"100000" default:"1000" doc:"how many at most"`
}

// cdrs registers the call records.
func (r *routes) cdrs(h huma.API) {
	op := operation("cdrs", http.MethodGet, "/cdrs", "Call records, the oldest first", 500)
	op.Responses = map[string]*huma.Response{"200": {Description: "call records", Content: map[string]*huma.MediaType{"application/json": {}, "text/csv": {}}}}
	huma.Register(h, op, func(_ context.Context, in *cdrsInput) (*huma.StreamResponse, error) {
		all := []records.Record{}
		err := r.backend.Records.Each(in.From, func(c records.Record) bool {
			all = append(all, c)
			return len(all) < in.Limit
		})
		if err != nil {
			return nil, face(r.log, "read call records", err)
		}
		return &huma.StreamResponse{Body: func(ctx huma.Context) {
			if in.Format == "csv" {
				ctx.SetHeader("Content-Type", "text/csv; charset=utf-8")
				writeCSV(csv.NewWriter(ctx.BodyWriter()), all)
				return
			}
			ctx.SetHeader("Content-Type", "application/json")
			_ = json.NewEncoder(ctx.BodyWriter()).Encode(all) // a client that is gone
		}}, nil
	})
}

// writeCSV writes records for a spreadsheet. A text that one would take for a
// formula gets an apostrophe before it.
func writeCSV(w *csv.Writer, all []records.Record) {
	_ = w.Write([]string{"seq", "id", "began", "answered", "ended", "talked_s", "from", "to", "callee", "line", "route", "mode", "blame", "code", "reason", "caller_mos", "callee_mos", "lost", "cause", "session"})
	for _, c := range all {
		_ = w.Write([]string{strconv.FormatUint(c.Seq, 10), c.ID, stamp(c.Began), stamp(c.Answered), stamp(c.Ended), strconv.FormatInt(c.Talked, 10),
			cell(c.From), cell(c.To), cell(c.Callee), cell(c.Line), c.Route, c.Mode, c.Blame, strconv.Itoa(c.Code), cell(c.Reason),
			strconv.FormatFloat(c.CallerMOS, 'f', 2, 64), strconv.FormatFloat(c.CalleeMOS, 'f', 2, 64), strconv.FormatUint(c.Lost, 10), strconv.Itoa(c.Cause), c.Session})
	}
	w.Flush()
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// cell disarms what a spreadsheet would calculate; a leading + of a phone number
// followed by digits alone is none.
func cell(s string) string {
	if s == "" {
		return s
	}
	switch s[0] {
	case '=', '@', '-', '\t', '\r':
		return "'" + s
	case '+':
		for _, r := range s[1:] {
			if r < '0' || r > '9' {
				return "'" + s
			}
		}
	}
	return s
}
