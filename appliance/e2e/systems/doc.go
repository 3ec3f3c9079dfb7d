// Package systems plays each of the five systems from REGISTER to BYE: the
// whole daemon, phones, and the embedded cloud going by that system's house
// rules, on loopback addresses. A rule that the daemon breaks is refused as the
// real system would and fails the test.
//
// It needs no root. It must never know a provider's profile: what the daemon
// does is compared with the documents' words, not with its own.
package systems
