package media

import (
	"slices"
	"time"

	"linekeeper/sbc/sdp"
)

// maxInbox bounds what may wait for a worker. Closing is never refused.
const maxInbox = 1 << 16

type verb uint8

const (
	doAdd verb = iota
	doSet
	doBridge
	doUnbridge
	doPlay
	doPress
	doListen
	doLeave
	doClose
	doKeys   // a handshake has ended well
	doRecord // a handshake has something to send
	doCheck  // ICE wants to be looked at
)

// command is one thing asked of a worker.
type command struct {
	kind    verb
	s, peer *Stream
	flow    *sdp.Flow
	set     secured
	keys    *association
	packet  []byte
	source  Source
	sink    Sink
	over    func()
	event   uint8
	ticks   int
	done    chan struct{}
}

// post puts a command into the inbox; false once the worker has ended or its
// inbox is full.
func (w *worker) post(c command) bool {
	w.mu.Lock()
	refused := w.ended || len(w.inbox) >= maxInbox && c.kind != doClose && c.kind != doLeave
	if refused {
		w.mu.Unlock()
		return false
	}
	w.inbox = append(w.inbox, c)
	w.posted.Store(true)
	lazy := c.kind != doPlay && c.kind != doPress && c.kind != doLeave && c.kind < doKeys
	now := !w.rung && !lazy
	later := !w.rung && lazy && !w.late
	w.late = w.late || later
	w.mu.Unlock()
	switch {
	case now:
		w.wake()
	case later:
		time.AfterFunc(lazyRing, w.wake)
	}
	return true
}

// lazyRing is how long an idle worker may leave be what is asked of streams that carry
// nothing: being woken for each thing costs more than the work. Nobody sees it late,
// since the first packet wakes the worker, which then looks into its inbox before it
// looks at the packet. Playing and leaving are rung for at once: somebody waits.
const lazyRing = 20 * time.Millisecond

// commands carries out what was asked so far, in order.
func (w *worker) commands() {
	w.mu.Lock()
	list := w.inbox
	w.inbox, w.rung = w.spare[:0], false
	w.posted.Store(false)
	w.mu.Unlock()
	w.performing = true
	for i := range list {
		w.perform(&list[i])
		list[i] = command{}
	}
	w.performing = false
	w.spare = list[:0]
}

// commandsBefore carries out what was asked before the packets in hand came, so
// that they meet what holds for them. A stream that leaves waits for the next
// pass, since taking its last packets needs the room of those.
func (w *worker) commandsBefore() {
	if w.performing || !w.posted.Load() {
		return
	}
	w.mu.Lock()
	n := slices.IndexFunc(w.inbox, func(c command) bool { return c.kind == doLeave })
	if n < 0 {
		w.mu.Unlock()
		w.commands()
		return
	}
	list := slices.Clone(w.inbox[:n])
	w.inbox = slices.Delete(w.inbox, 0, n)
	w.mu.Unlock()
	for i := range list {
		w.perform(&list[i])
	}
}

func (w *worker) perform(c *command) {
	switch c.kind {
	case doAdd:
		w.add(c.s)
	case doSet:
		w.set(c)
	case doBridge:
		w.bridge(c.s, c.peer)
	case doUnbridge:
		w.unbridge(c.s)
	case doPlay:
		w.play(c.s, c.source)
	case doPress:
		w.pressed(c.s, c.event, c.ticks)
	case doListen:
		w.listen(c.s, c.sink, c.over)
	case doLeave:
		w.unsteerAll(c.s)
		w.takeShared() // what came for it already must not be lost
		w.flush()
		w.remove(c.s)
		close(c.done)
	case doClose:
		w.goodbye(c.s)
		c.s.alarm(0, false)
		w.remove(c.s)
		c.s.release()
	case doKeys:
		w.setKeys(c.s, c.keys, c.set)
	case doRecord:
		w.sendRecord(c.s, c.keys, c.packet)
	case doCheck:
		w.checks(c.s)
	}
}

// set puts a flow into force.
func (w *worker) set(c *command) {
	s, l := c.s, &c.s.live
	if c.flow.UDPTL { // the RTCP port waits for the speech that follows
		c.flow.RemoteRTCP, c.flow.Mux = l.flow.RemoteRTCP, l.flow.Mux
	}
	moved := l.flow.Remote != c.flow.Remote || l.flow.RemoteRTCP != c.flow.RemoteRTCP || l.flow.Mux != c.flow.Mux
	again := moved || l.in != c.set.in[0] && c.flow.DTLS == nil
	l.adopt(w.now, c.set)
	w.setPath(s, c.flow, again)
	w.follow(s)
	l.flow = *c.flow
	l.fax, l.mux, l.sends = l.flow.UDPTL, l.flow.Mux, l.flow.Send
	w.startKeys(s)
	l.clock = 8000
	if len(l.flow.Formats) > 0 {
		l.clock = l.flow.Formats[0].Clock
	}
	w.tabulate(s)
	if l.player != nil {
		l.player.voice.choose(&l.flow)
	}
}

// bridge joins two streams of this worker.
func (w *worker) bridge(a, b *Stream) {
	if a.live.peer == b {
		return
	}
	w.unbridge(a)
	w.unbridge(b)
	a.live.peer, b.live.peer = b, a
	w.feeds++
	a.live.rewrite.pending, b.live.rewrite.pending = true, true
	w.tabulate(a)
}

func (w *worker) unbridge(s *Stream) {
	if p := s.live.peer; p != nil {
		w.rouse(s, p)
		w.rouse(p, s)
		s.live.peer, p.live.peer = nil, nil
		s.live.keypad.clear()
		p.live.keypad.clear()
		w.attend(s)
		w.attend(p)
		w.prepare(s)
		w.prepare(p)
	}
}

// noPayload marks a number that means nothing to the other side.
const noPayload = 0xff

// payloads maps the numbers that arrive from one side to those that the other
// wants. A peer that sends with its own number instead of ours is understood
// where that number is free. Sides without formats pass everything.
func payloads(from, to []sdp.FlowFormat) [128]uint8 {
	var t [128]uint8
	for i := range t {
		t[i] = noPayload
		if len(from) == 0 || len(to) == 0 {
			t[i] = uint8(i)
		}
	}
	if len(from) == 0 || len(to) == 0 {
		return t
	}
	other := func(f sdp.FlowFormat) (uint8, bool) {
		best, ok := uint8(0), false
		for _, g := range to {
			if g.Same(f.Format) && (!ok || g.Params == f.Params) {
				best, ok = g.Out&0x7f, true
			}
		}
		return best, ok
	}
	for _, f := range from {
		if n, ok := other(f); ok {
			t[f.Number&0x7f] = n
		}
	}
	for _, f := range from {
		if n, ok := other(f); ok && t[f.Out&0x7f] == noPayload {
			t[f.Out&0x7f] = n
		}
	}
	return t
}
