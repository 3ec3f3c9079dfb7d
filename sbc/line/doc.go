// Package line keeps one cloud account registered: paced, refreshed, careful
// with other people's servers, and silent after three tries with credentials
// that the provider refuses.
//
//	Idle ──Start──▶ Waiting ──Due──▶ Asking ──200──▶ Bound ──Due──▶ Bound, asking anew
//	                   ▲               │ │             │
//	                   │◀─all targets──┘ │             │ failure, Cut, Broken
//	                   │  failed         │             ▼
//	                   │◀────────────────┼───────── Waiting
//	                   │                 └─third refusal of the credentials──▶ Rejected
//	                   └───────────────────────────────Retry──────────────────────┘
//	any ──Leave──▶ Leaving ──▶ Gone
//
// It is pure. It must never know a SIP message, a socket, a password or a
// clock: the room that owns it builds the REGISTER, remembers the challenge and
// keeps the timers.
package line
