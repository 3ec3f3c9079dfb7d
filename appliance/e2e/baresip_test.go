package e2e

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"text/template"
	"time"
)

// Account is how a baresip registers and what it does with calls.
type Account struct {
	User, Password string
	Registrar      string // "10.77.1.1:5060"
	Outbound       string // proxy on the way, "" for none
	Transport      string // udp, tcp, tls
	MediaEnc       string // "", srtp, srtp-mand, srtp-mandf, dtls_srtp
	ICE, Mux       bool   // candidates; RTP and RTCP on one port
	Answer         string // manual (default), auto
	CAFile         string // authority of the registrar's certificate, "" for any
	Codecs         string // "pcma,pcmu" if empty
	Ptime          int    // milliseconds in a packet, 20 if 0
	Hz             float64
	Addr           string // where it listens, the host's address if empty
	Port           int    // where it listens, 0 for any
	MWI            bool   // it watches its mailbox
}

// Baresip is a running phone with a remote control.
type Baresip struct {
	*Proc
	account Account
	dir     string
	conn    net.Conn
	mu      sync.Mutex
	events  []Event
	more    chan struct{}
	next    int // first event that Await has not passed
}

// Event is what a baresip says of itself.
type Event struct {
	Type  string `json:"type"`
	Class string `json:"class"`
	Param string `json:"param"`
	Peer  string `json:"peeruri"`
	at    time.Time
}

const controlPort = 4444

// Baresip starts a phone and waits until it is registered.
func (h *Host) Baresip(t *testing.T, a Account) *Baresip {
	t.Helper()
	b := h.StartBaresip(t, a)
	// The event may be over before the remote control is connected; the log line stays.
	b.Proc.Await(t, `\{0/\w+/v4\} 200 `, 30*time.Second)
	return b
}

// StartBaresip starts a phone and connects its remote control.
func (h *Host) StartBaresip(t *testing.T, a Account) *Baresip {
	t.Helper()
	if a.Addr == "" {
		a.Addr = h.addr.String()
	}
	a.Codecs, a.Ptime = cmp.Or(a.Codecs, "pcma,pcmu"), cmp.Or(a.Ptime, 20)
	if a.Answer == "" {
		a.Answer = "manual"
	}
	dir := t.TempDir()
	tone := filepath.Join(dir, "tone.wav")
	writeTone(t, tone, a.Hz, 2*time.Minute)
	sound := filepath.Join(dir, "sound")
	if err := os.Mkdir(sound, 0o700); err != nil {
		t.Fatal(err)
	}
	render(t, "../../testdata/baresip/config", filepath.Join(dir, "config"), map[string]any{
		"Addr": a.Addr, "Control": controlPort, "Tone": tone, "Sound": sound, "CAFile": a.CAFile, "Port": a.Port, "MWI": a.MWI, "ICE": a.ICE, "Mux": a.Mux,
	})
	render(t, "../../testdata/baresip/accounts", filepath.Join(dir, "accounts"), a)
	writeFile(t, filepath.Join(dir, "contacts"), "")

	b := &Baresip{account: a, dir: sound, more: make(chan struct{})}
	b.Proc = h.Start(t, dir, []string{"HOME=" + dir}, "baresip", "-4", "-f", dir)
	control := net.JoinHostPort(a.Addr, strconv.Itoa(controlPort))
	// It makes an RSA key first, which takes long on a machine with other work.
	eventually(t, 30*time.Second, "remote control of baresip", func() (string, bool) {
		err := h.inside(func() (err error) {
			b.conn, err = net.DialTimeout("tcp4", control, time.Second)
			return err
		})
		return fmt.Sprint(err), err == nil
	})
	t.Cleanup(func() { b.conn.Close() })
	go b.listen(b.conn)
	return b
}

// render fills a template of testdata.
func render(t *testing.T, from, to string, with any) {
	t.Helper()
	tmpl, err := template.New(filepath.Base(from)).Option("missingkey=error").Parse(readFile(t, from))
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := tmpl.Execute(&text, with); err != nil {
		t.Fatal(err)
	}
	writeFile(t, to, text.String())
}

// listen collects events until the connection ends. Each is a netstring:
// length, colon, JSON, comma.
func (b *Baresip) listen(conn net.Conn) {
	r := bufio.NewReader(conn)
	for {
		length, err := r.ReadString(':')
		if err != nil {
			return
		}
		n, err := strconv.Atoi(strings.TrimSuffix(length, ":"))
		if err != nil || n < 0 || n > 1<<20 {
			return
		}
		text := make([]byte, n+1)
		if _, err := io.ReadFull(r, text); err != nil {
			return
		}
		var e Event
		if json.Unmarshal(text[:n], &e) != nil || e.Type == "" {
			continue // the answer to a command
		}
		e.at = time.Now()
		b.mu.Lock()
		b.events = append(b.events, e)
		close(b.more)
		b.more = make(chan struct{})
		b.mu.Unlock()
	}
}

// Await waits for the next event of a type, passing others by.
func (b *Baresip) Await(t *testing.T, kind string, within time.Duration) Event {
	t.Helper()
	deadline := time.After(within)
	for {
		b.mu.Lock()
		for b.next < len(b.events) {
			e := b.events[b.next]
			b.next++
			if e.Type == kind {
				b.mu.Unlock()
				return e
			}
		}
		more, seen := b.more, kinds(b.events)
		b.mu.Unlock()
		select {
		case <-more:
		case <-deadline:
			t.Fatalf("%s: no %s within %v; it had %s", b.name, kind, within, seen)
		}
	}
}

// Saw says whether an event of a type has come at or after a time.
func (b *Baresip) Saw(kind string, since time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.events {
		if e.Type == kind && !e.at.Before(since) {
			return true
		}
	}
	return false
}

func kinds(events []Event) string {
	var all []string
	for _, e := range events {
		all = append(all, strings.TrimSpace(e.Type+" "+e.Param))
	}
	return strings.Join(all, ", ")
}

// do sends a command.
func (b *Baresip) do(t *testing.T, command, params string) {
	t.Helper()
	text, err := json.Marshal(map[string]string{"command": command, "params": params, "token": command})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(b.conn, "%d:%s,", len(text), text); err != nil {
		t.Fatalf("%s: %s: %v", b.name, command, err)
	}
}

// Dial calls a number at the registrar. Await then starts with this call.
func (b *Baresip) Dial(t *testing.T, number string) {
	t.Helper()
	b.mu.Lock()
	b.next = len(b.events)
	b.mu.Unlock()
	b.do(t, "dial", "sip:"+number+"@"+b.account.Registrar) // it adds the transport by itself
}

// Answer takes the call that rings.
func (b *Baresip) Answer(t *testing.T) { t.Helper(); b.do(t, "accept", "") }

// Hangup ends, refuses or cancels the call.
func (b *Baresip) Hangup(t *testing.T) { t.Helper(); b.do(t, "hangup", "") }

// Hold puts the call on hold and waits until that is agreed.
func (b *Baresip) Hold(t *testing.T) {
	t.Helper()
	b.do(t, "hold", "")
	b.Await(t, "CALL_REMOTE_SDP", 5*time.Second)
}

// Resume takes the call back and waits until that is agreed.
func (b *Baresip) Resume(t *testing.T) {
	t.Helper()
	b.do(t, "resume", "")
	b.Await(t, "CALL_REMOTE_SDP", 5*time.Second)
}
