package media

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"linekeeper/sbc/rtp"
	"linekeeper/sbc/sound"
)

// The ways of key presses, as an end describes itself.
func (p *party) by(how way) {
	p.way = how
	switch how {
	case byEvent:
		p.agree(20, true, "PCMA", "telephone-event") // events come before INFO
	case byInfo:
		p.agree(20, true, "PCMA")
	default:
		p.agree(20, false, "PCMA")
	}
}

// hold begins a press that lasts so many ticks.
func (p *party) hold(key byte, ticks int) {
	p.press, _ = sound.EventOf(key)
	p.ticks, p.since, p.ends, p.eventAt = ticks, 0, 0, p.ts
	p.osc = sound.NewPress(p.press)
}

// turn is 20 ms of an end: it speaks, or presses its key by its ways.
func (p *party) turn(ways way) {
	pressed := p.ticks > 0
	frame := make([]int16, sound.Frame)
	if pressed && ways&inVoice != 0 && p.since < p.ticks {
		p.osc.Next((*[sound.Frame]int16)(frame))
	}
	if pressed {
		p.since = min(p.since+sound.Frame, p.ticks)
	}
	if pressed && ways&byEvent != 0 {
		end := byte(0)
		if p.since == p.ticks {
			end = 0x80
		}
		b := []byte{p.press, 10 | end, 0, 0}
		binary.BigEndian.PutUint16(b[2:], uint16(p.since))
		p.send(rtp.Header{Payload: p.flow.Formats[1].Number, Marker: p.since == sound.Frame, Timestamp: p.eventAt}, b)
	}
	if !pressed || ways&byEvent == 0 || ways&inVoice != 0 {
		p.voice(frame)
	} else {
		p.ts += sound.Frame
	}
	if !pressed || p.since < p.ticks {
		return
	}
	if p.ends++; ways&byEvent == 0 || p.ends == 3 {
		if ways&byInfo != 0 {
			p.stream.Press(Digit{Key: sound.KeyOf(p.press), Length: time.Duration(p.ticks) * time.Second / 8000})
		}
		p.ticks = 0
	}
}

// listen takes what came for an end and notes the digits in it.
func (p *party) listen() {
	for _, b := range p.take() {
		h, _ := rtp.Parse(b)
		p.heard.seqs, p.heard.stamps = append(p.heard.seqs, h.Sequence), append(p.heard.stamps, h.Timestamp)
		if len(p.flow.Formats) > 1 && h.Payload == p.flow.Formats[1].Out {
			p.event(h, b[h.Len:])
			continue
		}
		if p.way != inVoice {
			continue
		}
		if h.Timestamp != p.heard.next {
			p.heard.det.Gap(int(int32(h.Timestamp - p.heard.next)))
		}
		p.heard.next = h.Timestamp + uint32(len(b)-h.Len)
		samples := make([]int16, len(b)-h.Len)
		p.heard.dec.Decode(codecOf(p.flow.Formats[0].Format), samples, b[h.Len:])
		for len(samples) > 0 {
			n := min(len(samples), sound.Frame)
			p.heard.det.Feed(samples[:n])
			samples = samples[n:]
			event, length, ok := p.heard.det.Heard()
			key := byte(0)
			if ok {
				key = sound.KeyOf(event)
				if key != p.heard.down {
					p.digits += string(key)
					p.lengths = append(p.lengths, 0)
				}
				p.lengths[len(p.lengths)-1] = length
			}
			p.heard.down = key
		}
	}
}

func (p *party) event(h rtp.Header, b []byte) {
	if !p.heard.begun || h.Timestamp != p.heard.last {
		p.heard.begun, p.heard.last = true, h.Timestamp
		p.digits += string(sound.KeyOf(b[0]))
		p.lengths = append(p.lengths, 0)
	}
	p.lengths[len(p.lengths)-1] = max(p.lengths[len(p.lengths)-1], int(binary.BigEndian.Uint16(b[2:])))
}

// informed notes the digits that the owner of an end's stream would send by INFO.
func (d *desk) informed() {
	for {
		select {
		case m := <-d.e.digits:
			for _, p := range []*party{d.a, d.b} {
				if p.stream == m.s && !m.d.Heard {
					p.digits += string(m.d.Key)
					p.lengths = append(p.lengths, int(m.d.Length/(time.Second/8000)))
				}
			}
		default:
			return
		}
	}
}

func (w way) String() string {
	var names []string
	for _, x := range []struct {
		way  way
		name string
	}{{byEvent, "event"}, {byInfo, "INFO"}, {inVoice, "voice"}} {
		if w&x.way != 0 {
			names = append(names, x.name)
		}
	}
	return strings.Join(names, " and ")
}

// dials lets both ends press n keys each at the same time and checks what arrives.
func (d *desk) dials(n int, aWays, bWays way) {
	d.t.Helper()
	const keys = "0123456789*#ABCD"
	type script struct {
		p, far *party
		ways   way
		text   string
		ticks  []int
		wait   int
	}
	scripts := []*script{{p: d.a, far: d.b, ways: aWays}, {p: d.b, far: d.a, ways: bWays}}
	for range 20 {
		for _, s := range scripts {
			s.p.turn(0)
		}
		d.step()
	}
	for idle := 0; idle < 50; idle++ {
		for _, s := range scripts {
			if s.p.ticks == 0 && s.wait > 0 {
				s.wait--
			}
			if s.p.ticks == 0 && s.wait == 0 && len(s.ticks) < n {
				key := keys[d.chance.IntN(len(keys))]
				if d.chance.IntN(4) == 0 && s.text != "" {
					key = s.text[len(s.text)-1] // the same again
				}
				ticks := 800 + 160*d.chance.IntN(6)
				s.p.hold(key, ticks)
				s.text, s.ticks = s.text+string(key), append(s.ticks, ticks)
				s.wait = 5 + d.chance.IntN(2)
			}
			if s.p.ticks > 0 {
				idle = 0
			}
			s.p.turn(s.ways)
		}
		d.step()
		d.a.listen()
		d.b.listen()
		d.informed()
	}
	for _, s := range scripts {
		if s.far.digits != s.text {
			d.t.Errorf("%s to %s: %d of %d arrived, the first difference at %d", s.ways, s.far.way, len(s.far.digits), len(s.text), differs(s.text, s.far.digits))
			continue
		}
		for i, got := range s.far.lengths {
			if off := got - s.ticks[i]; off > 480 || off < -640 {
				d.t.Errorf("%s to %s: key %d lasted %d ms of %d", s.ways, s.far.way, i, got/8, s.ticks[i]/8)
				break
			}
		}
	}
}

func differs(a, b string) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

func TestThousandDigitsEachWay(t *testing.T) {
	ways := []way{byEvent, byInfo, inVoice}
	for i, x := range ways {
		for _, y := range ways[i:] { // both press, so each pair has both ways round
			t.Run(fmt.Sprintf("%s and %s", x, y), func(t *testing.T) {
				d := newDesk(t)
				d.lost = 100
				d.a.by(x)
				d.b.by(y)
				d.bridge()
				d.dials(1000, x, y)
			})
		}
	}
}

func TestPressThatComesTwoWaysIsOnePress(t *testing.T) {
	for _, far := range []way{byEvent, byInfo, inVoice} {
		for _, near := range []struct{ agreed, ways way }{
			{byEvent, byEvent | byInfo}, {byEvent, byEvent | inVoice}, {byEvent, byEvent | inVoice | byInfo}, {byInfo, byInfo | inVoice},
		} {
			t.Run(fmt.Sprintf("%s to %s", near.ways, far), func(t *testing.T) {
				d := newDesk(t)
				d.a.by(near.agreed)
				d.b.by(far)
				d.bridge()
				d.dials(100, near.ways, far)
			})
		}
	}
}

func TestLongPressGoesOnInAnotherEvent(t *testing.T) {
	d := newDesk(t)
	d.a.by(byEvent)
	d.b.by(byEvent)
	d.b.flow.Formats[1].Clock = 16000 // another clock: it cannot pass as it is
	set(t, d.b.stream, d.b.flow)
	d.bridge()
	const ticks = 20 * 8000
	begin := d.a.ts
	segments := make(map[uint32]int)
	var order []uint32
	ends := 0
	for at := sound.Frame; at <= ticks+2*sound.Frame; at += sound.Frame {
		said := min(at, ticks)
		segment := (said - 1) / 0xffff
		b := []byte{5, 10, 0, 0}
		if said == ticks {
			b[1] |= 0x80
		}
		binary.BigEndian.PutUint16(b[2:], uint16(said-segment*0xffff))
		if said-sound.Frame < segment*0xffff && segment > 0 { // the segment before is told in full
			d.a.send(rtp.Header{Payload: d.a.flow.Formats[1].Number, Timestamp: begin + uint32((segment-1)*0xffff)}, []byte{5, 10, 0xff, 0xff})
		}
		d.a.send(rtp.Header{Payload: d.a.flow.Formats[1].Number, Marker: at == sound.Frame, Timestamp: begin + uint32(segment*0xffff)}, b)
		d.step()
		for _, got := range d.b.take() {
			h, _ := rtp.Parse(got)
			if _, ok := segments[h.Timestamp]; !ok {
				order = append(order, h.Timestamp)
				if h.Marker != (len(order) == 1) {
					t.Errorf("marker %v at segment %d", h.Marker, len(order))
				}
			}
			n := int(binary.BigEndian.Uint16(got[h.Len+2:]))
			segments[h.Timestamp] = max(segments[h.Timestamp], n)
			if got[h.Len+1]&0x80 != 0 {
				ends++
			}
		}
	}
	for range 5 {
		d.step()
		for _, got := range d.b.take() {
			if got[rtp.HeaderLen+1]&0x80 != 0 {
				ends++
			}
		}
	}
	total := 0
	for i, at := range order {
		total += segments[at]
		if i > 0 && at-order[i-1] > 0xffff {
			t.Errorf("segment %d begins %d after the one before", i, at-order[i-1])
		}
	}
	if len(order) != 5 || total < 2*ticks-2*160 || total > 2*ticks+2*320 || ends != endings {
		t.Errorf("%d segments of %d ticks together, want %d; %d ends", len(order), total, 2*ticks, ends)
	}
}

func TestPressWhoseEndIsLostEnds(t *testing.T) {
	d := newDesk(t)
	d.a.by(byEvent)
	d.b.by(byInfo)
	d.bridge()
	d.a.hold('7', 4000)
	for range 10 {
		d.a.turn(byEvent)
		d.step()
	}
	d.a.ticks = 0 // it falls silent in the middle of the press; then the next one
	d.a.hold('8', 800)
	for range 8 {
		d.a.turn(byEvent)
		d.step()
	}
	d.informed()
	if d.b.digits != "78" || d.b.lengths[0] != 1600 || d.b.lengths[1] != 800 {
		t.Errorf("%q %v", d.b.digits, d.b.lengths)
	}
}

func TestDigitsReachTheirOwner(t *testing.T) {
	e := engine(t, Config{})
	a, b := newPhone(t, 1), newPhone(t, 2)
	la, lb := open(t, e, "lan"), open(t, e, "wan")
	fa, fb := a.flow(), b.flow()
	fb.Formats, fb.Info = fb.Formats[:1], true
	set(t, la, fa)
	set(t, lb, fb)
	heard := make(chan Digit, 10)
	lb.OnDigit(func(g Digit) { heard <- g })
	e.Bridge(la, lb)
	la.Press(Digit{Key: '#', Length: 120 * time.Millisecond})
	la.Press(Digit{Key: '?'})
	if g := <-heard; g != (Digit{Key: '#', Length: 120 * time.Millisecond}) {
		t.Errorf("%+v", g)
	}
	lb.OnDigit(nil)
}
