package sbc

import (
	"testing"

	"linekeeper/sbc/number"
	"linekeeper/sbc/provider"
	"linekeeper/sbc/sip"
)

// of makes a world's site one of a provider's.
func of(name provider.Name) func(*Config) {
	return func(c *Config) { c.Profile, _ = provider.Lookup(name) }
}

func TestTheOwnNumberIsWithheldByACodeBeforeTheNumber(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		cloud := w.up()
		a, b := w.phone("22", 10), w.phone("23", 20)
		b.registers()
		for _, c := range []struct {
			dial, to string
			words    []string
			hidden   bool
		}{
			{"*31%230895601", "+49895601", nil, true},
			{"0895601", "+49895601", nil, false},
			{"%2331%230895601", "+49895601", []string{"Privacy: id"}, false}, // shown for this call, though the phone says otherwise
		} {
			invite := a.dials(c.dial, c.words...)
			out := cloud.gets(sip.INVITE)
			if got := sip.HasToken(out, "Privacy", "id"); got != c.hidden || out.Recipient.User != c.to {
				t.Errorf("%s: to %s, privacy %v", c.dial, out.Recipient.User, got)
			}
			cloud.answers(out, 486)
			cloud.gets(sip.ACK)
			a.acks(invite, a.hears(486))
		}
		invite := a.dials("*31%2323")
		rung := b.gets(sip.INVITE)
		if got := rung.From().Address; got.Host != "anonymous.invalid" {
			t.Errorf("the colleague sees %s", got.User)
		}
		b.answers(rung, 486)
		b.gets(sip.ACK)
		a.acks(invite, a.hears(486))
		w.idle()
	})
}

func TestAForwardingCodeIsBarredLikeACallAndSpeltForTheCloud(t *testing.T) {
	inWorld(t, of(provider.HFO), func(t *testing.T, w *world) {
		cloud := w.up()
		a := w.phone("22", 10)
		for dialled, want := range map[string]string{
			"*72*5601":          "*72*0895601",
			"*72*+4930902600":   "*72*030902600",
			"*72*030902600*20":  "*72*030902600*20",
			"*72*23":            "*72*23", // a colleague
			"*72*":              "*72*",
			"*823":              "*823",
			"*99":               "*99",
			"*78":               "*78",
			"*72*09001234567":   "",
			"*72*0043123456":    "", // extension 22 is of class national
			"*72*112":           "",
			"*72*0043123456*20": "",
		} {
			invite := a.dials(dialled)
			if want == "" {
				a.acks(invite, a.hears(403))
				cloud.quiet()
				continue
			}
			out := cloud.gets(sip.INVITE)
			if out.Recipient.User != want {
				t.Errorf("%s goes out as %s, want %s", dialled, out.Recipient.User, want)
			}
			cloud.answers(out, 404)
			cloud.gets(sip.ACK)
			a.acks(invite, a.hears(404))
		}
		w.idle()
	})
}

func TestThePhoneShowsTheNumberThatTheProfileNames(t *testing.T) {
	for _, c := range []struct {
		name     provider.Name
		internal provider.Internal
		from     string
		asserted string
		want     string
	}{
		{provider.CNT, provider.Local, "+49891112220", "+491711234567", "0891112220"}, // a mobile that shows its company
		{provider.Generic, provider.Local, "+49891112220", "+491711234567", "01711234567"},
		{provider.HFO, provider.Local, "0891112220", "0891112220", "0891112220"},
		{provider.Generic, provider.Cloud, "+498912345622", "+498912345622", "22"},
		{provider.Generic, provider.Local, "+498912345622", "+498912345622", "08912345622"}, // who claims to be a colleague is none
		{provider.Generic, provider.Local, "22", "22", "22"},
	} {
		tune := func(cfg *Config) { of(c.name)(cfg); cfg.Internal = c.internal }
		inWorld(t, tune, func(t *testing.T, w *world) {
			cloud := w.up()
			b := w.phone("23", 20)
			b.registers()
			in := cloud.request(sip.INVITE, "acc23", "sdp", "P-Asserted-Identity: <sip:"+c.asserted+"@cloud.example>")
			in.From().Address.User = c.from
			cloud.send(in)
			rung := b.gets(sip.INVITE)
			if got := rung.From().Address.User; got != c.want {
				t.Errorf("%s: From %s, asserted %s: shown %s, want %s", c.name, c.from, c.asserted, got, c.want)
			}
			b.answers(rung, 486)
			b.gets(sip.ACK)
			cloud.acks(in, cloud.hears(486))
			w.idle()
		})
	}
}

func TestEachProviderGetsNumbersInItsForm(t *testing.T) {
	for _, name := range provider.Names() {
		inWorld(t, of(name), func(t *testing.T, w *world) {
			cloud := w.up()
			a := w.phone("22", 10)
			want, own := "+49895601", "+498912345622"
			if w.cfg.Profile.Write == number.WithArea {
				want, own = "0895601", "08912345622"
			}
			invite := a.dials("5601")
			out := cloud.gets(sip.INVITE)
			ids := sip.Identities(out, string(w.cfg.Profile.Identity.Header))
			if out.Recipient.User != want || len(ids) != 1 || ids[0].User != own || out.From().Address.User != "acc22" {
				t.Errorf("%s: to %s from %s as %v", name, out.Recipient.User, out.From().Address.User, ids)
			}
			cloud.answers(out, 486)
			cloud.gets(sip.ACK)
			a.acks(invite, a.hears(486))
			w.idle()
		})
	}
}
