package media

import (
	"crypto/rand"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"linekeeper/appliance/lab/ng"
	"linekeeper/sbc/sdp"
)

// lacks ends a test whose stranger is not installed: a skip on a person's machine,
// a failure where the lab must run.
func lacks(t testing.TB, program string) {
	t.Helper()
	if os.Getenv("CI") == "true" || strings.Contains(os.Getenv("LINEKEEPER_MUST"), "lab") {
		t.Fatal(program + " is missing: make setup installs it")
	}
	t.Skip(program + " is missing: make setup installs it")
}

// program finds a stranger where a person's PATH may not.
func program(t testing.TB, name string) string {
	t.Helper()
	for _, candidate := range []string{name, filepath.Join("/usr/sbin", name)} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	lacks(t, name)
	return ""
}

// spawn runs a program until the test is over, which shows the end of what it has
// written if the test has failed.
func spawn(t testing.TB, stop syscall.Signal, path string, args ...string) (ended <-chan struct{}) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "log")
	log, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }() // the program has its own copy
	c := exec.Command(path, args...)
	c.Stdout, c.Stderr = log, log
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = c.Wait()
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-c.Process.Pid, stop)
		late := time.NewTimer(10 * time.Second)
		defer late.Stop()
		select {
		case <-over:
		case <-late.C:
			_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
			<-over
		}
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) // its children
		if text, err := os.ReadFile(name); err == nil && t.Failed() {
			t.Logf("%s:\n%s", filepath.Base(path), text[max(0, len(text)-8000):])
		}
	})
	return over
}

// rtpengine is the daemon of Sipwise as a provider may have it in front of its media
// servers, in user space.
type rtpengine struct {
	t       testing.TB
	control *ng.Client
	calls   int
}

func newRTPEngine(t testing.TB) *rtpengine {
	t.Helper()
	path := program(t, "rtpengine")
	// On an address of its own: it shares ports with others of its kind.
	pid := os.Getpid()
	home := netip.AddrFrom4([4]byte{127, 93, byte(pid >> 8), byte(pid)})
	for range 3 { // somebody may take the port before it does
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		at := c.LocalAddr().(*net.UDPAddr).AddrPort()
		_ = c.Close()
		ended := spawn(t, syscall.SIGTERM, path, "--foreground", "--log-stderr", "--log-level=5", "--table=-1", "--interface="+home.String(), "--listen-ng="+at.String(), "--listen-cli="+at.String(), "--config-file=none",
			"--port-min=30000", "--port-max=32766", "--num-threads=1", "--pidfile="+filepath.Join(t.TempDir(), "pid"))
		control, err := ng.Dial(at)
		if err != nil {
			t.Fatal(err)
		}
		if answers(control, ended) {
			t.Cleanup(func() { _ = control.Close() })
			return &rtpengine{t: t, control: control}
		}
		_ = control.Close()
	}
	t.Fatal("rtpengine does not answer")
	return nil
}

// answers waits until rtpengine answers, or has ended.
func answers(control *ng.Client, ended <-chan struct{}) bool {
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for range 1000 {
		if _, err := control.Ask(map[string]any{"command": "ping"}); err == nil {
			return true
		}
		select {
		case <-again.C:
		case <-ended:
			return false
		}
	}
	return false
}

// relayed is a far end behind rtpengine: a phone without encryption, and rtpengine
// between it and the box, which encrypts as keys says.
type relayed struct {
	*rtpengine
	id        string
	keys      string
	mux, ice  bool
	phone     *phone
	begun     bool
	ours      bool // the last offer was the phone's
	direction string
}

func (r *rtpengine) newCall(keys string, mux, withICE bool) *relayed {
	r.t.Helper()
	r.calls++
	f := &relayed{rtpengine: r, id: fmt.Sprint("call-", r.calls), keys: keys, mux: mux || withICE, ice: withICE, phone: newPhone(r.t, 0xfa0000+uint32(r.calls))}
	f.phone.seq = 65533 // its numbers wrap under the first key
	return f
}

func (f *relayed) keying() string { return f.keys }
func (f *relayed) muxes() bool    { return f.mux }

// ask hands a description to rtpengine and yields what it makes of it for the other
// side.
func (f *relayed) ask(command, from, to string, towardBox bool, text string) string {
	f.t.Helper()
	words := map[string]any{"command": command, "call-id": f.id, "from-tag": from, "sdp": text, "transport-protocol": "RTP/AVP", "ICE": "remove", "rtcp-mux": []string{"demux"}}
	if f.begun || command == "answer" {
		words["to-tag"] = to
	}
	if !f.mux {
		words["rtcp-mux"] = []string{"reject"}
	}
	if towardBox {
		words["transport-protocol"] = map[string]string{byNothing: "RTP/AVP", byDTLS: "UDP/TLS/RTP/SAVP"}[f.keys]
		if words["transport-protocol"] == "" {
			words["transport-protocol"], words["DTLS"] = "RTP/SAVP", "off"
		}
		if f.mux {
			words["rtcp-mux"] = []string{"offer"}
		}
		if f.ice {
			words["ICE"] = "force"
		}
	}
	answer, err := f.control.Ask(words)
	if err != nil {
		f.t.Fatalf("%s: %v\n%s", command, err, text)
	}
	out, _ := answer["sdp"].(string)
	return out
}

// phoneText is the phone's description.
func (f *relayed) phoneText() string {
	return fmt.Sprintf("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio %d RTP/AVP 8\r\na=%s\r\n", f.phone.addr().Port(), f.direction)
}

// describe is what the box hears of the far end.
func (f *relayed) describe(theirs *sdp.Session, direction string) *sdp.Session {
	f.t.Helper()
	f.direction, f.ours = direction, theirs == nil
	var text string
	if f.ours {
		text = f.ask("offer", "phone", "box", true, f.phoneText())
	} else {
		f.reach(f.ask("offer", "box", "phone", false, string(theirs.Bytes())))
		text = f.ask("answer", "box", "phone", true, f.phoneText())
	}
	d, err := sdp.Parse([]byte(text))
	if err != nil {
		f.t.Fatalf("%v in\n%s", err, text)
	}
	return d
}

// listen is told the box's description.
func (f *relayed) listen(_, theirs *sdp.Session) {
	f.t.Helper()
	if f.ours {
		f.reach(f.ask("answer", "phone", "box", false, string(theirs.Bytes())))
	}
	f.begun = true
}

// reach tells the phone where rtpengine takes its media.
func (f *relayed) reach(text string) {
	f.t.Helper()
	d, err := sdp.Parse([]byte(text))
	if err != nil || d.Audio() == nil {
		f.t.Fatalf("toward the phone: %v in\n%s", err, text)
	}
	f.phone.to = netip.AddrPortFrom(d.Audio().Addr, d.Audio().Port)
}

// end ends the call at rtpengine, which must have opened all that came; of DTLS the
// first may come while it still ends its handshake.
func (f *relayed) end() {
	f.t.Helper()
	answer, err := f.control.Ask(map[string]any{"command": "delete", "call-id": f.id, "from-tag": "box", "delete-delay": "0"})
	if err != nil {
		f.t.Fatal(err)
	}
	totals, _ := answer["totals"].(map[string]any)
	for _, kind := range []string{"RTP", "RTCP"} {
		got, _ := totals[kind].(map[string]any)
		if n, ok := got["errors"].(int); !ok || n != 0 && f.keys != byDTLS {
			f.t.Errorf("rtpengine could not use %v packets of %s", got["errors"], kind)
		}
	}
}

// nextSaid is what a phone hears next that was not said in meet.
func nextSaid(p *phone) string {
	p.t.Helper()
	for {
		if _, got := p.hear(); !strings.HasPrefix(got, "hello") {
			return got
		}
	}
}

// meet has both speak until each has heard the other: paths and keys of a stranger
// come when they come.
func meet(t testing.TB, a, b *phone) {
	t.Helper()
	var heard [2]bool
	buf := make([]byte, 2048)
	for end := time.Now().Add(20 * time.Second); !heard[0] || !heard[1]; {
		if time.Now().After(end) {
			t.Fatalf("a hears b: %v, b hears a: %v", heard[0], heard[1])
		}
		for i, p := range []*phone{a, b} {
			p.say("hello")
			_ = p.rtp.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
			if n, err := p.rtp.Read(buf); err == nil && n > 0 {
				heard[i] = true
			}
		}
	}
}

// chat lets both say some frames of a tone, and each hear the other's to the bit.
func chat(t testing.TB, what string, a, b *phone) {
	t.Helper()
	for i := range 8 {
		for _, x := range [][2]*phone{{a, b}, {b, a}} {
			x[0].say(string(toneFrame(i)))
			if got := nextSaid(x[1]); got != string(toneFrame(i)) {
				t.Fatalf("%s: frame %d comes as %x", what, i, got)
			}
		}
	}
}

// TestRTPEngineAsTheFarSide holds each kind of keys and paths against rtpengine, with
// box and far side offering in turn: hold both ways, new keys of the box, new sources,
// and a far side that moves to another call of rtpengine's. Nothing may be undecryptable at either end.
func TestRTPEngineAsTheFarSide(t *testing.T) {
	r := newRTPEngine(t)
	cert, err := NewCertificate()
	if err != nil {
		t.Fatal(err)
	}
	e := engine(t, Config{Workers: 2, Certificate: cert})
	n := 0
	for _, transport := range []string{"plain", "rtcp-mux", "ICE"} {
		for _, keys := range []string{byNothing, string(sdp.AES128SHA80), string(sdp.AES128SHA32), string(sdp.AES256SHA80), string(sdp.AES128GCM), string(sdp.AES256GCM), byDTLS} {
			for _, boxOffers := range []bool{true, false} {
				n++
				act := relayedAct{keys: keys, mux: transport == "rtcp-mux", ice: transport == "ICE", boxOffers: boxOffers, full: boxOffers || n%4 < 2}
				who := map[bool]string{true: "the box", false: "rtpengine"}[boxOffers]
				t.Run(fmt.Sprintf("%s, %s, %s offers", keys, transport, who), func(t *testing.T) {
					r.t = t
					act.play(t, e, r)
				})
			}
		}
	}
}

// relayedAct is one combination.
type relayedAct struct {
	keys            string
	mux, ice        bool
	boxOffers, full bool
}

func (c *relayedAct) play(t *testing.T, e *Engine, r *rtpengine) {
	near, inner := newPhone(t, 0xaaaa), open(t, e, "lan")
	set(t, inner, near.flow())
	near.to = inner.Local()
	policy := sdp.ICEOff
	if c.ice {
		policy = sdp.ICELite
		if c.full {
			policy = sdp.ICEFull
		}
	}
	far := r.newCall(c.keys, c.mux, c.ice)
	box := newBoxLeg(t, e, "wan", far, policy)
	if c.keys != byNothing && c.keys != byDTLS {
		box.local.Suites = []sdp.Suite{sdp.Suite(c.keys)}
	}
	agree := func(direction string) {
		t.Helper()
		if c.boxOffers {
			box.offersAs(direction)
		} else {
			box.offered(direction)
		}
	}
	agree("sendrecv")
	e.Bridge(inner, box.stream)
	box.ready()
	meet(t, near, far.phone)
	chat(t, "at first", near, far.phone)

	box.offered("sendonly") // the far side holds, and plays music
	held(t, inner, near, far.phone)
	box.offersAs("sendonly") // both hold
	box.offersAs("sendrecv")
	box.offered("sendrecv")
	chat(t, "resumed", near, far.phone)

	if c.keys != byNothing && c.keys != byDTLS {
		fresh := make([]byte, 32)
		_, _ = rand.Read(fresh)
		box.local.Keys = fresh
		box.offers()
		chat(t, "after new keys of the box", near, far.phone)
	}
	near.ssrc, near.seq = 0xabcd, 65533
	far.phone.ssrc, far.phone.seq = far.phone.ssrc+0x1000, 65530
	chat(t, "from new sources", near, far.phone)
	far.end()
	c.opened(t, box)
	if c.keys == byDTLS && c.ice {
		return // its new call has the same certificate: by RFC 8842 4 the association goes on
	}
	moved := r.newCall(c.keys, c.mux, c.ice) // the provider moves its media: another port, other keys
	box.far = moved
	agree("sendrecv")
	box.ready()
	meet(t, near, moved.phone)
	chat(t, "moved", near, moved.phone)
	moved.end()
	c.opened(t, box)
}

// opened checks that the box could open all that came. Foreign packets there may be:
// rtpengine speaks from a new port before its answer has told of it. So do its ICE, with
// credentials that the box is told later, and its handshake, where no handshake is known of.
func (c *relayedAct) opened(t *testing.T, box *boxLeg) {
	t.Helper()
	for _, r := range []Reason{Unauthentic, Replayed, Unkeyed, Malformed, Unsent} {
		if r == Unauthentic && c.ice || r == Malformed && c.keys == byDTLS {
			continue
		}
		if n := box.stream.Stats().Dropped[r]; n != 0 {
			t.Errorf("%d packets dropped: %s", n, r)
		}
	}
}

// held checks that the holder is heard and does not hear.
func held(t *testing.T, inner *Stream, near, holder *phone) {
	t.Helper()
	before := inner.Stats().Dropped[Held]
	near.say("hello, unheard")
	eventually(t, "what is said to the holder is held back", func() bool { return inner.Stats().Dropped[Held] > before })
	holder.say(string(toneFrame(1)))
	if got := nextSaid(near); got != string(toneFrame(1)) {
		t.Fatalf("music of the holder comes as %x", got)
	}
}
