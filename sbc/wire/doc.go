// Package wire is the only one that opens SIP sockets: UDP, TCP and TLS, in
// zones that never share a connection. It turns bytes into messages that have
// passed sip.Validate and hands them up in the order of their arrival, one
// reader per UDP socket and per connection. What must not come in is turned
// away here, before it costs anything. It must never know a transaction, a
// dialog or an extension.
//
//	socket ─▶ guard ─▶ parse ─▶ validate ─▶ Handler.Receive
//	                                  └ waited for long ─▶ Deps.Late may answer first
//	Send ─▶ UDP: written at once · stream: queued, connected in the background
//
// A request of more than 1300 octets is written with short header names (RFC 3261
// 7.3.3); where that is not enough it is for a stream, if the peer takes one (Larger).
// On a TLS connection dialled with a certificate of the box's own each request says
// that the peer may use it too (RFC 5923).
//
// A datagram of up to 65,507 octets, the most that IPv4 can carry, is sent as it
// is, fragmented by the kernel where the path needs it. A larger one is
// ErrTooLarge; none is dropped in silence.
//
// A stream connection:
//
//	accepted ──▶ shaking hands (TLS) ──▶ reading ──▶ ended ──▶ Handler.Lost
//	Flow, Send ─▶ connecting ─────────────▲            ▲
//	              queueing messages        Greeting, Half, Idle, Pong, Write
//	                                       run out; framing lost; peer closes
package wire
