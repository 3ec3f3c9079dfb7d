// Command bench measures the daemon against its floors: registrations with digest,
// calls with media ports, relayed RTP and SRTP, resident memory.
//
// It builds the daemon, starts it pinned to one core with a site document of its own,
// plays phones and cloud (appliance/lab) from the other core, prints a table with the
// machine's description and writes the figures to testdata/bench. Exit code 1: a
// floor was missed. It measures from outside only and must never import the product.
//
//	go run ./appliance/bench [-cases register,calls,memory,media] [-quick]
//	go run ./appliance/bench -suite calls [-quick]
//	go run ./appliance/bench -suite media [-quick]
//
// The suite of calls has a load of its own (rig), cheap enough to offer thousands of
// calls a second from one core. Its phones know a challenge already, its cloud is UDP
// with SRTP keys. What it offers the daemon it offers Kamailio too, whose phones need
// no credentials. It keeps the lowest price of several rounds: other work on the
// machine only ever adds.
//
// The suite of media adds calls step by step, in the daemon by SIP, in rtpengine by its
// control protocol, and lets the same generator speak through one and the other in
// turn; rtpengine is stopped (SIGSTOP) while it is not measured. It keeps medians.
package main
