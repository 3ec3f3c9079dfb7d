package appliance

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"linekeeper/appliance/config"
	"linekeeper/sbc"
	"linekeeper/sbc/provider"
	"linekeeper/sbc/sdp"
	"linekeeper/sbc/sip"
)

// read parses a document of testdata/config.
func read(t *testing.T, name string) *config.Site {
	t.Helper()
	path := filepath.Join("..", "testdata", "config", name+".yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	site, found := config.Parse(path, text)
	if found.Failed() {
		t.Fatal(found.Err())
	}
	return site
}

// The five systems: what each of them makes of the switchboard and the sockets,
// where the site document says no more than it must.
func TestEachProfileReachesTheSwitchboard(t *testing.T) {
	cases := []struct {
		profile    string
		domain     string // of the accounts
		serverName string // in the certificate
		transport  sip.Transport
		port       uint16
		servers    int
		spacing    time.Duration
		expires    time.Duration
		codecs     []string
		exclusive  bool
		internal   provider.Internal
		srtp       sdp.Policy
		account    string
		auth       string
	}{
		{"mnet-cloudcom", "kanzlei.cloudcom.example", "kanzlei.cloudcom.example", sip.TLS, 5061, 0, 300 * time.Millisecond, 600 * time.Second,
			[]string{"PCMA", "PCMU", "G722", "opus", "telephone-event"}, false, provider.Local, sdp.Preferred, "10", "10"},
		{"cnt-callmanager", "autohaus.cnt.example", "autohaus.cnt.example", sip.TLS, 5061, 2, 300 * time.Millisecond, 600 * time.Second,
			[]string{"PCMA", "PCMU", "G722", "opus", "G729", "G726-32", "G728", "GSM", "speex", "telephone-event"}, false, provider.Local, sdp.Required, "autohaus100", "autohaus100"},
		{"telekom-cloudpbx", "cloudpbx.example", "cloudpbx.example", sip.TLS, 5061, 0, 300 * time.Millisecond, 600 * time.Second,
			[]string{"PCMA", "PCMU", "G722", "opus", "telephone-event"}, false, provider.Local, sdp.Preferred, "+4989887766771", "+4989887766771"},
		{"hfo-centrex", "spedition.hfo.example", "spedition.hfo.example", sip.UDP, 5060, 1, 300 * time.Millisecond, 600 * time.Second,
			[]string{"PCMA", "PCMU", "telephone-event"}, true, provider.Local, sdp.Off, "20", "20"},
		{"generic", "192.0.2.10", "192.0.2.10", sip.TCP, 5060, 1, 300 * time.Millisecond, 600 * time.Second,
			[]string{"PCMA", "PCMU", "G722", "opus", "telephone-event"}, false, provider.Local, sdp.Preferred, "sommer-30", "u81230"},
	}
	for _, c := range cases {
		t.Run(c.profile, func(t *testing.T) {
			site := read(t, c.profile)
			got := switchConfig(site, "Linekeeper/test")
			tr, side := got.Trunk, got.Sides[trunkZone]
			if tr.Domain != c.domain || tr.Zone != trunkZone || tr.Spacing != c.spacing || tr.Expires != c.expires || tr.Exclusive != c.exclusive || tr.Refresh <= 0 {
				t.Errorf("trunk %+v", tr)
			}
			if side.SRTP != c.srtp || !slices.Equal(side.Codecs, c.codecs) {
				t.Errorf("media toward the cloud: srtp %v, codecs %v", side.SRTP, side.Codecs)
			}
			if got.Internal != c.internal {
				t.Errorf("internal calls: %s", got.Internal)
			}
			if l := got.Lines[0]; l.Account != c.account || l.Auth != c.auth || l.Password == "" || l.Extension != site.Extensions[0].Number {
				t.Errorf("line %s, auth %s, extension %s", l.Account, l.Auth, l.Extension)
			}
			src := source(site)
			if src.Transport != c.transport || src.Port != c.port || len(src.Servers) != c.servers {
				t.Errorf("servers come from %+v", src)
			}
			zone, err := new(Box).trunkZoneOf(site)
			if err != nil || zone.ClientTLS.ServerName != c.serverName || zone.ClientTLS.InsecureSkipVerify || zone.Port != trunkPort {
				t.Errorf("zone %+v, %v", zone, err)
			}
		})
	}
}

func TestExtensionWithoutAnAccountHasNoLine(t *testing.T) {
	got := switchConfig(read(t, "generic"), "Linekeeper/test")
	if len(got.Lines) != 1 || got.Extensions["31"].Account != "" || got.Extensions["30"].Account != "sommer-30" {
		t.Errorf("%d lines; 30 has %q, 31 has %q", len(got.Lines), got.Extensions["30"].Account, got.Extensions["31"].Account)
	}
	if got.Extensions["31"].Password == "" {
		t.Error("the phone's password is lost")
	}
}

func TestSidesHaveTheirOwnPortsAndPolicies(t *testing.T) {
	site := config.Default()
	site.Provider.Profile, site.Provider.SRTP, site.LAN.SRTP = provider.Generic, provider.Required, provider.Preferred
	got := switchConfig(site, "Linekeeper/test")
	lan, wan := got.Sides[sbc.LAN], got.Sides[trunkZone]
	if lan.Low != 20000 || lan.High != 23999 || wan.Low != 30000 || wan.High != 33000 {
		t.Errorf("ports %d-%d and %d-%d", lan.Low, lan.High, wan.Low, wan.High)
	}
	if lan.SRTP != sdp.Preferred || wan.SRTP != sdp.Required {
		t.Errorf("srtp %v and %v", lan.SRTP, wan.SRTP)
	}
	if policy(provider.Off) != sdp.Off {
		t.Error("off is not off")
	}
	if wan.DTLS || wan.ICE != sdp.ICEOff || lan.ICE != sdp.ICELite {
		t.Errorf("wan %+v, lan %+v", wan, lan)
	}
	if wan.Sole || lan.Sole || !wan.Transcode || !lan.Transcode || !wan.Presses || !lan.Presses || got.Country != "DE" {
		t.Errorf("wan %+v, lan %+v, country %s", wan, lan, got.Country)
	}
	site.Provider.Keying, site.Provider.ICE, site.Provider.STUN = provider.DTLS, provider.ICEOffered, []string{"stun.example"}
	site.LAN.Keying, site.LAN.ICE, site.Quality.Transcode, site.Site.Country = provider.SDES, provider.ICERequired, false, "GB"
	site.LAN.Clients = []config.Client{{Name: "x", Profile: provider.XPhone, SRTP: provider.Off, Keying: provider.DTLS, ICE: provider.ICEOff}}
	got = switchConfig(site, "")
	lan, wan = got.Sides[sbc.LAN], got.Sides[trunkZone]
	if !wan.DTLS || !wan.Sole || wan.ICE != sdp.ICEFull || wan.Transcode || !wan.Presses {
		t.Errorf("wan %+v", wan)
	}
	if lan.DTLS || !lan.Sole || lan.ICE != sdp.ICERequired || lan.Transcode || got.Country != "GB" {
		t.Errorf("lan %+v, country %s", lan, got.Country)
	}
	if x := got.Sides["lan/x"]; x.SRTP != sdp.Off || !x.DTLS || !x.Sole || x.ICE != sdp.ICEOff || x.Low != lan.Low {
		t.Errorf("client %+v", x)
	}
	site.Provider.TURN = config.TURN{Servers: []string{"turn.example"}, User: "a", Password: config.NewSecret("b")}
	if c := turnConfig(site); len(c.Servers) != 1 || c.User != "a" || c.Password != "b" {
		t.Errorf("relayed by %+v", c)
	}
	site.Provider.ICE = provider.ICEOff
	if c := turnConfig(site); len(c.Servers) != 0 {
		t.Error("addresses are kept at a server that nobody will use")
	}
	if c := publicConfig(site); len(c.Servers) != 1 || c.Servers[0] != "stun.example" {
		t.Errorf("asks %+v", c)
	}
}

func TestTrunkTrustsWhatTheDocumentNames(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.pem")
	if err := os.WriteFile(empty, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, set := range []func(*config.TLS){
		func(c *config.TLS) { c.CA = filepath.Join(dir, "nowhere.pem") },
		func(c *config.TLS) { c.CA = empty },
		func(c *config.TLS) { c.Certificate, c.Key = empty, empty },
	} {
		site := config.Default()
		set(&site.Provider.TLS)
		if _, err := new(Box).trunkZoneOf(site); err == nil {
			t.Errorf("%+v was taken", site.Provider.TLS)
		}
	}
	site := config.Default()
	site.Provider.Domain, site.Provider.TLS.ServerName = "a.example", "b.example"
	if zone, err := new(Box).trunkZoneOf(site); err != nil || zone.ClientTLS.ServerName != "b.example" || zone.ClientTLS.RootCAs != nil {
		t.Errorf("%+v, %v: want the name that is set and the system's authorities", zone.ClientTLS, err)
	}
}
