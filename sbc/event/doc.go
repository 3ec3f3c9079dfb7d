// Package event is SIP's event notification (RFC 6665) as two pure machines,
// the notifier's end and the subscriber's end of one subscription, with the
// documents that its packages carry: dialog-info (RFC 4235),
// simple-message-summary (RFC 3842) and reginfo (RFC 3680).
//
// Notifier, for a phone that watches something of ours:
//
//	Idle ──Changed, Refresh──▶ Sending ──2xx──▶ Idle (Sending again if something changed)
//	                             │ │  └─Retry-After, 5xx──▶ Waiting ──Due──▶ Sending
//	                             │ └────Broken─▶ Stuck ──Refresh, Back, Due──▶ Sending
//	                             └481, silence, other refusals──▶ Over
//	any ──ran out, End, Refresh{0}──▶ Sending the last one ──▶ Over
//
// Subscriber, for something of the cloud's that the box watches:
//
//	Idle ──Start──▶ Waiting ──Due──▶ Asking ──2xx──▶ Active ──Due──▶ Active, asking anew
//	                   ▲               │ └──489, 403 …──▶ Refused ──Due, hours later──▶ Asking
//	                   └──5xx, silence─┘                    ▲ terminated;reason=rejected
//	Active ──481, terminated──▶ Asking or Waiting, for a new subscription
//	any ──Cut──▶ the same, holding still ──Reachable──▶ Asking
//	any ──Leave──▶ Leaving ──▶ Gone
//
// It must never know a socket, a clock, a dialog's tags or who may watch whom:
// the room that owns a machine makes the messages and keeps the timers.
package event
