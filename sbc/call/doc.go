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
//
// # Before the answer
//
// A leg that the box calls may have several early dialogs, one for each fork that
// says something (talk); the 2xx picks one. The caller has one dialog and gets one
// answer. Which fork it hears is a matter of the relay: of a step with one target
// the one that described its media last (RFC 3960 3), unless P-Early-Media says that
// there is nothing to hear (RFC 5009); of several targets none. A fork that needs
// another codec than the caller was told is heard when it has answered: then the
// caller gets a new offer after its ACK.
//
// Reliable responses (RFC 3262) are each leg's own. The box acknowledges those of
// the called in their dialogs, and sends descriptions reliably to a caller that
// supports 100rel, everything to one that requires it. An offer in UPDATE or PRACK
// is answered by the box where it means nothing to the other side, another address
// say; else it goes across by UPDATE, or is refused with 504 (RFC 3311 5.2).
//
// # Transfers and taking over
//
// Two legs talk with each other, the host and the winner; others come and go. A
// REFER is carried out here (transfer): blind, by a second hunt whose host is the
// party that is sent on; attended, by offering that party's leg to the call whose
// dialog is named (Move, Adopt, Moved). While a leg is on offer its place is kept by
// a stub and what comes for it waits, since it may be the other call's already:
// no leg ever has two owners. An INVITE with Replaces is no call of its own but a
// leg of the call whose dialog it names (Join).
//
// A transfer that fails after its sender has hung up, or before it has heard of it,
// brings that phone back by a third kind of hunt (recall).
//
// Whoever has been joined gets a new offer (refit) where hold is to be lifted, the
// codecs differ or a phone's display is to change; of two old legs one after the
// other, so that the second follows what the first could agree to.
//
// # Past the box
//
// Where two talk who sit on one segment, and policy lets them (Side.Segment), each gets
// the other's media address by a re-INVITE of its own, the called one first (direct).
// Whatever describes the box anew, hold, a fax, a transfer, brings media back by itself,
// since every other description names the box; the attempt is made again later.
package call
