package demo

import (
	"context"
	"fmt"
	"time"

	"linekeeper/appliance/records"
)

// madeCalls is how many calls the day has made, bornAway how many of them while
// the cloud was away.
const (
	madeCalls = 12
	bornAway  = 2
)

// records checks that every call of the day was written down once, those dialled
// in survival too.
func (w *world) records(ctx context.Context, s *step) {
	list, err := w.kept(ctx)
	if !s.must(err, "the box kept %d call records", len(list)) {
		return
	}
	names := make(map[string]bool)
	away, answered := 0, 0
	for _, r := range list {
		names[r.ID] = true
		if r.Mode == "survival" {
			away++
		}
		if !r.Answered.IsZero() {
			answered++
		}
	}
	s.check(len(list) == madeCalls && len(names) == madeCalls, "one for each of the %d calls of the day, none twice", madeCalls)
	s.check(away == bornAway, "%d of them were dialled while the line was gone", away)
	s.check(answered == 8, "%d were answered", answered)
}

// kept waits for the records, which are written behind the calls.
func (w *world) kept(ctx context.Context) ([]records.Record, error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		list, err := w.api.Records(ctx, 0, 1000)
		if err != nil || len(list) >= madeCalls {
			return list, err
		}
		select {
		case <-ctx.Done():
			return list, fmt.Errorf("%d of %d records: %w", len(list), madeCalls, ctx.Err())
		case <-tick.C:
		}
	}
}
