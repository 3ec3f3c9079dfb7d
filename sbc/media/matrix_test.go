package media

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"math"
	"testing"
	"time"

	"linekeeper/sbc/sdp"
	"linekeeper/sbc/sound"
)

// farEnd is a stranger at the other end of a leg.
type farEnd interface {
	// keying is what it wants, see stranger; muxes says that RTCP shares the port.
	keying() string
	muxes() bool
	// describe writes its offer, or its answer to theirs; listen is told the box's
	// description beside its own.
	describe(theirs *sdp.Session, direction string) *sdp.Session
	listen(mine, theirs *sdp.Session)
}

// boxLeg is the box's end of a leg in a test: its stream, its descriptions and
// the stranger at the other end.
type boxLeg struct {
	t      testing.TB
	stream *Stream
	local  sdp.Local
	far    farEnd
	mine   *sdp.Session
	events chan Event
}

func newBoxLeg(t testing.TB, e *Engine, name string, far farEnd, ice sdp.ICEPolicy) *boxLeg {
	t.Helper()
	l := &boxLeg{t: t, far: far, events: make(chan Event, 64)}
	s, err := e.Open(Side{Leg: name, Addr: lo, Low: 21000, High: 29999, Notify: func(ev Event) { l.events <- ev }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	l.stream = s
	seed := make([]byte, 32)
	_, _ = rand.Read(seed)
	policy := sdp.Required
	if far.keying() == byNothing {
		policy = sdp.Off
	}
	l.local = sdp.Local{
		Addr: s.Local().Addr(), Port: s.Local().Port(), SessionID: 1, Version: 1, SRTP: policy, Keys: seed, Mux: far.muxes(),
		Certificate: e.conf.Certificate.Fingerprint(), DTLS: far.keying() == byDTLS, ICE: ice,
	}
	return l
}

// offered lets the stranger offer and the box answer.
func (l *boxLeg) offered(direction string) {
	l.t.Helper()
	theirs := l.far.describe(nil, direction)
	mine, err := l.local.Answer(theirs, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	l.agree(mine, theirs)
}

// offers lets the box offer and the stranger answer.
func (l *boxLeg) offers() { l.t.Helper(); l.offersFor(nil) }

// offersAs is the same for a leg behind the box that wants PCMA in a direction.
func (l *boxLeg) offersAs(direction string) {
	l.t.Helper()
	behind, err := sdp.Parse(fmt.Appendf(nil, "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 8\r\na=%s\r\n", direction))
	if err != nil {
		l.t.Fatal(err)
	}
	l.offersFor(behind)
}

func (l *boxLeg) offersFor(behind *sdp.Session) {
	l.t.Helper()
	mine, err := l.local.Offer(behind)
	if err != nil {
		l.t.Fatal(err)
	}
	l.agree(mine, l.far.describe(mine, "sendrecv"))
}

func (l *boxLeg) agree(mine, theirs *sdp.Session) {
	l.t.Helper()
	seen, err := sdp.Parse(mine.Bytes())
	if err != nil {
		l.t.Fatal(err)
	}
	f, err := l.local.Flow(mine, theirs)
	if err != nil {
		l.t.Fatalf("%v\n%s%s", err, mine.Bytes(), theirs.Bytes())
	}
	if got := f.Secure(); got != (l.far.keying() != byNothing) {
		l.t.Fatalf("secure: %v", got)
	}
	set(l.t, l.stream, f)
	l.mine = mine
	l.far.listen(theirs, seen)
}

// wait is until something is told.
func (l *boxLeg) wait(kind EventKind) Event {
	l.t.Helper()
	late := time.NewTimer(20 * time.Second)
	defer late.Stop()
	for {
		select {
		case e := <-l.events:
			if e.Kind == kind {
				return e
			}
			if e.Err != nil {
				l.t.Fatalf("%s: %v", e.Kind, e.Err)
			}
		case <-late.C:
			l.t.Fatalf("never told: %s", kind)
		}
	}
}

// ready waits for what the flow still needs.
func (l *boxLeg) ready() {
	l.t.Helper()
	if l.far.keying() == byDTLS {
		l.wait(KeysAgreed)
	}
}

// toneFrame is the n-th 20 ms of a tone in A-law.
func toneFrame(n int) []byte {
	b := make([]byte, FrameSamples)
	for i := range b {
		b[i] = sound.EncodeALaw(int16(5800 * math.Sin(2*math.Pi*425*float64(n*FrameSamples+i)/8000)))
	}
	return b
}

// talk lets both say some frames, and each hear the other's to the bit.
func talk(t testing.TB, what string, a, b *stranger) {
	t.Helper()
	for i := range 5 {
		for _, x := range [][2]*stranger{{a, b}, {b, a}} {
			x[0].say(toneFrame(i))
			if got := x[1].hear(); !bytes.Equal(got, toneFrame(i)) {
				t.Fatalf("%s: frame %d from %s comes to %s as %x", what, i, x[0].keys, x[1].keys, got)
			}
		}
	}
}

// clean checks that nothing was lost to keys or paths.
func clean(t testing.TB, legs ...*boxLeg) {
	t.Helper()
	for _, l := range legs {
		for _, r := range []Reason{Foreign, Unauthentic, Replayed, Unkeyed, Malformed, Unsent} {
			if n := l.stream.Stats().Dropped[r]; n != 0 {
				t.Errorf("%d packets of the %s end dropped: %s", n, l.far.keying(), r)
			}
		}
	}
}

// TestEveryPairOfKeysAndPaths is the matrix: keys × keys × transport, through
// hold, resume, new keys, a new source and a transfer, without one packet that cannot be opened.
func TestEveryPairOfKeysAndPaths(t *testing.T) {
	cert, err := NewCertificate()
	if err != nil {
		t.Fatal(err)
	}
	e := engine(t, Config{Workers: 2, Certificate: cert})
	suites := []string{byNothing, string(sdp.AES128SHA80), string(sdp.AES128SHA32), string(sdp.AES256SHA80), string(sdp.AES128GCM), string(sdp.AES256GCM), byDTLS}
	n := 0
	for _, transport := range []string{"plain", "rtcp-mux", "ICE"} {
		for _, ka := range suites {
			for _, kb := range []string{byNothing, string(sdp.AES128SHA80), byDTLS} {
				n++
				number := n
				t.Run(fmt.Sprintf("%s to %s, %s", ka, kb, transport), func(t *testing.T) {
					scene(t, e, ka, kb, transport, number)
				})
			}
		}
	}
}

func scene(t *testing.T, e *Engine, ka, kb, transport string, n int) {
	t.Helper()
	mux, ice := transport != "plain", transport == "ICE"
	a, b := newStranger(t, ka, mux, ice, byte(n)), newStranger(t, kb, mux, ice, byte(n+100))
	policy := sdp.ICEOff
	if ice {
		policy = sdp.ICELite
		if n%2 == 0 {
			policy = sdp.ICEFull
		}
	}
	if n%3 == 0 {
		b.setup = "passive"
	}
	la := newBoxLeg(t, e, "lan", a, policy)
	lb := newBoxLeg(t, e, "wan", b, min(2*policy, sdp.ICEFull))
	la.offered("sendrecv")
	lb.offers()
	e.Bridge(la.stream, lb.stream)
	la.ready()
	lb.ready()
	talk(t, "at first", a, b)

	la.offered("sendonly") // hold: the far end is kept from hearing
	lb.offers()
	a.say(toneFrame(1))
	if got := b.hear(); !bytes.Equal(got, toneFrame(1)) {
		t.Fatal("music of the holder is not heard")
	}
	la.offered("sendrecv")
	talk(t, "resumed", a, b)

	if ka != byNothing {
		a.renew()
		la.offered("sendrecv")
		la.ready()
		talk(t, "after new keys of a", a, b)
	}
	if kb != byNothing {
		b.renew()
		lb.offers()
		lb.ready()
		talk(t, "after new keys of b", a, b)
	}
	a.ssrc, b.ssrc = a.ssrc+1, b.ssrc+1
	a.seq, b.seq = 3, 65535
	talk(t, "from new sources", a, b)

	c := newStranger(t, kb, mux, ice, byte(n+200)) // a is transferred, and learns nothing of it
	lc := newBoxLeg(t, e, "wan", c, min(2*policy, sdp.ICEFull))
	lc.offers()
	e.Bridge(la.stream, lc.stream)
	lc.ready()
	talk(t, "transferred", a, c)
	clean(t, la, lb, lc)
}
