// Package media relays RTP between the legs of calls: its own ports, SRTP, DTLS
// and ICE, symmetric RTP with source restriction, continuous SSRC, sequence and
// timestamps, RTCP of its own toward each leg, UDPTL as it is, tones, and counters. It must never know SIP, a call, a user or a
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
//	shared socket (steered) -+
//	port's own socket -------+-> demux -> source check -> decrypt -> account -+
//	                                                                          |
//	   outbox (IPv4) <- encrypt <- renumber <- peer --------------------------+
//	     |  else own socket                 nobody, held, other payload: counted
//	     +-> raw socket, 64 at a time
//	    conversion: codec, length, key presses (only numbers that need it)
//	source, keypad -> own stream: encode -> encrypt -> own socket
//	unbridged with a sink: decode -> recorder, mixer
//
// Streams of one call live on one worker: Bridge moves them together; what
// arrives meanwhile waits in the kernel.
//
// # What doesn't pass as it is
//
// The table of payload numbers sends packets that need more than another number to
// the stream's conversion: G.711 and G.722 become each other, packets get the length
// that the other side asked for (10 to 60 ms, where both said one), key presses the
// form that it knows: telephone-event where negotiated, else SIP INFO (a Digit for
// the owner), else sound. A press that comes two ways counts once. Comfort noise
// passes where both sides know it, becomes sound where the voice is converted, and is
// left out elsewhere; our own sources say their pauses by it. Other codecs only pass.
// Conversion costs a packet its place in the batch where its length changes, and
// no allocation.
//
// # What a packet costs
//
// A sleep and wake-up costs ten times what a packet costs. A worker that sees
// more than a thousand packets a second therefore sleeps a tick (2 ms, above 150
// calls 1 ms) after each pass and then takes all that came; a quiet one blocks in epoll.
//
// Next come the system calls. Where kernel and rights allow it, a BPF program
// (sk_lookup) steers the ports of all streams into one socket for each worker,
// and a raw socket sends under headers of our own, so that one system call
// moves up to 64 packets of any calls (steering, outbox; CAP_NET_ADMIN, CAP_BPF,
// CAP_NET_RAW). Each way falls back on its own to the ports' own sockets, which
// are always bound, take IPv6 and what is too large, and are watched by
// edge-triggered epoll. Engine.Describe says which ways were taken and why.
//
// What that comes to, next to rtpengine on the same core in turn, is measured by make
// bench-media and kept in testdata/bench.
//
// # Keys and paths
//
// SDES gives the keys with the flow. With DTLS (RFC 5763) a flow has a handshake
// instead: an association runs it on goroutines of its own, at most 64 at a time;
// the worker feeds it the records that it finds among the RTP (by the first byte,
// RFC 7983), sends what it has to say, and gets the keys as a command. Until then
// nothing leaves in the clear, and a few packets of a faster peer are kept. New
// keys leave the old ones good for what is under way, and the same key, the same
// association and the same ICE session of a repeated description go on untouched. Under
// a new key a source may count on where it was or begin at roll-over 0. Whose
// lifetime ends is told to the owner in time to agree on others.
//
// ICE (RFC 8445) is an agent of our own for each component, see checker. As a lite
// one it answers checks; as a full one it has its own, a timer while it waits for
// something, and asks for consent (RFC 7675). Its verdict replaces the latch. What
// an owner has to know of keys and paths is an Event.
//
// Relays keeps addresses at TURN servers (RFC 8656) ready, a call takes one as its
// third candidate. Each peer that is reached through it has a small socket beside the
// leg's own that stands for it, so the path of a packet does not know of relays.
//
// # Whom a stream listens to
//
//	waiting --signalled address, or (SRTP) who holds the key, or (plain)
//	          who fits the signalled address, or who passed the check of ICE,
//	          or who shook hands under the signalled certificate-------> latched
//	latched --Set with another address or key-----------------> waiting
//
// Nothing else moves a stream. Packets of others are counted and forgotten. Only
// what a latched peer sends is steered: strangers come to the port's own socket,
// which is read four packets at a time, so that a flood there fills nothing that
// another packet needs.
//
// # Reports
//
// Each leg is an RTCP session of its own: the box sends SR or RR with SDES by the
// times of RFC 3550, from the first packet on, BYE at the end, and extended reports
// (RFC 3611) to who described that it wants them. The peer's reports give round
// trip, far-end loss and clock; none is passed on.
package media
