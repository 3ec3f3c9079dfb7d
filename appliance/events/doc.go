// Package events keeps what happened lately and tells everybody who listens:
// a bounded ring of small facts, each with a sequence number, from which any
// number of followers read at their own pace.
//
// It must never know who publishes or who reads, and it must never make a
// publisher wait: a follower has no queue of its own, only a place in the
// ring. One that is too slow falls off the end and is told how many events it
// missed.
//
//	publish ──▶ [ 41 42 43 44 45 46 ] ring
//	               ▲        ▲     ▲
//	            slow one  UI    newest
package events
