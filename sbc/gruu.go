package sbc

import (
	"strconv"
	"strings"
	"time"

	"linekeeper/sbc/location"
	"linekeeper/sbc/sip"
)

// tempPrefix begins the user part of a temporary GRUU; no extension does.
const tempPrefix = "tgruu."

// maxPath bounds the proxies between a phone and the box.
const maxPath = 8

// pathOf is the Path of a REGISTER (RFC 3327); a code other than 200 refuses it.
func pathOf(req *sip.Request) ([]string, int) {
	var out []string
	for _, v := range sip.HeaderValues(req, "Path") {
		for _, item := range sip.List(v) {
			_, u, _, err := sip.ParseAddress(item)
			if err != nil || u.Host == "" || len(out) == maxPath {
				return nil, 400
			}
			out = append(out, sip.URIText(&u))
		}
	}
	if asksOutbound(req) && !firstHop(req, out) {
		return nil, 439
	}
	return out, 200
}

// routesOf are the routes of a Path.
func routesOf(path []string) []sip.URI {
	var out []sip.URI
	for _, p := range path {
		if u, err := sip.ParseURI(p); err == nil {
			out = append(out, u)
		}
	}
	return out
}

// asksOutbound says whether a REGISTER wants its contact to be a flow (RFC 5626 4.2).
func asksOutbound(req *sip.Request) bool {
	if !sip.HasToken(req, "Supported", "outbound") {
		return false
	}
	for _, c := range sip.Contacts(req) {
		if sip.ParamValue(c.Params, "reg-id") != "" && sip.ParamValue(c.Params, "+sip.instance") != "" {
			return true
		}
	}
	return false
}

// firstHop says whether the phone's first hop keeps its flows: the box itself, or
// a proxy that says so in its Path (RFC 5626 6).
func firstHop(req *sip.Request, path []string) bool {
	if len(path) == 0 {
		return len(sip.Vias(req)) == 1
	}
	first, err := sip.ParseURI(path[len(path)-1])
	return err == nil && first.UriParams.Has("ob")
}

// regID is the number of a contact's flow; 0 where the phone doesn't want flows or
// says no instance.
func regID(req *sip.Request, c *sip.Contact) uint32 {
	if !sip.HasToken(req, "Supported", "outbound") || sip.ParamValue(c.Params, "+sip.instance") == "" {
		return 0
	}
	n, err := strconv.ParseUint(sip.ParamValue(c.Params, "reg-id"), 10, 31)
	if err != nil {
		return 0
	}
	return uint32(n)
}

// Times within which a phone shall send a keep-alive (RFC 5626 4.4): below what
// NATs forget.
const (
	flowTimer   = "25"
	streamTimer = "120"
)

// flowHeaders tell a phone that its contact is kept as a flow.
func flowHeaders(req *sip.Request, bindings []location.Binding) []sip.Header {
	if !asksOutbound(req) {
		return nil
	}
	for i := range bindings {
		b := &bindings[i]
		if b.RegID == 0 || b.CallID != sip.CallIDOf(req) {
			continue
		}
		timer := flowTimer
		if b.Flow.Transport.Reliable() {
			timer = streamTimer
		}
		return []sip.Header{sip.NewHeader("Require", "outbound"), sip.NewHeader("Flow-Timer", timer)}
	}
	return nil
}

// contactOf is a contact as the answer to a REGISTER lists it.
func contactOf(req *sip.Request, b *location.Binding, now time.Time, gruu bool) string {
	v := "<" + b.URI + ">;expires=" + strconv.Itoa(int(max(b.Expires.Sub(now)/time.Second, 0)))
	if b.Instance == "" {
		return v
	}
	v += ";+sip.instance=" + sip.Quote("<"+b.Instance+">")
	if b.RegID != 0 {
		v += ";reg-id=" + strconv.FormatUint(uint64(b.RegID), 10)
	}
	to := req.To()
	if !gruu || to == nil || !fitsGRUU(b.Instance) || len(b.Temps) == 0 {
		return v
	}
	pub := sip.URI{Scheme: "sip", User: userPart(b.Extension), Host: to.Address.Host}
	pub.UriParams.Add("gr", b.Instance)
	temp := sip.URI{Scheme: "sip", User: b.Temps[0], Host: to.Address.Host}
	temp.UriParams.Add("gr", "")
	return v + ";pub-gruu=" + sip.Quote(sip.URIText(&pub)) + ";temp-gruu=" + sip.Quote(sip.URIText(&temp))
}

// fitsGRUU says whether an instance can stand in a URI as it is, which any URN can.
func fitsGRUU(instance string) bool {
	return len(instance) <= 128 && strings.HasPrefix(strings.ToLower(instance), "urn:") && strings.Trim(instance, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-._") == ""
}

// aimed is whom a request URI of a phone names: what was dialled, and the one
// device where it is a GRUU (RFC 5627); false: a GRUU that nobody has.
func (s *Switch) aimed(u *sip.URI) (text, instance string, ok bool) {
	gr, is := u.UriParams.Get("gr")
	switch {
	case !is:
		return dialled(u), "", true
	case gr != "":
		return dialled(u), gr, true
	}
	b, ok := s.location.Temp(time.Now(), u.User)
	return b.Extension, b.Instance, ok
}

// deviceOf is which of an extension's devices a contact is; empty where none says so.
func (s *Switch) deviceOf(ext string, c *sip.Contact, flow sip.Flow) string {
	for _, b := range s.location.Lookup(time.Now(), ext) {
		if b.Instance != "" && (b.URI == sip.URIText(&c.Address) || len(b.Path) == 0 && b.Flow == flow) {
			return b.Instance
		}
	}
	return ""
}

// ground puts the contact that a phone registered in place of a GRUU of ours in
// its Contact: what the box sends within the dialog goes to the phone itself.
func (s *Switch) ground(m sip.Message) {
	contacts := sip.Contacts(m)
	if len(contacts) != 1 || !contacts[0].Address.UriParams.Has("gr") {
		return
	}
	u := &contacts[0].Address
	ext, instance, ok := s.aimed(u)
	if !ok {
		return
	}
	for _, b := range s.location.Lookup(time.Now(), ext) {
		if b.Instance != instance {
			continue
		}
		if real, err := sip.ParseURI(b.URI); err == nil {
			*u = real
		}
		return
	}
}
