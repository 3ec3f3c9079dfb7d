package call

import (
	"strconv"
	"time"

	"linekeeper/sbc/sdp"
	"linekeeper/sbc/sip"
)

// ctype is the content type of a body; SDP where none is given.
func ctype(given string) string {
	if given == "" {
		return "application/sdp"
	}
	return given
}

// respond answers a request that belongs to no living leg.
func (m *Machine) respond(tx TxID, req *sip.Request, code int, phrase, tag string) {
	m.do(Respond{tx, sip.Respond(req, code, phrase, tag)})
}

// reply answers a request of the leg's dialog, with what RFC 3261 and 4028 ask
// of a 2xx to INVITE and UPDATE.
func (m *Machine) reply(l *leg, tx TxID, req *sip.Request, code int, phrase string, body []byte) {
	m.do(Respond{tx, m.compose(l, req, code, phrase, body)})
}

func (m *Machine) compose(l *leg, req *sip.Request, code int, phrase string, body []byte, extra ...sip.Header) *sip.Response {
	resp := sip.Respond(req, code, phrase, l.dlg.LocalTag)
	target := req.Method == sip.INVITE || req.Method == sip.UPDATE
	if (target || req.Method == sip.REFER) && code > 100 && code < 300 {
		resp.AppendHeader(&sip.Contact{Address: l.dlg.Contact})
	}
	if code == 489 {
		resp.AppendHeader(sip.NewHeader("Allow-Events", "refer"))
	}
	if code == 405 || code == 200 && (target || req.Method == sip.OPTIONS) {
		resp.AppendHeader(sip.NewHeader("Allow", sip.AllowedInCall))
	}
	if code/100 == 2 && target {
		resp.AppendHeader(sip.NewHeader("Supported", sip.Supported))
		for _, h := range m.timerAsServer(l, req) {
			resp.AppendHeader(h)
		}
	}
	if code == 422 {
		resp.AppendHeader(sip.MinSEHeader(minSE))
	}
	if code > 100 {
		resp.AppendHeader(m.session(l))
	}
	if l == m.a() && req == l.invite && code > 100 && code < 300 {
		for _, h := range m.connected {
			resp.AppendHeader(h)
		}
	}
	for _, h := range extra {
		resp.AppendHeader(h)
	}
	resp.AppendHeader(sip.NewHeader("Server", m.cfg.Agent))
	sip.SetBody(resp, ctype(""), body)
	return resp
}

func (m *Machine) replyMinSE(l *leg, tx TxID, req *sip.Request) {
	m.reply(l, tx, req, 422, "Session Interval Too Small", nil)
}

func (m *Machine) replyAfter(l *leg, tx TxID, req *sip.Request, code int, after time.Duration) {
	resp := sip.Respond(req, code, "", l.dlg.LocalTag)
	resp.AppendHeader(sip.RetryAfterHeader(after))
	resp.AppendHeader(m.session(l))
	m.do(Respond{tx, resp})
}

// replyMisfit refuses an offer of the leg's dialog and says what is wrong with it.
func (m *Machine) replyMisfit(l *leg, tx TxID, req *sip.Request, err error) {
	m.do(Respond{tx, m.compose(l, req, 488, "", nil, warnings(err)...)})
}

// warnings say in a 488 what does not fit (RFC 3261 20.43).
func warnings(err error) []sip.Header {
	code, text := sdp.Warning(err)
	if code == 0 {
		return nil
	}
	return []sip.Header{sip.NewHeader("Warning", strconv.Itoa(code)+" linekeeper "+sip.Quote(text))}
}

// refuse gives a caller the final answer of a call that nobody took.
func (m *Machine) refuse(a *leg, end End) {
	phrase := ""
	if m.best.code == end.Code {
		phrase = m.best.phrase
	}
	resp := sip.Respond(a.invite, end.Code, phrase, a.dlg.LocalTag)
	if m.best.code == end.Code && m.best.after > 0 {
		resp.AppendHeader(sip.RetryAfterHeader(m.best.after))
	}
	if m.best.code == end.Code {
		for _, h := range m.best.challenges {
			resp.AppendHeader(h)
		}
	}
	if end.Code == 422 {
		resp.AppendHeader(sip.MinSEHeader(minSE))
	}
	if end.Code == 415 {
		resp.AppendHeader(sip.NewHeader("Accept", "application/sdp"))
	}
	for _, h := range m.refusal(end) {
		resp.AppendHeader(h)
	}
	if end.Code == 488 && end.Blame == ByCaller {
		for _, h := range warnings(m.misfit) {
			resp.AppendHeader(h)
		}
	}
	resp.AppendHeader(m.session(a))
	resp.AppendHeader(sip.NewHeader("Server", m.cfg.Agent))
	m.do(Respond{a.tx, resp})
}
