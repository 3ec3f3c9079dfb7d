package lab

import (
	"errors"
	"net"
	"testing"
	"time"

	"linekeeper/appliance/lab/cloud"
	"linekeeper/appliance/lab/phone"
	"linekeeper/appliance/lab/ua"
)

// refusal is the code that a phone's registration was refused with.
func refusal(err error) int {
	var r *phone.Refused
	if errors.As(err, &r) {
		return r.Code
	}
	return 0
}

func TestSilentCloudLosesNothingThatComesBack(t *testing.T) {
	for _, transport := range []ua.Transport{ua.UDP, ua.TCP, ua.TLS} {
		t.Run(string(transport), func(t *testing.T) {
			c := newCloud(t, nil)
			p := newPhone(t, c, "22", transport, nil)
			ctx := within(t, 30*time.Second)
			must(t, "register", p.Register(ctx))
			call, err := p.Dial(ctx, "+4989100")
			must(t, "dial", err)
			must(t, "phone hears", call.Heard(ctx, calledTone, 200*time.Millisecond))

			must(t, "fall silent", c.SetFault(cloud.Fault{Silent: true}))
			messages, media := p.Messages(), call.Stats().Received
			if code, err := p.Options(within(t, 700*time.Millisecond)); err == nil {
				t.Errorf("a silent cloud answered OPTIONS with %d", code)
			}
			if call.Heard(within(t, 300*time.Millisecond), calledTone, 100*time.Millisecond) == nil {
				t.Error("a silent cloud is heard")
			}
			if n := p.Messages() - messages; n != 0 {
				t.Errorf("a silent cloud sent %d messages", n)
			}
			if n := call.Stats().Received - media; n > 3 {
				t.Errorf("a silent cloud sent %d media packets", n)
			}

			must(t, "speak again", c.SetFault(cloud.Fault{}))
			must(t, "phone hears again", call.Heard(ctx, calledTone, 200*time.Millisecond))
			if code, err := p.Options(ctx); err != nil || code != 200 {
				t.Errorf("OPTIONS after the silence: %d %v", code, err)
			}
			must(t, "hang up", call.Hangup(ctx))
		})
	}
}

func TestCutCloudRefusesAndComesBackAtTheSameAddress(t *testing.T) {
	for _, transport := range []ua.Transport{ua.UDP, ua.TLS} {
		t.Run(string(transport), func(t *testing.T) {
			c := newCloud(t, nil)
			p := newPhone(t, c, "22", transport, nil)
			ctx := within(t, 30*time.Second)
			must(t, "register", p.Register(ctx))
			call, err := p.Dial(ctx, "+4989100")
			must(t, "dial", err)
			far, err := c.Arrived(ctx, "+4989100")
			must(t, "arrive", err)
			must(t, "talk", call.WaitState(ctx, ua.Talking))
			at := c.Addr(transport)

			must(t, "cut", c.SetFault(cloud.Fault{Cut: true}))
			must(t, "cut twice", c.SetFault(cloud.Fault{Cut: true}))
			if far.State() != ua.Ended {
				t.Errorf("the far end is %s after the cut", far.State())
			}
			if transport == ua.TLS {
				if conn, err := net.DialTimeout("tcp", at.String(), time.Second); err == nil {
					_ = conn.Close()
					t.Error("a cut cloud takes connections")
				}
			}
			if p.Register(within(t, 700*time.Millisecond)) == nil {
				t.Error("a cut cloud registers")
			}
			if call.State() != ua.Talking {
				t.Errorf("the phone's call is %s: the cloud said something", call.State())
			}

			must(t, "heal", c.SetFault(cloud.Fault{}))
			if c.Addr(transport) != at {
				t.Errorf("cloud came back at %s, was at %s", c.Addr(transport), at)
			}
			must(t, "register again", p.Register(ctx))
			again, err := c.Call(ctx, "22", "+4917012345", 770)
			must(t, "call", err)
			must(t, "ring", again.WaitState(ctx, ua.Ringing))
		})
	}
}

func TestRefusingCloudSaysWhenToComeBack(t *testing.T) {
	c := newCloud(t, nil)
	p := newPhone(t, c, "22", ua.UDP, nil)
	ctx := within(t, 10*time.Second)
	must(t, "refuse", c.SetFault(cloud.Fault{Refusing: true, RetryAfter: 7 * time.Second}))
	if err := p.Register(ctx); refusal(err) != 503 {
		t.Errorf("register: %v, want 503", err)
	}
	call, err := p.Dial(ctx, "+4989100")
	must(t, "dial", err)
	must(t, "end", call.WaitState(ctx, ua.Ended))
	if end := call.View().End; end.Code != 503 {
		t.Errorf("call ended with %+v", end)
	}
	if code, err := p.Options(ctx); err != nil || code != 503 {
		t.Errorf("options: %d %v", code, err)
	}
	must(t, "heal", c.SetFault(cloud.Fault{}))
	must(t, "register", p.Register(ctx))
}

func TestSlowCloudTakesItsTime(t *testing.T) {
	c := newCloud(t, nil)
	p := newPhone(t, c, "22", ua.TCP, nil)
	ctx := within(t, 10*time.Second)
	must(t, "slow", c.SetFault(cloud.Fault{Slow: 300 * time.Millisecond}))
	began := time.Now()
	must(t, "register", p.Register(ctx))
	if took := time.Since(began); took < 600*time.Millisecond {
		t.Errorf("two slow answers took %v", took)
	}
}

func TestCloudDeafToInviteStillAnswersTheRest(t *testing.T) {
	c := newCloud(t, nil)
	p := newPhone(t, c, "22", ua.UDP, nil)
	ctx := within(t, 10*time.Second)
	must(t, "deafen", c.SetFault(cloud.Fault{DeafToInvite: true}))
	must(t, "register", p.Register(ctx))
	messages := p.Messages()
	call, err := p.Dial(ctx, "+4989100")
	must(t, "dial", err)
	if call.WaitState(within(t, 1500*time.Millisecond), ua.Ringing) == nil {
		t.Error("a deaf cloud rings")
	}
	if n := p.Messages() - messages; n != 0 {
		t.Errorf("a deaf cloud answered the INVITE with %d messages", n)
	}
	if code, err := p.Options(ctx); err != nil || code != 200 {
		t.Errorf("options: %d %v", code, err)
	}
	if s := c.Stats(); s.Dropped < 2 { // the INVITE and its repetition
		t.Errorf("dropped %d INVITEs", s.Dropped)
	}
}

func TestRejectedCredentialsAreCounted(t *testing.T) {
	c := newCloud(t, nil)
	p := newPhone(t, c, "22", ua.UDP, nil)
	ctx := within(t, 5*time.Second)
	must(t, "reject", c.SetFault(cloud.Fault{RejectCredentials: true}))
	if err := p.Register(ctx); refusal(err) != 403 {
		t.Errorf("register: %v, want 403", err)
	}
	if s := c.Stats(); s.BadCredentials != 1 {
		t.Errorf("bad credentials: %d", s.BadCredentials)
	}
}

func TestExclusiveAccountRefusesASecondContact(t *testing.T) {
	c := newCloud(t, func(cfg *cloud.Config) { cfg.Exclusive = true })
	ctx := within(t, 5*time.Second)
	first := newPhone(t, c, "22", ua.UDP, nil)
	must(t, "register", first.Register(ctx))
	must(t, "renew", first.Register(ctx))
	second := newPhone(t, c, "22", ua.UDP, nil)
	if err := second.Register(ctx); refusal(err) != 403 {
		t.Errorf("second contact: %v, want 403", err)
	}
	if s := c.Stats(); s.Intrusions != 1 {
		t.Errorf("intrusions: %d", s.Intrusions)
	}
	must(t, "unregister", first.Unregister(ctx))
	must(t, "wait", c.WaitUnregistered(ctx, "22"))
	must(t, "register", second.Register(ctx))
}

func TestRegistrationsAreOnRecord(t *testing.T) {
	c := newCloud(t, func(cfg *cloud.Config) { cfg.Expires = 2 * time.Second })
	p := newPhone(t, c, "22", ua.UDP, nil)
	ctx := within(t, 10*time.Second)
	must(t, "register", p.Register(ctx))
	must(t, "wait", c.WaitRegistered(ctx, "22"))
	// the phone renews by itself at four fifths of the two seconds granted
	must(t, "renewal", c.WaitRecords(ctx, 2))
	r := c.Registrations()
	if r[0].Account != "22" || r[0].Code != 200 || r[0].Expires != 2*time.Second {
		t.Errorf("first record: %+v", r[0])
	}
	if gap := r[1].At.Sub(r[0].At); gap < time.Second || gap > 2*time.Second {
		t.Errorf("renewed after %v, want 1.6s", gap)
	}
	if len(c.Bindings("22")) != 1 {
		t.Errorf("bindings: %+v", c.Bindings("22"))
	}
	c.Forget()
	if len(c.Bindings("22")) != 0 {
		t.Error("forgotten binding is still there")
	}
}

func TestPhonesBehaveAsTheyAreTold(t *testing.T) {
	c := newCloud(t, nil)
	p := newPhone(t, c, "22", ua.UDP, nil)
	ctx := within(t, 10*time.Second)
	must(t, "register", p.Register(ctx))
	for mode, code := range map[phone.Mode]int{phone.Busy: 486, phone.Refuse: 603} {
		p.SetAnswer(phone.Answer{Mode: mode})
		far, err := c.Call(ctx, "22", "+4917012345", 770)
		must(t, "call", err)
		must(t, "end", far.WaitState(ctx, ua.Ended))
		if end := far.View().End; end.Code != code {
			t.Errorf("mode %d ended with %+v, want %d", mode, end, code)
		}
	}
	p.SetAnswer(phone.Answer{Mode: phone.Mute})
	far, err := c.Call(ctx, "22", "+4917012345", 770)
	must(t, "call", err)
	if far.WaitState(within(t, 500*time.Millisecond), ua.Ringing) == nil {
		t.Error("a mute phone rings")
	}
}
