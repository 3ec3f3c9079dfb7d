package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"linekeeper/sbc/sip"
)

// judgeMedia looks at the port ranges of both sides.
func (r *reader) judgeMedia(s *Site) {
	lan, wan := s.LAN, s.WAN
	same := lan.MediaAddress == wan.Address
	unknown := !lan.MediaAddress.IsValid() || !wan.Address.IsValid()
	if lan.MediaPorts.Overlaps(wan.MediaPorts) && (same || unknown) {
		path := "wan.media_ports"
		if !r.written(path) {
			path = "lan.media_ports"
		}
		text := fmt.Sprintf("lan.media_ports %s and wan.media_ports %s share ports", lan.MediaPorts, wan.MediaPorts)
		if same {
			r.wrong(path, "choose ranges that don't overlap", "%s on the same address", text)
		} else {
			r.warn(path, "choose ranges that don't overlap, or set both addresses", "%s, and it isn't sure that the addresses differ", text)
		}
	}
	for path, ports := range map[string]PortRange{"lan.media_ports": lan.MediaPorts, "wan.media_ports": wan.MediaPorts} {
		if ports.High == 0 {
			continue
		}
		for i, l := range lan.SIP {
			if l.Transport == sip.UDP && l.Port >= ports.Low && l.Port <= ports.High {
				r.wrong(at("lan.sip", i, ""), "choose another port", "the port %d is in %s %s", l.Port, path, ports)
			}
		}
		if calls := s.Quality.MaxCalls; calls > ports.Pairs() {
			r.warn(path, "make the range longer", "has ports for %d calls, quality.max_calls allows %d", ports.Pairs(), calls)
		}
	}
	if b := wan.Backup; b.Bandwidth != (UpDown{}) && !b.Address.IsValid() && !r.written("wan.backup.address") {
		r.warn("wan.backup", "add address:", "a second path needs its local address")
	}
	if b := wan.Backup.Address; b.IsValid() && b == wan.Address {
		r.wrong("wan.backup.address", "", "is the address of the first path")
	}
}

// judgeListeners finds sockets that couldn't be opened beside each other.
func (r *reader) judgeListeners(s *Site) {
	if len(s.LAN.SIP) == 0 && !r.failedAt("lan.sip") {
		r.wrong("lan.sip", `for example ["udp://:5060"]`, "phones need an address to reach the box at")
	}
	for i, l := range s.LAN.SIP {
		path := at("lan.sip", i, "")
		if l.Transport == "" || l.Port == 0 {
			continue
		}
		for j, o := range s.LAN.SIP[:i] {
			if o.Port == l.Port && (o.Transport == sip.UDP) == (l.Transport == sip.UDP) && meet(o.Addr, l.Addr) {
				r.wrong(path, "", "%s takes the same port as lan.sip[%d] %s", l, j, o)
			}
		}
		if host, port, ok := strings.Cut(s.UI.Listen, "]:"); ok || strings.HasPrefix(s.UI.Listen, ":") {
			if !ok {
				host, port = "", s.UI.Listen[1:]
			}
			if port == strconv.Itoa(int(l.Port)) && l.Transport != sip.UDP && host == "" {
				r.wrong("ui.listen", "choose another port", "%s is taken by lan.sip[%d]", s.UI.Listen, i)
			}
		}
	}
}

// meet says whether two sockets on the same port would be in each other's way.
func meet(a, b netip.Addr) bool {
	return a == b || !a.IsValid() || !b.IsValid() || a.IsUnspecified() || b.IsUnspecified()
}

func (r *reader) judgeSecurity(s *Site) {
	sec := s.Security
	if len(sec.Allow) > 0 && len(sec.Deny) == 0 && !r.failedAt("security.deny") {
		r.warn("security.allow", `to let only these in, add deny: ["0.0.0.0/0", "::/0"]`, "keeps nobody out: an entry here only wins over one of security.deny")
	}
	for i, d := range sec.Deny {
		if !d.IsValid() {
			continue
		}
		if d.Bits() == 0 && len(sec.Allow) == 0 && !r.failedAt("security.allow") {
			r.wrong(at("security.deny", i, ""), "add security.allow with the phones' and the provider's networks", "nobody could talk to the box")
		}
		for j, a := range sec.Allow {
			if a.IsValid() && a.Bits() <= d.Bits() && a.Overlaps(d.Prefix) {
				r.warn(at("security.deny", i, ""), "an entry of allow wins; make it narrower", "%s has no effect, security.allow[%d] has %s", d, j, a)
			}
		}
	}
}

func (r *reader) judgeLinks(s *Site) {
	w, l := s.Network.WAN, s.Network.LAN
	if w.Interface != "" && w.Interface == l.Interface && w.VLAN == 0 {
		r.wrong("network.lan.interface", "or give network.wan a vlan", "%s is also the interface of the WAN", l.Interface)
	}
	has := func(key string) bool { return r.written("network.wan." + key) }
	switch w.Mode {
	case "static":
		if !w.Address.IsValid() && !has("address") {
			r.wrong("network.wan", "add address: 192.0.2.10/24", "mode static needs an address")
		}
		if !w.Gateway.IsValid() && !has("gateway") {
			r.wrong("network.wan", "add gateway: 192.0.2.1", "mode static needs a gateway")
		} else if w.Address.IsValid() && w.Gateway.IsValid() && !w.Address.Contains(w.Gateway) {
			r.wrong("network.wan.gateway", "", "%s isn't in the network %s", w.Gateway, w.Address.Masked())
		}
	case "pppoe":
		if w.User == "" && !has("user") || w.Password.IsZero() && !has("password") {
			r.wrong("network.wan", "add user: and password:", "mode pppoe needs the access data of the line")
		}
	}
	if w.Mode != "static" && w.Address.IsValid() {
		r.warn("network.wan.address", "write mode: static", "isn't used in mode %s", w.Mode)
	}
	if w.Mode != "pppoe" && (w.User != "" || !w.Password.IsZero()) {
		r.warn("network.wan", "write mode: pppoe", "access data aren't used in mode %s", w.Mode)
	}
}

func (r *reader) judgeSegments(s *Site) {
	vlans := s.Network.LAN.VLANs
	for i, v := range vlans {
		path := at("network.lan.vlans", i, "")
		for _, o := range vlans[:i] {
			if o.ID == v.ID && v.ID != 0 {
				r.wrong(path+".id", "", "the VLAN %d is there twice", v.ID)
			}
			if o.Address.IsValid() && v.Address.IsValid() && o.Address.Overlaps(v.Address.Prefix) {
				r.wrong(path+".address", "", "the network %s overlaps that of VLAN %d", v.Address.Masked(), o.ID)
			}
		}
		r.judgeDHCP(v, path+".dhcp")
	}
}

func (r *reader) judgeDHCP(v Segment, path string) {
	from, to := v.DHCP.From, v.DHCP.To
	if from.IsValid() != to.IsValid() {
		if !r.written(path+".from") || !r.written(path+".to") {
			r.wrong(path, "for example {from: 10.0.100.50, to: 10.0.100.199}", "a range needs both ends")
		}
		return
	}
	if !from.IsValid() || !v.Address.IsValid() {
		return
	}
	net := v.Address.Masked()
	switch {
	case !net.Contains(from):
		r.wrong(path+".from", "", "%s isn't in the network %s", from, net)
	case !net.Contains(to):
		r.wrong(path+".to", "", "%s isn't in the network %s", to, net)
	case to.Less(from):
		r.wrong(path, "", "the range ends before it begins")
	case !v.Address.Addr().Less(from) && !to.Less(v.Address.Addr()):
		r.wrong(path, "", "the box's own address %s is in the range", v.Address.Addr())
	case from == net.Addr():
		r.wrong(path+".from", "", "%s is the network itself", from)
	}
}
