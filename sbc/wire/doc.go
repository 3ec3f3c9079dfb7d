// Package wire is the only one that opens SIP sockets: UDP, TCP and TLS, in
// zones that never share a connection. It turns bytes into messages that have
// passed sip.Validate and hands them up in the order of their arrival, one
// reader per UDP socket and per connection. What must not come in is turned
// away here, before it costs anything. It must never know a transaction, a
// dialog or an extension.
//
//	socket ─▶ guard ─▶ parse ─▶ validate ─▶ Handler.Receive
//	Send ─▶ UDP: written at once · stream: queued, connected in the background
//
// A datagram of up to 65,535 octets is sent as it is, fragmented by the kernel
// where the path needs it; it is never dropped in silence.
package wire
