package call

import (
	"strconv"
	"time"

	"linekeeper/sbc/sip"
)

func (l *leg) key(name string) string { return name + ":" + strconv.Itoa(int(l.id)) }

func (m *Machine) stopTimers(l *leg) {
	if l.timer.interval > 0 {
		m.do(Disarm{l.key("refresh")}, Disarm{l.key("expire")})
	}
}

// keep arms a leg's session timer: half-way when the box refreshes, a little
// before the end when the peer should have (RFC 4028 10).
func (m *Machine) keep(l *leg) {
	t := l.timer
	if t.interval <= 0 {
		return
	}
	if t.ours {
		m.do(Disarm{l.key("expire")}, Arm{l.key("refresh"), t.interval / 2})
		return
	}
	m.do(Disarm{l.key("refresh")}, Arm{l.key("expire"), t.interval - min(32*time.Second, t.interval/3)})
}

// timerAsServer settles the session timer for a 2xx that the box sends to req,
// and yields the header to put into it (RFC 4028 9).
func (m *Machine) timerAsServer(l *leg, req *sip.Request) []sip.Header {
	if l.stage == early && req.Method != sip.INVITE { // no session yet
		return nil
	}
	se, ok := sip.SessionOf(req)
	supports := sip.HasToken(req, "Supported", "timer")
	switch {
	case !ok && m.cfg.Session == 0:
		return nil
	case !ok:
		l.timer.interval, l.timer.ours = max(m.cfg.Session, l.timer.minSE), true
	default:
		l.timer.interval = se.Interval
		l.timer.ours = se.Refresher == "uas" || !supports
	}
	m.keep(l)
	if !supports {
		return nil // we refresh by ourselves; the peer need not know
	}
	if l.timer.ours {
		return []sip.Header{sip.Session{Interval: l.timer.interval, Refresher: "uas"}.Header()}
	}
	return []sip.Header{sip.NewHeader("Require", "timer"), sip.Session{Interval: l.timer.interval, Refresher: "uac"}.Header()}
}

// timerAsClient settles it from a 2xx that the box received (RFC 4028 7.2).
func (m *Machine) timerAsClient(l *leg, resp *sip.Response) {
	se, ok := sip.SessionOf(resp)
	switch {
	case ok:
		l.timer.interval, l.timer.ours = max(se.Interval, minSE), se.Refresher != "uas"
	case m.cfg.Session > 0:
		l.timer.interval, l.timer.ours = max(m.cfg.Session, l.timer.minSE), true
	default:
		return
	}
	m.keep(l)
}

// timerRefreshed restarts it after any successful re-INVITE or UPDATE of ours.
func (m *Machine) timerRefreshed(l *leg, resp *sip.Response) { m.timerAsClient(l, resp) }

func (m *Machine) refreshHeaders(l *leg) []sip.Header {
	hs := []sip.Header{sip.NewHeader("Allow", sip.AllowedInCall), modestly()}
	if l.timer.interval > 0 {
		who := "uac"
		if !l.timer.ours {
			who = "uas"
		}
		hs = append(hs, sip.Session{Interval: l.timer.interval, Refresher: who}.Header(), sip.MinSEHeader(max(minSE, l.timer.minSE)))
	}
	return hs
}

// refresh asks the peer whether it is still there, without touching the session.
func (m *Machine) refresh(l *leg) {
	if l.stage != confirmed {
		return
	}
	if l.out || l.in != nil || l.late { // an exchange under way refreshes as well
		m.do(Arm{l.key("refresh"), 5 * time.Second})
		return
	}
	a := &ask{purpose: forRefresh, method: sip.UPDATE, headers: m.refreshHeaders(l)}
	if !l.canUpdate {
		a.method, a.body, l.out = sip.INVITE, l.mine.Bytes(), true
	}
	m.send(l, a)
}

// refreshed handles the answer to a refresh.
func (m *Machine) refreshed(l *leg, a *ask, resp *sip.Response) {
	if a.method == sip.INVITE {
		l.out = false
		if resp.IsSuccess() {
			m.acknowledge(l, a.seq, nil)
		}
	}
	if m.end != nil {
		return
	}
	switch code := int(resp.StatusCode); {
	case resp.IsSuccess():
		l.dlg.Refresh(resp)
		m.timerRefreshed(l, resp)
	case code == 422:
		if want, ok := sip.MinSE(resp); ok && want < 24*time.Hour {
			l.timer.interval, l.timer.minSE = max(l.timer.interval, want), want
		}
		m.do(Arm{l.key("refresh"), time.Second})
	case code == 491:
		m.do(Arm{l.key("refresh"), m.glare(l)})
	case code == 481 || code == 408:
		m.finish(End{Unknown, code, "the peer no longer knows the call"})
	case a.method == sip.UPDATE: // 405, 501 …: ask by re-INVITE the next time
		l.canUpdate = false
		m.do(Arm{l.key("refresh"), time.Second})
	default:
		m.keep(l)
	}
}
