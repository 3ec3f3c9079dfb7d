package metrics

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
)

type still Figures

func (s still) Figures() Figures { return Figures(s) }

func figures() still {
	return still{
		Mode:          "survival",
		Registrations: []Registrations{{"lan", "registered", 19}, {"lan", "registered", 1}, {"cloud", "waiting", 2}},
		Calls:         []Calls{{"internal", 3}},
		Packets:       []Packets{{"cloud", "relayed", 12345}},
		Held:          []Held{{"transaction", 4}},
	}
}

// scrapeOnce runs the server, scrapes it over HTTP and stops it.
func scrapeOnce(t *testing.T, m *Metrics) string {
	t.Helper()
	at := make(chan net.Addr, 1)
	s := NewServer("127.0.0.1:0", m, slog.New(slog.NewTextHandler(io.Discard, nil)), func(a net.Addr) { at <- a })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx, func() {}) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	resp, err := http.Get("http://" + (<-at).String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v: %s", resp.Status, err, body)
	}
	return string(body)
}

func TestScrapeHasTheNamesAndLabelsOfTheContract(t *testing.T) {
	m := New(figures())
	m.CallEnded("cloud", "answered")
	m.MOS(4.25)
	m.ModeChanged("survival")
	m.Rejected("flood")
	body := scrapeOnce(t, m)
	for _, want := range []string{
		`linekeeper_mode{mode="survival"} 1`, `linekeeper_mode{mode="online"} 0`,
		`linekeeper_registrations{side="lan",state="registered"} 20`, `linekeeper_registrations{side="cloud",state="waiting"} 2`,
		`linekeeper_calls_active{route="internal"} 3`, `linekeeper_calls_active{route="gateway"} 0`,
		`linekeeper_calls_total{outcome="answered",route="cloud"} 1`,
		`linekeeper_rtp_packets_total{leg="cloud",result="relayed"} 12345`,
		`linekeeper_call_mos_bucket{le="4.3"} 1`, `linekeeper_call_mos_count 1`,
		`linekeeper_mode_changes_total{to="survival"} 1`, `linekeeper_mode_changes_total{to="online"} 0`,
		`linekeeper_guard_rejected_total{reason="flood"} 1`,
		`linekeeper_held{what="transaction"} 4`, `go_gc_heap_live_bytes `,
		`go_goroutines `, `process_resident_memory_bytes `,
	} {
		if !strings.Contains(body, "\n"+want) {
			t.Errorf("%q is not in the scrape", want)
		}
	}
}

func TestStrangersCannotGrowTheRegistry(t *testing.T) {
	m := New(figures())
	for i := range 10 * maxValues {
		m.Rejected(fmt.Sprintf("reason %d", i))
	}
	body := scrapeOnce(t, m)
	if n := strings.Count(body, "\nlinekeeper_guard_rejected_total{"); n != maxValues+1 {
		t.Errorf("%d reasons", n)
	}
	if want := fmt.Sprintf(`{reason="other"} %d`, 9*maxValues); !strings.Contains(body, want) {
		t.Errorf("%s is not in the scrape", want)
	}
}

func TestEmptyListenAddressSwitchesItOff(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := NewServer("", New(figures()), slog.New(slog.NewTextHandler(io.Discard, nil)), func(a net.Addr) { t.Errorf("listens at %s", a) })
	if err := s.Run(ctx, cancel); err != nil {
		t.Error(err)
	}
}

func TestTakenAddressDoesNotStopTheBox(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	ctx, cancel := context.WithCancel(t.Context())
	s := NewServer(taken.Addr().String(), New(figures()), slog.New(slog.NewTextHandler(io.Discard, nil)), nil)
	if err := s.Run(ctx, cancel); err != nil {
		t.Errorf("got %v", err)
	}
}
