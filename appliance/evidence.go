package appliance

import (
	"sync"
	"time"

	"linekeeper/appliance/events"
	"linekeeper/appliance/health"
	"linekeeper/sbc"
	"linekeeper/sbc/line"
	"linekeeper/sbc/sip"
	"linekeeper/survivability/mode"
)

// evidence carries what calls and lines find out to the mode's owner, and what
// the mode becomes back to them.
type evidence struct{ b *Box }

// Answered says that the cloud is there.
func (e evidence) Answered(account string, code int) {
	t := e.b.sw.TargetOf(account)
	if code < 200 {
		e.b.keeper.Tell(mode.CallHeard{Target: t})
	}
	e.b.keeper.Tell(mode.Answered{Target: t, Code: code})
}

// InviteSilent says that an INVITE got no sign.
func (e evidence) InviteSilent(account string) {
	e.b.keeper.Tell(mode.Silent{Target: e.b.sw.TargetOf(account), Call: true})
}

// MediaDead says how many external calls no longer hear the cloud.
func (e evidence) MediaDead(n int) { e.b.keeper.Tell(mode.Media{Dead: n}) }

// LineChanged sums up the lines and raises their alarms.
func (e evidence) LineChanged(v sbc.LineView) {
	b := e.b
	sev := events.Info
	if v.State != line.Bound {
		sev = events.Warning
	}
	b.news.publish(events.LineState, sev, map[string]string{"line": v.Account, "state": lineState(v.State)}, "line %s is %s %s", v.Account, lineState(v.State), v.Cause.String())
	set(b.health, health.LineRejected, v.Account, v.State == line.Rejected, v.Cause.String())
	set(b.health, health.LineLost, v.Account, v.State != line.Bound && v.State != line.Gone, v.Cause.String())
	go b.countLines()
}

// set raises or clears a condition.
func set(h *health.Room, code health.Code, subject string, on bool, cause string) {
	if on {
		h.Raise(code, subject, cause)
		return
	}
	h.Clear(code, subject)
}

// seen remembers when each extension was last heard of.
type seen struct {
	mu sync.Mutex
	m  map[string]time.Time
}

func (s *seen) note(ext string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m[ext] = time.Now()
}

func (s *seen) at(ext string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.m[ext]
}

// phoneNews is news that also remembers who was seen, and pardons an address
// whose phone has proved itself.
type phoneNews struct {
	*news
	b *Box
}

// PhoneRegistered notes the extension as seen.
func (p phoneNews) PhoneRegistered(ext string, flow sip.Flow, fresh bool) {
	p.b.seen.note(ext)
	p.b.guard.Forgive(flow.Remote.Addr())
	p.news.PhoneRegistered(ext, flow, fresh)
}
