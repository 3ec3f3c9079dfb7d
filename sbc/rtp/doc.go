// Package rtp is the words of RTP and RTCP (RFC 3550) as the relay's fast path
// needs them: headers read and written in place without allocation, sequence,
// loss and jitter accounting, sender and receiver reports, and the E-model
// that turns loss and delay into a score. It is pure, and must never know a
// socket, a clock, a key or a call.
package rtp
