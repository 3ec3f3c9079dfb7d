package media

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"linekeeper/sbc/rtp"
	"linekeeper/sbc/sdp"
)

// Stream is one leg's media: a pair of ports and what is agreed for them. Its
// methods may be called from anywhere, also after Close.
type Stream struct {
	engine *Engine
	pair   pair
	leg    *legTotals
	cname  string // our RTCP name: random, since the peer's own would show the other side
	count  counters
	home   atomic.Pointer[worker]
	// onDigit hears of digits; see OnDigit.
	onDigit atomic.Pointer[func(Digit)]

	// mu orders what is asked of the stream; the packet path never takes it.
	mu     sync.Mutex
	closed bool
	agreed secured // as last set; used by the worker alone

	told  func(Event) // Side.Notify
	relay *Relayed    // Side.Relay
	seed  uint64      // of what ICE draws
	live  live
}

// live is what the worker alone touches once the stream is added.
type live struct {
	// What each packet touches comes first, so that it is in few cache lines: with a
	// thousand calls they are cold each time.
	in, out *protection
	old     *protection // the peer's key before the last Set, for packets under way
	peer    *Stream
	assoc   [2]*association // of RTP and RTCP; nil: no DTLS
	clock   uint32
	taken   bool // the box itself speaks: player or keypad
	begun   bool // the next report is due some time
	// Of flow: UDPTL, Mux and Send.
	fax, mux, sends bool
	latch           latch
	rewrite         rewriter
	track           rtp.Track
	table           [128]uint8 // payload number that arrives → number toward peer; noPayload

	flow    sdp.Flow
	slots   [2]int
	oldTill int64
	control latch // of RTCP
	// work is what packets need whose number in the table is handWork.
	work     *conversion
	keys     keyIn
	keypad   keypad
	player   *player
	sink     Sink
	sinkOver func()
	report   reporting

	// Those of RTCP are the same but where DTLS has a handshake for it (RFC 5764 4.1).
	controlIn, controlOut *protection
	early                 []earlyPacket // came before their key
	ice                   [2]*checker   // of RTP and RTCP; nil: no ICE
	timer                 *time.Timer   // when ice wants to be looked at
}

// newStream draws the identity of a stream.
func newStream(e *Engine, side Side, p pair) (*Stream, error) {
	var r [28]byte
	if _, err := io.ReadFull(e.conf.Rand, r[:]); err != nil {
		return nil, fmt.Errorf("random media source: %w", err)
	}
	s := &Stream{engine: e, pair: p, leg: e.legOf(side.Leg), cname: hex.EncodeToString(r[10:20]), told: side.Notify, seed: binary.BigEndian.Uint64(r[20:])}
	s.count.voice.Store(int64(time.Since(e.start)))
	s.live.rewrite = rewriter{
		ssrc: binary.BigEndian.Uint32(r[:]), ts: binary.BigEndian.Uint32(r[4:]),
		seq: binary.BigEndian.Uint16(r[8:]) >> 1, // far from the first wrap, RFC 3711 3.3.1
	}
	return s, nil
}

// Local is where the stream receives RTP; RTCP arrives one port higher.
func (s *Stream) Local() netip.AddrPort {
	return netip.AddrPortFrom(s.pair.addr, s.pair.port)
}

// Set puts what was agreed into force, also again and again. The same key
// keeps its roll-over counters, a new key or address starts afresh; the same DTLS
// association and the same ICE session go on. The error
// is ErrClosed or says what is wrong with a key.
func (s *Stream) Set(f sdp.Flow) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	next, err := s.agreed.next(s, &f)
	if err != nil {
		return fmt.Errorf("set media of %s: %w", s.Local(), err)
	}
	f.Formats = append([]sdp.FlowFormat(nil), f.Formats...)
	if f.ICE != nil && s.relay != nil {
		f.ICE = s.relay.reach(f.ICE)
	}
	if !s.home.Load().post(command{kind: doSet, s: s, flow: &f, set: next}) {
		return ErrClosed
	}
	next.renew(s, s.agreed)
	s.agreed = next
	s.count.fax.Store(f.UDPTL)
	if len(f.Formats) > 0 {
		s.count.codec.Store(&f.Formats[0].Name)
	}
	return nil
}

// keep returns the context in use if the key is the same, so that its
// roll-over counters live on.
func keep(p *protection, key *sdp.Key) (*protection, error) {
	switch {
	case key == nil:
		return nil, nil
	case p != nil && p.key.Equal(key):
		return p, nil
	}
	return newProtection(*key)
}

// Unbridge ends the relay in both directions; the streams stay open.
func (s *Stream) Unbridge() { s.ask(command{kind: doUnbridge, s: s}) }

// Play sends a source to the peer of this stream instead of what its bridge
// brings, until the source ends; nil gives the bridge back at once.
func (s *Stream) Play(src Source) { s.ask(command{kind: doPlay, s: s, source: src}) }

// Close ends the stream and frees its ports after their rest. Again is fine.
func (s *Stream) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	secured{}.renew(s, s.agreed)
	s.home.Load().post(command{kind: doClose, s: s})
}

// ask posts a command unless the stream is closed.
func (s *Stream) ask(c command) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.home.Load().post(c)
	}
}

// release gives the ports back; called once, by the owner.
func (s *Stream) release() {
	if s.relay != nil {
		s.relay.Close()
	}
	s.home.Load().load.Add(-1)
	s.engine.streams.Add(-1)
	s.engine.ports.close(s.pair)
}

// bridge moves b to the worker of a if need be, then joins them. Both are
// locked meanwhile, in the order of their ports, so that nothing asked of them
// overtakes the move.
func bridge(a, b *Stream) {
	first, second := a, b
	if b.Local().Compare(a.Local()) < 0 {
		first, second = b, a
	}
	first.mu.Lock()
	defer first.mu.Unlock()
	second.mu.Lock()
	defer second.mu.Unlock()
	if a.closed || b.closed {
		return
	}
	to, from := a.home.Load(), b.home.Load()
	if to != from {
		done := make(chan struct{})
		if !from.post(command{kind: doLeave, s: b, done: done}) {
			return
		}
		<-done // at most a tick
		b.home.Store(to)
		from.load.Add(-1)
		to.load.Add(1)
		if !to.post(command{kind: doAdd, s: b}) {
			b.closed = true
			b.release()
			return
		}
	}
	to.post(command{kind: doBridge, s: a, peer: b})
}
