// Package phone is a simulated SIP telephone: it registers with extension and
// password, dials, answers, rejects, cancels, holds, hangs up, sends its own tone as
// real RTP or SRTP and hears the peer's.
//
// It is to be driven by tests and the demo with blocking calls under a context. It
// must never know anything of the product but the address that it registers at.
package phone
