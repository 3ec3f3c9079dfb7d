// Package health holds the alarm board and the readiness score.
//
// An alarm is a condition, not a line in a log: it is raised, stays, and is
// cleared. It becomes visible once it has lasted for its patience, and it stays
// hidden while an alarm that explains it is raised (a dead line to the
// internet makes "provider unreachable" no news).
//
//	           Raise                  patience over, no cause raised
//	absent ───────────▶ raised ─────────────────────────────────────▶ visible
//	   ▲                  │ ◀────────────────────────────────────────── │
//	   └────── Clear ─────┴──────────── a cause is raised ──────────────┘
//
// The readiness score answers one question: what would happen if the line to
// the cloud dropped now? It is a pure function over facts.
//
// The package must never know where alarms come from or who shows them.
package health
