package systems

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"linekeeper/appliance/api"
	"linekeeper/appliance/lab/cloud"
	"linekeeper/appliance/lab/phone"
	"linekeeper/appliance/lab/tone"
	"linekeeper/appliance/lab/ua"
	"linekeeper/appliance/lab/voice"
)

// outside is how the subscriber outside behaves in all scenes.
func outside(numbers ...string) map[string]cloud.Script {
	all := map[string]cloud.Script{}
	for _, n := range numbers {
		all[n] = cloud.Script{Does: cloud.Answers, RingAfter: 20 * time.Millisecond, AnswerAfter: 50 * time.Millisecond, Tone: outsideTone}
	}
	return all
}

// accounts are the cloud's subscribers; the public number is base and the extension.
func accounts(base string, exts ...string) []cloud.Account {
	var all []cloud.Account
	for _, e := range exts {
		all = append(all, cloud.Account{User: e, Password: linePassword(e), Public: base + e})
	}
	return all
}

// extensions are the site's, one a line of the document.
func extensions(base, class string, exts ...string) string {
	var b strings.Builder
	for _, e := range exts {
		fmt.Fprintf(&b, "  - {number: %q, name: Platz %s, public: %q, password: %s, class: %s, cloud: {account: %q, password: %s}}\n",
			e, e, base+e, phonePassword(e), class, e, linePassword(e))
	}
	return b.String()
}

func (s *scene) listen(t ua.Transport, port uint16) cloud.Listen {
	return cloud.Listen{Transport: t, Addr: netip.AddrPortFrom(s.addr(cloudHost), port)}
}

const munich = "+4989123456"

// site is the head of a document; the rest are the provider's and the LAN's keys.
const site = `site: {name: Praxis, area_code: "89", main_number: "+498912345620", language: en}
wan: {address: WAN}
lan:
  sip: ["udp://LAN:5060", "tcp://LAN:5060", "tls://LAN:5061"]
`

// TestMNetCloudCom: a third-party device by SIP over TLS, TCP 5061; speech is
// encrypted, internal calls stay in the local network.
func TestMNetCloudCom(t *testing.T) {
	s := newScene(t)
	s.opens(cloud.CloudCom, cloud.Config{
		Listen: []cloud.Listen{s.listen(ua.TLS, 5061)}, Domain: "cloudcom.example",
		Accounts: accounts(munich, "22", "23", "24"), Outside: outside("+49895601", "+496131123456", "+431234567", "116117"),
	})
	s.starts(site + `provider: {profile: mnet-cloudcom, domain: cloudcom.example, servers: ["tls://CLOUD:5061"], tls: {ca: CAFILE}}
extensions:
` + extensions(munich, "international", "22", "23", "24"))
	s.online(3)
	s.paced(300 * time.Millisecond)
	a, b := s.phone("22", 440), s.phone("23", 523)
	own := munich + "22"
	s.calls(out{from: a, dials: "5601", number: "+49895601", shows: own, secure: true, hold: true})
	s.calls(out{from: a, dials: "06131 123456", number: "+496131123456", shows: own, secure: true})
	s.calls(out{from: a, dials: "0043 1 234567", number: "+431234567", shows: own, secure: true})
	s.calls(out{from: a, dials: "*31%230895601", number: "+49895601", shows: "", secure: true})
	s.calls(out{from: b, dials: "116117", number: "116117", shows: munich + "23", secure: true})
	s.comes(a, "22", "+4989555200", "+4989555200", "089555200")
	s.inside(a, b)
	s.leaves("24", `number: "24"`)

	// Negative: without SRTP the cloud takes no call, and the phone learns it.
	s.becomes("profile: mnet-cloudcom,", "profile: mnet-cloudcom, srtp: off,")
	s.online(2)
	s.refused(a, "0895601", 488)
}

// TestMNetCloudComUnderAnotherNameIsNotTrusted: the certificate must be for the
// name that the site expects, and the cloud wants to be called by its own.
func TestMNetCloudComUnderAnotherNameIsNotTrusted(t *testing.T) {
	s := newScene(t)
	cfg := cloud.Config{
		Listen: []cloud.Listen{s.listen(ua.TLS, 5061)}, Domain: "cloudcom.example", Accounts: accounts(munich, "22"),
	}
	cfg.Obey(cloud.CloudCom)
	cfg.Rules.ServerName = false // it would hang up before it shows the certificate that is to be judged
	c, err := cloud.New(cfg)
	s.must(err, "cloud")
	s.Cleanup(c.Close)
	s.cloud = c
	s.starts(site + `provider: {profile: mnet-cloudcom, domain: cloudcom.example, servers: ["tls://CLOUD:5061"], tls: {ca: CAFILE, server_name: other.example}}
extensions:
` + extensions(munich, "international", "22"))
	st := s.status("the certificate is named", func(st api.Status) bool { return strings.Contains(st.Cause, "certificate") })
	if st.Lines.Registered != 0 || c.Stats().Registers != 0 {
		t.Errorf("%+v, the cloud saw %d registrations", st.Lines, c.Stats().Registers)
	}
}

// TestCNTCallManager: E.164, SRTP, numbers that the user provides pass
// unscreened and are told apart from the network's, accounts are limited to
// addresses, expensive ranges are barred.
func TestCNTCallManager(t *testing.T) {
	s := newScene(t)
	cfg := cloud.Config{
		Listen: []cloud.Listen{s.listen(ua.TLS, 5061)}, Domain: "cnt.example", Codecs: []tone.Law{tone.A, tone.Mu},
		Accounts: accounts(munich, "22", "23", "24"), Outside: outside("+49895601", "+496131123456"),
	}
	cfg.Obey(cloud.CallManager)
	cfg.Rules.Allow = []netip.Prefix{netip.PrefixFrom(s.addr(wanHost), 32)}
	c, err := cloud.New(cfg)
	s.must(err, "cloud")
	s.Cleanup(c.Close)
	s.cloud = c
	s.starts(site + `provider: {profile: cnt-callmanager, domain: cnt.example, servers: ["tls://CLOUD:5061"], tls: {ca: CAFILE}, srtp: required}
dialplan: {blocked: ["010", "011", "012", "0900", "118"]}
extensions:
` + extensions(munich, "national", "22", "24") + `  - {number: "23", name: Zentrale, public: "+4930700700", password: ` + phonePassword("23") + `, class: national, cloud: {account: "23", password: ` + linePassword("23") + `}}
`)
	s.online(3)
	a, b := s.phone("22", 440), s.phone("23", 523)
	s.calls(out{from: a, dials: "5601", number: "+49895601", shows: munich + "22", secure: true, hold: true})
	s.calls(out{from: b, dials: "06131123456", number: "+496131123456", shows: "+4930700700", secure: true}) // CLIP no screening
	s.comes(a, "22", "+4930111222", "+491712345678", "030111222")                                            // and the other way
	s.comes(a, "22", "+49895601", "+49895601", "0895601")
	s.inside(a, b)
	before := c.Stats().Calls
	for _, dials := range []string{"01033 0895601", "0115601", "0123 4567", "0900 1234567", "+49900 1234567", "11833", "0043 1 234567"} {
		s.refused(a, strings.ReplaceAll(dials, " ", ""), 403)
	}
	if n := c.Stats().Calls - before; n != 0 {
		t.Errorf("%d barred calls reached the cloud", n)
	}
	if got := c.Breaches(); len(got) > 0 {
		t.Errorf("rules of the house were broken: %q", got)
	}
	s.leaves("24", `number: "24"`)

	// Negative: from another address the account is refused, and the status says why.
	s.becomes("wan: {address: "+s.addr(wanHost).String()+"}", "wan: {address: "+s.addr(otherHost).String()+"}")
	s.must(c.WaitBreach(s.within(longest), "acl: "+s.addr(otherHost).String()), "the access list refuses")
	s.status("the lines are down", func(st api.Status) bool { return st.Lines.Registered == 0 })
}

// TestTelekomDeutschlandLAN: four-digit extensions by the longest one, no
// outside prefix, *86, *21 and #21 go to the cloud, a refused password is not
// tried again blindly (the three tries take minutes: sbc/line has their test),
// and XPhone Connect stands beside the phones.
func TestTelekomDeutschlandLAN(t *testing.T) {
	const base = "+4989887766"
	s := newScene(t)
	s.opens(cloud.DeutschlandLAN, cloud.Config{
		Listen: []cloud.Listen{s.listen(ua.TLS, 5061), s.listen(ua.TCP, 5060)}, Domain: "dlan.example",
		Accounts: accounts(base, "771", "7770", "7701"), Outside: outside("+49895601", "+498977010", "110"),
	})
	s.cloud.SetPassword("7701", "changed-by-the-provider")
	s.starts(strings.Replace(site, "+498912345620", base+"771", 1) + `  clients: [{name: xphone, profile: xphone-connect, address: SERVER, extensions: ["771"]}]
provider: {profile: telekom-cloudpbx, domain: dlan.example, servers: ["tls://CLOUD:5061"], tls: {ca: CAFILE}}
extensions:
` + extensions(base, "national", "771", "7770", "7701"))
	s.must(s.cloud.WaitRegistered(s.within(longest), "771", "7770"), "the other lines")
	s.must(s.cloud.WaitRecords(s.within(longest), 3), "the refusal")
	s.refusedLine("7701", "does not allow the account")
	s.cloud.SetPassword("7701", linePassword("7701"))
	if n := s.cloud.Stats().BadCredentials; n != 1 || s.cloud.Locked("7701") {
		t.Errorf("%d tries with a refused password, locked %v: it is never retried blindly", n, s.cloud.Locked("7701"))
	}
	s.must(s.api.RetryLines(s.within(longest)), "lines --retry")
	s.online(3)

	x := s.xphone("", "771")
	a, b := s.phone("771", 440), s.phone("7770", 523)
	s.calls(out{from: a, dials: "0895601", number: "+49895601", shows: base + "771", secure: true, hold: true})
	s.calls(out{from: a, dials: "77010", number: "+498977010", shows: base + "771", secure: true}) // longer than an extension
	s.calls(out{from: a, dials: "110", number: "110", shows: base + "771", secure: true})
	s.refused(a, "5601", 404) // as long as an extension, and nobody's
	for _, c := range []string{"*86", "*21", "#21"} {
		s.code(a, "771", c, c)
	}
	x.takes(b, "771") // the softphone answers what rings at both
	s.inside(a, b)
	s.comes(b, "7770", "+4989555200", "+4989555200", "089555200")
	s.leaves("7701", `number: "7701"`)
}

// refusedLine waits until a line is refused for a cause, in words.
func (s *scene) refusedLine(account, cause string) {
	s.Helper()
	ctx := s.within(longest)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		lines, err := s.api.Lines(ctx)
		s.must(err, "lines")
		for _, l := range lines {
			if l.Account == account && strings.Contains(l.Cause, cause) {
				return
			}
		}
		select {
		case <-ctx.Done():
			s.Fatalf("line %s is not refused for %q: %+v", account, cause, lines)
		case <-tick.C:
		}
	}
}

// TestHFOCrownCentrex: UDP alone, 300 ms between registrations, exclusive
// accounts, A-law before µ-law, the area code always, the guide's star codes;
// beside the phones estos' UCServer with many lines at one address.
func TestHFOCrownCentrex(t *testing.T) {
	s := newScene(t)
	exts := []string{"22", "23", "24", "25", "26", "27"}
	s.opens(cloud.CrownCentrex, cloud.Config{
		Listen: []cloud.Listen{s.listen(ua.UDP, 5060)}, Domain: "praxis.example",
		Accounts: accounts(munich, exts...), Outside: outside("0895601", "06131123456", "00431234567", "116117"),
	})
	s.starts(site + `  clients: [{name: procall, profile: estos-ucserver, address: SERVER}]
provider: {profile: hfo-centrex, domain: praxis.example, servers: ["udp://CLOUD:5060"]}
extensions:
` + extensions(munich, "international", exts...))
	s.online(len(exts))
	s.paced(300 * time.Millisecond)
	for _, r := range s.cloud.Registrations() {
		if r.Code != 200 || r.Expires != 600*time.Second {
			t.Errorf("registration %+v, want 600 s asked for and granted", r)
		}
	}
	a := s.phone("22", 440)
	lines := s.ucServer(exts[1:])
	b := lines[0]
	own := "089123456"
	s.calls(out{from: a, dials: "5601", number: "0895601", shows: own + "22", hold: true})
	s.calls(out{from: a, dials: "+49 6131 123456", number: "06131123456", shows: own + "22"})
	s.calls(out{from: b, dials: "+43 1 234567", number: "00431234567", shows: own + "23"})
	s.calls(out{from: b, dials: "116117", number: "116117", shows: own + "23"})
	s.comes(a, "22", "089555200", "089555200", "089555200")
	for _, p := range lines { // each line of the server is reached by its own number
		s.comes(p, p.Extension(), "06131555200", "06131555200", "06131555200")
	}
	s.inside(a, b)
	s.code(a, "22", "*72*5601", "*72*0895601")
	s.code(a, "22", "*72*06131123456*20", "*72*06131123456*20")
	for _, c := range []string{"*31", "*32", "*72*", "*73", "*76", "*77", "*78", "*79", "*80", "*823", "*99", "*990", "*991"} {
		s.code(a, "22", c, c)
	}
	s.refused(a, "*72*09001234567", 403)

	// Negative: somebody else with the same account is turned away, the box is not.
	thief, err := phone.New(phone.Config{Extension: "22", Password: linePassword("22"), Registrar: s.cloud.Addr(ua.UDP), Domain: "praxis.example", Local: s.addr(otherHost), Pacer: s.pacer})
	s.must(err, "second device")
	s.Cleanup(thief.Close)
	if err := thief.Register(s.within(longest)); err == nil || s.cloud.Stats().Intrusions != 1 {
		t.Errorf("a second device got the account: %v, %d intrusions", err, s.cloud.Stats().Intrusions)
	}
	s.calls(out{from: a, dials: "0895601", number: "0895601", shows: own + "22"})
	s.leaves("27", `number: "27"`)
}

// ucServer registers lines of estos' UCServer, all at one address, as fast as it
// can, after one of them has been wrong ten times.
func (s *scene) ucServer(exts []string) []*phone.Phone {
	s.Helper()
	at := func(c *phone.Config) {
		c.Local, c.Codecs, c.Security = s.addr(serverHost), []tone.Law{tone.A, tone.Mu}, voice.Plain
	}
	wrong := s.unregistered(exts[0], 0, at, func(c *phone.Config) { c.Password = "falsch" })
	for range 10 {
		if err := wrong.Register(s.within(longest)); err == nil {
			s.Fatal("a wrong password was taken")
		}
	}
	var all []*phone.Phone
	for i, e := range exts {
		all = append(all, s.phone(e, float64(523+100*i), at))
	}
	if !slices.ContainsFunc(all, func(p *phone.Phone) bool { return p.Local().Addr() == s.addr(serverHost) }) {
		s.Error("the lines are not at the server's address")
	}
	return all
}
