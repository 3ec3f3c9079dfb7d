package appliance

import (
	"fmt"
	"strconv"
	"time"

	"linekeeper/appliance/events"
	"linekeeper/appliance/health"
	"linekeeper/appliance/metrics"
	"linekeeper/sbc"
	"linekeeper/sbc/call"
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
		for leg, st := range map[string]uint64{"a": v.Media.A.In.Lost, "b": v.Media.B.In.Lost} {
			facts["lost_"+leg] = strconv.FormatUint(st, 10)
		}
		facts["packets_a"] = strconv.FormatUint(v.Media.A.In.Packets, 10)
		facts["packets_b"] = strconv.FormatUint(v.Media.B.In.Packets, 10)
	}
	n.publish(events.CallEnded, sev, facts, "call from %s to %s ended: %s", caller(v), v.Dialled, v.End.Reason)
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
