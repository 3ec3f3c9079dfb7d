package call

import (
	"errors"
	"strconv"
	"time"

	"linekeeper/sbc/dialog"
	"linekeeper/sbc/sdp"
	"linekeeper/sbc/sip"
)

const (
	// partAfter is how long whoever has sent the other party on may take to hang
	// up by itself before the box does (RFC 5589 6.1).
	partAfter = 5 * time.Second
	// moveAgain and moveTries pace the hand-over of a leg to another call that is
	// just changing its session.
	moveAgain = 500 * time.Millisecond
	moveTries = 8
	// moveLate is when the room is asked again about a leg on offer.
	moveLate = 10 * time.Second
	// maxDeferred bounds the requests that wait until a leg has found its new call.
	maxDeferred = 8
)

// transfer is a REFER being carried out (RFC 3515, RFC 5589): by sends of on to
// somebody else.
type transfer struct {
	by, of *leg
	who    Party // by's, who is called back should the target not be had
	// event is the subscription's Event; empty where by does not want to hear.
	event string
	// code is what by was told last or shall be told; said says that it was.
	code    int
	phrase  string
	said    bool
	asking  bool // a NOTIFY waits for its answer
	settled bool // code is the last word
	// replaces names the dialog whose place of shall take; nil: somebody new is called.
	replaces *sip.Replaces
	to       sip.URI
	tries    int
}

// party is who is at the other end of a leg.
func (m *Machine) party(l *leg) Party {
	switch t := &l.aim; {
	case l.id == 0 && l.incoming:
		return m.cfg.Invite.Caller
	case l.incoming:
		return l.who
	case l.who != (Party{}): // it came over from another call
		return l.who
	case t.line != "":
		return Party{Line: t.line, Number: t.number, Display: t.display, Anonymous: l.withheld}
	default:
		return Party{Extension: t.extension, Instance: t.instance, Number: t.extension, Display: t.display, Anonymous: l.withheld}
	}
}

// refer handles a REFER within the call: the box carries the transfer out by
// itself, so that neither the other party nor the cloud need know how.
func (m *Machine) refer(l *leg, in Request) {
	other := m.peer(l)
	switch {
	case other == nil || l.stage != confirmed || other.stage != confirmed || m.transfer != nil || m.hunt != nil || l.in != nil || other.in != nil:
		m.reply(l, in.Tx, in.Req, 491, "", nil)
		return
	case m.through(other):
		m.carryRefer(l, other, in)
		return
	}
	to, err := sip.ReferToOf(in.Req)
	switch {
	case errors.Is(err, sip.ErrReferMethod):
		m.reply(l, in.Tx, in.Req, 501, "", nil)
		return
	case err != nil:
		m.reply(l, in.Tx, in.Req, 400, "Bad Refer-To", nil)
		return
	case to.URI.Scheme != "sip" && to.URI.Scheme != "sips" && to.URI.Scheme != "tel":
		m.reply(l, in.Tx, in.Req, 416, "", nil)
		return
	}
	inv, ok := m.onward(m.party(l), m.party(other))
	if !ok { // cloud to cloud: nobody here whose rights could be asked
		m.reply(l, in.Tx, in.Req, 403, "", nil)
		return
	}
	t := &transfer{by: l, of: other, who: m.party(l), replaces: to.Replaces, to: to.URI}
	accepted := sip.Respond(in.Req, 202, "", l.dlg.LocalTag)
	accepted.AppendHeader(&sip.Contact{Address: l.dlg.Contact})
	if sip.HeaderValue(in.Req, "Refer-Sub") == "false" { // RFC 4488
		accepted.AppendHeader(sip.NewHeader("Refer-Sub", "false"))
	} else {
		seq, _ := sip.Seq(in.Req)
		t.event = "refer;id=" + strconv.FormatUint(uint64(seq), 10)
	}
	accepted.AppendHeader(sip.NewHeader("Server", m.cfg.Agent))
	m.do(Respond{in.Tx, accepted})
	if t.replaces == nil {
		m.gather(other) // it is to hear what becomes of it
	}
	m.transfer = t
	m.tell(100, "", false)
	switch {
	case t.replaces == nil:
		m.seek(t, inv, t.to)
	case m.ours(t.replaces, l):
		m.transferFailed(481, "")
	default:
		m.handOver()
	}
}

// onward is the invitation for whom a transfer calls: with the rights of the
// phone that asks for it, or of the phone that the cloud asks; shown is the party
// that is sent on.
func (m *Machine) onward(who, shown Party) (Invite, bool) {
	if who.Extension == "" {
		who = shown
	}
	inv := m.cfg.Invite
	inv.Caller, inv.For, inv.Through, inv.Silent, inv.Instance = who, &shown, nil, false, ""
	return inv, who.Extension != ""
}

// ours says whether a transfer points at a dialog of this very call.
func (m *Machine) ours(r *sip.Replaces, by *leg) bool {
	token, _, ok := Owner(r.ToTag)
	return ok && token == m.cfg.Invite.Token || r.CallID == by.dlg.CallID
}

// seek looks for the target of a transfer. The two go on talking until somebody
// answers.
func (m *Machine) seek(t *transfer, inv Invite, to sip.URI) {
	m.best = failure{}
	m.hunt = &hunt{host: t.of, transfer: t, onward: &Transfer{Invite: inv, To: to}}
	m.do(Arm{"patience", m.cfg.Patience}, *m.hunt.onward)
}

// fruitless ends a hunt that has found nobody: the call, or the transfer alone.
func (m *Machine) fruitless(end End) {
	switch {
	case m.hunt != nil && m.hunt.recall != nil:
		m.finish(*m.hunt.recall)
		return
	case m.hunt == nil || m.hunt.transfer == nil:
		m.finish(end)
		return
	}
	m.endHunt()
	for _, l := range m.legs {
		if l.pending() {
			m.leave(l, end)
		}
	}
	phrase := ""
	if m.best.code == end.Code {
		phrase = m.best.phrase
	}
	m.transferFailed(end.Code, phrase)
}

// transferFailed says so. Where whoever sent the other party on has hung up
// already, it is called back.
func (m *Machine) transferFailed(code int, phrase string) {
	t := m.transfer
	m.settleTransfer(code, phrase)
	if t != nil && t.by == nil {
		m.callBack(t, transferEnd(code))
	}
}

// transferEnd ends a call whose transfer has failed with nobody left to talk to.
func transferEnd(code int) End { return End{ByUs, code, "the transfer failed"} }

// endHunt takes back what a hunt has armed, and lets its plan go.
func (m *Machine) endHunt() {
	m.ringsNoMore()
	m.hunt = nil
	for _, l := range m.legs {
		l.target = nil
	}
	for _, key := range []string{"silent", "ring", "patience"} {
		m.do(Disarm{key})
	}
}

// passedOn makes l, who has answered, the one whom host talks with: after a
// transfer, or because the caller was replaced while it rang.
func (m *Machine) passedOn(host, l *leg, a *ask, resp *sip.Response) {
	theirs, err := session(resp)
	if err == nil && l.theirs != nil && (theirs == nil || l.talk.settled) {
		theirs = l.theirs // it came with a provisional response; one that was acknowledged counts
	}
	var flow sdp.Flow
	if err == nil && theirs == nil {
		err = errNoAnswer
	}
	if err == nil {
		flow, err = l.local.Flow(l.mine, theirs)
	}
	m.acknowledge(l, a.seq, nil)
	l.stage = confirmed
	if err != nil {
		m.leave(l, End{ByUs, 488, err.Error()})
		m.lost488(l, err)
		return
	}
	t := m.hunt.transfer
	m.endHunt()
	l.theirs, l.canUpdate, l.info = theirs, allows(resp, sip.UPDATE), l.info.learn(resp)
	m.do(Media{l.id, flow})
	m.timerAsClient(l, resp)
	for _, o := range m.legs {
		if o != l && o.pending() {
			m.leave(o, End{ByUs, 200, "answered elsewhere"})
		}
	}
	by := m.peer(host)
	m.pair(host, l)
	if t != nil {
		m.settleTransfer(200, "")
	}
	if by != nil && by.stage == confirmed && t != nil {
		m.closeMedia(by)
		m.do(Arm{by.key("part"), partAfter})
	}
}

// lost488 counts out a target whose answer cannot be used.
func (m *Machine) lost488(l *leg, err error) {
	f := failure{code: 488, phrase: sip.Phrase(488), text: l.aim.name + ": " + err.Error(), blame: blameOf(l)}
	if f.better(m.best) {
		m.best = f
	}
	if m.stepOver() {
		m.next(f)
	}
}

// handOver gives the party of a transfer to the call that it shall join.
func (m *Machine) handOver() {
	t := m.transfer
	if t == nil || t.of.stage != confirmed || m.end != nil {
		return
	}
	if t.tries++; t.tries > moveTries {
		m.transferFailed(491, "")
		return
	}
	if t.of.in != nil || t.of.out || t.of.late || m.asked(t.of) {
		m.do(Arm{"move", moveAgain})
		return
	}
	by := Party{}
	if t.by != nil {
		by = m.party(t.by)
	}
	m.away = &away{leg: t.of, move: Move{Leg: t.of.id, Held: Held{t.of, m.party(t.of)}, By: by, Replaces: *t.replaces}}
	m.swap(t.of, &leg{id: t.of.id, stage: offered, incoming: t.of.incoming, talk: &talk{dlg: &dialog.Dialog{LocalTag: t.of.dlg.LocalTag}}})
	t.of = nil
	m.do(m.away.move, Arm{"moved", moveLate})
}

// away is a leg on offer to another call. Until that call has answered nobody
// touches the leg here: it may be the other's already.
type away struct {
	leg  *leg
	move Move
	// waiting are requests that have come for the leg meanwhile.
	waiting []Request
}

// swap puts one leg in the place of another, with its number.
func (m *Machine) swap(old, by *leg) {
	m.legs[by.id] = by
	if m.host == old {
		m.host = by
	}
	if m.winner == old {
		m.winner = by
	}
}

// wait keeps a request for a leg that is on offer.
func (m *Machine) wait(in Request) {
	if m.away == nil || len(m.away.waiting) >= maxDeferred {
		m.do(Respond{in.Tx, sip.Respond(in.Req, 491, "", "")})
		return
	}
	m.away.waiting = append(m.away.waiting, in)
}

// asked says whether a request to a leg waits for its answer.
func (m *Machine) asked(l *leg) bool {
	for _, a := range m.asks {
		if a.leg == l.id {
			return true
		}
	}
	return false
}

// moved says what became of a leg that was on offer.
func (m *Machine) moved(in Moved) {
	a := m.away
	if a == nil || a.move.Leg != in.Leg {
		return
	}
	m.away = nil
	m.do(Disarm{"moved"})
	if in.Code != 200 {
		m.keptBack(a, in.Code)
		return
	}
	l := m.leg(in.Leg)
	l.stage = gone
	m.do(Disarm{l.key("refresh")}, Disarm{l.key("expire")}, Gone{in.Leg})
	for _, w := range a.waiting {
		m.do(Forward{w.Tx})
	}
	if m.end != nil {
		return
	}
	by := m.peer(l)
	m.host, m.winner = by, nil
	m.settleTransfer(200, "")
	if by.stage != confirmed { // it has hung up meanwhile
		m.finish(End{ByCaller, 200, "passed on"})
		return
	}
	m.closeMedia(by)
	m.do(Arm{by.key("part"), partAfter})
}

// keptBack takes a leg back that the other call has not taken.
func (m *Machine) keptBack(a *away, code int) {
	m.swap(m.leg(a.leg.id), a.leg)
	m.keep(a.leg)
	if m.transfer != nil {
		m.transfer.of = a.leg
	}
	switch {
	case m.end != nil:
		m.leave(a.leg, *m.end)
	case code == 491 && m.transfer != nil: // it is just changing its session
		m.do(Arm{"move", moveAgain})
	case code == 481 && m.theirsToReplace(): // the cloud means a dialog of its own
	default:
		m.transferFailed(code, "")
	}
	for _, in := range a.waiting {
		m.request(in)
	}
}

// theirsToReplace calls whom the cloud points at, with the dialog that it named:
// the box knows no such dialog, the cloud may.
func (m *Machine) theirsToReplace() bool {
	t := m.transfer
	if t == nil || t.by == nil || m.party(t.by).Extension != "" {
		return false
	}
	inv, ok := m.onward(m.party(t.by), m.party(t.of))
	if ok {
		m.seek(t, inv, t.to)
		m.hunt.headers = []sip.Header{t.replaces.Header()}
	}
	return ok
}

// part hangs up on whoever has sent the other party on and stays on the line.
func (m *Machine) part(l *leg) {
	if l.stage != confirmed || m.peer(l) != nil {
		return
	}
	if m.winner == nil {
		m.finish(End{ByCaller, 200, "passed on"})
		return
	}
	m.leave(l, End{ByCaller, 200, "passed on"})
}
