package sbc

import (
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"linekeeper/sbc/exchange"
	"linekeeper/sbc/location"
	"linekeeper/sbc/sip"
)

// register is the phones' registrar (RFC 3261 10.3).
func (s *Switch) register(tx *exchange.Server, req *sip.Request, flow sip.Flow) {
	if !lanZone(flow.Zone) {
		s.watch.Refused("registration from outside", flow, req)
		s.guard.Punish(flow.Remote.Addr(), "register from outside")
		s.answer(tx, req, 403)
		return
	}
	cfg := s.cfg.Load()
	if to := req.To(); to != nil && cfg.PassThrough {
		user := dialled(&to.Address)
		if ext, through := cfg.passes(user); through {
			s.pass.register(tx, req, flow, cfg, user, ext)
			return
		}
	}
	ext, ok := s.prove(tx, req, flow, cfg.password)
	if !ok {
		return
	}
	if to := req.To(); to == nil || to.Address.User != ext {
		s.watch.Refused("registration for another extension", flow, req)
		s.answer(tx, req, 403)
		return
	}
	now := time.Now()
	bindings, code := s.bind(cfg, ext, req, flow, now)
	if code != 200 {
		resp := sip.Respond(req, code, "", s.random())
		if code == 423 {
			resp.AppendHeader(minExpires(cfg))
		}
		tx.Respond(resp)
		return
	}
	s.welcome(tx, req, cfg, bindings, now)
}

func minExpires(cfg *Config) sip.Header {
	return sip.NewHeader("Min-Expires", strconv.Itoa(int(cfg.MinExpires/time.Second)))
}

// welcome answers a REGISTER that was taken with what is bound now.
func (s *Switch) welcome(tx *exchange.Server, req *sip.Request, cfg *Config, bindings []location.Binding, now time.Time, extra ...sip.Header) {
	resp := sip.Respond(req, 200, "", s.random())
	gruu := sip.HasToken(req, "Supported", "gruu")
	for i := range bindings {
		resp.AppendHeader(sip.NewHeader("Contact", contactOf(req, &bindings[i], now, gruu)))
	}
	if sip.HasToken(req, "Supported", "path") {
		for _, v := range sip.HeaderValues(req, "Path") { // RFC 3327 5.3
			resp.AppendHeader(sip.NewHeader("Path", v))
		}
	}
	for _, h := range flowHeaders(req, bindings) {
		resp.AppendHeader(h)
	}
	for _, h := range extra {
		resp.AppendHeader(h)
	}
	resp.AppendHeader(sip.NewHeader("Supported", "path, outbound, gruu"))
	resp.AppendHeader(sip.NewHeader("Date", now.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")))
	resp.AppendHeader(sip.NewHeader("Server", cfg.Agent))
	tx.Respond(resp)
}

// bind puts the contacts of a REGISTER into the table and lists what is bound;
// a code other than 200 says why not. All contacts are judged before any is
// taken, and those that leave go first: a phone may swap one for another.
func (s *Switch) bind(cfg *Config, ext string, req *sip.Request, flow sip.Flow, now time.Time) ([]location.Binding, int) {
	seq, _ := sip.Seq(req)
	id := sip.CallIDOf(req)
	contacts := sip.Contacts(req)
	path, code := pathOf(req)
	if code != 200 {
		return nil, code
	}
	var leave, come []location.Binding
	for _, c := range contacts {
		if c.Address.Wildcard {
			return s.unbindAll(ext, req, len(contacts), id, seq, now)
		}
		if c.Address.Host == "" { // mailto and the like: nothing to call
			return nil, 400
		}
		asked := sip.ContactExpires(req, c, cfg.MaxExpires)
		if asked > 0 && asked < cfg.MinExpires {
			return nil, 423
		}
		b := binding(ext, req, c, flow)
		b.CallID, b.CSeq, b.Path = id, seq, path
		if b.Instance != "" && sip.HasToken(req, "Supported", "gruu") {
			b.Temps = []string{tempPrefix + s.random()}
		}
		if asked == 0 {
			b.Flow = sip.Flow{} // it names a contact by its address, not by who asks
			leave = append(leave, b)
			continue
		}
		b.Expires = now.Add(shorten(min(asked, cfg.MaxExpires), cfg.MinExpires))
		come = append(come, b)
	}
	return s.rebind(ext, leave, come, now)
}

// binding is a contact of a REGISTER as the table keeps it.
func binding(ext string, req *sip.Request, c *sip.Contact, flow sip.Flow) location.Binding {
	b := location.Binding{
		Extension: ext, URI: sip.URIText(&c.Address), Flow: flow, Instance: strings.Trim(sip.ParamValue(c.Params, "+sip.instance"), "<>"),
		UserAgent: clip(sip.HeaderValue(req, "User-Agent"), 128), Q: uint16(sip.ContactQ(c)),
	}
	b.RegID = regID(req, c)
	return b
}

// rebind takes contacts out of the table and puts others in.
func (s *Switch) rebind(ext string, leave, come []location.Binding, now time.Time) ([]location.Binding, int) {
	before := s.location.Lookup(now, ext)
	bindings := before
	var err error
	for _, b := range leave {
		if bindings, err = s.location.Remove(now, b); err != nil {
			return nil, s.untaken(ext, err)
		}
	}
	for _, b := range come {
		if bindings, err = s.location.Register(now, b); err != nil {
			return nil, s.untaken(ext, err)
		}
		s.arrived(ext, b.Flow, !holds(before, b.URI))
	}
	if len(bindings) < len(before) {
		s.left(ext)
	}
	return bindings, 200
}

// arrived and left tell who wants to know about a phone.
func (s *Switch) arrived(ext string, flow sip.Flow, fresh bool) {
	s.watch.PhoneRegistered(ext, flow, fresh)
	s.notices.phoneBack(ext, flow)
	if fresh {
		s.notices.regChanged(ext)
	}
}

func (s *Switch) left(ext string) {
	s.watch.PhoneGone(ext)
	s.notices.regChanged(ext)
}

// untaken is the code for a contact that the table doesn't take.
func (s *Switch) untaken(ext string, err error) int {
	if errors.Is(err, location.ErrOutOfOrder) {
		return 500 // RFC 3261 10.3 step 7
	}
	s.log.Warn("contact not taken", "ext", ext, "err", err)
	return 503
}

func holds(bs []location.Binding, uri string) bool {
	for _, b := range bs {
		if b.URI == uri {
			return true
		}
	}
	return false
}

// unbindAll is Contact: * (RFC 3261 10.2.2), which must stand alone and with
// Expires: 0.
func (s *Switch) unbindAll(ext string, req *sip.Request, contacts int, id string, seq uint32, now time.Time) ([]location.Binding, int) {
	if d, ok := sip.ExpiresOf(req); !ok || d != 0 || contacts != 1 {
		return nil, 400
	}
	had := len(s.location.Lookup(now, ext)) > 0
	if err := s.location.RemoveAll(now, ext, id, seq); err != nil {
		return nil, s.untaken(ext, err)
	}
	if had {
		s.left(ext)
	}
	return nil, 200
}

// shorten takes a random share of up to an eighth off a granted expiry, in whole
// seconds, so that phones that all started in one moment don't all come back in one.
func shorten(d, least time.Duration) time.Duration {
	whole := int64(d / time.Second)
	return max(time.Duration(whole-rand.Int64N(whole/8+1))*time.Second, least)
}

func clip(s string, most int) string {
	if len(s) > most {
		return s[:most]
	}
	return s
}
