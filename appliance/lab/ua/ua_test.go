package ua

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
)

func TestMain(m *testing.M) {
	Quiet()
	os.Exit(m.Run())
}

// script is a Handler that answers each call at once, with media that agrees to everything.
type script struct{ calls chan *Call }

type agreeable struct{}

func (agreeable) Offer() []byte                 { return []byte("v=0\r\n") }
func (agreeable) Answer([]byte) ([]byte, error) { return []byte("v=0\r\n"), nil }
func (agreeable) Accept([]byte) error           { return nil }
func (agreeable) Hold(bool)                     {}
func (agreeable) Close()                        {}

func (s script) Invited(_ context.Context, c *Call) {
	if c.Called() == "ring" {
		_ = c.Ring(false)
	} else {
		_ = c.Answer()
	}
	s.calls <- c
}

func (script) Asked(_ context.Context, a *Agent, req *sip.Request, tx *sip.ServerTx) {
	a.Respond(tx, req, 200, "OK")
}

func (script) Admit(context.Context, *Agent, *sip.Request, *sip.ServerTx) bool { return true }

func (script) Media(*Call) (Media, error) { return agreeable{}, nil }

func open(t *testing.T, transport Transport) (*Agent, script) {
	t.Helper()
	s := script{calls: make(chan *Call, 16)}
	a, err := Open(Config{
		Transport: transport, Local: netip.MustParseAddrPort("127.0.0.4:0"), Name: "test",
		Log: slog.New(slog.DiscardHandler), Handler: s,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a, s
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// stranger is a peer that writes SIP by hand.
type stranger struct {
	t    *testing.T
	conn net.Conn
	to   *Agent
}

func newStranger(t *testing.T, to *Agent) *stranger {
	t.Helper()
	conn, err := net.Dial("udp", to.Local().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &stranger{t, conn, to}
}

func (s *stranger) send(method, user string, cseq int, toTag, more, body string) {
	s.t.Helper()
	at := s.conn.LocalAddr().String()
	branch := "z9hG4bK" + Token()
	tag := ""
	if toTag != "" {
		tag = ";tag=" + toTag
	}
	text := strings.Join([]string{
		method + " sip:" + user + "@" + s.to.Local().String() + " SIP/2.0",
		"Via: SIP/2.0/UDP " + at + ";branch=" + branch, "Max-Forwards: 70",
		"From: <sip:stranger@" + at + ">;tag=abc", "To: <sip:" + user + "@x.example>" + tag,
		"Call-ID: call-of-a-stranger", "CSeq: " + strconv.Itoa(cseq) + " " + method,
		"Contact: <sip:stranger@" + at + ">", more + "Content-Length: " + strconv.Itoa(len(body)), "", body,
	}, "\r\n")
	if _, err := io.WriteString(s.conn, text); err != nil {
		s.t.Fatal(err)
	}
}

// expect reads until a message begins with prefix.
func (s *stranger) expect(prefix string, d time.Duration) string {
	s.t.Helper()
	if err := s.conn.SetReadDeadline(time.Now().Add(d)); err != nil {
		s.t.Fatal(err)
	}
	buf := make([]byte, 4096)
	for {
		n, err := s.conn.Read(buf)
		if err != nil {
			s.t.Fatalf("waiting for %q: %v", prefix, err)
		}
		if strings.HasPrefix(string(buf[:n]), prefix) {
			return string(buf[:n])
		}
	}
}

func toTag(message string) string {
	_, rest, _ := strings.Cut(message, "\r\nTo:")
	_, rest, _ = strings.Cut(rest, ";tag=")
	tag, _, _ := strings.Cut(rest, "\r\n")
	return tag
}

func TestAnswerIsRepeatedUntilItIsConfirmed(t *testing.T) {
	a, _ := open(t, UDP)
	s := newStranger(t, a)
	s.send("INVITE", "anyone", 1, "", "", "")
	first := s.expect("SIP/2.0 200", 2*time.Second)
	second := s.expect("SIP/2.0 200", 2*time.Second) // T1 later, unasked
	if toTag(first) == "" || toTag(first) != toTag(second) {
		t.Errorf("tags %q and %q", toTag(first), toTag(second))
	}
	s.send("ACK", "anyone", 1, toTag(first), "", "")
	s.send("OPTIONS", "anyone", 2, toTag(first), "", "")
	s.expect("SIP/2.0 200", 2*time.Second)
	if err := s.conn.SetReadDeadline(time.Now().Add(1500 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	for {
		n, err := s.conn.Read(buf)
		if err != nil {
			break
		}
		if strings.Contains(string(buf[:n]), "CSeq: 1 INVITE") {
			t.Error("the answer is repeated after the ACK")
		}
	}
}

func TestSessionTimerIsTakenAndLeftToTheAsker(t *testing.T) {
	a, _ := open(t, UDP)
	s := newStranger(t, a)
	s.send("INVITE", "anyone", 1, "", "Supported: timer\r\nSession-Expires: 90\r\n", "")
	if res := s.expect("SIP/2.0 200", 2*time.Second); !strings.Contains(res, "Session-Expires: 90;refresher=uac") {
		t.Errorf("answer without a timer:\n%s", res)
	}
}

func TestSessionIsRefreshedByUsIfTheAskerWantsIt(t *testing.T) {
	a, _ := open(t, UDP)
	s := newStranger(t, a)
	s.send("INVITE", "anyone", 1, "", "Supported: timer\r\nSession-Expires: 2;refresher=uas\r\n", "")
	res := s.expect("SIP/2.0 200", 2*time.Second)
	if !strings.Contains(res, "Session-Expires: 2;refresher=uas") {
		t.Errorf("answer without a timer:\n%s", res)
	}
	s.send("ACK", "anyone", 1, toTag(res), "", "")
	s.expect("INVITE sip:stranger@", 5*time.Second)
}

func TestCancelEndsARingingCall(t *testing.T) {
	a, _ := open(t, TCP)
	b, callee := open(t, TCP)
	ctx := within(t, 5*time.Second)
	to := b.Contact("ring")
	c, err := a.Call(ctx, Invitation{To: to, From: a.Contact("me"), Dest: b.Local().String()})
	if err != nil {
		t.Fatal(err)
	}
	in := <-callee.calls
	if err := c.Hangup(ctx); err != nil {
		t.Fatal(err)
	}
	if err := in.WaitState(ctx, Ended); err != nil {
		t.Fatal(err)
	}
	if got := c.View().End; got.Code != 487 || !got.ByPeer {
		t.Errorf("caller's end %+v", got)
	}
}

func TestBothSidesReofferAtOnceAndGlareIsSettled(t *testing.T) {
	a, _ := open(t, TCP)
	b, callee := open(t, TCP)
	ctx := within(t, 20*time.Second)
	out, err := a.Call(ctx, Invitation{To: b.Contact("anyone"), From: a.Contact("me"), Dest: b.Local().String()})
	if err != nil {
		t.Fatal(err)
	}
	in := <-callee.calls
	if err := out.WaitState(ctx, Talking); err != nil {
		t.Fatal(err)
	}
	in.waitAck(ctx)
	for range 5 {
		other := make(chan error, 1)
		go func() { other <- in.Reinvite(ctx) }()
		if err := out.Reinvite(ctx); err != nil {
			t.Fatal("caller:", err)
		}
		if err := <-other; err != nil {
			t.Fatal("callee:", err)
		}
	}
	if out.View().Reoffers < 5 || in.View().Reoffers < 5 {
		t.Errorf("re-offers taken: %d and %d, want 5 each", out.View().Reoffers, in.View().Reoffers)
	}
	if err := in.Hangup(ctx); err != nil {
		t.Fatal(err)
	}
	if err := out.WaitState(ctx, Ended); err != nil {
		t.Fatal(err)
	}
}

func TestCallThatIsOverSaysSoToWhoWaits(t *testing.T) {
	a, _ := open(t, UDP)
	c := newCall(a, Dialling)
	waited := make(chan error, 1)
	go func() { waited <- c.WaitState(t.Context(), Talking) }()
	c.finish(End{Code: 486, Reason: "Busy Here", ByPeer: true})
	c.finish(End{Code: 200})
	if err := <-waited; err == nil || !strings.Contains(err.Error(), "486 Busy Here") {
		t.Errorf("waiting for a busy peer: %v", err)
	}
	if err := c.WaitState(t.Context(), Ended); err != nil {
		t.Error(err)
	}
}

func TestShutGateHoldsAStreamAndDeliversLater(t *testing.T) {
	gate := &Gate{}
	gate.Shut(true)
	gate.Shut(true)
	l, err := net.Listen("tcp", "127.0.0.4:0")
	if err != nil {
		t.Fatal(err)
	}
	gated := &gatedListener{Listener: l, gate: gate, open: make(map[*gatedConn]struct{})}
	defer func() { _ = l.Close() }()
	peer, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = peer.Close() }()
	conn, err := gated.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(peer, "hello"); err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 1)
	go func() {
		buf := make([]byte, 16)
		n, _ := conn.Read(buf)
		got <- string(buf[:n])
	}()
	select {
	case s := <-got:
		t.Errorf("%q came through a shut gate", s)
	case <-time.After(100 * time.Millisecond):
	}
	gate.Shut(false)
	if s := <-got; s != "hello" {
		t.Errorf("after the gate opened %q came", s)
	}
	gate.Shut(true)
	ended := make(chan struct{})
	go func() { defer close(ended); _, _ = conn.Write([]byte("x")) }()
	gated.reset()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("a write that waits for the gate outlives its connection")
	}
	if len(gated.open) != 0 {
		t.Errorf("%d connections are remembered after the reset", len(gated.open))
	}
}
