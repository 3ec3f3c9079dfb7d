package appliance

import (
	"fmt"
	"maps"
	"strconv"
	"sync"
	"time"

	"linekeeper/appliance/events"
	"linekeeper/appliance/health"
	"linekeeper/appliance/metrics"
	"linekeeper/sbc"
	"linekeeper/sbc/call"
	"linekeeper/sbc/line"
	"linekeeper/sbc/media"
	"linekeeper/sbc/sip"
)

// news turns what happens in the rooms into events and counts for people.
type news struct {
	hub     *events.Hub
	metrics *metrics.Metrics
}

func (n *news) publish(kind events.Kind, sev events.Severity, attrs map[string]string, format string, args ...any) {
	n.hub.Publish(events.Event{Time: time.Now(), Kind: kind, Severity: sev, Text: fmt.Sprintf(format, args...), Attributes: attrs})
}

// CallChanged tells of a call that begins; its later states are in `calls`.
func (n *news) CallChanged(v sbc.CallView) {
	if v.State == call.Ringing || v.State == call.Talking {
		n.publish(events.CallStarted, events.Info, callFacts(v), "call %s from %s to %s", v.State, caller(v), v.Dialled)
	}
}

// CallEnded tells how a call ended, and counts it.
func (n *news) CallEnded(v sbc.CallView) {
	if v.End == nil {
		return
	}
	sev, outcome := events.Info, "answered"
	if v.Talked.IsZero() {
		outcome = "unanswered"
		if v.End.Code >= 500 {
			sev, outcome = events.Warning, "failed"
		}
	}
	n.metrics.CallEnded(string(v.Way), outcome)
	facts := callFacts(v)
	facts["blame"], facts["code"] = string(v.End.Blame), strconv.Itoa(v.End.Code)
	if v.Media != nil {
		maps.Copy(facts, n.heard(v.Media))
	}
	n.publish(events.CallEnded, sev, facts, "call from %s to %s ended: %s", caller(v), v.Dialled, v.End.Reason)
}

// enough packets (2 s of speech) make a quality worth counting.
const enough = 100

// heard counts the quality of a call's two directions, and tells its figures.
func (n *news) heard(r *sbc.CallReport) map[string]string {
	facts := make(map[string]string)
	for leg, st := range map[string]media.Stats{"a": r.A, "b": r.B} {
		facts["packets_"+leg] = strconv.FormatUint(st.In.Packets, 10)
		facts["lost_"+leg] = strconv.FormatUint(st.In.Lost, 10)
		if st.In.Packets < enough {
			continue
		}
		mos := st.In.MOS(st.Codec, st.RoundTrip)
		n.metrics.MOS(mos)
		facts["mos_"+leg] = strconv.FormatFloat(mos, 'f', 1, 64)
	}
	return facts
}

func caller(v sbc.CallView) string {
	if v.Caller.Anonymous || v.Caller.Number == "" {
		return "an anonymous caller"
	}
	return v.Caller.Number
}

func callFacts(v sbc.CallView) map[string]string {
	return map[string]string{"call": v.Token, "route": string(v.Way), "from": caller(v), "to": v.Dialled, "callee": v.Callee}
}

// PhoneRegistered tells of a phone's new contact; refreshes are no news.
func (n *news) PhoneRegistered(ext string, flow sip.Flow, fresh bool) {
	if fresh {
		n.publish(events.Registration, events.Info, map[string]string{"extension": ext, "address": flow.Remote.String(), "transport": string(flow.Transport)},
			"a phone registered for extension %s", ext)
	}
}

// PhoneGone tells of a contact that left or ran out.
func (n *news) PhoneGone(ext string) {
	n.publish(events.Registration, events.Info, map[string]string{"extension": ext}, "a phone of extension %s is no longer registered", ext)
}

// lineChanged tells how a cloud account stands.
func (n *news) lineChanged(v sbc.LineView) {
	sev, text := events.Info, "line "+v.Account+" is "+lineState(v.State)
	switch v.State {
	case line.Bound, line.Asking:
	default: // a line that waits, is refused or gone needs somebody's eye
		sev = events.Warning
		if v.Cause.String() != "" {
			text += ": " + v.Cause.String()
		}
	}
	n.publish(events.LineState, sev, map[string]string{"line": v.Account, "state": lineState(v.State)}, "%s", text)
}

// Refused tells of what was turned away.
func (n *news) Refused(reason string, flow sip.Flow, req *sip.Request) {
	n.metrics.Rejected(reason)
	n.publish(events.GuardRejected, events.Warning, map[string]string{"address": flow.Remote.String(), "method": string(req.Method), "zone": flow.Zone},
		"refused from %s: %s", flow.Remote.Addr(), reason)
}

// alarm tells of an alarm that became visible or went away.
func (n *news) alarm(c health.Change) {
	kind := events.AlarmCleared
	if c.Raised {
		kind = events.AlarmRaised
	}
	n.publish(kind, events.Severity(c.Alarm.Severity), map[string]string{"code": string(c.Alarm.Code), "subject": c.Alarm.Subject}, "%s: %s", c.Alarm.Title.EN, c.Alarm.Cause)
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
