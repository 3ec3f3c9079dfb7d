package call

import (
	"maps"
	"slices"
	"strings"

	"linekeeper/sbc/dialog"
	"linekeeper/sbc/sdp"
	"linekeeper/sbc/sip"
)

// talk is one dialog of a leg with the offers and answers made in it. A leg that
// the box calls may have several before its final answer, since proxies fork: each
// phone that says something makes one with its own tag, route set, target, numbers
// and answer to the one offer (RFC 3261 12.1.2).
type talk struct {
	dlg *dialog.Dialog

	// Offer and answer (RFC 3264). asked says that the last offer was theirs, so
	// mine is the answer; settled that the first exchange is complete in messages
	// that don't get lost, so that another may follow (RFC 3311 5.1).
	local          Opened
	mine, theirs   *sdp.Session
	asked, settled bool

	// in is their INVITE, UPDATE or PRACK that we are carrying across; out ours to them.
	in  *relay
	out bool

	// canUpdate says that the peer allows UPDATE (RFC 3311).
	canUpdate bool
	// info says whether it allows INFO.
	info permission
	// proof are the credentials of the last INVITE: its ACK carries them too (RFC 3261 13.2.2.4).
	proof []sip.Header

	// turn orders early media: the dialog that described its media last has the
	// highest; 0: none yet. quiet says that what it sends is not meant to be heard
	// (RFC 5009).
	turn  int
	quiet bool

	// rseq numbers the peer's last reliable response, 0: none yet; unheard says that
	// its PRACK was refused; offer is what it offered, while the answer is sought.
	rseq    uint32
	unheard bool
	offer   *lateEarly
}

// agreed is what the peer has agreed to: its description with the formats of the
// answer, whosever that was.
func (t *talk) agreed() *sdp.Session {
	if !t.asked || t.mine == nil || t.theirs == nil {
		return t.theirs
	}
	s := *t.theirs
	s.Media = append([]sdp.Media(nil), t.theirs.Media...)
	mine, theirs := t.mine.Audio(), s.Audio()
	if mine == nil || theirs == nil {
		return t.theirs
	}
	theirs.Formats = mine.Formats
	return &s
}

// lead is the format that a description prefers for speech.
func lead(s *sdp.Session) (sdp.Format, bool) {
	if a := s.Audio(); a != nil {
		for _, f := range a.Formats {
			if !f.Auxiliary() {
				return f, true
			}
		}
	}
	return sdp.Format{}, false
}

// alike says whether two descriptions prefer the same codec.
func alike(a, b *sdp.Session) bool {
	if a.Fax() && b.Fax() {
		return true
	}
	f, ok := lead(a)
	g, also := lead(b)
	return ok && also && f.Same(g)
}

// restart lets go of a leg's early dialogs: its INVITE was refused or is taken back.
func (m *Machine) restart(l *leg) {
	talks := l.talks
	l.talks = nil
	for _, t := range talks {
		m.discard(l, t)
	}
	if l.root != nil {
		l.talk = l.root
	}
}

// talkOf is the dialog of a provisional or final response to l's INVITE, made
// when it is a new one. It is nil without a tag and beyond maxForks.
func (m *Machine) talkOf(l *leg, resp *sip.Response) *talk {
	tag := sip.ToTag(resp)
	for _, t := range l.talks {
		if t.dlg.RemoteTag == tag {
			t.canUpdate = t.canUpdate || allows(resp, sip.UPDATE)
			t.info = t.info.learn(resp)
			if resp.IsSuccess() { // the route set is that of the 2xx (RFC 3261 13.2.2.4)
				_ = t.dlg.Learn(resp) // a set that is too long leaves the early one
				return t
			}
			t.dlg.Refresh(resp)
			return t
		}
	}
	if tag == "" || l.root == nil || len(l.talks) >= maxForks && !resp.IsSuccess() {
		return nil
	}
	t := *l.root
	t.dlg = l.root.dlg.Fork()
	if err := t.dlg.Learn(resp); err != nil {
		return nil
	}
	t.canUpdate = allows(resp, sip.UPDATE)
	t.info = t.info.learn(resp)
	l.talks = append(l.talks, &t)
	if l.talk == l.root {
		l.talk = &t
	}
	return &t
}

// dialogOf is the dialog that a request from the peer belongs to; nil: none of ours.
func (l *leg) dialogOf(req *sip.Request) *talk {
	tag := sip.FromTag(req)
	if tag == "" || sip.CallIDOf(req) != l.dlg.CallID {
		return nil
	}
	if tag == l.dlg.RemoteTag {
		return l.talk
	}
	for _, t := range l.talks {
		if tag == t.dlg.RemoteTag {
			return t
		}
	}
	return nil
}

// choose makes t the only dialog of its leg: it was answered.
func (m *Machine) choose(l *leg, t *talk) {
	for _, o := range l.talks {
		if o != t {
			m.discard(l, o)
			l.losers = append(l.losers, o.dlg)
		}
	}
	l.talk, l.talks, l.root = t, nil, nil
}

// discard answers what was under way in a dialog that is no more.
func (m *Machine) discard(l *leg, t *talk) {
	if t.in != nil {
		m.reply(l, t.in.tx, t.in.req, 481, "", nil)
		t.in = nil
	}
	for _, ref := range slices.Sorted(maps.Keys(m.asks)) {
		a := m.asks[ref]
		if a.talk != t || a.purpose == forInvite {
			continue
		}
		delete(m.asks, ref)
		if a.relay != nil {
			m.later(a.relay)
		}
	}
}

// lapse takes an early dialog away of which its peer has said that it is over,
// by 199 (RFC 6228) or by BYE. The INVITE goes on: other forks may answer.
func (m *Machine) lapse(l *leg, t *talk) {
	for i, o := range l.talks {
		if o == t {
			l.talks = append(l.talks[:i:i], l.talks[i+1:]...)
		}
	}
	m.discard(l, t)
	if l.talk == t {
		l.talk = l.root
		if len(l.talks) > 0 {
			l.talk = l.talks[0]
		}
	}
	if m.hunt != nil && m.hunt.heard == t {
		m.listen(l, nil)
	}
}

// earlyMedia lets the caller hear what a lone target sends before it answers:
// the dialog that has described its media last, unless P-Early-Media says that
// there is nothing to hear (RFC 3960 3, RFC 5009). What was described once and is
// only repeated changes nothing. With several targets ringing nobody is heard.
// It says whether the response needs no further telling.
func (m *Machine) earlyMedia(l *leg, t *talk, resp *sip.Response) bool {
	theirs, err := session(resp)
	if err != nil {
		return false
	}
	quiet, said := hushed(resp)
	changed := said && quiet != t.quiet
	if said {
		t.quiet = quiet
	}
	if theirs != nil && t.mine != nil && !t.asked {
		if t.settled && !same(theirs, t.theirs) {
			return true // the first answer counts (RFC 3261 13.2.1)
		}
		if !same(theirs, t.theirs) {
			m.describes(t)
		}
		t.theirs = theirs
		t.settled = t.settled || t.rseq != 0
	} else if !changed {
		return false
	}
	return m.listen(l, resp)
}

// describes notes that a dialog's early media is the newest.
func (m *Machine) describes(t *talk) {
	m.hunt.turns++
	t.turn = m.hunt.turns
}

// hushed reads P-Early-Media (RFC 5009 8): what the peer sends is to be heard
// with sendrecv and sendonly, not with the others.
func hushed(resp *sip.Response) (quiet, said bool) {
	v := strings.ToLower(sip.HeaderValue(resp, "P-Early-Media"))
	for word := range strings.FieldsFuncSeq(v, func(r rune) bool { return r == ',' || r == ' ' || r == ';' }) {
		switch word {
		case "sendrecv", "sendonly":
			return false, true
		case "recvonly", "inactive":
			quiet, said = true, true
		}
	}
	return quiet, said
}

// listen joins the caller to the newest early media of a lone target. resp is
// what brought the change, nil: nothing to tell the caller by.
func (m *Machine) listen(l *leg, resp *sip.Response) bool {
	h := m.hunt
	if !h.lone() || h.host.stage != early {
		return false
	}
	var best, of *talk
	for _, t := range l.talks {
		if t.turn > 0 && !t.quiet && (best == nil || t.turn > best.turn) {
			best = t
		}
		if resp != nil && t.dlg.RemoteTag == sip.ToTag(resp) {
			of = t
		}
	}
	switch {
	case best == nil:
		m.hush()
		return false
	case best != of && best == h.heard: // a newer one is heard already
		return true
	}
	body, err := m.agree(l, best, best.theirs, false)
	if err != nil {
		return false
	}
	h.heard = best
	switch {
	case resp == nil:
		m.ring(183, "", body)
	default:
		m.ring(int(resp.StatusCode), resp.Reason, body)
	}
	return true
}

// hush ends the early media that the caller hears; its phone makes its own
// ringing tone when nothing comes and 180 was said (RFC 3960 3.2).
func (m *Machine) hush() {
	h := m.hunt
	if h.heard == nil || h.host.mine == nil || h.host.theirs == nil {
		return
	}
	h.heard = nil
	flow, err := h.host.local.Flow(h.host.mine, h.host.theirs)
	if err != nil {
		return
	}
	flow.Send = false
	m.do(Media{h.host.id, flow})
	h.rung = false
	m.ring(180, "", nil)
}

// legOf is the leg that a dialog belongs to; nil: it is no more.
func (m *Machine) legOf(t *talk) *leg {
	for _, l := range m.legs {
		if l.talk == t {
			return l
		}
		for _, o := range l.talks {
			if o == t {
				return l
			}
		}
	}
	return nil
}
