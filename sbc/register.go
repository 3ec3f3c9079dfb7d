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
	ext, ok := s.prove(tx, req, flow, cfg)
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
			resp.AppendHeader(sip.NewHeader("Min-Expires", strconv.Itoa(int(cfg.MinExpires/time.Second))))
		}
		tx.Respond(resp)
		return
	}
	resp := sip.Respond(req, 200, "", s.random())
	for _, b := range bindings {
		left := max(b.Expires.Sub(now)/time.Second, 0)
		resp.AppendHeader(sip.NewHeader("Contact", "<"+b.URI+">;expires="+strconv.Itoa(int(left))))
	}
	resp.AppendHeader(sip.NewHeader("Date", now.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")))
	resp.AppendHeader(sip.NewHeader("Server", cfg.Agent))
	tx.Respond(resp)
}

// bind puts the contacts of a REGISTER into the table and lists what is bound;
// a code other than 200 says why not.
func (s *Switch) bind(cfg *Config, ext string, req *sip.Request, flow sip.Flow, now time.Time) ([]location.Binding, int) {
	seq, _ := sip.Seq(req)
	id := sip.CallIDOf(req)
	contacts := sip.Contacts(req)
	for _, c := range contacts {
		if c.Address.Wildcard {
			return s.unbindAll(ext, req, len(contacts), id, seq, now)
		}
	}
	bindings := s.location.Lookup(now, ext)
	for _, c := range contacts {
		asked := sip.ContactExpires(req, c, cfg.MaxExpires)
		if asked > 0 && asked < cfg.MinExpires {
			return nil, 423
		}
		b := location.Binding{
			Extension: ext, URI: sip.URIText(&c.Address), Flow: flow, Instance: strings.Trim(sip.Unquote(sip.ParamValue(c.Params, "+sip.instance")), "<>"),
			UserAgent: clip(sip.HeaderValue(req, "User-Agent"), 128), CallID: id, CSeq: seq, Q: uint16(sip.ContactQ(c)),
		}
		if n, err := strconv.ParseUint(sip.ParamValue(c.Params, "reg-id"), 10, 31); err == nil {
			b.RegID = uint32(n)
		}
		var err error
		fresh := !holds(bindings, b.URI)
		if asked == 0 {
			bindings, err = s.location.Remove(now, b)
		} else {
			b.Expires = now.Add(shorten(min(asked, cfg.MaxExpires), cfg.MinExpires))
			bindings, err = s.location.Register(now, b)
		}
		switch {
		case errors.Is(err, location.ErrOutOfOrder):
			return nil, 500
		case err != nil:
			s.log.Warn("contact not taken", "ext", ext, "err", err)
			return nil, 503
		case asked == 0:
			s.watch.PhoneGone(ext)
		default:
			s.watch.PhoneRegistered(ext, flow, fresh)
		}
	}
	return bindings, 200
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
	if err := s.location.RemoveAll(now, ext, id, seq); err != nil {
		return nil, 500
	}
	s.watch.PhoneGone(ext)
	return nil, 200
}

// shorten takes a random share of up to an eighth off a granted expiry, so that
// phones that all started in one moment don't all come back in one.
func shorten(d, least time.Duration) time.Duration {
	cut := time.Duration(rand.Int64N(int64(d)/8 + 1))
	return max(d-cut, least).Truncate(time.Second)
}

func clip(s string, most int) string {
	if len(s) > most {
		return s[:most]
	}
	return s
}
