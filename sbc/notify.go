package sbc

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"linekeeper/sbc/dialog"
	"linekeeper/sbc/event"
	"linekeeper/sbc/exchange"
	"linekeeper/sbc/number"
	"linekeeper/sbc/sip"
)

// subscribe admits a phone's SUBSCRIBE outside of dialogs (RFC 6665 4.2.1).
func (s *Switch) subscribe(tx *exchange.Server, req *sip.Request, flow sip.Flow) {
	if !lanZone(flow.Zone) {
		s.watch.Refused("subscription from outside", flow, req)
		s.guard.Punish(flow.Remote.Addr(), "subscribe from outside")
		s.answer(tx, req, 403)
		return
	}
	what, ok := event.Of(req)
	if !ok || what.Package.Type() == "" {
		s.answer(tx, req, 489)
		return
	}
	cfg := s.cfg.Load()
	ext, _, ok := s.phone(tx, req, flow, cfg)
	if !ok {
		return
	}
	user, device, aimed := s.aimed(&req.Recipient)
	if !aimed {
		s.answer(tx, req, 404)
		return
	}
	of, code := s.watched(cfg, what.Package, ext, user)
	expires := what.Package.DefaultExpires()
	if code == 0 {
		expires, code = noticeTerms(req, what.Package)
	}
	if code != 0 {
		s.refuseNotice(tx, req, code, what.Package)
		return
	}
	ask := noticeAsk{tx: tx, req: req, flow: flow, ext: ext, of: of, device: device, name: of, what: what, expires: expires}
	if device != "" {
		ask.name = req.Recipient.User // a temporary GRUU doesn't say whose it is
	}
	if s.notices.post(ask) != nil {
		s.unavailable(tx, req, time.Second)
	}
}

// watched is the extension that a SUBSCRIBE is about, or the code that refuses it.
func (s *Switch) watched(cfg *Config, pack event.Package, ext, user string) (of string, code int) {
	if d := s.dial(cfg, user); d.Meaning == number.Extension {
		user = d.Text
	}
	_, known := s.member(cfg, user)
	switch {
	case pack == event.Summary && known && user != ext:
		return "", 403 // nobody learns what lies in another's mailbox
	case pack == event.Summary: // phones may ask at the mailbox's number or at none
		return ext, 0
	case !known:
		return "", 404
	}
	return user, 0
}

// noticeTerms judges how long a subscription is to last and whether its
// documents can be read.
func noticeTerms(req *sip.Request, pack event.Package) (time.Duration, int) {
	contact := req.Contact()
	expires, told := sip.ExpiresOf(req)
	if !told {
		expires = pack.DefaultExpires()
	}
	switch {
	case contact == nil || contact.Address.Host == "" || contact.Address.Wildcard:
		return 0, 400
	case !pack.Accepts(req):
		return 0, 406
	case expires > 0 && expires < minNotice:
		return 0, 423
	}
	return min(expires, maxNotice), 0
}

func (s *Switch) refuseNotice(tx *exchange.Server, req *sip.Request, code int, pack event.Package) {
	resp := sip.Respond(req, code, "", s.random())
	switch code {
	case 406:
		resp.AppendHeader(sip.NewHeader("Accept", pack.Type()))
	case 423:
		resp.AppendHeader(sip.NewHeader("Min-Expires", sip.ExpiresHeader(minNotice).Value()))
	}
	resp.AppendHeader(sip.NewHeader("Server", s.cfg.Load().Agent))
	tx.Respond(resp)
}

// resubscribe takes a SUBSCRIBE within the dialog of a subscription.
func (s *Switch) resubscribe(tx *exchange.Server, req *sip.Request, flow sip.Flow, tag string) {
	if req.Method != sip.SUBSCRIBE {
		s.answer(tx, req, 405)
		return
	}
	what, ok := event.Of(req)
	if !ok || what.Package.Type() == "" {
		s.answer(tx, req, 489)
		return
	}
	ext, _, ok := s.phone(tx, req, flow, s.cfg.Load())
	if !ok {
		return
	}
	expires, code := noticeTerms(req, what.Package)
	if code != 0 {
		s.refuseNotice(tx, req, code, what.Package)
		return
	}
	if s.notices.post(noticeAgain{tx, req, flow, ext, strings.TrimPrefix(tag, noticeTag), expires}) != nil {
		s.unavailable(tx, req, time.Second)
	}
}

// The owner's side.

// subscribe makes a subscription: the 200, then its first NOTIFY.
func (n *notices) subscribe(now time.Time, in noticeAsk) {
	n.mu.Lock()
	each := n.held[in.ext]
	n.mu.Unlock()
	if len(n.all) >= maxNotices || each >= maxNoticesEach {
		n.log.Warn("no room for a subscription", "ext", in.ext, "of", in.of, "held", each, "all", len(n.all))
		resp := sip.Respond(in.req, 503, "", n.s.random())
		resp.AppendHeader(sip.RetryAfterHeader(retryNotices))
		n.out = append(n.out, noticeEffect{tx: in.tx, resp: resp})
		return
	}
	token := n.s.random()
	dlg, err := dialog.Answering(in.req, noticeTag+token, contactURI(userPart(in.name), in.flow))
	if err != nil {
		n.out = append(n.out, noticeEffect{tx: in.tx, resp: sip.Respond(in.req, 400, "", n.s.random())})
		return
	}
	sub := &subscription{token: token, ext: in.ext, what: in.what, of: in.of, device: in.device, name: in.name, notifier: event.NewNotifier(), dlg: dlg, flow: in.flow, index: -1}
	n.add(sub)
	n.grant(now, sub, in.tx, in.req, in.expires)
}

// again refreshes or ends a subscription.
func (n *notices) again(now time.Time, in noticeAgain) {
	sub := n.all[in.token]
	code := 0
	switch what, _ := event.Of(in.req); {
	case sub == nil || sub.notifier.Ending(), sip.CallIDOf(in.req) != sub.dlg.CallID, sip.FromTag(in.req) != sub.dlg.RemoteTag:
		code = 481
	case sub.ext != in.ext:
		code = 403
	case sub.what != what:
		code = 489 // RFC 6665 4.5.2: one subscription a dialog
	case sub.dlg.Receive(in.req) != nil:
		code = 500
	}
	if code != 0 {
		resp := sip.Respond(in.req, code, "", n.s.random())
		if code == 489 {
			resp.AppendHeader(sip.NewHeader("Allow-Events", event.Packages))
		}
		n.out = append(n.out, noticeEffect{tx: in.tx, resp: resp})
		return
	}
	sub.dlg.Refresh(in.req)
	sub.flow, sub.revived = in.flow, false
	n.grant(now, sub, in.tx, in.req, in.expires)
}

// grant answers a SUBSCRIBE; the NOTIFY goes out after it.
func (n *notices) grant(now time.Time, sub *subscription, tx *exchange.Server, req *sip.Request, d time.Duration) {
	resp := sip.Respond(req, 200, "", sub.dlg.LocalTag)
	resp.AppendHeader(&sip.Contact{Address: sub.dlg.Contact})
	resp.AppendHeader(sip.ExpiresHeader(d))
	resp.AppendHeader(sip.NewHeader("Allow-Events", event.Packages))
	resp.AppendHeader(sip.NewHeader("Server", n.s.cfg.Load().Agent))
	n.out = append(n.out, noticeEffect{tx: tx, resp: resp})
	sub.reserved = 0 // what the saver has is old
	n.step(now, sub, event.Refresh{Expires: d})
	if !sub.notifier.Over() && sub.reserved == 0 { // no NOTIFY has gone out that noted it
		n.note(sub, sub.sent)
	}
}

// notify sends a NOTIFY with how things stand now.
func (n *notices) notify(now time.Time, sub *subscription, out event.Notify) {
	d := sub.dlg.Draft(sip.NOTIFY)
	sub.sent = d.Seq
	if d.Seq+reserve/2 > sub.reserved {
		n.note(sub, d.Seq)
	}
	d.Headers = []sip.Header{sub.what.Header(), out.State.Header(), sip.NewHeader("User-Agent", n.s.cfg.Load().Agent)}
	if out.Full {
		d.ContentType, d.Body = sub.what.Package.Type(), n.document(now, sub, d.Seq-1)
	}
	n.out = append(n.out, noticeEffect{token: sub.token, req: d.Request(), flow: sub.flow})
}

// note lets the saver know of a subscription, numbers reserved ahead.
func (n *notices) note(sub *subscription, seq uint32) {
	sub.reserved = seq + reserve
	saved := sub.dlg.Save()
	saved.LocalSeq = sub.reserved
	n.subs.note(sub.token, &Subscription{Extension: sub.ext, Package: sub.what.Package, ID: sub.what.ID, Of: sub.of, Device: sub.device, Name: sub.name, Dialog: saved,
		Flow: sub.flow, Until: sub.notifier.Until()})
}

// back gives the subscriptions of a phone its new connection.
func (n *notices) back(now time.Time, in noticeBack) {
	for _, sub := range n.all {
		f := sub.flow
		if sub.ext != in.ext || !f.Transport.Reliable() || f.Transport != in.flow.Transport || f.Zone != in.flow.Zone ||
			f.Remote.Addr() != in.flow.Remote.Addr() || f == in.flow {
			continue
		}
		sub.flow = in.flow
		n.step(now, sub, event.Back{})
		if !sub.notifier.Over() {
			n.note(sub, sub.sent)
		}
	}
}

// judge ends what the site no longer has.
func (n *notices) judge(now time.Time) {
	cfg := n.s.cfg.Load()
	for _, sub := range n.all {
		_, watcher := n.s.member(cfg, sub.ext)
		_, there := n.s.member(cfg, sub.of)
		switch {
		case !watcher:
			n.step(now, sub, event.End{Reason: event.Rejected})
		case !there:
			n.step(now, sub, event.End{Reason: event.NoResource})
		}
	}
}

// load brings back what was there before a restart. Error: the saver can't read.
func (n *notices) load(now time.Time) error {
	boxes, err := n.box.load()
	if err != nil {
		return fmt.Errorf("load mailboxes: %w", err)
	}
	for key, c := range boxes {
		n.counts[mailboxOf(key)] = c
	}
	saved, err := n.subs.load()
	if err != nil {
		return fmt.Errorf("load subscriptions: %w", err)
	}
	at := now.Add(reviveAfter)
	for token, s := range saved {
		dlg, err := dialog.Restore(s.Dialog)
		what := event.Event{Package: s.Package, ID: s.ID}
		if err != nil || !now.Before(s.Until) || what.Package.Type() == "" || len(n.all) >= maxNotices {
			n.subs.note(token, nil)
			continue
		}
		s.Flow.Conn = 0
		sub := &subscription{token: token, ext: s.Extension, what: what, of: s.Of, device: s.Device, name: cmp.Or(s.Name, s.Of), notifier: event.Revive(s.Until), dlg: dlg,
			flow: n.found(s, now), revived: true, sent: s.Dialog.LocalSeq, index: -1}
		n.add(sub)
		at = at.Add(revivePace)
		n.schedule(sub, at)
	}
	return nil
}

// found is where a phone can be reached after a restart: no connection outlives
// one, but the phone may be registered from the same host.
func (n *notices) found(s Subscription, now time.Time) sip.Flow {
	if s.Flow.Transport.Reliable() {
		for _, b := range n.s.location.Lookup(now, s.Extension) {
			if b.Flow.Transport == s.Flow.Transport && b.Flow.Remote.Addr() == s.Flow.Remote.Addr() {
				return b.Flow
			}
		}
	}
	return s.Flow
}
