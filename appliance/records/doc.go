// Package records keeps one call record for every call, on disk, behind the
// call path: it is handed a finished record, never waits for the disk itself,
// and loses nothing that it has taken but what a power cut finds in the last
// tenth of a second. It must never know how a call is switched.
package records
