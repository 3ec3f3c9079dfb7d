// Package loop gives a pure machine its life: one owner, one bounded inbox, keyed
// timers, and the only place in the house where a panic is caught. A Loop has a
// goroutine of its own; a Resting has one only while there is something to do, which is
// what keeps thousands of calls small. It also starts and stops rooms in order (Live).
//
//	Post ──▶ inbox ─┐
//	                ├─▶ Step(now, input) ──▶ effects ──▶ perform ──┐
//	timers due ─────┘         ▲                                    │
//	                          └──── inputs that perform returns ◀──┘
//
// Its time comes from a Clock: the system's, or one that a test moves (looptest).
//
// It must never know what a machine means: no SIP, no call, no configuration.
package loop
