// Package voice is one end of a voice stream for the lab: a real UDP socket, RTP or
// SRTP by pion, its own small reading of SDP with SDES keys (RFC 4568), a tone going
// out every 20 ms and an ear for what comes in.
//
// One Pacer serves any number of ends with a single goroutine. The package knows
// packets and session descriptions; it must never know SIP or anything of the product.
package voice
