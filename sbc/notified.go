package sbc

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"linekeeper/sbc/call"
	"linekeeper/sbc/event"
	"linekeeper/sbc/sip"
)

// What phones are told.

// mailbox is where messages for an extension may lie.
type mailbox struct{ source, ext string }

func (m mailbox) key() string { return m.source + "/" + m.ext }

func mailboxOf(key string) mailbox {
	source, ext, _ := strings.Cut(key, "/")
	return mailbox{source, ext}
}

// Sources of message counts.
const (
	// CloudMailbox is the provider's, LocalMailbox the box's own.
	CloudMailbox = "cloud"
	LocalMailbox = "local"
)

// SetMailbox tells what lies in an extension's mailbox; source is CloudMailbox or
// LocalMailbox. The phones show both together. It doesn't block.
func (s *Switch) SetMailbox(source, ext string, c event.Counts) {
	n := s.notices
	n.mu.Lock()
	if n.boxes == nil {
		n.boxes = make(map[mailbox]event.Counts)
	}
	n.boxes[mailbox{source, ext}] = c
	n.mu.Unlock()
	n.news()
}

// Unbound tells that a contact of an extension ran out.
func (s *Switch) Unbound(ext string) { s.notices.regChanged(ext) }

// collect takes what has happened and tells who watches it.
func (n *notices) collect(now time.Time) {
	n.mu.Lock()
	calls, boxes, regs := n.calls, n.boxes, n.regs
	n.calls, n.boxes, n.regs, n.told = nil, nil, nil, false
	n.mu.Unlock()
	changed := make(map[resource]bool)
	for token, legs := range calls {
		n.callNow(token, legs, changed)
	}
	for box, c := range boxes {
		if n.counts[box] == c {
			continue
		}
		n.counts[box] = c
		n.box.note(box.key(), &c)
		if c == (event.Counts{}) {
			delete(n.counts, box)
			n.box.note(box.key(), nil)
		}
		changed[resource{event.Summary, box.ext}] = true
	}
	for ext := range regs {
		changed[resource{event.Reg, ext}] = true
	}
	for of := range changed {
		for sub := range n.watchers[of] {
			if !sub.revived && n.unmoved(sub) {
				continue
			}
			sub.revived = false
			n.step(now, sub, event.Changed{})
		}
	}
}

// callNow takes a call's legs and notes whose extensions' dialogs have changed.
func (n *notices) callNow(token string, legs []call.LegView, changed map[resource]bool) {
	byExt := make(map[string][]call.LegView, 2)
	for _, l := range legs {
		if l.Extension != "" {
			byExt[l.Extension] = append(byExt[l.Extension], l)
		}
	}
	for _, ext := range n.extsOf[token] {
		if _, still := byExt[ext]; !still {
			delete(n.legs[ext], token)
			changed[resource{event.Dialogs, ext}] = true
		}
		if len(n.legs[ext]) == 0 {
			delete(n.legs, ext)
		}
	}
	delete(n.extsOf, token)
	for ext, mine := range byExt {
		n.extsOf[token] = append(n.extsOf[token], ext)
		if n.legs[ext] == nil {
			n.legs[ext] = make(map[string][]call.LegView)
		}
		if !slices.EqualFunc(n.legs[ext][token], mine, sameLeg) {
			changed[resource{event.Dialogs, ext}] = true
		}
		n.legs[ext][token] = mine
	}
}

// sameLeg says whether a watcher would see no difference.
func sameLeg(a, b call.LegView) bool {
	return a.ID == b.ID && a.Stage == b.Stage && a.RemoteTag == b.RemoteTag && a.CallID == b.CallID &&
		a.Remote.Display == b.Remote.Display && sip.URIText(&a.Remote.URI) == sip.URIText(&b.Remote.URI)
}

// unmoved says that what has changed is of another device than the one that is watched.
func (n *notices) unmoved(sub *subscription) bool {
	return sub.device != "" && sub.what.Package == event.Dialogs && slices.Equal(n.dialogs(sub, sub.aor()), sub.shown)
}

// aor names what is watched.
func (sub *subscription) aor() sip.URI {
	aor := sip.URI{Scheme: "sip", User: userPart(sub.name), Host: cmp.Or(sub.dlg.Local.URI.Host, sub.dlg.Contact.Host)}
	switch {
	case sub.device != "" && sub.name == sub.of:
		aor.UriParams.Add("gr", sub.device)
	case sub.device != "":
		aor.UriParams.Add("gr", "")
	}
	return aor
}

// document is what a subscription's NOTIFY carries. Phones are always told
// everything: what one of them missed is mended by the next.
func (n *notices) document(now time.Time, sub *subscription, version uint32) []byte {
	aor := sub.aor()
	switch sub.what.Package {
	case event.Dialogs:
		all := n.dialogs(sub, aor)
		if sub.device != "" {
			sub.shown = all
		}
		return event.DialogInfo(sip.URIText(&aor), version, all)
	case event.Summary:
		c := n.counts[mailbox{CloudMailbox, sub.of}].Add(n.counts[mailbox{LocalMailbox, sub.of}])
		return event.MessageSummary(sip.URIText(&aor), c)
	case event.Reg:
		return event.RegInfo(sip.URIText(&aor), version, n.contacts(now, sub, aor))
	default: // no subscription is made to another
	}
	return nil
}

// dialogs are those of an extension or of its one device as phones see them, the least
// telling first: simple phones let the last one decide.
func (n *notices) dialogs(sub *subscription, aor sip.URI) []event.Dialog {
	var legs []call.LegView
	for _, mine := range n.legs[sub.of] {
		for _, l := range mine {
			if sub.device == "" || l.Instance == sub.device {
				legs = append(legs, l)
			}
		}
	}
	slices.SortFunc(legs, func(a, b call.LegView) int {
		return cmp.Or(cmp.Compare(rank(a.Stage), rank(b.Stage)), cmp.Compare(a.LocalTag, b.LocalTag))
	})
	out := make([]event.Dialog, 0, len(legs))
	for _, l := range legs {
		remote := sip.URI{Scheme: "sip", User: l.Remote.URI.User, Host: l.Remote.URI.Host}
		out = append(out, event.Dialog{
			ID: l.LocalTag, CallID: l.CallID, LocalTag: l.RemoteTag, RemoteTag: l.LocalTag, Initiator: !l.Called, State: string(l.Stage),
			Local: event.Party{URI: sip.URIText(&aor)}, Remote: event.Party{Display: l.Remote.Display, URI: sip.URIText(&remote)},
		})
	}
	return out
}

func rank(s call.Stage) int {
	switch s {
	case call.LegTrying:
		return 0
	case call.LegEarly:
		return 2
	case call.LegConfirmed:
	}
	return 1
}

// contacts are an extension's registrations. Where its phones are is theirs to
// know; others learn that they are there.
func (n *notices) contacts(now time.Time, sub *subscription, aor sip.URI) []event.Contact {
	var out []event.Contact
	for i, b := range n.s.location.Lookup(now, sub.of) {
		if sub.device != "" && b.Instance != sub.device {
			continue
		}
		c := event.Contact{ID: "c" + strconv.Itoa(i+1), URI: sip.URIText(&aor), Left: b.Expires.Sub(now)}
		if sub.ext == sub.of {
			c.URI, c.Agent = b.URI, b.UserAgent
		}
		out = append(out, c)
	}
	return out
}
