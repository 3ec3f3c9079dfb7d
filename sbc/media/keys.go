package media

import (
	"encoding/binary"
	"time"

	"linekeeper/sbc/rtp"
	"linekeeper/sbc/sdp"
	"linekeeper/sbc/sound"
)

// way is how a peer wants to be told of key presses.
type way uint8

const (
	// noWay: what it talks is none of our codecs, and it knows nothing else.
	noWay way = 0
	// byEvent is telephone-event (RFC 4733), inVoice the sound itself, byInfo a SIP
	// INFO that the owner of the stream sends.
	byEvent way = 1 << iota
	inVoice
	byInfo
)

// wayOf chooses: what was negotiated first, then INFO, then the sound.
func wayOf(f *sdp.Flow) way {
	sounds := false
	for i := range f.Formats {
		if isEvent(f.Formats[i].Format) {
			return byEvent
		}
		sounds = sounds || codecOf(f.Formats[i].Format) != sound.None
	}
	switch {
	case f.Info:
		return byInfo
	case sounds:
		return inVoice
	}
	return noWay
}

// Digit is a key press.
type Digit struct {
	// Key is its name: 0 to 9, *, #, A to D, or ! for a hook flash.
	Key byte
	// Length is how long it was held.
	Length time.Duration
	// Heard says that the stream's own peer pressed it, while a Sink listens;
	// else it is for the stream's peer, to be told by INFO.
	Heard bool
}

const (
	// doubleTime is within which a press that comes two ways is one press.
	doubleTime = int64(2 * time.Second)
	// keyPatience without a sign ends a press whose end was lost.
	keyPatience = int64(250 * time.Millisecond)
	// The shortest press that is sent, and the pauses behind one, in ticks of 8000 Hz:
	// Q.24 asks for 40 ms, a lost packet takes 20.
	shortEvent, eventPause = 400, 160
	shortVoice, voicePause = 640, 640
	// longest is the longest press, in ticks of 8000 Hz.
	longest = 60 * 8000
	// endings is how often the end of an event is told (RFC 4733 2.5.1.4).
	endings = 3
	// maxSegment is the most that one event can say of its duration; a longer one goes
	// on in another (RFC 4733 2.5.1.3).
	maxSegment = 0xffff
	// maxPresses bounds what waits to be sent.
	maxPresses = 32
	// maxDigits bounds the digits of all streams that wait for their owners.
	maxDigits = 256
)

// keyIn is what a stream's peer presses, whichever way it says so.
type keyIn struct {
	recent [8]pressed // the newest behind
	taken  bool       // the press under way counts: it is no double
	// carried says that the packets themselves bring it to the other side.
	carried bool
	event   uint8
	length  int // so far, in ticks of 8000 Hz

	// of the events that come (RFC 4733)
	begun, ended bool
	at           uint32
	code         uint8
	base         int // ticks of segments before
	last         uint16
}

// pressed is a press that counted, and the ways it came.
type pressed struct {
	event uint8
	ways  way
	at    int64
}

// count says whether a press is one of its own: a peer that says it by event and by
// INFO means one. It is the other telling of the oldest that has not come that way yet.
func (k *keyIn) count(event uint8, by way, now int64) bool {
	for i := range k.recent {
		p := &k.recent[i]
		if p.ways == 0 || now-p.at > doubleTime || p.ways&by != 0 || p.event != event {
			continue
		}
		later := false
		for _, q := range k.recent[i+1:] {
			later = later || q.ways&by != 0
		}
		if !later {
			p.ways |= by
			return false
		}
	}
	copy(k.recent[:], k.recent[1:])
	k.recent[len(k.recent)-1] = pressed{event, by, now}
	return true
}

// keyEvent reads a telephone-event packet; it is true if the packet shall go on.
func (w *worker) keyEvent(s, p *Stream, b []byte, at uint32, fresh bool) bool {
	if len(b) < 4 {
		s.drop(Malformed)
		return false
	}
	k, c := &s.live.keys, s.live.work
	code, end, duration := b[0], b[1]&0x80 != 0, binary.BigEndian.Uint16(b[2:])
	if sound.KeyOf(code) == 0 { // a modem's or a line's: where it is understood it passes
		return true
	}
	if fresh {
		k.begun = false
	}
	switch {
	case k.begun && at == k.at:
	case k.begun && int32(at-k.at) < 0: // late, of an event before
		s.drop(Disorder)
		return false
	case k.begun && !k.ended && code == k.code && k.last == maxSegment && at == k.at+maxSegment:
		k.base += maxSegment
		k.at = at
	default:
		if k.begun && !k.ended {
			w.keyUp(s, p)
		}
		k.begun, k.ended, k.at, k.code, k.base = true, false, at, code, 0
		w.keyDown(s, p, code, byEvent)
	}
	if !k.ended {
		k.last = max(duration, 1)
		w.keyHeld(s, p, (k.base+int(duration))*8000/int(max(c.clock, 1)))
		if end {
			k.ended = true
			w.keyUp(s, p)
		}
	}
	if !k.taken {
		s.drop(Replaced)
	}
	return k.taken
}

// carries says whether the presses of s go to p as they came.
func (s *Stream) carries(p *Stream, by way) bool {
	switch {
	case p == nil || p.live.keypad.way != by:
		return false
	case by == byEvent: // both have the event, of one clock
		c := s.live.work
		for n := range c.from {
			if c.from[n] == keyWork && c.to[n].number != noPayload {
				return true
			}
		}
		return false
	}
	return by == inVoice
}

// keyDown begins a press of s's peer, which p's peer shall learn of.
func (w *worker) keyDown(s, p *Stream, event uint8, by way) {
	k := &s.live.keys
	k.event, k.length = event, 0
	if k.taken = k.count(event, by, w.now); !k.taken || p == nil || s.carries(p, by) {
		k.carried = k.taken && p != nil
		return
	}
	k.carried = false
	if p.live.keypad.sends() && p.live.keypad.add(press{event: event, open: true, touched: w.now}, &p.live.flow) {
		w.attend(p)
	}
}

// keyHeld says how long the press has lasted, in ticks of 8000 Hz.
func (w *worker) keyHeld(s, p *Stream, ticks int) {
	k := &s.live.keys
	k.length = min(ticks, longest)
	if k.taken && !k.carried && p != nil && p.live.keypad.sends() {
		p.live.keypad.hold(k.event, k.length, w.now, true)
	}
}

// keyUp ends the press.
func (w *worker) keyUp(s, p *Stream) {
	k := &s.live.keys
	switch {
	case !k.taken || k.carried:
	case p == nil:
		s.tell(k.event, k.length, true)
	case p.live.keypad.way == byInfo:
		p.tell(k.event, k.length, false)
	case p.live.keypad.sends():
		p.live.keypad.hold(k.event, k.length, w.now, false)
	}
}

// pressed takes a press that s's peer has told by INFO.
func (w *worker) pressed(s *Stream, event uint8, ticks int) {
	p := s.live.peer
	ticks = min(ticks, longest)
	switch {
	case p == nil && s.live.sink == nil, !s.live.keys.count(event, byInfo, w.now):
	case p == nil:
		s.tell(event, ticks, true)
	case p.live.keypad.way == byInfo:
		p.tell(event, ticks, false)
	case p.live.keypad.sends() && p.live.keypad.add(press{event: event, length: ticks}, &p.live.flow):
		w.attend(p)
	}
}

// keyNews is a digit on its way to the owner of a stream.
type keyNews struct {
	s *Stream
	d Digit
}

// tell hands a digit to the owner of the stream; the worker never waits for it.
func (s *Stream) tell(event uint8, ticks int, heard bool) {
	d := Digit{Key: sound.KeyOf(event), Length: time.Duration(ticks) * (time.Second / 8000), Heard: heard}
	select {
	case s.engine.digits <- keyNews{s, d}:
	default:
		s.drop(Unsent)
	}
}

// keypad is how a stream's peer is told of presses.
type keypad struct {
	way      way
	clock    uint32
	payload  uint8
	*presser // nil until there was a press
}

// presser sends presses one after the other, as events or as sound, in the place of
// the voice.
type presser struct {
	voice voice
	queue [maxPresses]press
	count int
	on    bool // the first one is being sent
	rest  int  // ticks of the pause behind one
	said  int  // ticks of it so far
	base  int  // of which in segments before
	ends  int  // how often its end was told
	at    uint32
	key   sound.Press
	frame [FrameSamples]int16
}

type press struct {
	event   uint8
	open    bool // it is not over
	length  int  // in ticks of 8000 Hz, so far
	touched int64
}

func (k *keypad) busy() bool  { return k.presser != nil && (k.count > 0 || k.rest > 0) }
func (k *keypad) sends() bool { return k.way == byEvent || k.way == inVoice }

// clear forgets what waits.
func (k *keypad) clear() { k.presser = nil }

// choose takes what was agreed with the peer.
func (k *keypad) choose(f *sdp.Flow) {
	k.way, k.clock = wayOf(f), 8000
	if k.presser != nil {
		k.voice.choose(f)
	}
	for i := range f.Formats {
		if isEvent(f.Formats[i].Format) {
			k.clock, k.payload = f.Formats[i].Clock, f.Formats[i].Out&0x7f
			return
		}
	}
}

// add queues a press for the peer of s; false: too many wait.
func (k *keypad) add(p press, f *sdp.Flow) bool {
	if k.presser == nil {
		k.presser = &presser{}
		k.voice.choose(f)
	}
	if k.count == maxPresses {
		return false
	}
	k.queue[k.count] = p
	k.count++
	return true
}

// hold says how long the newest press has lasted, and whether it goes on.
func (k *keypad) hold(event uint8, ticks int, now int64, open bool) {
	if k.presser == nil {
		return
	}
	for i := k.count - 1; i >= 0; i-- {
		if p := &k.queue[i]; p.open && p.event == event {
			p.length, p.touched, p.open = ticks, now, open
			return
		}
	}
}

// keyFrame is the turn of a keypad: 20 ms of it.
func (w *worker) keyFrame(s *Stream) {
	k, r := &s.live.keypad, &s.live.rewrite
	if !k.sends() { // agreed on anew
		k.clear()
		w.attend(s)
		return
	}
	if k.rest > 0 {
		k.rest -= FrameSamples
		if k.way == inVoice {
			k.frame = [FrameSamples]int16{}
			w.keySound(s)
		}
		if k.rest <= 0 {
			w.attend(s)
		}
		return
	}
	p := &k.queue[0]
	if !k.on {
		k.on, k.said, k.base, k.ends, k.key = true, 0, 0, 0, sound.NewPress(p.event)
		k.at = r.moment(w.now, k.clock)
	}
	if p.open && w.now-p.touched > keyPatience {
		p.open = false
	}
	total := max(p.length, shortEvent, k.said)
	if k.way == inVoice {
		total = max(p.length, shortVoice)
	}
	over := !p.open && k.said+FrameSamples >= total
	if k.way == inVoice {
		w.keyTone(s, over, total)
	} else {
		w.keyPackets(s, p.event, over, total)
	}
	if !over || k.way != inVoice && k.ends < endings {
		return
	}
	k.rest = voicePause
	if k.way != inVoice {
		k.rest = eventPause
	}
	k.on = false
	k.count--
	copy(k.queue[:k.count], k.queue[1:])
}

// keyTone sends 20 ms of the sound of a key, or what is left of it.
func (w *worker) keyTone(s *Stream, over bool, total int) {
	k := &s.live.keypad
	k.key.Next(&k.frame)
	if over {
		for i := min(max(total-k.said, 0), FrameSamples); i < FrameSamples; i++ {
			k.frame[i] = 0
		}
	}
	k.said += FrameSamples
	w.keySound(s)
}

// keySound sends a frame as voice.
func (w *worker) keySound(s *Stream) {
	k := &s.live.keypad
	if k.voice.codec == sound.None {
		return
	}
	b := w.control[:rtp.HeaderLen+FrameSamples]
	k.voice.enc.Encode(k.voice.codec, b[rtp.HeaderLen:], k.frame[:])
	w.insert(s, rtp.Header{Payload: k.voice.payload, Timestamp: k.at}, b, FrameSamples)
	k.at += FrameSamples
}

// keyPackets sends one telephone-event packet (RFC 4733 2.5.1.2).
func (w *worker) keyPackets(s *Stream, event uint8, over bool, total int) {
	k := &s.live.keypad
	first := k.said == 0
	if k.said = min(k.said+FrameSamples, longest); over {
		k.said = total
		k.ends++
	}
	scale := int(k.clock / 8000)
	if duration := (k.said - k.base) * scale; duration > maxSegment {
		w.keyPacket(s, event, false, false, maxSegment)
		k.base += maxSegment / scale
		k.at += uint32(maxSegment / scale * scale)
	}
	w.keyPacket(s, event, first, over, (k.said-k.base)*scale)
	s.live.rewrite.ts = k.at + uint32((k.said-k.base)*scale) // where the voice goes on
}

func (w *worker) keyPacket(s *Stream, event uint8, first, over bool, duration int) {
	k := &s.live.keypad
	b := w.control[:rtp.HeaderLen+4]
	b[rtp.HeaderLen], b[rtp.HeaderLen+1] = event, 10 // -10 dBm0
	if over {
		b[rtp.HeaderLen+1] |= 0x80
	}
	binary.BigEndian.PutUint16(b[rtp.HeaderLen+2:], uint16(duration))
	w.insert(s, rtp.Header{Payload: k.payload, Marker: first, Timestamp: k.at}, b, 4)
}

// insert sends a packet of the box's own between those of whoever feeds the stream.
func (w *worker) insert(s *Stream, h rtp.Header, b []byte, size int) {
	l := &s.live
	if l.silent() {
		return
	}
	l.rewrite.own(&h, w.now)
	h.Put(b)
	s.deliver(nil, s.seal(b, rtp.HeaderLen), size)
}

// moment is the timestamp of now in what is sent.
func (r *rewriter) moment(now int64, clock uint32) uint32 {
	if !r.begun {
		return r.ts
	}
	return r.ts + max(clock/50, uint32((now-r.at)/1000*int64(clock)/1e6))
}

// own numbers a packet of the box's own; whoever feeds next goes on behind it.
func (r *rewriter) own(h *rtp.Header, now int64) {
	r.seq++
	h.SSRC, h.Sequence = r.ssrc, r.seq
	r.ts, r.at, r.begun, r.pending = h.Timestamp, now, true, true
}

// OnDigit lets f hear of the stream's digits, one after the other on a goroutine of
// the engine; it must not block. Nil: nobody.
func (s *Stream) OnDigit(f func(Digit)) {
	if f == nil {
		s.onDigit.Store(nil)
		return
	}
	s.onDigit.Store(&f)
}

// Press tells that the stream's peer has pressed a key, and so by other means than
// its media: the other side of the bridge learns of it, unless it has come by media too.
func (s *Stream) Press(d Digit) {
	if event, ok := sound.EventOf(d.Key); ok {
		s.ask(command{kind: doPress, s: s, event: event, ticks: int(d.Length / (time.Second / 8000))})
	}
}

// Listen gives what the peer says to a sink, while the stream is not bridged; nil:
// to nobody. over is called once the sink is let go of.
func (s *Stream) Listen(sink Sink, over func()) {
	s.ask(command{kind: doListen, s: s, sink: sink, over: over})
}
