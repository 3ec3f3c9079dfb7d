package call

import (
	"errors"
	"strings"
	"testing"
	"time"

	"linekeeper/sbc/sip"
)

func TestKeyPressInINFOIsRead(t *testing.T) {
	for _, c := range []struct {
		kind, body string
		key        byte
		length     time.Duration
	}{
		{"application/dtmf-relay", "Signal=5\r\nDuration=160\r\n", '5', 160 * time.Millisecond},
		{"application/dtmf-relay", "Signal= 5\nDuration= 250", '5', 250 * time.Millisecond},
		{"Application/DTMF-Relay;charset=utf-8", "signal=*", '*', usualPress},
		{"application/dtmf-relay", "Signal=11\r\nDuration=1\r\n", '#', shortestPress},
		{"application/dtmf-relay", "Signal=a\r\nDuration=999999\r\n", 'A', longestPress},
		{"application/dtmf-relay", "Signal=16\r\nDuration=x\r\n", '!', usualPress},
		{"application/dtmf", "7", '7', usualPress},
		{"application/dtmf", " 10\r\n", '*', usualPress},
		{"application/dtmf", "", 0, 0},
		{"application/dtmf-relay", "Signal=17", 0, 0},
		{"application/dtmf-relay", "Signal=x", 0, 0},
		{"application/dtmf-relay", "Duration=160", 0, 0},
		{"text/plain", "5", 0, 0},
	} {
		req := sip.NewRequest(sip.INFO, sip.URI{Scheme: "sip", Host: "192.0.2.1"})
		sip.SetBody(req, c.kind, []byte(c.body))
		key, length, ok := pressOf(req)
		if ok != (c.key != 0) || ok && (key != c.key || length != c.length) {
			t.Errorf("%s %q: %c for %v, %v", c.kind, c.body, key, length, ok)
		}
	}
}

func TestLostINFOEndsNoCall(t *testing.T) {
	r := newRig(t)
	for _, line := range [][]string{
		{"plan", "B1"}, {"A", "->", "box", "INVITE", "sdp"}, {"B1", "->", "box", "200", "sdp", "info"}, {"A", "->", "box", "ACK"}, {"digit", "B1", "5"},
	} {
		r.act(line)
	}
	if !r.m.TakesInfo(1) || r.m.TakesInfo(0) || r.m.TakesInfo(7) {
		t.Error("only the callee allows INFO")
	}
	r.step(Failed{Leg: 1, Ref: r.ref("B1", []string{"INFO"}), Err: errors.New("timeout")})
	if r.m.end != nil || r.m.state != Talking {
		t.Errorf("state %v, end %v", r.m.state, r.m.end)
	}
	r.step(Digit{Leg: 9, Key: '1'})
}

// TestPressesWaitForEachOther holds keys back while an INFO has no answer: a later
// one that overtook it would have it refused (RFC 3261 12.2.2).
func TestPressesWaitForEachOther(t *testing.T) {
	r := newRig(t)
	for _, line := range [][]string{
		{"plan", "B1"}, {"A", "->", "box", "INVITE", "sdp"}, {"B1", "->", "box", "200", "sdp", "info"}, {"A", "->", "box", "ACK"},
	} {
		r.act(line)
	}
	var told []string
	r.watch = func(e Effect) {
		if s, ok := e.(Send); ok && s.Req.Method == sip.INFO {
			signal, _, _ := strings.Cut(strings.TrimPrefix(string(s.Req.Body()), "Signal="), "\r")
			told = append(told, signal)
		}
	}
	for i := range 2 * maxPresses {
		r.step(Digit{Leg: 1, Key: "0123456789"[i%10], Length: time.Second})
	}
	if len(told) != 1 {
		t.Fatalf("%d are under way at a time", len(told))
	}
	for range maxPresses - 1 {
		r.act([]string{"B1", "->", "box", "200", "for=INFO"})
	}
	if got := strings.Join(told, ""); got != "01234567890123456789012345678901" {
		t.Errorf("told %s", got)
	}
	r.act([]string{"B1", "->", "box", "415", "for=INFO"})
	if r.m.TakesInfo(1) || len(r.m.leg(1).presses) != 0 {
		t.Error("who refuses INFO is asked no more")
	}
}
