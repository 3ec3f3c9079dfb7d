// Package wiretest is a network in memory with the surface of sbc/wire, for
// tests inside a synctest bubble, and the contract that both of them keep.
//
//	Node.Send ─▶ path (delay, loss, cut) ─▶ parse ─▶ validate ─▶ Handler.Receive
//
// Datagrams are lost when the path says so. Streams are ordered and lose
// nothing: a lost segment comes later, a cut path holds everything until it is
// mended, or until the sender gives up (Dead). TLS is a stream like TCP here;
// nothing is encrypted. Nothing runs while nothing is under way, so a bubble
// ends by itself.
//
// It must never know what the messages mean.
package wiretest
