package lab

import (
	"crypto/tls"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"linekeeper/appliance/lab/cloud"
	"linekeeper/appliance/lab/phone"
	"linekeeper/appliance/lab/tone"
	"linekeeper/appliance/lab/ua"
	"linekeeper/appliance/lab/voice"
)

// A house rule that lets everything pass proves nothing about who obeys it:
// here each one refuses its breach and lets the rest through.

// obeying makes a cloud with rules, plain speech and outside numbers.
func obeying(t *testing.T, rules cloud.Rules) *cloud.Cloud {
	t.Helper()
	return newCloud(t, func(cfg *cloud.Config) {
		cfg.Rules, cfg.Security = rules, voice.Opportunistic
		cfg.Unknown = &cloud.Script{Does: cloud.Answers, Tone: calledTone}
	})
}

func plain(p *phone.Config) { p.Security = voice.Plain }

func breached(t *testing.T, c *cloud.Cloud, want string) {
	t.Helper()
	if all := c.Breaches(); !slices.ContainsFunc(all, func(b string) bool { return strings.Contains(b, want) }) {
		t.Errorf("no breach of %q among %q", want, all)
	}
}

// dials wants a call to number to end with code, or to be answered for 0.
func dials(t *testing.T, p *phone.Phone, number string, code int) *ua.Call {
	t.Helper()
	ctx := within(t, 10*time.Second)
	call, err := p.Dial(ctx, number)
	must(t, "dial "+number, err)
	err = call.WaitState(ctx, ua.Talking)
	if got := call.View().End.Code; code != 0 && got != code || code == 0 && err != nil {
		t.Errorf("%s: ended with %d (%v), want %d", number, got, err, code)
	}
	return call
}

func TestHouseRefusesTransportsAndAddressesThatItDoesNotAllow(t *testing.T) {
	c := obeying(t, cloud.Rules{Transports: []ua.Transport{ua.TCP}, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}})
	ctx := within(t, 10*time.Second)
	if err := newPhone(t, c, "22", ua.UDP, plain).Register(ctx); err == nil {
		t.Error("a phone by UDP was let in")
	}
	breached(t, c, "transport: REGISTER by udp")
	stranger := newPhone(t, c, "23", ua.TCP, func(p *phone.Config) { p.Local = netip.MustParseAddr("127.0.0.9") })
	if err := stranger.Register(ctx); err == nil {
		t.Error("a phone from another address was let in")
	}
	breached(t, c, "acl: 127.0.0.9")
	n := len(c.Breaches())
	must(t, "allowed address and transport", newPhone(t, c, "22", ua.TCP, plain).Register(ctx))
	if len(c.Breaches()) != n {
		t.Errorf("breaches %q", c.Breaches())
	}
}

func TestHouseRefusesRegistrationsThatComeTooFastOrAskTooLittle(t *testing.T) {
	c := obeying(t, cloud.Rules{Spacing: 300 * time.Millisecond, Patience: 1, Shortest: time.Minute})
	ctx := within(t, 10*time.Second)
	a := newPhone(t, c, "22", ua.UDP, plain)
	b := newPhone(t, c, "23", ua.UDP, plain)
	short := newPhone(t, c, "22", ua.UDP, func(p *phone.Config) { p.Expires = 30 * time.Second })
	if err := short.Register(ctx); err == nil {
		t.Error("thirty seconds were granted")
	}
	must(t, "the same account at once", a.Register(ctx))
	if err := b.Register(ctx); err == nil {
		t.Error("another account at once was taken")
	}
	breached(t, c, "spacing: 23")
	if err := a.Register(ctx); err == nil {
		t.Error("and again at once")
	}
	if err := a.Register(ctx); err == nil {
		t.Error("the patience of the house has no end")
	}
	breached(t, c, "barred")
}

func TestHouseLocksAnAccountAfterTooManyWrongPasswords(t *testing.T) {
	c := obeying(t, cloud.Rules{Tries: 3})
	ctx := within(t, 10*time.Second)
	wrong := newPhone(t, c, "22", ua.UDP, func(p *phone.Config) { p.Password = "guess" })
	right := newPhone(t, c, "22", ua.UDP, plain)
	for range 3 {
		if err := wrong.Register(ctx); err == nil {
			t.Fatal("a wrong password was taken")
		}
	}
	must(t, "three tries are borne", right.Register(ctx))
	for range 4 {
		_ = wrong.Register(ctx) // refused as before
	}
	if err := right.Register(ctx); err == nil || !c.Locked("22") {
		t.Errorf("not locked after the fourth wrong password: %v", err)
	}
	must(t, "the other account", newPhone(t, c, "23", ua.UDP, plain).Register(ctx))
}

func TestHouseTakesNumbersAndCodesInItsFormOnly(t *testing.T) {
	c := obeying(t, cloud.Rules{Numbers: cloud.AreaCode, Codes: []string{"*72*NUMBER*SECONDS", "*72*NUMBER", "*72*", "*8NUMBER", "#21"}})
	p := newPhone(t, c, "22", ua.UDP, plain)
	ctx := within(t, 20*time.Second)
	must(t, "register", p.Register(ctx))
	for number, code := range map[string]int{
		"0895601": 0, "00431234567": 0, "112": 0, "116117": 0, "+49895601": 404, "5601": 484, "23300000": 404,
		"*72*0895601": 0, "*72*": 0, "*72*0895601*20": 0, "*822": 0, "%2321": 0,
		"*72*+49895601": 404, "*72*0895601*x": 404, "*99": 404, "*72": 404,
	} {
		if call := dials(t, p, number, code); code == 0 {
			must(t, "hang up", call.Hangup(ctx))
		}
	}
	must(t, "the code", c.WaitCode(ctx, cloud.Code{Account: "22", Text: "*72*0895601*20"}))
	must(t, "the other code", c.WaitCode(ctx, cloud.Code{Account: "22", Text: "#21"}))
	breached(t, c, "number: 5601")
}

func TestHouseRefusesOffersThatItDoesNotLike(t *testing.T) {
	c := obeying(t, cloud.Rules{Payloads: []uint8{8, 0}})
	ctx := within(t, 10*time.Second)
	right := newPhone(t, c, "22", ua.UDP, plain)
	wrong := newPhone(t, c, "23", ua.UDP, func(p *phone.Config) { p.Security, p.Codecs = voice.Plain, []tone.Law{tone.Mu, tone.A} })
	must(t, "register", right.Register(ctx))
	must(t, "register", wrong.Register(ctx))
	dials(t, right, "0895601", 0)
	dials(t, wrong, "0895601", 488)
	breached(t, c, "codecs: offered [0 8")

	c = obeying(t, cloud.Rules{Candidates: cloud.Demanded})
	p := newPhone(t, c, "22", ua.UDP, plain)
	must(t, "register", p.Register(ctx))
	dials(t, p, "0895601", 488)
	breached(t, c, "candidates: false")
}

func TestHouseKicksTheFirstDeviceOfAnExclusiveAccount(t *testing.T) {
	c := obeying(t, cloud.Rules{Kick: true})
	ctx := within(t, 10*time.Second)
	first, second := newPhone(t, c, "22", ua.UDP, plain), newPhone(t, c, "22", ua.UDP, plain)
	must(t, "first", first.Register(ctx))
	must(t, "second", second.Register(ctx))
	if n := c.Stats().Intrusions; n != 1 || len(c.Bindings("22")) != 1 {
		t.Errorf("%d intrusions, %d bindings", n, len(c.Bindings("22")))
	}
}

func TestHouseWantsToBeCalledByItsName(t *testing.T) {
	c := obeying(t, cloud.Rules{ServerName: true})
	ctx := within(t, 10*time.Second)
	named := func(name string) *phone.Phone {
		return newPhone(t, c, "22", ua.TLS, func(p *phone.Config) {
			p.TLS = &tls.Config{RootCAs: c.ClientTLS().RootCAs, ServerName: name, MinVersion: tls.VersionTLS12}
		})
	}
	must(t, "by its name", named("cloud.example").Register(ctx))
	if err := named("other.example").Register(ctx); err == nil {
		t.Error("a client that wants somebody else was served")
	}
	breached(t, c, `server name: "other.example"`)
}
