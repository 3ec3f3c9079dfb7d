// Package call is the box's back-to-back user agent: one call with its A leg,
// its B legs and one media contract, as a pure state machine. Answers, requests,
// timers and opened ports come in as inputs; messages to send and media to
// switch go out as effects. It must never know a socket, a clock, a directory
// or which brain made its plan.
//
//	           Plan            18x            2xx/ACK
//	Arrived ─────────▶ Trying ─────▶ Ringing ─────────▶ Talking
//	   │ reject           │ all failed  │ CANCEL            │ BYE, refresh failed
//	   ▼                  ▼             ▼                   ▼
//	 Over ◀──────────── Ending ◀──────────────────────── Ending
//
// The A leg is number 0, B legs count from 1. A leg's dialog tag is the call's
// token, a dash and its number, so that an in-dialog request finds its owner
// without a table of dialogs.
package call
