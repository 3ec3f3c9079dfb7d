// Package mode decides from evidence whether the site works with its cloud, and
// names the cause when it doesn't.
//
//	Recovering ──lines back, or deadline──▶ Online ◀──soft dwell──▶ Degraded
//	    ▲  │                                  │                        │
//	    │  └──all targets missed, link down───┴────────┬───────────────┘
//	    │                                              ▼
//	    └── K good probes in a row, for the dwell ── Survival
//
// The way into Survival is short: calls wait. The way out must be earned, and
// takes twice as long each time the path flaps. Suspicion isn't a mode: it only
// lets the probes go fast.
//
// It is pure. It must never know a socket, a clock, a SIP message or a call.
package mode
