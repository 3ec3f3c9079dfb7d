// Package sip is the grammar of SIP as the box speaks it: messages, strict
// validation of what arrives, digest authentication, and the names of flows.
// It is pure: it must never know a socket, a clock or a lock.
//
// Messages are sipgo's types, but reading, judging and writing them is done
// here, since sipgo's parser lets the last of two From, To, Call-ID or CSeq win,
// takes a list of Vias for one, loses parameters behind quotes and accepts ports
// that are none. Parse refuses what RFC 3261 25 refuses; where a request can
// still be answered it says with what (Reject). In what it returns
//
//   - header names are in their long and usual form,
//   - each value of a Via, Contact, Route or Record-Route list is a header field
//     of its own,
//   - parameter names are lower case, escapes are left alone, and a quoted value
//     keeps its quotes unless there is white space in it (see ParamValue),
//   - header fields that may stand once stand once.
//
// Bytes writes what Parse has read in a form that Parse reads the same again,
// and lets nothing that stands in a value begin another header field.
package sip
