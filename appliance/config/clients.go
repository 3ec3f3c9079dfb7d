package config

import (
	"cmp"
	"net/netip"
	"slices"

	"linekeeper/sbc/provider"
	"linekeeper/sbc/sip"
)

// Client is a UC server that stands beside the phones.
type Client struct {
	Name    string              `yaml:"name" apply:"live" need:"yes" form:"word"`
	Profile provider.ClientName `yaml:"profile" apply:"live" need:"yes" one:"estos-ucserver|xphone-connect"`
	// Address is where it speaks SIP from, and where calls for it go.
	Address netip.Addr `yaml:"address" apply:"live" need:"yes"`
	// Transport and Port are how a trunk-like one takes calls; left out: the profile's.
	Transport sip.Transport `yaml:"transport" apply:"newcalls" one:"|udp|tcp"`
	Port      int           `yaml:"port" apply:"newcalls" min:"0" max:"65535"`
	// SRTP, Keying and ICE are as for the phones; left out: the profile's, or the phones'.
	SRTP   provider.SRTP   `yaml:"srtp" apply:"newcalls" one:"|required|preferred|off"`
	Keying provider.Keying `yaml:"keying" apply:"newcalls" one:"|sdes|dtls|either"`
	ICE    provider.ICE    `yaml:"ice" apply:"newcalls" one:"|off|answered|offered|required"`
	// Auth and Password let a trunk-like one prove itself by digest; without a
	// password its address is enough.
	Auth     string `yaml:"auth" apply:"live" form:"account"`
	Password Secret `yaml:"password" apply:"live"`
	// Extensions are those whose calls a trunk-like one takes and makes.
	Extensions []string `yaml:"extensions" apply:"newcalls" most:"2000" form:"extension"`
}

// Is is the profile of the client.
func (c Client) Is() provider.Client {
	p, _ := provider.LookupClient(c.Profile)
	return p
}

// Peer is where a trunk-like client takes calls.
func (c Client) Peer() (sip.Transport, netip.AddrPort) {
	p := c.Is()
	return cmp.Or(c.Transport, p.Transport()), netip.AddrPortFrom(c.Address, uint16(cmp.Or(c.Port, int(p.Port))))
}

// Media is what is wanted of the client's media where lan stands for the phones.
func (c Client) Media(lan LAN) (provider.SRTP, provider.Keying, provider.ICE) {
	ice := lan.ICE
	if c.Is().ICE && !ice.Offers() {
		ice = provider.ICEOffered
	}
	return cmp.Or(c.SRTP, lan.SRTP), cmp.Or(c.Keying, lan.Keying), cmp.Or(c.ICE, ice)
}

// AuthName is the name to authenticate with.
func (c Client) AuthName() string { return cmp.Or(c.Auth, c.Name) }

// ClientAt is the client that speaks from an address.
func (s *Site) ClientAt(a netip.Addr) (Client, bool) {
	i := slices.IndexFunc(s.LAN.Clients, func(c Client) bool { return c.Address == a.Unmap() })
	if i < 0 {
		return Client{}, false
	}
	return s.LAN.Clients[i], true
}

func (r *reader) judgeClients(s *Site) {
	names, addrs := map[string]bool{}, map[netip.Addr]string{}
	for i, c := range s.LAN.Clients {
		path := func(key string) string { return at("lan.clients", i, key) }
		if names[c.Name] && c.Name != "" {
			r.wrong(path("name"), "", "the name %s is there twice", c.Name)
		}
		names[c.Name] = true
		if other, twice := addrs[c.Address]; twice && c.Address.IsValid() {
			r.wrong(path("address"), "one entry for an address", "is also the address of %s", other)
		}
		addrs[c.Address] = c.Name
		if c.Profile != "" {
			r.judgeClient(s, c, path)
		}
	}
}

// judgeClient compares what a client has with what it is.
func (r *reader) judgeClient(s *Site, c Client, path func(string) string) {
	p := c.Is()
	r.judgeClientMedia(s, c, path)
	if p.Registers {
		if len(c.Extensions) > 0 {
			r.warn(path("extensions"), "", "%s registers its extensions by itself, with their passwords", p.Title)
		}
		if !c.Password.IsZero() || c.Auth != "" {
			r.warn(path(""), "give the extensions their passwords", "%s has no password of its own", p.Title)
		}
		return
	}
	if !slices.Contains(p.Transports, cmp.Or(c.Transport, p.Transport())) {
		r.wrong(path("transport"), "", "%s can't be reached over %s", p.Title, c.Transport)
	}
	if len(c.Extensions) == 0 && !r.failedAt(path("extensions")) {
		r.wrong(path("extensions"), `for example ["22", "23"]`, "says for whom %s takes and makes calls", p.Title)
	}
	seen := map[string]bool{}
	for _, ext := range c.Extensions {
		if _, known := s.Extension(ext); !known && ext != "" {
			r.wrong(path("extensions"), nearExtension(s, ext), "there is no extension %s", ext)
		}
		if seen[ext] {
			r.warn(path("extensions"), "", "%s is there twice", ext)
		}
		seen[ext] = true
	}
	if c.Password.IsZero() && c.Auth != "" {
		r.warn(path("auth"), "add password:", "a name without a password proves nothing")
	}
}

// judgeClientMedia looks at how a client's speech is encrypted.
func (r *reader) judgeClientMedia(s *Site, c Client, path func(string) string) {
	srtp, keying, _ := c.Media(s.LAN)
	r.judgeKeying(path("keying"), srtp, c.Keying != "")
	if inClear(srtp, keying) && (c.SRTP != "" || c.Keying != "") {
		r.warn(path("srtp"), "keying: dtls keeps them out of the signalling", "its media keys travel in the clear: it has no TLS")
	}
}
