package appliance

import (
	"context"
	"crypto/tls"
	"errors"
	"net/netip"
	"time"

	"linekeeper/appliance/events"
	"linekeeper/appliance/health"
	"linekeeper/sbc"
	"linekeeper/sbc/line"
	"linekeeper/sbc/resolve"
	"linekeeper/sbc/sip"
	"linekeeper/sbc/wire"
	"linekeeper/survivability/mode"
)

// evidence carries what calls and lines find out to the mode's owner, and what
// the mode becomes back to them.
type evidence struct{ b *Box }

// Answered says that the cloud is there.
func (e evidence) Answered(_ string, t, code int) {
	if code < 200 {
		e.b.keeper.Tell(mode.CallHeard{Target: t})
	}
	e.b.keeper.Tell(mode.Answered{Target: t, Code: code})
}

// InviteSilent says that an INVITE got no sign.
func (e evidence) InviteSilent(_ string, t int) {
	e.b.keeper.Tell(mode.Silent{Target: t, Call: true})
}

// MediaDead says how many external calls no longer hear the cloud.
func (e evidence) MediaDead(n int) { e.b.keeper.Tell(mode.Media{Dead: n}) }

// LineChanged sums up the lines and raises their alarms.
func (e evidence) LineChanged(v sbc.LineView) {
	b := e.b
	b.news.lineChanged(v)
	set(b.health, health.LineRejected, v.Account, v.State == line.Rejected, v.Cause.String())
	set(b.health, health.LineLost, v.Account, v.State != line.Bound && v.State != line.Gone, v.Cause.String())
	select {
	case b.recount <- struct{}{}:
	default: // a count that has not begun yet will see this change too
	}
}

// set raises or clears a condition.
func set(h *health.Room, code health.Code, subject string, on bool, cause string) {
	if on {
		h.Raise(code, subject, cause)
		return
	}
	h.Clear(code, subject)
}

// received hands messages to the exchange and tells lines of broken connections.
type received struct{ b *Box }

// Receive takes a message from the wire. On the trunk only the cloud is heard:
// whoever else knocks there gets silence.
func (r received) Receive(m sip.Message, flow sip.Flow) {
	if flow.Zone == trunkZone && !r.b.sw.Knows(flow.Remote.Addr()) {
		r.b.metrics.Rejected("stranger")
		r.b.guard.Punish(flow.Remote.Addr())
		return
	}
	r.b.exchange.Receive(m, flow)
}

// late turns new calls away that waited for too long. Strangers on the trunk get
// silence as ever.
func (b *Box) late(req *sip.Request, flow sip.Flow) bool {
	if flow.Zone == trunkZone && !b.sw.Knows(flow.Remote.Addr()) || !b.sw.Late(req, flow) {
		return false
	}
	b.metrics.Rejected("late")
	return true
}

// Lost tells everybody concerned that a connection broke.
func (r received) Lost(flow sip.Flow, err error) {
	r.b.exchange.Lost(flow, err)
	if flow.Zone == sbc.LAN {
		r.b.bindings.Lost(flow)
		return
	}
	if t := r.b.sw.TargetAt(flow); t >= 0 {
		r.b.keeper.Tell(mode.Lost{Target: t, Certificate: certificate(err)})
	}
	r.b.sw.Lost(flow, certificate(err))
}

// certificate says whether an error is about a certificate.
func certificate(err error) bool {
	var verify *tls.CertificateVerificationError
	var alert tls.AlertError
	return errors.As(err, &verify) || errors.As(err, &alert)
}

// punisher hands failures to the guard.
type punisher struct{ b *Box }

// Punish counts a failure against an address, and says when that bans it.
func (p punisher) Punish(a netip.Addr, reason string) {
	if p.b.guard.Punish(a) {
		p.b.news.publish(events.GuardRejected, events.Warning, map[string]string{"address": a.String()}, "%s is banned: %s", a, reason)
	}
}

// countRejected hands the guard's own counts to the metrics once a second:
// what it turns away is turned away before anything is spent on it.
func (b *Box) countRejected(ctx context.Context, ready func()) error {
	ready()
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	told := make(map[wire.Reason]uint64)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		for reason, n := range b.guard.Rejected() {
			b.metrics.RejectedMore(string(reason), n-told[reason])
			told[reason] = n
		}
	}
}

// targetsChanged hands new addresses of the provider to lines and mode.
func (b *Box) targetsChanged(ts []resolve.Target) {
	list := make([]sbc.Target, len(ts))
	for i, t := range ts {
		list[i] = sbc.Target{Transport: t.Transport, Addr: t.Addr}
	}
	b.servers.learn(b.site.Load(), ts) // before anybody connects
	b.sw.SetTargets(list)
	if len(list) > 0 {
		b.carrier.Toward(list[0].Addr.Addr())
	}
	b.keeper.Tell(mode.Retarget{Count: len(list)})
}

// namesJudged tells the mode how the name look-ups do.
func (b *Box) namesJudged(h resolve.Health) {
	fact := mode.Unknown
	switch h.Verdict {
	case resolve.Good:
		fact = mode.Good
	case resolve.Bad:
		fact = mode.Bad
	default: // nobody knows
	}
	b.keeper.Tell(mode.DNS{Fact: fact})
	set(b.health, health.DNSBroken, "", h.Verdict == resolve.Bad, h.Cause)
}

// modeChanged tells lines, people and metrics.
func (b *Box) modeChanged(v mode.View) {
	was := mode.Mode(b.was.Swap(int32(v.Mode)))
	sev := events.Info
	if v.Mode == mode.Survival {
		sev = events.Critical
	}
	b.news.publish(events.ModeChange, sev, map[string]string{"mode": v.Mode.String(), "cause": v.Cause.String()}, "mode is %s. %s", v.Mode, v.Cause.Sentence("en"))
	set(b.health, health.Survival, "", v.Mode == mode.Survival, v.Cause.Sentence("en"))
	if was == v.Mode {
		return
	}
	b.metrics.ModeChanged(v.Mode.String())
	b.watch.Status(v.Mode.String() + ": " + v.Cause.Sentence("en"))
	switch {
	case v.Mode == mode.Survival:
		b.sw.PathLost()
		b.names.Kick()
	case was == mode.Survival:
		b.sw.PathBack()
	}
}

// countLines sums up the lines for the mode whenever one has changed. It has a
// goroutine of its own because a line tells of its change while it steps, and
// the sum asks all of them.
func (b *Box) countLines(ctx context.Context, ready func()) error {
	ready()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-b.recount:
			b.keeper.Tell(b.lines())
		}
	}
}

func (b *Box) lines() mode.Lines {
	var l mode.Lines
	for _, v := range b.sw.Lines() {
		l.Total++
		switch v.State {
		case line.Bound:
			l.Registered++
		case line.Rejected:
			l.Rejected++
		default: // neither
		}
	}
	return l
}
