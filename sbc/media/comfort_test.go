package media

import (
	"math"
	"testing"
	"time"

	"linekeeper/sbc/rtp"
	"linekeeper/sbc/sound"
)

// sound are the packets that came to a party, in order and without a gap in their
// numbers, and the voice in them as samples.
func (p *party) sound(t *testing.T) (heads []rtp.Header, bodies [][]byte) {
	t.Helper()
	for _, b := range p.take() {
		h, ok := rtp.Parse(b)
		if !ok {
			t.Fatalf("no RTP: %x", b)
		}
		if n := len(heads); n > 0 && (h.SSRC != heads[n-1].SSRC || h.Sequence != heads[n-1].Sequence+1 || int32(h.Timestamp-heads[n-1].Timestamp) <= 0) {
			t.Fatalf("%+v behind %+v", h, heads[n-1])
		}
		heads, bodies = append(heads, h), append(bodies, b[h.Len:])
	}
	return heads, bodies
}

// power is the mean power of A-law, in dBov.
func power(octets []byte) float64 {
	sum := 0.0
	for _, v := range decodedALaw(octets) {
		sum += float64(v) * float64(v)
	}
	return 10 * math.Log10(sum/float64(len(octets))/math.MaxInt16/math.MaxInt16)
}

// TestNoiseIsHeardWhereThePeerCannotReadIt makes sound of the comfort noise of a side
// whose voice is transcoded, as loud as it says, until it speaks or presses a key.
func TestNoiseIsHeardWhereThePeerCannotReadIt(t *testing.T) {
	for _, ends := range []string{"voice", "key", "another agreement", "nothing"} {
		t.Run(ends, func(t *testing.T) {
			d := newDesk(t)
			d.a.agree(20, false, "G722", "CN", "telephone-event")
			d.b.agree(20, false, "PCMA", "telephone-event")
			d.bridge()
			for range 3 {
				d.a.voice(sine(440, 0, 160))
				d.step()
			}
			for range 2 { // said again: the level is another one
				d.a.send(rtp.Header{Payload: 13, Timestamp: d.a.ts}, []byte{60, 1, 2})
				d.step()
			}
			d.a.send(rtp.Header{Payload: 13, Timestamp: d.a.ts}, []byte{46})
			for range 50 {
				d.step()
			}
			_, quiet := d.b.sound(t)
			if len(quiet) < 45 {
				t.Fatalf("only %d packets in a second of noise", len(quiet))
			}
			if got := power(quiet[len(quiet)-1]); got < -48 || got > -44 {
				t.Errorf("noise of -46 dBov is heard at %.1f", got)
			}
			d.a.ts += 50 * 160
			switch ends {
			case "voice":
				for range 20 {
					d.a.voice(sine(440, 0, 160))
					d.step()
				}
				_, voice := d.b.sound(t)
				if n := len(voice); n < 19 || n > 22 || loudness(decodedALaw(voice[n-1]), 440) < 1000 {
					t.Errorf("%d packets of voice after the noise", n)
				}
			case "key":
				event := d.a.flow.Formats[2].Number
				for i := range 8 {
					end := byte(0)
					if i > 4 {
						end = 0x80
					}
					d.a.send(rtp.Header{Payload: event, Timestamp: d.a.ts, Marker: i == 0}, []byte{5, end | 10, byte(160 * min(i+1, 6) >> 8), byte(160 * min(i+1, 6) & 0xff)})
					d.step()
				}
				keys := 0
				for _, b := range d.b.take() {
					if h, _ := rtp.Parse(b); h.Payload == d.b.flow.Formats[1].Out {
						keys++
					}
				}
				if keys != 8 {
					t.Errorf("%d of 8 packets of the key press came through the noise", keys)
				}
			case "another agreement":
				d.a.agree(20, false, "PCMA", "CN", "telephone-event")
				d.w.commands()
				d.a.voice(sine(440, 0, 160))
				for range 10 {
					d.step()
				}
				if n := len(d.b.take()); n < 1 || n > 2 {
					t.Errorf("%d packets after a codec was found that needs nobody's help", n)
				}
			case "nothing":
				d.a.stream.Unbridge()
				d.w.commands()
				for range 10 {
					d.step()
				}
				if n := len(d.b.take()); n > 1 {
					t.Errorf("%d packets of noise after the end", n)
				}
			}
		})
	}
}

// TestNoiseThatNothingRenewsEnds lets its source vanish.
func TestNoiseThatNothingRenewsEnds(t *testing.T) {
	d := newDesk(t)
	d.a.agree(20, false, "G722", "CN")
	d.b.agree(20, false, "PCMA")
	d.bridge()
	d.a.send(rtp.Header{Payload: 13, Timestamp: d.a.ts}, []byte{60})
	frames := int(noiseTime / (20 * time.Millisecond))
	n := 0
	for range frames + 100 {
		d.step()
		n += len(d.b.take())
	}
	if n < frames-5 || n > frames {
		t.Errorf("%d packets, want about %d", n, frames)
	}
}

// gaps is a source of tone, silence and tone.
type gaps struct{ at, from, to int }

// Next fills a frame.
func (g *gaps) Next(frame *[FrameSamples]int16) bool {
	*frame = [FrameSamples]int16{}
	if g.at < g.from || g.at >= g.to {
		copy(frame[:], sine(440, g.at*FrameSamples, FrameSamples))
	}
	g.at++
	return true
}

// TestOwnSilenceIsComfortNoiseWhereItIsKnown leaves out what the box's own sources do
// not say, after one packet that says so, and only toward who has agreed to it.
func TestOwnSilenceIsComfortNoiseWhereItIsKnown(t *testing.T) {
	for _, ptime := range []int{20, 30, 40} {
		for _, known := range []bool{true, false} {
			d := newDesk(t)
			names := []string{"PCMA", "CN"}
			if !known {
				names = names[:1]
			}
			d.a.agree(ptime, false, names...)
			var src sound.Source = &gaps{from: 30, to: 90}
			d.a.stream.Play(src)
			d.w.commands()
			for range 120 {
				d.step()
			}
			heads, bodies := d.a.sound(t)
			noises, ticks := 0, 0
			for i, h := range heads {
				if h.Payload != 13 {
					ticks += len(bodies[i])
					continue
				}
				noises++
				if len(bodies[i]) != 1 || bodies[i][0] != quietLevel {
					t.Errorf("says %x", bodies[i])
				}
				if i+1 == len(heads) || !heads[i+1].Marker || heads[i+1].Timestamp-h.Timestamp != uint32(50-1)*160+160 {
					t.Errorf("%d ms: after the noise at %d comes %+v", ptime, h.Timestamp, heads[i+1])
				}
			}
			want := 120 * 160
			if known {
				want = (120 - 60 + quietFrames) * 160
			}
			if known != (noises == 1) || noises > 1 || ticks < want-2*maxPack || ticks > want {
				t.Errorf("%d ms, known %v: %d packets of noise, %d ticks of voice, want %d", ptime, known, noises, ticks, want)
			}
		}
	}
}
