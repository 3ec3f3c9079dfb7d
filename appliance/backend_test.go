package appliance

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"linekeeper/appliance/events"
	"linekeeper/appliance/lab/cloud"
	"linekeeper/appliance/lab/phone"
	"linekeeper/appliance/lab/ua"
)

// fetch reads a page; dial says how it is reached.
func fetch(t *testing.T, url string, dial func(context.Context, string, string) (net.Conn, error)) string {
	t.Helper()
	c := http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}, Timeout: longest}
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, resp.Status, err)
	}
	return string(text)
}

// one is a world of two phones, one line each, online.
func one(t *testing.T) (*world, *daemon, *phone.Phone, *phone.Phone) {
	t.Helper()
	w := newWorld(t).withCloud()
	d := w.run(w.file(w.document([]string{"22", "23", "24"})))
	a, b := w.registered(d, "22", ua.UDP), w.registered(d, "23", ua.TLS)
	w.online(d)
	return w, d, a, b
}

func TestStatusHasWhatIsPromised(t *testing.T) {
	t.Parallel()
	w, d, a, b := one(t)
	w.talk(a, b)
	socket := d.opts.Settings.API.Socket
	text := fetch(t, "http://box/api/v1/status", func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	})
	var got map[string]any
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	at := func(path string) any {
		var v any = got
		for key := range strings.SplitSeq(path, ".") {
			m, _ := v.(map[string]any)
			v = m[key]
		}
		return v
	}
	for path, want := range map[string]any{
		"mode": "online", "cause": "", "version": "1.2.3", "provider.profile": "generic", "provider.reachable": true,
		"provider.target": w.cloud.Target(ua.TLS), "lines.registered": 3.0, "lines.total": 3.0,
		"extensions.registered": 2.0, "extensions.total": 3.0, "calls.active": 1.0,
	} {
		if at(path) != want {
			t.Errorf("%s is %v, want %v", path, at(path), want)
		}
	}
	since, err := time.Parse(time.RFC3339, at("since").(string))
	if err != nil || time.Since(since) > time.Minute {
		t.Errorf("since %v", at("since"))
	}
	if up, ok := at("uptime_s").(float64); !ok || up > 60 {
		t.Errorf("uptime_s %v", at("uptime_s"))
	}
	if score, ok := at("readiness.score").(float64); !ok || score <= 0 || score > 100 {
		t.Errorf("readiness.score %v", at("readiness.score"))
	}
	if _, ok := at("readiness.findings").([]any); !ok {
		t.Errorf("readiness.findings %v", at("readiness.findings"))
	}
}

func TestViewsTellPhonesLinesAndCalls(t *testing.T) {
	t.Parallel()
	w, d, a, b := one(t)
	w.talk(a, b)
	exts := d.Extensions()
	if e := exts[0]; e.Number != "22" || e.Name != "Platz 22" || e.Public != "+498912345622" || !e.Registered || e.Line != "registered" || e.Calls != 1 ||
		len(e.Contacts) != 1 || e.Contacts[0].Address != a.Local().String() || e.Contacts[0].Transport != "udp" || time.Since(e.LastSeen) > time.Minute {
		t.Errorf("22: %+v", e)
	}
	if e := exts[2]; e.Registered || !e.LastSeen.IsZero() || e.Contacts == nil || e.Calls != 0 {
		t.Errorf("24, which no phone has: %+v", e)
	}
	lines := d.Lines()
	if l := lines[0]; len(lines) != 3 || l.Account != "22" || l.Extension != "22" || l.State != "registered" || l.Target != w.cloud.Target(ua.TLS) ||
		l.Cause != "" || time.Until(l.Expires) < time.Minute {
		t.Errorf("lines %+v", lines)
	}
	calls := d.Calls()
	if c := calls[0]; len(calls) != 1 || c.Route != "internal" || c.State != "talking" || c.From != "22" || c.To != "23" || c.ID == "" ||
		c.Answered.Before(c.Started) {
		t.Errorf("calls %+v", calls)
	}
}

func TestMetricsHaveTheNamesThatArePromised(t *testing.T) {
	t.Parallel()
	w, d, a, b := one(t)
	x, y := w.talk(a, b)
	if err := x.Heard(w.within(), b.Tone(), 2200*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	scrape := func() string { return fetch(t, "http://"+d.opts.Settings.Metrics.Listen+"/metrics", nil) }
	during := scrape()
	if err := x.Hangup(w.within()); err != nil {
		t.Fatal(err)
	}
	if err := y.WaitState(w.within(), ua.Ended); err != nil {
		t.Fatal(err)
	}
	intruder := w.phone(d, "24", ua.UDP, func(c *phone.Config) { c.Password = "wrong" })
	if err := intruder.Register(w.within()); err == nil {
		t.Error("a wrong password opened")
	}
	if _, err := w.cloud.Call(w.within(), "22", "+4989555200", 0); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Incoming(w.within()); err != nil {
		t.Fatal(err)
	}
	var after string
	w.until("the ended call is counted", func() bool {
		after = scrape()
		return strings.Contains(after, `linekeeper_calls_total{outcome="answered",route="internal"} 1`) && strings.Contains(after, `linekeeper_calls_active{route="cloud"} 1`)
	})
	has := func(text string, lines ...string) {
		t.Helper()
		for _, l := range lines {
			if !regexp.MustCompile(`(?m)^` + l + `$`).MatchString(text) {
				t.Errorf("no line like %s", l)
			}
		}
	}
	has(during,
		`linekeeper_mode\{mode="online"\} 1`, `linekeeper_mode\{mode="degraded"\} 0`, `linekeeper_mode\{mode="survival"\} 0`, `linekeeper_mode\{mode="recovering"\} 0`,
		`linekeeper_registrations\{side="lan",state="registered"\} 2`, `linekeeper_registrations\{side="cloud",state="registered"\} 3`,
		`linekeeper_registrations\{side="cloud",state="rejected"\} 0`,
		`linekeeper_calls_active\{route="internal"\} 1`, `linekeeper_calls_active\{route="cloud"\} 0`, `linekeeper_calls_active\{route="gateway"\} 0`,
		`linekeeper_rtp_packets_total\{leg="lan",result="relayed"\} [1-9]\d*`, `linekeeper_rtp_packets_total\{leg="lan",result="dropped"\} \d+`,
		`linekeeper_rtp_packets_total\{leg="lan",result="lost"\} \d+`, `linekeeper_rtp_packets_total\{leg="cloud",result="relayed"\} 0`,
		`linekeeper_mode_changes_total\{to="online"\} [1-9]\d*`, `linekeeper_mode_changes_total\{to="survival"\} 0`, `go_goroutines \d+`, `process_resident_memory_bytes .*`)
	has(after,
		`linekeeper_call_mos_count 2`, `linekeeper_call_mos_bucket\{le="2"\} 0`, `linekeeper_calls_active\{route="internal"\} 0`,
		`linekeeper_calls_active\{route="cloud"\} 1`, `linekeeper_guard_rejected_total\{reason="wrong credentials"\} [1-9]\d*`)
}

func TestGuardsOwnCountsReachTheMetrics(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.run(w.file(w.document([]string{"22"}, "wan:", `security: {deny: ["`+w.addr(66).String()+`/32"]}`+"\nwan:")))
	conn, err := net.DialUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(w.addr(66), 0)), net.UDPAddrFromAddrPort(d.Listening("udp")))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for range 3 {
		if _, err := conn.Write([]byte("OPTIONS sip:box SIP/2.0\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
	}
	w.until("the refusals are counted", func() bool {
		text := fetch(t, "http://"+d.opts.Settings.Metrics.Listen+"/metrics", nil)
		return regexp.MustCompile(`linekeeper_guard_rejected_total\{reason="[a-z-]+"\} 3`).MatchString(text)
	})
}

func TestLineThatIsGoneIsSaidInWords(t *testing.T) {
	t.Parallel()
	w, d, a, _ := one(t)
	if err := w.cloud.SetFault(cloud.Fault{Cut: true}); err != nil {
		t.Fatal(err)
	}
	w.until("survival", func() bool { return d.Status().Mode == "survival" })
	st := d.Status()
	if !strings.HasSuffix(st.Cause, ".") || st.Provider.Reachable {
		t.Errorf("cause %q, reachable %v", st.Cause, st.Provider.Reachable)
	}
	out, err := a.Dial(w.within(), "089555100")
	if err != nil {
		t.Fatal(err)
	}
	_ = out.WaitState(w.within(), ua.Ended)
	if code := out.View().End.Code; code != 503 {
		t.Errorf("a call to the outside ended with %d", code)
	}
	kinds := make(map[events.Kind]string)
	w.until("the end of the call among the events", func() bool { // the caller may hear of it before
		if err := d.api.Events(w.within(), 200, false, func(e events.Event, _ uint64) error {
			kinds[e.Kind] = e.Text
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return kinds[events.CallEnded] != ""
	})
	for _, k := range []events.Kind{events.ModeChange, events.LineState, events.Registration, events.CallEnded, events.Lifecycle} {
		if kinds[k] == "" {
			t.Errorf("no event of kind %s", k)
		}
	}
	if text := kinds[events.ModeChange]; !strings.Contains(text, st.Cause) {
		t.Errorf("the event says %q, the status %q", text, st.Cause)
	}
}
