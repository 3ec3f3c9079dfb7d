package media

import (
	"strings"

	"linekeeper/sbc/rtp"
	"linekeeper/sbc/sdp"
	"linekeeper/sbc/sound"
)

// handWork in a payload table says that packets of that number need more than
// another number: conversion knows what.
const handWork = 0xfe

// keyWork is a payload that carries key presses (RFC 4733) instead of a codec.
const keyWork = sound.Codec(0xff)

// conversion is what the packets of one stream need on their way to its peer:
// another codec, another length, an ear for key presses. Streams that need nothing
// of it have none, or no number that leads to it.
type conversion struct {
	from   [128]sound.Codec // what arrives under a number
	to     [128]outward     // what becomes of it
	clock  uint32           // of the key presses
	pack   *packer          // where packets have ever had to change their length
	listen *ear
	// codec is there where voice is worked on, hearing where a sink listens: most
	// calls need neither, and both are large.
	codec   *sound.Transcoder
	hearing *sound.Decoder
	noise   *noise // where the voice is of another codec and the peer knows no comfort noise
}

type outward struct {
	codec  sound.Codec
	number uint8
}

// ear listens for key presses in the voice.
type ear struct {
	dec      sound.Decoder
	detector sound.Detector
	samples  [sound.Frame]int16
	next     uint32 // timestamp that is due
	begun    bool
	down     uint8 // event under way plus 1
}

// Sink takes what a stream's peer says, as 16 bit linear samples at 8000 Hz with
// their time in ticks of as many: a recorder, a seat of a mixer. It belongs to the
// worker while it listens and must neither block nor allocate. A stream that is
// bridged has none.
type Sink interface {
	Take(at uint32, samples []int16)
}

// tabulate makes the tables between a stream and its peer.
func (w *worker) tabulate(s *Stream) {
	w.prepare(s)
	if p := s.live.peer; p != nil {
		w.prepare(p)
	}
}

// prepare makes the table of what arrives from a stream.
func (w *worker) prepare(s *Stream) {
	l := &s.live
	if l.peer != nil {
		w.rouse(s, l.peer)
	}
	if l.peer == nil {
		if l.sink != nil {
			w.convert(s, &sdp.Flow{})
		}
		return
	}
	to := &l.peer.live.flow
	l.table = payloads(l.flow.Formats, to.Formats)
	w.convert(s, to)
	l.peer.live.keypad.choose(to)
}

// convert finds out what must be done to the packets of a stream beyond another
// number, and writes it into the table.
func (w *worker) convert(s *Stream, to *sdp.Flow) {
	l := &s.live
	c := l.work
	if c == nil {
		c = &conversion{}
	}
	ours := outward{}
	for i := range to.Formats {
		if k := codecOf(to.Formats[i].Format); k != sound.None {
			ours = outward{k, to.Formats[i].Out & 0x7f}
			break
		}
	}
	length := 0
	if l.flow.Ptime != 0 && to.Ptime != 0 && l.flow.Ptime != to.Ptime {
		length = to.Ptime
	}
	if c.pack == nil && length > 0 {
		c.pack = &packer{}
	}
	if c.pack != nil && c.pack.want(length) && l.peer != nil {
		l.peer.live.rewrite.pending = true // the numbers start afresh
	}
	listens := listensFor(&l.flow, to, l.sink != nil)
	if listens && c.listen == nil {
		c.listen = &ear{}
	} else if !listens {
		c.listen = nil
	}
	needed := l.sink != nil
	for i := len(l.flow.Formats) - 1; i >= 0; i-- { // of two with one number the first counts
		f := &l.flow.Formats[i]
		n, also := f.Number&0x7f, f.Out&0x7f
		needed = c.enter(&l.table[n], n, f, ours) || needed
		if !named(l.flow.Formats, also) {
			needed = c.enter(&l.table[also], also, f, ours) || needed
		}
	}
	if !needed {
		l.work = nil
		return
	}
	c.equip(&l.table, l.sink != nil)
	c.soothes(&l.table, l.flow.Formats, ours)
	l.work = c
}

// soothes prepares for comfort noise that the peer could not read: where its voice is
// made here anyway, noise is as well.
func (c *conversion) soothes(table *[128]uint8, formats []sdp.FlowFormat, ours outward) {
	made := false
	for n, way := range table {
		made = made || way == handWork && c.from[n] < noiseWork && c.from[n] != c.to[n].codec
	}
	if c.noise = nil; !made || ours.codec == sound.None {
		return
	}
	for i := range formats {
		if f := &formats[i]; isNoise(f.Format) && table[f.Number&0x7f] == noPayload {
			c.noise = &noise{}
			c.from[f.Number&0x7f], table[f.Number&0x7f] = noiseWork, handWork
		}
	}
}

// equip brings what the work on voice needs, before a packet comes.
func (c *conversion) equip(table *[128]uint8, sink bool) {
	voice := false
	for n, way := range table {
		voice = voice || way == handWork && c.from[n] != sound.None && c.from[n] != keyWork
	}
	switch {
	case !voice:
		c.codec = nil
	case c.codec == nil:
		c.codec = &sound.Transcoder{}
	}
	switch {
	case !sink:
		c.hearing = nil
	case c.hearing == nil:
		c.hearing = &sound.Decoder{}
	}
}

// named says whether n is the number under which something is expected.
func named(formats []sdp.FlowFormat, n uint8) bool {
	for i := range formats {
		if formats[i].Number&0x7f == n {
			return true
		}
	}
	return false
}

// enter decides about one number that arrives; entry is its place in the table.
func (c *conversion) enter(entry *uint8, n uint8, f *sdp.FlowFormat, ours outward) bool {
	c.from[n], c.to[n] = codecOf(f.Format), ours
	switch {
	case isEvent(f.Format):
		c.from[n], c.clock = keyWork, f.Clock
		c.to[n].number = *entry // noPayload: into another form
	case c.from[n] == sound.None:
		c.to[n].number = *entry
		if !c.repacks() || *entry == noPayload {
			return false
		}
	case *entry != noPayload:
		c.to[n] = outward{c.from[n], *entry}
		if !c.repacks() && c.listen == nil {
			return false
		}
	case ours.codec == sound.None:
		return false
	}
	*entry = handWork
	return true
}

// repacks says whether packets get another length.
func (c *conversion) repacks() bool { return c.pack != nil && c.pack.ticks > 0 }

// listensFor says whether key presses must be heard in the voice: where the peer
// has no other way that is sure, and the other side wants them otherwise, or might
// hear them twice.
func listensFor(from, to *sdp.Flow, sink bool) bool {
	switch way := wayOf(to); {
	case wayOf(from) == byEvent:
		return false
	case sink, way == byEvent, way == byInfo, way == inVoice && from.Info:
		for i := range from.Formats {
			if codecOf(from.Formats[i].Format) != sound.None {
				return true
			}
		}
	}
	return false
}

// work takes a clear packet that needs more than another number. What is true goes
// on like any other packet, with the number that h has then.
func (w *worker) work(s, p *Stream, b []byte, h *rtp.Header, fresh bool) bool {
	c := s.live.work
	octets := b[h.Len:]
	if b[0]&0x20 != 0 && len(octets) > 0 { // padding is no voice
		octets = octets[:max(0, len(octets)-int(octets[len(octets)-1]))]
	}
	from, to := c.from[h.Payload], c.to[h.Payload]
	switch {
	case from == keyWork:
		h.Payload = to.number
		if !w.keyEvent(s, p, octets, h.Timestamp, fresh) || to.number == noPayload || p.live.taken {
			return false
		}
		w.beside(s, p, c.pack, h)
		return true
	case from == noiseWork:
		w.soothe(s, p, octets)
		return false
	case c.listen != nil && w.overhear(s, p, from, h.Timestamp, octets):
		p.live.rewrite.pending = true // what is left out is no loss
		s.drop(Replaced)
		return false
	case p.live.taken:
		s.drop(Replaced)
		return false
	case from == sound.None:
		h.Payload = to.number
		w.beside(s, p, c.pack, h)
		return true
	}
	if from != to.codec {
		c.codec.Transcode(from, to.codec, octets)
	}
	h.Payload = to.number
	if !c.repacks() || c.pack.ticks == len(octets) && c.pack.fill == 0 && !c.pack.begun {
		return true
	}
	w.packed(s, p, c.pack, *h, octets, fresh)
	return false
}

// overhear listens for key presses in the voice; it is true while there is one,
// which the peer shall not hear twice.
func (w *worker) overhear(s, p *Stream, from sound.Codec, at uint32, octets []byte) bool {
	e := s.live.work.listen
	if e.begun && int32(at-e.next) < 0 {
		return e.down != 0 // late: the ear has gone on
	}
	if e.begun && at != e.next {
		e.detector.Gap(int(at - e.next))
	}
	e.begun, e.next = true, at+uint32(len(octets))
	for len(octets) > 0 {
		n := e.dec.Decode(from, e.samples[:], octets)
		if n == 0 {
			return false
		}
		octets = octets[n:]
		e.detector.Feed(e.samples[:n])
		w.heardKey(s, p, e)
	}
	if p != nil && p.live.keypad.way == inVoice { // it passes as it is, unless it has come another way
		return e.down != 0 && !s.live.keys.taken
	}
	return e.detector.Suspects()
}

// heardKey carries on what the detector has found.
func (w *worker) heardKey(s, p *Stream, e *ear) {
	event, samples, ok := e.detector.Heard()
	now := uint8(0)
	if ok {
		now = event + 1
	}
	if now != e.down {
		if e.down != 0 {
			w.keyUp(s, p)
		}
		if e.down = now; now != 0 {
			w.keyDown(s, p, event, inVoice)
		}
	}
	if now != 0 {
		w.keyHeld(s, p, samples)
	}
}

// absorb gives the voice of an unbridged stream to its sink.
func (w *worker) absorb(s *Stream, b []byte, h rtp.Header) {
	l := &s.live
	if l.sink == nil || l.work == nil {
		s.drop(Unbridged)
		return
	}
	octets := b[h.Len:]
	from := l.work.from[h.Payload]
	if from == keyWork {
		w.keyEvent(s, nil, octets, h.Timestamp, false)
		return
	}
	if l.work.listen != nil {
		w.overhear(s, nil, from, h.Timestamp, octets)
	}
	for at := h.Timestamp; len(octets) > 0; {
		n := l.work.hearing.Decode(from, w.samples[:], octets)
		if n == 0 {
			s.drop(Payload)
			return
		}
		l.sink.Take(at, w.samples[:n])
		at, octets = at+uint32(n), octets[n:]
	}
	s.relayed()
}

// listen puts a sink to a stream, or takes it away.
func (w *worker) listen(s *Stream, sink Sink, over func()) {
	l := &s.live
	if l.sinkOver != nil {
		l.sinkOver()
	}
	l.sink, l.sinkOver = sink, over
	if sink != nil && l.peer == nil {
		w.prepare(s)
	}
}

// isEvent says whether a format carries key presses.
func isEvent(f sdp.Format) bool { return strings.EqualFold(f.Name, "telephone-event") }
