package call

import (
	"linekeeper/sbc/sip"
)

// through says whether a leg goes to the cloud over an account whose credentials
// the phone holds itself: what the cloud wants proved, the phone must answer.
func (m *Machine) through(l *leg) bool { return l.aim.through || m.party(l).Through }

// carryRefer passes a phone's REFER to the cloud, where only the phone could
// prove a new call. The dialog that it names is the phone's with the box; the
// cloud knows the box's own.
func (m *Machine) carryRefer(l, other *leg, in Request) {
	to, err := sip.ReferToOf(in.Req)
	if err != nil {
		m.reply(l, in.Tx, in.Req, 400, "Bad Refer-To", nil)
		return
	}
	to.URI.Host, to.URI.Port, to.URI.UriParams = other.dlg.Remote.URI.Host, 0, nil
	if to.Replaces != nil {
		if in.Far == nil {
			m.reply(l, in.Tx, in.Req, 481, "", nil)
			return
		}
		to.Replaces = in.Far
	}
	a := &ask{purpose: forRelay, method: sip.REFER, relay: &relay{from: l.id, to: other.id, tx: in.Tx, req: in.Req}}
	by := other.dlg.Local.URI
	a.headers = []sip.Header{to.Header(), sip.NewHeader("Referred-By", "<"+sip.URIText(&by)+">")}
	for _, name := range []string{"Refer-Sub", "Supported", "Require"} {
		a.headers = append(a.headers, in.Req.GetHeaders(name)...)
	}
	a.headers = append(a.headers, m.passed(other, in.Req)...)
	other.refers = true
	m.send(other, a)
}

// reported handles a NOTIFY within the call: how a transfer goes that was passed
// to the cloud. Nobody has asked for any other (RFC 6665 4.1.3).
func (m *Machine) reported(l *leg, in Request) {
	if !l.refers {
		m.reply(l, in.Tx, in.Req, 481, "", nil)
		return
	}
	m.carry(l, in)
}
