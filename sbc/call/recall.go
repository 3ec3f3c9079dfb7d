package call

import "linekeeper/sbc/sip"

// maxRecalls bounds how often a call comes back to those who sent it on: a phone that
// answers and transfers by itself must not go round for ever.
const maxRecalls = 3

// callBack calls the phone that has sent a party on, which waits meanwhile in the
// dialog that it has. Where that phone does not answer either, the call ends as the
// transfer did. Nobody calls a party of the cloud back, and a recall that is in
// vain is not tried again.
func (m *Machine) callBack(t *transfer, end End) {
	if t.who.Extension == "" || t.of == nil || t.of.stage != confirmed || m.recalls >= maxRecalls || m.end != nil {
		m.finish(end)
		return
	}
	m.recalls++
	m.host, m.winner = t.of, nil
	inv, _ := m.onward(t.who, m.party(t.of))
	inv.Diverted, inv.Silent = nil, true // inside, whatever way internal calls take
	m.best = failure{}
	m.hunt = &hunt{host: t.of, recall: &end, redirects: maxRedirects}
	m.do(Arm{"patience", m.cfg.Patience},
		Transfer{Invite: inv, To: sip.URI{Scheme: "sip", User: t.who.Extension, Host: t.of.dlg.Contact.Host}})
}
