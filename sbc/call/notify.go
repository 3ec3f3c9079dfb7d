package call

import (
	"strings"

	"linekeeper/sbc/sip"
)

// tell lets whoever asked for a transfer know how it goes (RFC 3515 2.4.4). One
// NOTIFY is out at a time; of what happens meanwhile the newest is told.
func (m *Machine) tell(code int, phrase string, last bool) {
	t := m.transfer
	if t == nil || t.settled || t.code == code && !last {
		return
	}
	t.code, t.phrase, t.settled, t.said = code, phrase, last, false
	m.sayOn()
}

// settleTransfer says the last word about a transfer.
func (m *Machine) settleTransfer(code int, phrase string) {
	m.tell(code, phrase, true)
	m.sayOn()
}

// sayOn sends what is to be told, and forgets a transfer of which all was told.
func (m *Machine) sayOn() {
	t := m.transfer
	switch {
	case t == nil || t.asking:
	case t.by == nil || t.event == "" || t.said || t.by.stage != confirmed:
		if t.settled {
			m.transfer = nil
		}
	default:
		state := "active;expires=60"
		if t.settled {
			state = "terminated;reason=noresource"
		}
		t.said, t.asking = true, true
		m.send(t.by, &ask{purpose: forNotify, method: sip.NOTIFY, body: sip.Sipfrag(t.code, t.phrase), ctype: "message/sipfrag;version=2.0",
			headers: []sip.Header{sip.NewHeader("Event", t.event), sip.NewHeader("Subscription-State", state)}})
	}
}

// told handles the end of a NOTIFY: whoever doesn't want it gets no further one.
func (m *Machine) told(l *leg, code int) {
	t := m.transfer
	if t == nil || t.by != l {
		return
	}
	t.asking = false
	if code >= 300 {
		t.event = ""
	}
	m.sayOn()
}

// resubscribed handles a SUBSCRIBE for a transfer under way: it asks how it
// stands, or wants to hear no more (RFC 3515 2.4.4).
func (m *Machine) resubscribed(l *leg, in Request) {
	t := m.transfer
	event, _, _ := strings.Cut(sip.HeaderValue(in.Req, "Event"), ";")
	switch {
	case !strings.EqualFold(strings.TrimSpace(event), "refer"):
		m.reply(l, in.Tx, in.Req, 489, "", nil)
		return
	case t == nil || t.by != l || t.event == "":
		m.reply(l, in.Tx, in.Req, 481, "", nil)
		return
	}
	resp := sip.Respond(in.Req, 200, "OK", l.dlg.LocalTag)
	resp.AppendHeader(&sip.Contact{Address: l.dlg.Contact})
	if d, ok := sip.ExpiresOf(in.Req); ok && d == 0 {
		resp.AppendHeader(sip.ExpiresHeader(0))
		m.do(Respond{in.Tx, resp})
		m.send(l, &ask{purpose: forNotify, method: sip.NOTIFY, body: sip.Sipfrag(t.code, t.phrase), ctype: "message/sipfrag;version=2.0",
			headers: []sip.Header{sip.NewHeader("Event", t.event), sip.NewHeader("Subscription-State", "terminated;reason=timeout")}})
		t.event = ""
		return
	}
	resp.AppendHeader(sip.NewHeader("Expires", "60"))
	m.do(Respond{in.Tx, resp})
	t.said = false
	m.sayOn()
}
