package media

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"linekeeper/sbc/rtp"
	"linekeeper/sbc/sdp"
	"linekeeper/sbc/sound"
)

// desk is a call through a worker that is driven by hand: its time is no real one.
type desk struct {
	t    testing.TB
	e    *Engine
	w    *worker
	a, b *party
	// lost is one of how many packets the path loses each way; 0: none.
	lost   int
	chance *rand.Rand
}

// party is one end of it.
type party struct {
	d      *desk
	fd     int
	at     netip.AddrPort
	stream *Stream
	box    sockaddr
	flow   sdp.Flow
	ssrc   uint32
	seq    uint16
	ts     uint32
	enc    sound.Encoder
	buf    [packetRoom]byte
	from   sockaddr

	// press is the key that it holds, of so many ticks, pressed so long ago.
	press   uint8
	ticks   int
	since   int
	ends    int
	eventAt uint32
	osc     sound.Press
	way     way
	digits  string
	lengths []int
	heard   hearing
}

// hearing is what an end makes of what arrives.
type hearing struct {
	last   uint32
	next   uint32
	begun  bool
	det    sound.Detector
	dec    sound.Decoder
	down   byte
	seqs   []uint16
	stamps []uint32
}

func newDesk(t testing.TB) *desk {
	t.Helper()
	e, err := New(Config{Rest: -1})
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{t: t, e: e, w: e.workers[0], chance: rand.New(rand.NewPCG(1, 2))}
	d.a, d.b = d.party("lan", 1), d.party("wan", 2)
	t.Cleanup(func() {
		d.w.shut()
		if e.steer != nil {
			e.steer.close()
		}
	})
	return d
}

func (d *desk) party(leg string, ssrc uint32) *party {
	d.t.Helper()
	pair, err := d.e.ports.open(Side{Addr: lo, Low: 30000, High: 31999}, 0)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { d.e.ports.close(pair) })
	p := &party{d: d, fd: pair.rtp, at: netip.AddrPortFrom(lo, pair.port), stream: open(d.t, d.e, leg), ssrc: ssrc, seq: 65000, ts: math.MaxUint32 - 5000}
	p.box = sockaddrOf(p.stream.Local())
	return p
}

// agree sets what an end has described: codecs by name, "telephone-event" among them.
func (p *party) agree(ptime int, info bool, names ...string) {
	p.d.t.Helper()
	numbers := map[string]uint8{"PCMU": 0, "PCMA": 8, "G722": 9, "CN": 13, "telephone-event": 96 + uint8(p.ssrc)}
	p.flow = sdp.Flow{Remote: p.at, RemoteRTCP: addPort(p.at), Send: true, Recv: true, Ptime: ptime, Info: info}
	for _, n := range names {
		p.flow.Formats = append(p.flow.Formats, sdp.FlowFormat{Format: sdp.Format{Number: numbers[n], Name: n, Clock: 8000, Channels: 1}, Out: numbers[n]})
	}
	set(p.d.t, p.stream, p.flow)
}

func (d *desk) bridge() {
	d.e.Bridge(d.a.stream, d.b.stream)
	d.w.commands()
}

// step is 20 ms for the worker.
func (d *desk) step() { d.pass(20 * time.Millisecond) }

func (d *desk) pass(by time.Duration) {
	n, _ := unix.EpollWait(d.w.epoll, d.w.events[:], 0)
	d.w.now += int64(by)
	d.w.heed(n)
	d.w.commands()
	d.w.pass(max(n, 0))
	d.w.frames()
}

func (d *desk) loses() bool { return d.lost > 0 && d.chance.IntN(d.lost) == 0 }

// send sends one packet, unless the path loses it.
func (p *party) send(h rtp.Header, payload []byte) {
	h.SSRC, h.Sequence = p.ssrc, p.seq
	p.seq++
	if p.d.loses() {
		return
	}
	b := make([]byte, rtp.HeaderLen, rtp.HeaderLen+len(payload))
	h.Put(b)
	if !send(p.fd, append(b, payload...), &p.box) {
		p.d.t.Fatal("not sent")
	}
}

// take reads what has come, less what the path loses.
func (p *party) take() (list [][]byte) {
	for {
		n := receive(p.fd, p.buf[:], &p.from)
		if n < 0 {
			return list
		}
		if !p.d.loses() {
			list = append(list, append([]byte(nil), p.buf[:n]...))
		}
	}
}

// voice sends samples with the first agreed codec.
func (p *party) voice(samples []int16) {
	f := p.flow.Formats[0]
	octets := make([]byte, len(samples))
	p.enc.Encode(codecOf(f.Format), octets, samples)
	p.send(rtp.Header{Payload: f.Number, Timestamp: p.ts}, octets)
	p.ts += uint32(len(samples))
}

func sine(hertz float64, at, n int) []int16 {
	out := make([]int16, n)
	for i := range out {
		out[i] = int16(8000 * math.Sin(2*math.Pi*hertz*float64(at+i)/8000))
	}
	return out
}

func loudness(samples []int16, hertz float64) float64 {
	var re, im float64
	for i, v := range samples {
		w := 2 * math.Pi * hertz * float64(i) / 8000
		re, im = re+float64(v)*math.Cos(w), im+float64(v)*math.Sin(w)
	}
	return 2 * math.Hypot(re, im) / float64(len(samples))
}

// TestCodecsAndLengthsMeet lets each pair of codecs and packet lengths talk, and
// holds what arrives against the clock: G.722 too counts 8000 a second.
func TestCodecsAndLengthsMeet(t *testing.T) {
	const speech = 2880
	codecs := []string{"PCMA", "PCMU", "G722"}
	lengths := []int{10, 20, 30, 60}
	for _, from := range codecs {
		for _, to := range codecs {
			for _, in := range lengths {
				for _, out := range lengths {
					t.Run(fmt.Sprintf("%s %d to %s %d", from, in, to, out), func(t *testing.T) {
						d := newDesk(t)
						d.a.agree(in, false, from)
						d.b.agree(out, false, to)
						d.bridge()
						var heard []int16
						next, seq := uint32(0), uint16(0)
						for at := 0; at < speech; at += in * 8 {
							d.a.voice(sine(440, at, in*8))
							d.pass(time.Duration(in) * time.Millisecond)
							for _, b := range d.b.take() {
								h, _ := rtp.Parse(b)
								octets := b[h.Len:]
								if len(heard) > 0 && (h.Timestamp != next || h.Sequence != seq) || h.Payload != d.b.flow.Formats[0].Number {
									t.Fatalf("%+v, want time %d and number %d", h, next, seq)
								}
								if len(octets) != out*8 {
									t.Fatalf("%d octets in a packet of %d ms", len(octets), out)
								}
								next, seq = h.Timestamp+uint32(len(octets)), h.Sequence+1
								samples := make([]int16, len(octets))
								d.b.heard.dec.Decode(sound.CodecOf(to), samples, octets)
								heard = append(heard, samples...)
							}
						}
						if len(heard) < speech-out*8 {
							t.Fatalf("%d of %d samples arrived", len(heard), speech)
						}
						if l := loudness(heard[640:], 440); math.Abs(l-8000) > 400 {
							t.Errorf("the tone is %.0f of 8000", l)
						}
					})
				}
			}
		}
	}
}

func TestLossIsNotHiddenByOtherLengths(t *testing.T) {
	d := newDesk(t)
	d.a.agree(30, false, "PCMA")
	d.b.agree(20, false, "PCMU")
	d.bridge()
	stamps := make(map[uint16]uint32)
	for i := range 40 {
		if i == 20 || i == 21 {
			d.a.seq++
			d.a.ts += 240
			continue
		}
		d.a.voice(sine(440, 0, 240))
		d.pass(30 * time.Millisecond)
		for _, b := range d.b.take() {
			h, _ := rtp.Parse(b)
			stamps[h.Sequence] = h.Timestamp
		}
	}
	var seqs []uint16
	for s := range stamps {
		seqs = append(seqs, s)
	}
	slices.Sort(seqs)
	if lost := int(seqs[len(seqs)-1]-seqs[0]) + 1 - len(seqs); lost != 3 {
		t.Errorf("60 ms were lost: %d packets of 20 ms are missing", lost)
	}
	if span := stamps[seqs[len(seqs)-1]] - stamps[seqs[0]]; span < 39*240-160 || span > 40*240 {
		t.Errorf("the time from first to last is %d ticks", span)
	}
}

func TestComfortNoisePassesOnlyWhereItIsKnown(t *testing.T) {
	for _, both := range []bool{true, false} {
		d := newDesk(t)
		d.a.agree(20, false, "PCMA", "CN")
		if both {
			d.b.agree(30, false, "PCMU", "CN")
		} else {
			d.b.agree(30, false, "PCMU")
		}
		d.bridge()
		d.a.voice(sine(440, 0, 160))
		d.step()
		d.a.send(rtp.Header{Payload: 13, Timestamp: d.a.ts}, []byte{60})
		d.a.ts += 1600
		d.step()
		d.a.voice(sine(440, 0, 160))
		d.a.voice(sine(440, 0, 160))
		d.step()
		var kinds []uint8
		var seqs []uint16
		for _, b := range d.b.take() {
			h, _ := rtp.Parse(b)
			kinds, seqs = append(kinds, h.Payload), append(seqs, h.Sequence)
		}
		want := []uint8{0, 13, 0}
		if !both {
			want = []uint8{0, 0}
		}
		if !slices.Equal(kinds, want) {
			t.Errorf("known to both %v: %v", both, kinds)
		}
		for i := 1; i < len(seqs); i++ {
			if both && seqs[i] != seqs[i-1]+1 {
				t.Errorf("numbers %v", seqs)
			}
		}
	}
}

func TestWhatIsNotOursIsOnlyPassed(t *testing.T) {
	d := newDesk(t)
	opus := sdp.FlowFormat{Format: sdp.Format{Number: 111, Name: "opus", Clock: 48000, Channels: 2}, Out: 111}
	d.a.agree(20, false, "PCMA")
	d.b.agree(20, false, "PCMU")
	other := opus
	other.Number, other.Out = 120, 120
	d.a.flow.Formats = append([]sdp.FlowFormat{opus}, d.a.flow.Formats...)
	d.b.flow.Formats = append([]sdp.FlowFormat{other}, d.b.flow.Formats...)
	set(t, d.a.stream, d.a.flow)
	set(t, d.b.stream, d.b.flow)
	d.bridge()
	d.a.send(rtp.Header{Payload: 111, Timestamp: 1}, []byte("opus as it is"))
	d.a.send(rtp.Header{Payload: 8, Timestamp: 960}, []byte{0xd5, 0xd5})
	d.step()
	got := d.b.take()
	if len(got) != 2 || string(got[0][12:]) != "opus as it is" || got[0][1]&0x7f != 120 || got[1][1]&0x7f != 0 || got[1][12] != 0xfe {
		t.Errorf("%q", got)
	}
}

func TestTranscodedPacketAllocatesNothing(t *testing.T) {
	for _, to := range []string{"PCMU", "G722"} {
		for _, ptime := range []int{20, 30} {
			d := newDesk(t)
			d.a.agree(20, false, "PCMA")
			d.b.agree(ptime, false, to, "telephone-event") // and an ear for keys
			d.bridge()
			packet := make([]byte, rtp.HeaderLen+160)
			seq := uint16(0)
			one := func() {
				rtp.Header{Payload: 8, Sequence: seq, Timestamp: uint32(seq) * 160, SSRC: 9}.Put(packet)
				seq++
				if !send(d.a.fd, packet, &d.a.box) {
					t.Fatal("not sent")
				}
				d.step()
				receive(d.b.fd, d.b.buf[:], &d.b.from)
			}
			one()
			if n := testing.AllocsPerRun(1000, one); n != 0 {
				t.Errorf("%s, %d ms: %v allocations per packet", to, ptime, n)
			}
			if got := d.b.stream.Stats().Out.Packets; got < 600 {
				t.Errorf("%s, %d ms: only %d packets left", to, ptime, got)
			}
		}
	}
}

// TestNumbersGoOnWhoeverSpeaks lets a phone hear its peer, a tone, music, a key
// and another peer: one source, one sequence, and time that only goes forward.
func TestNumbersGoOnWhoeverSpeaks(t *testing.T) {
	d := newDesk(t)
	d.a.agree(20, false, "PCMA", "telephone-event")
	d.b.agree(20, false, "PCMU", "telephone-event")
	c := d.party("wan", 3)
	c.agree(30, false, "G722")
	d.bridge()
	speak := func(p *party, n int) {
		for range n {
			p.voice(sine(440, 0, p.flow.Ptime*8))
			d.pass(time.Duration(p.flow.Ptime) * time.Millisecond)
		}
	}
	speak(d.b, 20)
	d.a.stream.Play(sound.TonesOf("DE").RingBack())
	speak(d.b, 20) // unheard
	d.a.stream.Play(sound.NewClip(sound.Music(), 0))
	speak(d.b, 20)
	d.a.stream.Play(nil)
	speak(d.b, 5)
	d.b.stream.Press(Digit{Key: '5', Length: 200 * time.Millisecond})
	speak(d.b, 30)
	d.e.Bridge(d.a.stream, c.stream)
	d.w.commands()
	speak(c, 20)
	var last rtp.Header
	kinds := make(map[uint8]int)
	n := 0
	for _, b := range d.a.take() {
		h, _ := rtp.Parse(b)
		event := h.Payload == d.a.flow.Formats[1].Out
		if n++; n > 1 {
			step := int32(h.Timestamp - last.Timestamp)
			if h.SSRC != last.SSRC || h.Sequence != last.Sequence+1 || step < 0 || step == 0 && !event || step > 8*400 {
				t.Fatalf("packet %d: %+v behind %+v", n, h, last)
			}
		}
		last = h
		kinds[h.Payload]++
	}
	if kinds[8] < 90 || kinds[d.a.flow.Formats[1].Out] != 12 || len(kinds) != 2 {
		t.Errorf("heard %v", kinds)
	}
}

// keeper is a sink that says when it is let go of.
type keeper struct {
	sound.Recorder
	over chan struct{}
}

func TestRecorderHearsAndItsCallerPressesKeys(t *testing.T) {
	for _, codec := range []string{"PCMA", "PCMU", "G722"} {
		d := newDesk(t)
		d.a.agree(20, false, codec, "telephone-event")
		k := &keeper{Recorder: *sound.NewRecorder(time.Second), over: make(chan struct{})}
		d.a.stream.Listen(k, func() { close(k.over) })
		d.step()
		for i := range 100 { // twice as long as its bound
			d.a.voice(sine(440, i*160, 160))
			d.step()
		}
		d.a.hold('3', 1600)
		for range 20 {
			d.a.turn(byEvent)
			d.step()
		}
		d.a.stream.Listen(nil, nil)
		d.step()
		<-k.over
		if l := loudness(decodedALaw(k.ALaw()[800:]), 440); !k.Full() || math.Abs(l-8000) > 400 {
			t.Errorf("%s: full %v, the tone is %.0f of 8000", codec, k.Full(), l)
		}
		select {
		case m := <-d.e.digits:
			if m.d != (Digit{Key: '3', Length: 200 * time.Millisecond, Heard: true}) {
				t.Errorf("%s: %+v", codec, m.d)
			}
		default:
			t.Errorf("%s: the key was not heard", codec)
		}
	}
}

func decodedALaw(b []byte) []int16 {
	out := make([]int16, len(b))
	for i, o := range b {
		out[i] = sound.DecodeALaw(o)
	}
	return out
}

func TestThreeInConferenceHearEachOther(t *testing.T) {
	d := newDesk(t)
	c := d.party("wan", 3)
	var m sound.Mixer
	parties := []*party{d.a, d.b, c}
	for i, p := range parties {
		p.agree([]int{20, 30, 20}[i], false, []string{"PCMA", "PCMU", "G722"}[i])
		seat, err := m.Join()
		if err != nil {
			t.Fatal(err)
		}
		p.stream.Listen(seat, nil)
		p.stream.Play(seat)
	}
	d.w.commands()
	hertz := []float64{400, 700, 1100}
	heard := make([][]int16, 3)
	for i := range 150 {
		for j, p := range parties {
			if p.flow.Ptime == 20 {
				p.voice(sine(hertz[j], i*160, 160))
			} else if i%3 != 2 { // two of 30 ms in three turns
				p.voice(sine(hertz[j], (i/3*2+i%3)*240, 240))
			}
		}
		d.step()
		for j, p := range parties {
			for _, b := range p.take() {
				samples := make([]int16, len(b)-rtp.HeaderLen)
				p.heard.dec.Decode(codecOf(p.flow.Formats[0].Format), samples, b[rtp.HeaderLen:])
				heard[j] = append(heard[j], samples...)
			}
		}
	}
	for j := range parties {
		rest := heard[j][8000:16000]
		for i, hz := range hertz {
			switch l := loudness(rest, hz); {
			case i == j && l > 150:
				t.Errorf("%d hears itself at %.0f", j, l)
			case i != j && math.Abs(l-8000) > 500:
				t.Errorf("%d hears %d at %.0f", j, i, l)
			}
		}
	}
}
