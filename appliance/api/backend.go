package api

import (
	"context"

	"linekeeper/appliance/events"
)

// Backend is all that the API sees of the appliance. Every field is required.
// The first four answer from snapshots and return at once.
type Backend struct {
	Status Statuser
	Phones Directory
	Lines  Lines
	Calls  Calls
	Events Events
	Site   SiteStore
	// Records are the call records.
	Records Records
}

// Statuser knows the appliance at a glance.
type Statuser interface{ Status() Status }

// Directory knows the extensions and who is registered for them.
type Directory interface{ Extensions() []Extension }

// Lines knows the cloud accounts.
type Lines interface {
	Lines() []Line
	// RetryLines lets accounts that rest after refused credentials try again.
	RetryLines()
}

// Calls knows the calls in progress.
type Calls interface{ Calls() []Call }

// Events is the ring of what happened lately; *events.Hub is one.
type Events interface {
	// Last returns up to n of the latest events, oldest first.
	Last(n int) []events.Event
	// Newest returns the sequence number of the latest event.
	Newest() uint64
	// Follow reads on after the event with the given sequence number.
	Follow(after uint64) *events.Follower
}

// SiteStore keeps the versions of the site document. Its errors are the
// sentinels of this package, *InvalidError, or internal.
type SiteStore interface {
	// Document returns revision n; 0 means the one in force.
	Document(ctx context.Context, n int) (Document, error)
	// Revisions returns all versions kept, the newest first.
	Revisions(ctx context.Context) ([]Revision, error)
	// Apply checks a document and puts it in force.
	Apply(ctx context.Context, c Change) (Applied, error)
	// Confirm keeps the change that waits; n is its revision, 0: whichever.
	Confirm(ctx context.Context, n int, author string) (Revision, error)
	// Rollback puts revision n in force again as a new revision; 0: takes the
	// waiting change back, or goes to the version before the present one.
	Rollback(ctx context.Context, n int, author string) (Applied, error)
}
