package sbc

import (
	"testing"
	"testing/synctest"
	"time"

	"linekeeper/sbc/sip"
)

func TestALineIsAFlowWhereTheRegistrarKeepsThem(t *testing.T) {
	for _, on := range []bool{true, false} {
		inWorld(t, func(c *Config) { c.Trunk.Outbound = on }, func(t *testing.T, w *world) {
			cloud := w.cloud(5)
			w.s.SetTargets([]Target{cloud.target()})
			ids := map[string]bool{}
			for range 2 {
				req := cloud.takes("Require: outbound", "Flow-Timer: 600")
				c := req.Contact()
				ids[sip.ParamValue(c.Params, "+sip.instance")] = true
				if got := sip.ParamValue(c.Params, "reg-id") == "1" && c.Address.UriParams.Has("ob") && sip.HasToken(req, "Supported", "outbound") && sip.HasToken(req, "Supported", "path"); got != on {
					t.Errorf("asked for a flow %v, want %v:\n%s", got, on, sip.Bytes(req))
				}
			}
			if want := map[bool]int{true: 2, false: 1}[on]; len(ids) != want {
				t.Errorf("instances %v", ids)
			}
			a := w.phone("22", 10)
			invite := a.dials("089555200")
			out := cloud.gets(sip.INVITE)
			if got := out.Contact().Address.UriParams.Has("ob"); got != on {
				t.Errorf("the call asks to come back on its flow: %v", got)
			}
			cloud.answers(out, 486)
			cloud.gets(sip.ACK)
			a.acks(invite, a.hears(486))
			w.idle()
		})
	}
}

func TestTheEdgesFlowTimerSetsThePaceOfKeepAlives(t *testing.T) {
	for _, c := range []struct {
		refresh time.Duration
		timer   string
		want    int // for each of two lines, in two minutes
	}{{25 * time.Second, "600", 4}, {25 * time.Second, "20", 7}, {0, "50", 3}, {0, "nonsense", 0}, {25 * time.Second, "1", 4}, {0, "0", 0}} {
		inWorld(t, func(cfg *Config) { cfg.Trunk.Refresh = c.refresh }, func(t *testing.T, w *world) {
			w.up("Flow-Timer: " + c.timer)
			<-time.After(2*time.Minute + 500*time.Millisecond)
			synctest.Wait()
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.pings != 2*c.want {
				t.Errorf("refresh %s, Flow-Timer %s: %d keep-alives in two minutes, want %d", c.refresh, c.timer, w.pings, 2*c.want)
			}
		})
	}
}

func TestARefreshChangesTheServiceRoute(t *testing.T) {
	inWorld(t, one, func(t *testing.T, w *world) {
		cloud := w.cloud(5)
		w.s.SetTargets([]Target{cloud.target()})
		cloud.takes("Service-Route: <sip:old.cloud.example;lr>")
		a := w.phone("22", 10)
		calls := func(want string) {
			t.Helper()
			invite := a.dials("089555200")
			out := cloud.gets(sip.INVITE)
			got := ""
			for _, r := range sip.Routes(out) {
				got += r.Host + " "
			}
			if got != want {
				t.Errorf("routed by %q, want %q", got, want)
			}
			cloud.answers(out, 486)
			cloud.gets(sip.ACK)
			a.acks(invite, a.hears(486))
		}
		calls("old.cloud.example ")
		for _, words := range [][]string{{"Service-Route: <sip:new.cloud.example;lr>, <sip:core.cloud.example;lr>"}, nil} {
			<-time.After(7*time.Minute + 50*time.Second) // before four fifths of ten minutes
			cloud.takes(words...)
			if words != nil {
				calls("new.cloud.example core.cloud.example ")
				continue
			}
			calls("") // a 200 without one takes it away (RFC 3608 5)
		}
		w.idle()
	})
}
