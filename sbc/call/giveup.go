package call

import (
	"slices"
	"time"

	"linekeeper/sbc/policy"
	"linekeeper/sbc/sip"
)

// failure is why a target could not be had; the best of a step goes to the caller.
type failure struct {
	code   int
	phrase string
	text   string
	blame  Blame
	after  time.Duration
	silent bool // no sign of life at all
	cause  policy.Cause
	// challenges are for the caller's phone to answer.
	challenges []sip.Header
}

func (f failure) reason() string {
	if f.text != "" {
		return f.text
	}
	return f.phrase
}

// better follows RFC 3261 16.7: 6xx first, then the most telling of the others.
func (f failure) better(than failure) bool { return f.rank() < than.rank() }

func (f failure) rank() int {
	switch {
	case f.code >= 600:
		return 0
	case f.code == 486 || f.code == 600:
		return 1
	case f.code == 480 || f.code == 404 || f.code == 484:
		return 2
	case f.code >= 300 && f.code < 500 && f.code != 408:
		return 3
	case f.code == 408:
		return 5
	case f.code == 0:
		return 9
	}
	return 4
}

// redirect follows a phone that forwards its calls by itself (RFC 3261 8.1.3.4):
// the router is asked for a way to where the phone points, with the rights and
// the line of the phone's extension. Only the last target of a step is
// followed, so that one phone of several doesn't take the call from the others.
func (m *Machine) redirect(l *leg, resp *sip.Response) bool {
	c := resp.Contact()
	if l.aim.extension == "" || c == nil || c.Address.User == "" || m.hunt.redirects >= maxRedirects {
		return false
	}
	l.stage = gone
	m.restart(l)
	m.closeMedia(l)
	if !m.stepOver() {
		return false
	}
	inv := m.cfg.Invite
	if m.hunt.known(inv.Dialled, c.Address.User) { // RFC 3261 8.1.3.4: never twice to the same place
		m.lost(l, failure{code: 482, phrase: "Loop Detected", blame: ByCallee, text: l.aim.name + " forwards in a circle"})
		return true
	}
	m.hunt.redirects++
	m.hunt.visited = append(m.hunt.visited, c.Address.User)
	m.do(Disarm{"silent"}, Disarm{"ring"})
	m.diverted = append([]policy.Divert{diverted(l, resp)}, m.diverted...)
	inv.Diverted = append(slices.Clip(m.diverted), inv.Diverted...)
	inv.Dialled, inv.Instance = c.Address.User, ""
	inv.Caller.Extension, inv.Caller.Line, inv.Caller.Wish = l.aim.extension, "", ""
	inv.Through = nil // the one who forwards has no credentials in this call
	m.do(Redirect{inv})
	return true
}

// retryAfter is what a refusal says about coming back; 0: nothing.
func retryAfter(resp *sip.Response) time.Duration {
	d, _ := sip.RetryAfterOf(resp)
	return d
}

func failureOf(l *leg, resp *sip.Response) failure {
	f := failure{code: int(resp.StatusCode), phrase: resp.Reason, blame: ByCallee, after: retryAfter(resp), cause: policy.ReadCause(resp)}
	if better := f.cause.Sharper(f.code); better != f.code {
		f.code, f.phrase, f.after = better, sip.Phrase(better), 0
	}
	if l.aim.line != "" {
		f.blame = ByCloud
		if f.code == 486 || f.code == 480 || f.code == 603 || f.code == 600 {
			f.blame = ByCallee
		}
	}
	switch {
	case challenged(f.code) && l.aim.through:
		f.text, f.challenges = l.aim.name+" asks for the phone's credentials", challenges(resp)
	case challenged(f.code):
		f.code, f.phrase, f.text = 503, "Service Unavailable", l.aim.name+": the credentials were refused"
	case f.code < 400: // redirection isn't followed
		f.code, f.phrase = 480, "Temporarily Unavailable"
	case f.code == 481 || f.code == 482 || f.code == 483:
		f.text = l.aim.name + ": " + resp.Reason
	}
	return f
}

func challenged(code int) bool { return code == 401 || code == 407 }

// challenges are the digest challenges of a response as they came.
func challenges(resp *sip.Response) []sip.Header {
	var out []sip.Header
	for _, name := range []string{"WWW-Authenticate", "Proxy-Authenticate"} {
		for _, v := range sip.HeaderValues(resp, name) {
			out = append(out, sip.NewHeader(name, v))
		}
	}
	return out
}

// credentials are the digest answers of a request as they came.
func credentials(req *sip.Request) []sip.Header {
	var out []sip.Header
	for _, name := range []string{"Authorization", "Proxy-Authorization"} {
		for _, v := range sip.HeaderValues(req, name) {
			out = append(out, sip.NewHeader(name, v))
		}
	}
	return out
}

func blameOf(l *leg) Blame {
	if l.aim.line != "" {
		return ByCloud
	}
	return ByCallee
}

// lost counts out one target; when it was the last of its step, the next begins.
func (m *Machine) lost(l *leg, f failure) {
	l.stage = gone
	m.restart(l)
	m.closeMedia(l)
	if !m.hunting() {
		return
	}
	switch {
	case f.silent:
		m.do(Silent{*l.target})
	case f.code == 503:
		m.do(Overloaded{*l.target, f.after})
	}
	if f.better(m.best) {
		m.best, m.cause = f, f.cause
	}
	if f.code >= 600 && !m.hunt.plan.Insist || f.challenges != nil { // RFC 3261 16.7 step 5: nobody else shall ring
		m.fruitless(End{f.blame, f.code, f.reason()})
		return
	}
	if !m.stepOver() {
		return
	}
	m.next(f)
}

func (m *Machine) stepOver() bool {
	for _, l := range m.legs[1:] {
		if l.pending() {
			return false
		}
	}
	return true
}

// next goes on after a step has failed: a silent cloud makes the router be asked
// again, a busy or refusing callee ends the call unless the plan has more.
func (m *Machine) next(f failure) {
	m.do(Disarm{"silent"}, Disarm{"ring"})
	h := m.hunt
	elsewhere := f.silent || f.code == 503
	if elsewhere && h.step+1 < len(h.plan.Steps) && h.plan.Steps[h.step+1].Spare {
		h.step++
		m.begin()
		return
	}
	if elsewhere && h.viaCloud() && !h.replaned {
		h.replaned = true
		m.askAgain(h)
		return
	}
	h.pass()
	m.begin()
}

// askAgain asks the router for a way that needs no cloud.
func (m *Machine) askAgain(h *hunt) {
	if h.onward != nil {
		again := *h.onward
		again.Invite.Silent = true
		m.do(again)
		return
	}
	inv := m.cfg.Invite
	inv.Silent = true
	m.do(Replan{inv})
}

// silent gives up the targets of the step that have given no sign at all. They
// can't be cancelled yet; a late answer gets ACK and BYE.
func (m *Machine) silent() {
	if !m.hunting() {
		return
	}
	for _, l := range m.legs[1:] {
		if l.stage == calling && !l.heard {
			l.stage = leaving
			m.do(Cancel{l.ref, ""})
			m.lostSilent(l)
			if m.end != nil {
				return
			}
		}
	}
}

func (m *Machine) lostSilent(l *leg) {
	m.restart(l)
	m.closeMedia(l)
	f := failure{code: 408, phrase: "Request Timeout", text: l.aim.name + " gave no sign", blame: blameOf(l), silent: true}
	m.do(Silent{*l.target})
	if f.better(m.best) {
		m.best = f
	}
	if m.stepOver() {
		m.next(f)
	}
}

// unanswered ends a step that has rung long enough.
func (m *Machine) unanswered() {
	if !m.hunting() {
		return
	}
	for _, l := range m.legs[1:] {
		if l.pending() {
			m.leave(l, End{ByUs, 480, "no answer"})
		}
	}
	if f := (failure{code: 480, phrase: "No Answer", blame: ByCallee, text: "nobody answered"}); f.better(m.best) {
		m.best = f
	}
	m.do(Disarm{"silent"})
	m.hunt.pass()
	m.begin()
}
