// Package media relays RTP and RTCP between the legs of calls: its own ports,
// SRTP, symmetric RTP with source restriction, continuous SSRC, sequence and
// timestamps, tones, and counters. It must never know SIP, a call, a user or a
// number; it is told sdp.Flow and who is bridged with whom.
//
// # Who owns what
//
// An Engine has a few workers. A worker is one goroutine on one thread with an
// epoll set; it alone touches the sockets, keys and counters of its streams
// after they are opened, so the path of a packet has no lock, no allocation
// and no log line. Everything asked of a stream from outside (Set, Bridge,
// Play, Close) is a command in the worker's inbox, carried out in order and
// before any packet that arrived later. Sockets are closed by the worker
// only: a descriptor is never reused under a reader.
//
//	socket -> demux -> source check -> decrypt -> account -+-> peer: renumber -> encrypt -> socket
//	                                                      +-> nobody, held, other payload: counted
//	source (tone) ------------------------------------------> own stream: encode -> encrypt -> socket
//
// Streams of one call live on one worker: Bridge moves them together; what
// arrives meanwhile waits in the kernel.
//
// # What waking up costs
//
// A sleep and wake-up costs ten times what a packet costs. A worker that sees
// more than a thousand packets a second therefore sleeps a tick (1 ms) after
// each pass and then takes all that came; a quiet one blocks in epoll.
//
// # Whom a stream listens to
//
//	waiting --signalled address, or (SRTP) who holds the key,
//	          or (plain) who fits the signalled address-------> latched
//	latched --Set with another address or key-----------------> waiting
//
// Nothing else moves a stream. Packets of others are counted and forgotten.
package media
