// Package txn holds the four transaction machines of RFC 3261 17 with the
// Accepted states of RFC 6026. They decide what is sent, repeated, handed up
// and when to wake; sbc/exchange does it. They must never know a clock, a
// socket, a lock or a message: only codes go in, only verbs come out.
//
// Every machine needs one timer only: a wake is the nearer of the next
// repetition and the end of the state.
//
// ClientInvite (timers A and B in Calling, D in Completed, M in Accepted; once
// Cancelled, Proceeding ends after 64*T1 as RFC 3261 9.1 allows):
//
//	Calling --1xx--> Proceeding --2xx--> Accepted  --M--> Terminated
//	   | \--2xx-----------|---------------^
//	   |  \--300..699-----+--> Completed --D--> Terminated
//	   \--B, broken------------------------------> Terminated
//
// ClientNonInvite (E and F in Trying and Proceeding, K in Completed):
//
//	Trying --1xx--> Proceeding --final--> Completed --K--> Terminated
//	   \--final---------------------------^
//	   \--F, broken (from both)-----------------> Terminated
//
// ServerInvite (100 after 200 ms of silence; G and H in Completed, I in
// Confirmed, L in Accepted, where the 2xx is repeated until its ACK comes,
// RFC 3261 13.3.1.4):
//
//	Proceeding --2xx-------> Accepted --L--> Terminated
//	   \------300..699-----> Completed --ACK--> Confirmed --I--> Terminated
//	                             \--H--> Terminated
//
// ServerNonInvite (an owner that stays silent is given up after 64*T1, as the
// peer does then, RFC 4320; J in Completed):
//
//	Trying --1xx--> Proceeding --final--> Completed --J--> Terminated
//	   \--final---------------------------^
//
// The whole of it stands in testdata/transitions.golden.
package txn
