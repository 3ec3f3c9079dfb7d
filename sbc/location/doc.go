// Package location knows who is where: the contacts of every extension, as the
// phones registered them (RFC 3261 10.3, RFC 5626, RFC 5627).
//
// Look-ups read an immutable list per extension and wait for nobody's disk.
// Changes go to a Saver in batches behind the call path, so a crash loses at
// most the last SaveEvery. The table must never know SIP messages, sockets,
// passwords or routing: it keeps what it is told.
package location
