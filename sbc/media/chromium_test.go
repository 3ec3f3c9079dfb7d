package media

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"linekeeper/appliance/lab/tone"
	"linekeeper/sbc/sdp"
)

// browser is a headless Chromium on a page of ours, which does what it is told.
type browser struct {
	t       testing.TB
	tell    chan browserWord
	told    chan browserSaid
	ended   <-chan struct{}
	restart bool // the next offer has new ICE credentials
	offered bool
}

type browserWord struct{ Do, With string }
type browserSaid struct{ Text, Failed string }

// newBrowser starts one. The page asks for each command, and tells what came of it.
func newBrowser(t testing.TB) *browser {
	t.Helper()
	path := program(t, "chromium-headless-shell")
	b := &browser{t: t, tell: make(chan browserWord), told: make(chan browserSaid)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "testdata/peer.html") })
	mux.HandleFunc("GET /next", func(w http.ResponseWriter, r *http.Request) {
		select {
		case c := <-b.tell:
			_ = json.NewEncoder(w).Encode(c)
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("POST /done", func(_ http.ResponseWriter, r *http.Request) {
		var said browserSaid
		if err := json.NewDecoder(r.Body).Decode(&said); err != nil {
			said.Failed = err.Error()
		}
		select {
		case b.told <- said:
		case <-r.Context().Done():
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	profile, err := os.MkdirTemp("", "linekeeper-chromium")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(profile) }) // a child of its may still be writing
	b.ended = spawn(t, syscall.SIGTERM, path, "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--user-data-dir="+profile,
		"--autoplay-policy=no-user-gesture-required", "--allow-loopback-in-peer-connection", "--disable-features=WebRtcHideLocalIpsWithMdns",
		"--remote-debugging-port=0", "--enable-logging=stderr", server.URL)
	return b
}

// do has the page do something, and yields what it says to that.
func (b *browser) do(what, with string) string {
	b.t.Helper()
	late := time.NewTimer(60 * time.Second)
	defer late.Stop()
	tell := b.tell
	for {
		select {
		case tell <- browserWord{what, with}:
			tell = nil
		case said := <-b.told:
			if said.Failed != "" {
				b.t.Fatalf("the browser can't %s: %s\n%s", what, said.Failed, with)
			}
			return said.Text
		case <-b.ended:
			b.t.Fatal("the browser has ended")
		case <-late.C:
			b.t.Fatalf("the browser does not %s %s", what, with)
		}
	}
}

func (b *browser) keying() string { return byDTLS }
func (b *browser) muxes() bool    { return true }

func (b *browser) describe(theirs *sdp.Session, direction string) *sdp.Session {
	b.t.Helper()
	var text string
	if b.offered = theirs == nil; b.offered {
		b.do("direction", direction)
		how := "offer"
		if b.restart {
			how, b.restart = "restart", false
		}
		text = b.do(how, "")
	} else {
		text = b.do("answer", string(theirs.Bytes()))
	}
	d, err := sdp.Parse([]byte(text))
	if err != nil {
		b.t.Fatalf("%v in\n%s", err, text)
	}
	return d
}

func (b *browser) listen(_, theirs *sdp.Session) {
	b.t.Helper()
	if b.offered {
		b.do("accept", string(theirs.Bytes()))
	}
}

// Tones of the two ends.
const (
	hzBrowser = 625
	hzBox     = 1000
)

// humming is a source that never ends.
type humming struct{ *tone.Generator }

func (h humming) Next(frame *[FrameSamples]int16) bool {
	h.Samples(frame[:])
	return true
}

// toneEar listens for the tone of the browser. heard counts the times that it has lasted
// 200 ms.
type toneEar struct {
	detector *tone.Detector
	heard    atomic.Int64
}

func (e *toneEar) Take(_ uint32, samples []int16) {
	e.detector.WriteSamples(samples)
	if e.detector.Of(hzBrowser).Run >= 200*time.Millisecond {
		e.heard.Add(1)
		e.detector.Gap()
	}
}

// TestChromiumHearsAndIsHeard has a browser as the peer: DTLS-SRTP, ICE and rtcp-mux,
// box and browser offering, the box as a full and as a lite agent; hold and resume, an
// ICE restart, another offer of the box.
func TestChromiumHearsAndIsHeard(t *testing.T) {
	b := newBrowser(t)
	cert, err := NewCertificate()
	if err != nil {
		t.Fatal(err)
	}
	e := engine(t, Config{Certificate: cert})
	for i, codec := range []string{"PCMA", "PCMU", "G722", "PCMA"} {
		boxOffers, policy := i%2 == 1, sdp.ICEFull
		if i == 0 {
			policy = sdp.ICELite
		}
		t.Run(fmt.Sprintf("%s, box offers %v, policy %d", codec, boxOffers, policy), func(t *testing.T) {
			b.t = t
			chromiumScene(t, e, b, codec, boxOffers, policy)
		})
	}
}

func chromiumScene(t *testing.T, e *Engine, b *browser, codec string, boxOffers bool, policy sdp.ICEPolicy) {
	b.do("open", fmt.Sprint(hzBrowser))
	box := newBoxLeg(t, e, "lan", b, policy)
	box.local.Codecs = []string{codec}
	if boxOffers {
		box.offers()
	} else {
		box.offered("sendrecv")
	}
	box.ready()
	listener := &toneEar{detector: tone.NewDetector(hzBrowser)}
	box.stream.Listen(listener, nil)
	box.stream.Play(humming{tone.NewGenerator(hzBox, tone.DefaultLevel)})
	hearing := func(when string) {
		t.Helper()
		before := listener.heard.Load()
		eventually(t, when+": the browser is heard", func() bool { return listener.heard.Load() > before })
		b.do("hears", fmt.Sprint(hzBox))
	}
	hearing("at first")

	box.offered("recvonly") // the browser falls silent
	silent := b.do("sent", "")
	box.stream.Play(humming{tone.NewGenerator(hzBox+250, tone.DefaultLevel)})
	b.do("hears", fmt.Sprint(hzBox+250))
	if now := b.do("sent", ""); now != silent {
		t.Errorf("the browser is to be silent, and has sent %s packets, %s before", now, silent)
	}
	box.stream.Play(humming{tone.NewGenerator(hzBox, tone.DefaultLevel)})
	box.offered("sendrecv")
	hearing("resumed")
	b.restart = true // with nothing but new credentials
	box.offered("sendrecv")
	hearing("after an ICE restart")
	box.offers()
	hearing("asked anew by the box")
	for _, r := range []Reason{Replayed, Unkeyed, Malformed, Unsent} {
		if n := box.stream.Stats().Dropped[r]; n != 0 {
			t.Errorf("%d packets dropped: %s", n, r)
		}
	}
	b.do("close", "")
}
