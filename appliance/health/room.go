package health

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Room is the appliance's alarm board, for use by every other room. Raise and
// Clear may be called from anywhere, before, during and after Run; they never
// block on whoever is told.
type Room struct {
	log  *slog.Logger
	tell func(Change)

	wake chan struct{} // holds one: the board changed

	mu    sync.Mutex
	board *Board
}

// New returns a board over the whole catalogue. tell is called from Run, in
// order, for every alarm that becomes visible or is no longer; nil if nobody
// wants to know.
func New(log *slog.Logger, tell func(Change)) *Room {
	if tell == nil {
		tell = func(Change) {}
	}
	return &Room{log: log, tell: tell, wake: make(chan struct{}, 1), board: NewBoard(Catalogue())}
}

// Name implements the appliance's Room.
func (r *Room) Name() string { return "health" }

// Raise puts a condition on the board. cause is a sentence for a technician.
func (r *Room) Raise(code Code, subject, cause string) {
	r.mu.Lock()
	ok := r.board.Raise(time.Now(), code, subject, cause)
	r.mu.Unlock()
	if !ok {
		r.log.Warn("alarm not kept: unknown code or full board", "code", code, "subject", subject, "cause", cause)
	}
	r.poke()
}

// Clear takes a condition off the board.
func (r *Room) Clear(code Code, subject string) {
	r.mu.Lock()
	r.board.Clear(code, subject)
	r.mu.Unlock()
	r.poke()
}

// Alarms returns what a person should see now, the worst first.
func (r *Room) Alarms() []Alarm {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.board.Visible(time.Now())
}

// Run tells of alarms until ctx ends.
func (r *Room) Run(ctx context.Context, ready func()) error {
	ready()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(r.news())
		select {
		case <-r.wake:
		case <-timer.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// news tells what changed and returns how long nothing will change by itself.
func (r *Room) news() time.Duration {
	now := time.Now()
	r.mu.Lock()
	changes := r.board.Changes(now)
	at, waiting := r.board.Next(now)
	r.mu.Unlock()
	for _, c := range changes {
		r.report(c)
		r.tell(c)
	}
	if !waiting {
		return time.Hour
	}
	return at.Sub(now)
}

func (r *Room) report(c Change) {
	level := slog.LevelWarn
	switch {
	case !c.Raised:
		level = slog.LevelInfo
	case c.Alarm.Severity == Critical:
		level = slog.LevelError
	}
	r.log.Log(context.Background(), level, "alarm", "raised", c.Raised, "code", c.Alarm.Code,
		"subject", c.Alarm.Subject, "cause", c.Alarm.Cause, "since", c.Alarm.Since)
}

func (r *Room) poke() {
	select {
	case r.wake <- struct{}{}:
	default: // a wake-up is on its way already
	}
}
