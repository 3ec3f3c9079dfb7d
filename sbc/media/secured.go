package media

import (
	"fmt"
	"slices"

	"linekeeper/sbc/sdp"
)

// Event is something about the keys or the path of a stream that its owner has
// to know. It is told by Side.Notify.
type Event struct {
	Kind EventKind
	Err  error // why; nil for good news
}

// EventKind says what has happened.
type EventKind uint8

// The kinds.
const (
	// KeysAgreed: the DTLS handshake is done.
	KeysAgreed EventKind = iota
	// KeysLate: there is no key yet; said again as long as it is so.
	KeysLate
	// KeysFailed: there will be none.
	KeysFailed
	// KeysWorn: the lifetime of a key ends soon, others are to be agreed on.
	KeysWorn
	// PathFound: an ICE check has succeeded, media can flow.
	PathFound
	// PathLate: no candidate has answered yet; said again as long as it is so.
	PathLate
	// ConsentLost: the peer has not agreed to hear us for 30 s (RFC 7675); nothing
	// is sent any more.
	ConsentLost
)

func (k EventKind) String() string {
	return [...]string{"keys agreed", "keys late", "keys failed", "keys worn", "path found", "path late", "consent lost"}[k]
}

func (s *Stream) notify(e Event) {
	if s.told != nil {
		s.told(e)
	}
}

// secured is what is in force about keys: SDES gives them with the flow, DTLS
// brings them later.
type secured struct {
	in, out [2]*protection  // by component; the second only where RTCP has its own handshake
	assoc   [2]*association // nil without DTLS
}

// next are the keys of a flow, as far as they go on from those that stand. Same
// keys and same associations keep their roll-over counters; a new handshake with
// the same certificate leaves the old keys in use until it is done.
func (k secured) next(s *Stream, f *sdp.Flow) (secured, error) {
	if f.UDPTL { // in the clear; the keys wait for the speech that follows
		return k, nil
	}
	if f.DTLS == nil {
		var n secured
		var err error
		if n.in[0], err = keep(k.in[0], f.In); err != nil {
			return n, fmt.Errorf("key of the peer: %w", err)
		}
		if n.out[0], err = keep(k.out[0], f.Out); err != nil {
			return n, fmt.Errorf("own key: %w", err)
		}
		return n, nil
	}
	n := secured{}
	for c := range components(f.Mux) {
		a := k.assoc[c]
		switch {
		case a != nil && a.flow.Equal(f.DTLS) && (f.ICE != nil || a.remote == f.Remote || !reachable(f.Remote)):
			n.assoc[c], n.in[c], n.out[c] = a, k.in[c], k.out[c]
			continue
		case a != nil && slices.Equal(a.flow.Peer, f.DTLS.Peer):
			n.in[c] = k.in[c]
			if f.ICE != nil || a.remote == f.Remote { // elsewhere nobody has the old keys
				n.out[c] = k.out[c]
			}
		}
		n.assoc[c] = newAssociation(s, c, *f.DTLS)
		n.assoc[c].remote = f.Remote
	}
	return n, nil
}

// components is how many ports of a pair are in use.
func components(mux bool) int {
	if mux {
		return 1
	}
	return 2
}

// renew starts the associations that are new and ends those that are gone.
func (k secured) renew(s *Stream, before secured) {
	for c := range k.assoc {
		if old := before.assoc[c]; old != nil && old != k.assoc[c] {
			old.close()
		}
		if a := k.assoc[c]; a != nil && a != before.assoc[c] {
			s.engine.begin(a.run)
		}
	}
}

// keyed takes the keys out of a handshake.
func (s *Stream) keyed(a *association, in, out *sdp.Key) error {
	pin, err := newProtection(*in)
	if err != nil {
		return err
	}
	pout, err := newProtection(*out)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.agreed.assoc[a.component] != a {
		return ErrClosed
	}
	s.agreed.in[a.component], s.agreed.out[a.component] = pin, pout
	s.home.Load().post(command{kind: doKeys, s: s, keys: a, set: s.agreed})
	if a.component == 0 {
		s.notify(Event{Kind: KeysAgreed})
	}
	return nil
}

// maxEarly bounds the packets that wait for the keys of a handshake that the
// peer has finished and we have not.
const maxEarly = 32

// earlyPacket came before its key.
type earlyPacket struct {
	from  sockaddr
	bytes []byte
}

// early keeps a packet until there are keys.
func (w *worker) early(s *Stream, b []byte) {
	l := &s.live
	if len(l.early) == maxEarly {
		s.drop(Unkeyed)
		return
	}
	l.early = append(l.early, earlyPacket{*w.from, append([]byte(nil), b...)})
}

// setKeys puts the keys of a handshake into force.
func (w *worker) setKeys(s *Stream, a *association, keys secured) {
	l := &s.live
	if l.assoc[a.component] != a {
		return
	}
	at := &l.latch
	if a.component == 1 {
		at = &l.control
	}
	if a.from.IsValid() && at.judge(a.from) == candidate { // it has shown its certificate there
		at.hold(a.from)
		w.follow(s)
	}
	l.adopt(w.now, keys)
	waiting := l.early
	l.early, w.direct = nil, true // the outbox has room for what is in hand
	for i := range waiting {
		w.from = &waiting[i].from
		w.arrivedRTP(s, w.kept[:copy(w.kept[:], waiting[i].bytes)])
	}
	w.direct = false
}

// adopt takes keys over; packets under the one before are understood for a while.
func (l *live) adopt(now int64, keys secured) {
	if l.in != keys.in[0] {
		l.old, l.oldTill = l.in, now+int64(oldKeyTime)
		if keys.in[0] != nil {
			keys.in[0].succeed(l.in)
		}
	}
	l.in, l.out, l.assoc = keys.in[0], keys.out[0], keys.assoc
	l.controlIn, l.controlOut = l.in, l.out
	if keys.assoc[1] != nil {
		l.controlIn, l.controlOut = keys.in[1], keys.out[1]
	}
}

// silent says that nothing can be sent: nobody wants it, nobody knows where to, or
// it must be encrypted and there is no key yet.
func (l *live) silent() bool {
	return !l.sends || l.latch.dest.len == 0 || l.out == nil && l.assoc[0] != nil
}

// arrivedRecord takes DTLS records.
func (w *worker) arrivedRecord(s *Stream, component int, b []byte) {
	l := &s.live
	a, at := l.assoc[component], &l.latch
	if component == 1 {
		at = &l.control
	}
	if a == nil || len(b) > maxRecord {
		s.drop(Malformed)
		return
	}
	from := w.from.addrPort()
	switch at.judge(from) {
	case foreign:
		s.drop(Foreign)
		return
	case candidate:
		if !at.fits(from) {
			s.drop(Foreign)
			return
		}
	case known:
	}
	a.reply, a.from = *w.from, from
	a.begin()
	a.feed(b)
}

// sendRecord sends what a handshake has to say.
func (w *worker) sendRecord(s *Stream, a *association, b []byte) {
	l := &s.live
	if l.assoc[a.component] != a {
		return
	}
	fd, to := s.pair.rtp, &l.latch.dest
	if a.component == 1 {
		fd, to = s.pair.rtcp, &l.control.dest
	}
	if a.reply.len != 0 {
		to = &a.reply
	}
	if to.len != 0 {
		send(fd, b, to)
	}
}

// startKeys lets the handshakes begin that can: a client's with a path.
func (w *worker) startKeys(s *Stream) {
	for c, a := range s.live.assoc {
		at := &s.live.latch
		if c == 1 {
			at = &s.live.control
		}
		if a != nil && a.flow.Client && at.dest.len != 0 && (s.live.flow.ICE == nil || at.source.IsValid()) {
			a.begin()
		}
	}
}
