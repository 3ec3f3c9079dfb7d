package lab

import (
	"context"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"linekeeper/appliance/lab/cloud"
	"linekeeper/appliance/lab/phone"
	"linekeeper/appliance/lab/ua"
	"linekeeper/appliance/lab/voice"
)

const (
	calledTone = 620.0
	callerTone = 440.0
)

var world = map[string]cloud.Script{
	"+4989100": {Does: cloud.Answers, RingAfter: 50 * time.Millisecond, AnswerAfter: 100 * time.Millisecond, Tone: calledTone},
	"+4989101": {Does: cloud.Busy},
	"+4989102": {Does: cloud.NoAnswer},
	"+4989103": {Does: cloud.Rejects, Code: 603, Phrase: "Decline"},
	"+4989104": {Does: cloud.Mute},
	"+4989105": {Does: cloud.Echoes},
	"+4989106": {Does: cloud.Answers, Early: true, AnswerAfter: time.Hour, Tone: calledTone},
	"+4989107": {Does: cloud.Answers, Tone: calledTone, HangupAfter: 200 * time.Millisecond},
}

func TestMain(m *testing.M) {
	ua.Quiet()
	os.Exit(m.Run())
}

func newCloud(t *testing.T, change func(*cloud.Config)) *cloud.Cloud {
	t.Helper()
	at := netip.MustParseAddrPort("127.0.0.3:0")
	cfg := cloud.Config{
		Listen: []cloud.Listen{{Transport: ua.UDP, Addr: at}, {Transport: ua.TCP, Addr: at}, {Transport: ua.TLS, Addr: at}},
		Domain: "cloud.example", Security: voice.Required, Outside: world,
		Accounts: []cloud.Account{
			{User: "22", Password: "secret22", Public: "+498912345622"},
			{User: "23", Auth: "auth23", Password: "secret23"},
		},
	}
	if change != nil {
		change(&cfg)
	}
	c, err := cloud.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func newPhone(t *testing.T, c *cloud.Cloud, user string, transport ua.Transport, change func(*phone.Config)) *phone.Phone {
	t.Helper()
	cfg := phone.Config{
		Extension: user, Password: "secret" + user, Registrar: c.Addr(transport), Domain: "cloud.example",
		Transport: transport, Local: netip.MustParseAddr("127.0.0.2"), Security: voice.Required, Tone: callerTone,
		TLS: c.ClientTLS(),
	}
	if user == "23" {
		cfg.Auth = "auth23"
	}
	if change != nil {
		change(&cfg)
	}
	p, err := phone.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func must(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func TestPhoneCallsOutsideAndBothHearEachOther(t *testing.T) {
	for _, transport := range []ua.Transport{ua.UDP, ua.TCP, ua.TLS} {
		for _, suite := range []voice.Suite{voice.SHA1_80, voice.GCM} {
			t.Run(string(transport)+" "+string(suite), func(t *testing.T) {
				c := newCloud(t, func(cfg *cloud.Config) { cfg.Suites = []voice.Suite{suite} })
				p := newPhone(t, c, "22", transport, nil)
				ctx := within(t, 15*time.Second)
				must(t, "register", p.Register(ctx))
				call, err := p.Dial(ctx, "+4989100")
				must(t, "dial", err)
				far, err := c.Arrived(ctx, "+4989100")
				must(t, "arrive", err)
				must(t, "ring", call.WaitState(ctx, ua.Ringing))
				must(t, "talk", call.WaitState(ctx, ua.Talking))
				must(t, "phone hears", call.Heard(ctx, calledTone, 300*time.Millisecond))
				must(t, "far end hears", far.Heard(ctx, callerTone, 300*time.Millisecond))
				if deal, ok := call.Voice().Deal(); !ok || deal.Out == nil || deal.Out.Suite != suite {
					t.Errorf("agreed on %+v, want SRTP by %s", deal, suite)
				}
				must(t, "hang up", call.Hangup(ctx))
				must(t, "far end ends", far.WaitState(ctx, ua.Ended))
				if s := call.Stats(); s.Lost+s.Broken+s.Bare > 0 || s.Received < 15 {
					t.Errorf("phone's packets: %+v", s)
				}
				if s := c.Stats(); s.MediaReceived < 15 || s.MediaBroken+s.MediaBare > 0 {
					t.Errorf("cloud's counts: %+v", s)
				}
			})
		}
	}
}

func TestAccountsCallEachOtherThroughTheCloud(t *testing.T) {
	c := newCloud(t, nil)
	a := newPhone(t, c, "22", ua.TLS, nil)
	b := newPhone(t, c, "23", ua.UDP, func(cfg *phone.Config) {
		cfg.Tone = calledTone
		cfg.Answer = phone.Answer{Mode: phone.Accept, After: 50 * time.Millisecond}
	})
	ctx := within(t, 15*time.Second)
	must(t, "register", a.Register(ctx))
	must(t, "register", b.Register(ctx))
	out, err := a.Dial(ctx, "23")
	must(t, "dial", err)
	in, err := b.Incoming(ctx)
	must(t, "incoming", err)
	must(t, "talk", out.WaitState(ctx, ua.Talking))
	must(t, "caller hears", out.Heard(ctx, calledTone, 300*time.Millisecond))
	must(t, "callee hears", in.Heard(ctx, callerTone, 300*time.Millisecond))
	must(t, "hold", out.Hold(ctx))
	must(t, "resume", out.Resume(ctx))
	must(t, "caller hears again", out.Heard(ctx, calledTone, 300*time.Millisecond))
	must(t, "callee hangs up", in.Hangup(ctx))
	must(t, "caller is told", out.WaitState(ctx, ua.Ended))
}

func TestCallsEndAsTheScriptSays(t *testing.T) {
	c := newCloud(t, nil)
	p := newPhone(t, c, "22", ua.TCP, nil)
	ctx := within(t, 20*time.Second)
	must(t, "register", p.Register(ctx))
	for number, code := range map[string]int{"+4989101": 486, "+4989103": 603, "+4989999": 404, "23": 480, "+4989107": 200} {
		call, err := p.Dial(ctx, number)
		must(t, "dial "+number, err)
		must(t, "end "+number, call.WaitState(ctx, ua.Ended))
		if end := call.View().End; end.Code != code || !end.ByPeer {
			t.Errorf("call to %s ended with %+v, want %d by the peer", number, end, code)
		}
	}
}

func TestCallerGivesUp(t *testing.T) {
	c := newCloud(t, nil)
	p := newPhone(t, c, "22", ua.UDP, nil)
	ctx := within(t, 10*time.Second)
	must(t, "register", p.Register(ctx))
	for _, number := range []string{"+4989102", "+4989104"} {
		call, err := p.Dial(ctx, number)
		must(t, "dial", err)
		far, err := c.Arrived(ctx, number)
		must(t, "arrive", err)
		must(t, "cancel", call.Hangup(ctx))
		must(t, "far end ends", far.WaitState(ctx, ua.Ended))
		if end := call.View().End; end.Code != 487 {
			t.Errorf("call to %s ended with %+v, want 487", number, end)
		}
	}
}

func TestEchoAndEarlyMediaAreHeard(t *testing.T) {
	c := newCloud(t, nil)
	p := newPhone(t, c, "22", ua.UDP, nil)
	ctx := within(t, 10*time.Second)
	must(t, "register", p.Register(ctx))
	echo, err := p.Dial(ctx, "+4989105")
	must(t, "dial", err)
	must(t, "hear own tone", echo.Heard(ctx, callerTone, 300*time.Millisecond))
	must(t, "hang up", echo.Hangup(ctx))
	early, err := p.Dial(ctx, "+4989106")
	must(t, "dial", err)
	must(t, "hear early media", early.Heard(ctx, calledTone, 300*time.Millisecond))
	if s := early.State(); s != ua.Ringing {
		t.Errorf("call with early media is %s", s)
	}
	must(t, "cancel", early.Hangup(ctx))
}

func TestCloudCallsAPhoneAndEndsIt(t *testing.T) {
	for _, transport := range []ua.Transport{ua.UDP, ua.TLS} {
		t.Run(string(transport), func(t *testing.T) {
			c := newCloud(t, nil)
			p := newPhone(t, c, "22", transport, nil)
			ctx := within(t, 10*time.Second)
			must(t, "register", p.Register(ctx))
			far, err := c.Call(ctx, "22", "+4917012345", 770)
			must(t, "call", err)
			call, err := p.Incoming(ctx)
			must(t, "incoming", err)
			if call.Peer() != "+4917012345" {
				t.Errorf("caller is %q", call.Peer())
			}
			must(t, "ring", far.WaitState(ctx, ua.Ringing))
			must(t, "answer", call.Answer())
			must(t, "talk", far.WaitState(ctx, ua.Talking))
			must(t, "phone hears", call.Heard(ctx, 770, 300*time.Millisecond))
			must(t, "cloud hears", far.Heard(ctx, callerTone, 300*time.Millisecond))
			must(t, "cloud holds", far.Hold(ctx))
			must(t, "phone is held", call.WaitHeld(ctx, true))
			must(t, "cloud resumes", far.Resume(ctx))
			must(t, "phone is back", call.WaitHeld(ctx, false))
			must(t, "cloud hears again", far.Heard(ctx, callerTone, 200*time.Millisecond))
			must(t, "cloud hangs up", far.Hangup(ctx))
			must(t, "phone ends", call.WaitState(ctx, ua.Ended))

			far, err = c.Call(ctx, "22", "+4917012345", 770)
			must(t, "call", err)
			call, err = p.Incoming(ctx)
			must(t, "incoming", err)
			must(t, "ring", far.WaitState(ctx, ua.Ringing))
			must(t, "cancel", far.Hangup(ctx))
			must(t, "phone ends", call.WaitState(ctx, ua.Ended))
			if end := call.View().End; end.Code != 487 {
				t.Errorf("cancelled call ended with %+v", end)
			}
		})
	}
}

func TestWrongPasswordAndWrongSecurityAreRefused(t *testing.T) {
	c := newCloud(t, nil)
	ctx := within(t, 10*time.Second)
	thief := newPhone(t, c, "22", ua.UDP, func(cfg *phone.Config) { cfg.Password = "guess" })
	if err := thief.Register(ctx); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("wrong password: %v, want 403", err)
	}
	bare := newPhone(t, c, "22", ua.UDP, func(cfg *phone.Config) { cfg.Security = voice.Plain })
	must(t, "register", bare.Register(ctx))
	call, err := bare.Dial(ctx, "+4989100")
	must(t, "dial", err)
	must(t, "end", call.WaitState(ctx, ua.Ended))
	if end := call.View().End; end.Code != 488 {
		t.Errorf("plain offer to a cloud that requires SRTP ended with %+v", end)
	}
}

func TestEitherDigestAlgorithmServes(t *testing.T) {
	for _, algorithm := range []string{"MD5", "SHA-256"} {
		c := newCloud(t, func(cfg *cloud.Config) { cfg.Algorithms = []string{algorithm} })
		ctx := within(t, 5*time.Second)
		must(t, algorithm, newPhone(t, c, "23", ua.UDP, nil).Register(ctx))
		other := map[string]string{"MD5": "SHA-256", "SHA-256": "MD5"}[algorithm]
		if newPhone(t, c, "22", ua.UDP, func(cfg *phone.Config) { cfg.Algorithm = other }).Register(ctx) == nil {
			t.Errorf("a phone that speaks %s only registered with %s", other, algorithm)
		}
	}
}

func TestLateOfferIsAnswered(t *testing.T) {
	c := newCloud(t, nil)
	p := newPhone(t, c, "22", ua.UDP, nil)
	ctx := within(t, 10*time.Second)
	call, err := p.DialLate(ctx, "+4989100")
	must(t, "dial", err)
	far, err := c.Arrived(ctx, "+4989100")
	must(t, "arrive", err)
	must(t, "phone hears", call.Heard(ctx, calledTone, 300*time.Millisecond))
	must(t, "far end hears", far.Heard(ctx, callerTone, 300*time.Millisecond))
}

func TestNothingIsLeftBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 3 {
		c := newCloud(t, nil)
		p := newPhone(t, c, "22", ua.TLS, nil)
		q := newPhone(t, c, "23", ua.UDP, nil)
		ctx := within(t, 10*time.Second)
		must(t, "register", p.Register(ctx))
		must(t, "register", q.Register(ctx))
		call, err := p.Dial(ctx, "+4989100")
		must(t, "dial", err)
		must(t, "talk", call.WaitState(ctx, ua.Talking))
		ringing, err := q.Dial(ctx, "22")
		must(t, "dial", err)
		must(t, "ring", ringing.WaitState(ctx, ua.Ringing))
		p.Close()
		c.Close()
		q.Close()
	}
	deadline := time.Now().Add(5 * time.Second)
	for runtime.NumGoroutine() > before+2 {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<20)
			t.Fatalf("%d goroutines before, %d after\n%s", before, runtime.NumGoroutine(), buf[:runtime.Stack(buf, true)])
		}
		runtime.Gosched()
	}
}
