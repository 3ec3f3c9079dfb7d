// Package lab is a small telephone world for tests, benchmarks and the demo: an
// embedded cloud PBX (lab/cloud) and simulated phones (lab/phone).
//
// It stands on purpose on another SIP stack than the product: sipgo's own user
// agent, transport and transaction layers (lab/ua), pion/srtp and pion/rtp
// (lab/voice) and its own reading of SDP, so that the product never talks only to
// itself. It must never import anything of sbc or survivability.
//
//	tone     hears and makes tones in G.711
//	voice    one end of a voice stream: socket, RTP or SRTP, tone out, tone in
//	ua       one user agent on one address: transactions, dialogs, digest, faults
//	phone    a telephone: registers, dials, answers, holds, hangs up
//	cloud    a PBX: registrar, accounts, outside numbers, faults on demand
//	ng       words to an rtpengine
package lab
