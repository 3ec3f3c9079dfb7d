// Package sdp is the session description as a back-to-back user agent needs
// it: a bounded parser (RFC 8866), the offer/answer rules between two legs
// (RFC 3264), SDES keys (RFC 4568, 6188, 7714, 8643), DTLS fingerprints and roles
// (RFC 5763, 8122, 8842), ICE candidates (RFC 8839), and the Flow that tells
// the media engine what was agreed. It is pure, and must never know a socket,
// a clock, a source of randomness or a logger.
//
// One Local per leg lives as long as the leg:
//
//	leg A                       leg B
//	offer --Parse--> b.Offer(offer) ------> INVITE
//	200 <-- a.Answer(offer, answer) <--Parse-- 200
//	a.Flow(mine, theirs)        b.Flow(mine, theirs)  --> sbc/media
package sdp
