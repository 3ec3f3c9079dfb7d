package config

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"linekeeper/sbc/provider"
	"linekeeper/sbc/sip"
)

const withClients = `site: {name: Praxis, area_code: "89", main_number: "+498912345620"}
provider: {profile: hfo-centrex, domain: praxis.example}
lan:
  clients:
CLIENTS
extensions:
  - {number: "22", password: kaffeetasse-7-ahorn, cloud: {account: "22", password: regenschirm-4-dachs}}
  - {number: "23", password: birnbaum-3-falke, cloud: {account: "23", password: pinsel-9-otter}}
`

func clients(entries ...string) []byte {
	return []byte(strings.Replace(withClients, "CLIENTS", "    - "+strings.Join(entries, "\n    - "), 1))
}

func TestUCServersBesideThePhonesAreUnderstood(t *testing.T) {
	s, ps := Parse("site.yaml", clients(
		`{name: procall, profile: estos-ucserver, address: 10.0.100.9}`,
		`{name: xphone, profile: xphone-connect, address: 10.0.100.10, password: holunder-3-specht, extensions: ["22", "23"]}`,
		`{name: second, profile: xphone-connect, address: 10.0.100.11, transport: tcp, port: 5070, auth: trunk, password: holunder-4-specht, extensions: ["22"]}`,
	))
	if s == nil || len(ps) != 0 {
		t.Fatalf("problems:\n%s", lines(ps))
	}
	for i, want := range []struct {
		transport sip.Transport
		peer      string
		auth      string
		registers bool
	}{{sip.UDP, "10.0.100.9:5060", "procall", true}, {sip.UDP, "10.0.100.10:5060", "xphone", false}, {sip.TCP, "10.0.100.11:5070", "trunk", false}} {
		c := s.LAN.Clients[i]
		tr, peer := c.Peer()
		if tr != want.transport || peer.String() != want.peer || c.AuthName() != want.auth || c.Is().Registers != want.registers {
			t.Errorf("%s: %s %s %s", c.Name, tr, peer, c.AuthName())
		}
	}
	if c, ok := s.ClientAt(netip.MustParseAddr("::ffff:10.0.100.10")); !ok || c.Profile != provider.XPhone {
		t.Errorf("at 10.0.100.10 is %+v", c)
	}
	if _, ok := s.ClientAt(netip.MustParseAddr("10.0.100.12")); ok {
		t.Error("a stranger counts as a UC server")
	}
	if text, err := RedactDocument(clients(`{name: x, profile: xphone-connect, address: 10.0.100.10, password: holunder-3-specht, extensions: ["22"]}`)); err != nil || strings.Contains(string(text), "holunder") {
		t.Errorf("the password is shown:\n%s", text)
	}
}

func TestMistakesAboutUCServersAreFound(t *testing.T) {
	for entry, want := range map[string]string{
		`{name: a, profile: estos, address: 10.0.100.9}`:                                                                         "lan.clients[0].profile",
		`{name: a, profile: estos-ucserver}`:                                                                                     "lan.clients[0].address",
		`{name: a, profile: estos-ucserver, address: 10.0.100.9, extensions: ["22"]}`:                                            "registers its extensions by itself",
		`{name: a, profile: estos-ucserver, address: 10.0.100.9, password: holunder-3-specht}`:                                   "has no password of its own",
		`{name: a, profile: xphone-connect, address: 10.0.100.9}`:                                                                "says for whom",
		`{name: a, profile: xphone-connect, address: 10.0.100.9, extensions: ["22", "32"]}`:                                      "there is no extension 32",
		`{name: a, profile: xphone-connect, address: 10.0.100.9, extensions: ["22", "22"]}`:                                      "22 is there twice",
		`{name: a, profile: xphone-connect, address: 10.0.100.9, extensions: ["22"], auth: x}`:                                   "a name without a password",
		`{name: a, profile: xphone-connect, address: 10.0.100.9, extensions: ["22"], transport: tls}`:                            "lan.clients[0].transport",
		`{name: a, profile: xphone-connect, address: 10.0.100.9, extensions: ["22"], port: 70000}`:                               "lan.clients[0].port",
		`{name: a, profile: xphone-connect, address: 10.0.100.9, extensions: ["22"], number: "4"}`:                               "unknown key",
		"{name: a, profile: estos-ucserver, address: 10.0.100.9}\n    - {name: a, profile: estos-ucserver, address: 10.0.100.9}": "the name a is there twice",
		"{name: a, profile: estos-ucserver, address: 10.0.100.9}\n    - {name: b, profile: estos-ucserver, address: 10.0.100.9}": "is also the address of a",
	} {
		_, ps := Parse("site.yaml", clients(entry))
		if !strings.Contains(lines(ps), want) {
			t.Errorf("%s: %q isn't among\n%s", entry, want, lines(ps))
		}
	}
}

func TestMediaOfAClientIsItsOwnTheProfilesOrThePhones(t *testing.T) {
	s, ps := Parse("site.yaml", clients(
		`{name: a, profile: estos-ucserver, address: 10.0.100.9}`,
		`{name: b, profile: xphone-connect, address: 10.0.100.10, extensions: ["22"]}`,
		`{name: c, profile: xphone-connect, address: 10.0.100.11, srtp: required, keying: dtls, ice: required, extensions: ["22"]}`,
		`{name: d, profile: xphone-connect, address: 10.0.100.12, srtp: off, ice: off, extensions: ["22"]}`,
	))
	if s == nil || len(ps) != 0 {
		t.Fatalf("problems:\n%s", lines(ps))
	}
	for i, want := range []string{"preferred either answered", "preferred either offered", "required dtls required", "off either off"} {
		srtp, keying, ice := s.LAN.Clients[i].Media(s.LAN)
		if got := fmt.Sprint(srtp, " ", keying, " ", ice); got != want {
			t.Errorf("%s: %s, want %s", s.LAN.Clients[i].Name, got, want)
		}
	}
	s.LAN.ICE = provider.ICERequired
	if _, _, ice := s.LAN.Clients[1].Media(s.LAN); ice != provider.ICERequired {
		t.Errorf("the profile's wish is weaker than what lan requires, and won: %s", ice)
	}
}

func TestMistakesAboutMediaOfASideAreFound(t *testing.T) {
	document := func(p, lan, client string) []byte {
		doc := string(clients("{name: a, profile: xphone-connect, address: 10.0.100.9, extensions: [\"22\"]" + client + "}"))
		doc = strings.Replace(doc, "domain: praxis.example", "domain: praxis.example"+p, 1)
		return []byte(strings.Replace(doc, "lan:\n", "lan:\n"+lan, 1))
	}
	for _, c := range []struct{ provider, lan, client, want string }{
		{", keying: sdes, srtp: off", "", "", "provider.keying: isn't used: srtp is off"},
		{"", "  srtp: off\n  keying: dtls\n", "", "lan.keying: isn't used: srtp is off"},
		{"", "", ", srtp: off, keying: dtls", "lan.clients[0].keying: isn't used: srtp is off"},
		{"", "", ", srtp: required", "lan.clients[0].srtp: its media keys travel in the clear"},
		{", srtp: required, keying: either", "", "", "provider.srtp: the media keys travel in the clear"},
		{"", "  sip: [\"udp://:5060\"]\n  srtp: required\n", "", "lan.srtp: the phones' media keys travel in the clear"},
		{", ice: required", "", "", "provider.ice: without a STUN server"},
		{", turn: {servers: [\"turn.example\"]}", "", "", "provider.turn: a TURN server relays for nobody"},
		{", turn: {servers: [\"turn.example\"], user: a, password: holunder-3-specht}", "", "", "provider.turn: isn't used"},
		{", turn: {user: a, password: holunder-3-specht}", "", "", "provider.turn: credentials without a server"},
		{", turn: {servers: [\"turn:turn.example\"]}", "", "", "provider.turn.servers[0]"},
		{", ice: maybe", "", "", "one of off, offered, required"},
		{", ice: answered", "", "", "one of off, offered, required"},
		{"", "  ice: offerd\n", "", "did you mean offered?"},
		{"", "  keying: srtp\n", "", "one of sdes, dtls, either"},
	} {
		_, ps := Parse("site.yaml", document(c.provider, c.lan, c.client))
		if !strings.Contains(strings.ReplaceAll(lines(ps), ": warning: ", ": "), c.want) {
			t.Errorf("%+v: %q isn't among\n%s", c, c.want, lines(ps))
		}
	}
	for _, c := range []struct{ provider, lan, client string }{
		{", srtp: required, keying: dtls, ice: true, stun: [\"stun.example:3478\"]", "", ""},
		{", ice: required, stun: [\"stun.example\"], turn: {servers: [\"turn.example:3478\", \"192.0.2.7\"], user: a, password: holunder-3-specht}", "", ""},
		{"", "  srtp: required\n  keying: dtls\n  ice: required\n", ", keying: dtls"},
	} {
		s, ps := Parse("site.yaml", document(c.provider, c.lan, c.client))
		if s == nil || len(ps.Of(Warning)) > 0 {
			t.Errorf("%+v:\n%s", c, lines(ps))
		}
	}
	for word, want := range map[string]provider.ICE{"true": provider.ICEOffered, "false": provider.ICEOff, "required": provider.ICERequired, "off": provider.ICEOff} {
		if s, ps := Parse("site.yaml", document(", ice: "+word, "", "")); s == nil || s.Provider.ICE != want {
			t.Errorf("ice: %s is %+v\n%s", word, s, lines(ps))
		}
	}
}
