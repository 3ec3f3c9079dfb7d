package appliance

import (
	"log/slog"
	"strings"
	"testing"

	"linekeeper/appliance/events"
	"linekeeper/appliance/health"
	"linekeeper/appliance/metrics"
	"linekeeper/sbc"
)

// TestTroubleWithSpeechIsAnEventAndAnAlarm plays two calls that don't hear the cloud,
// one that hears it badly, and their ends: an alarm stands for a side, not for a call.
func TestTroubleWithSpeechIsAnEventAndAnAlarm(t *testing.T) {
	b := &Box{hub: events.New(64, 1), health: health.New(slog.New(slog.DiscardHandler), nil), metrics: metrics.New(nil)}
	p := phoneNews{&news{hub: b.hub, metrics: b.metrics}, b}
	alarms := func() string {
		var all []string
		for _, a := range b.health.Alarms() {
			all = append(all, string(a.Code)+" "+a.Subject+": "+a.Cause)
		}
		return strings.Join(all, "; ")
	}
	expect := func(want string) {
		t.Helper()
		if got := alarms(); got != want {
			t.Errorf("alarms %q, want %q", got, want)
		}
	}
	p.MediaChanged(sbc.MediaView{Call: "1", Trouble: sbc.OneWay, Side: "cloud", Cause: "nothing arrives any more"})
	expect("media-dead cloud: 1 calls, the last one: nothing arrives any more")
	p.MediaChanged(sbc.MediaView{Call: "2", Trouble: sbc.OneWay, Side: "cloud", Cause: "nothing arrives any more"})
	expect("media-dead cloud: 2 calls, the last one: nothing arrives any more")
	p.MediaChanged(sbc.MediaView{Call: "1", Side: "cloud"})
	if got := alarms(); !strings.HasPrefix(got, "media-dead cloud") {
		t.Errorf("one call is still unheard, alarms %q", got)
	}
	p.MediaChanged(sbc.MediaView{Call: "2", Side: "cloud"})
	expect("")
	p.MediaChanged(sbc.MediaView{Call: "3", Trouble: sbc.Bad, Side: sbc.LAN, Cause: "packets are lost", MOS: 2.84})
	expect("media-bad lan: 1 calls, the last one: packets are lost")
	p.MediaChanged(sbc.MediaView{Call: "3", Side: ""})
	expect("")
	var texts []string
	for _, e := range b.hub.Last(64) {
		if e.Kind != events.Media || e.Attributes["call"] == "" {
			t.Errorf("%+v", e)
		}
		texts = append(texts, string(e.Severity)+" "+e.Attributes["trouble"]+" "+e.Attributes["mos"])
	}
	if got := strings.Join(texts, ", "); got != "warning one-way , warning one-way , info one-way , info one-way , warning bad 2.8, info bad " {
		t.Errorf("events %s", got)
	}
}
