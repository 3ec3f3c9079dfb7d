// Package store keeps things on the data partition so that power may be cut at
// any moment: atomic files, and two bbolt files, one for state (bindings,
// revisions of the site document, counters) and one for records (call records,
// outbox, events), so that a fault in one leaves the other.
//
// bbolt panics, or faults on its memory map, when it meets a bad page. Each
// transaction therefore runs guarded, and every value carries a checksum. At
// open a file is read through and copied into a fresh one, which also gives
// back unused space; a file that doesn't pass is moved aside and the last
// snapshot takes its place.
//
// It must never know what it keeps: no SIP, no call, no configuration key.
package store
