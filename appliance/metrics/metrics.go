package metrics

import (
	"net/http"
	"regexp"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Source gives the figures of this moment. It answers from snapshots, at once.
type Source interface{ Figures() Figures }

// Figures are what is read at a scrape.
type Figures struct {
	Mode          string // online, degraded, survival, recovering
	Registrations []Registrations
	Calls         []Calls
	Packets       []Packets
	Held          []Held
	Large         []Large
}

// Held counts what the daemon holds at this moment of one kind and lets go
// when what it serves is over: a figure that only rises is a leak.
type Held struct {
	What  string // call, transaction, stream, contact, connection
	Count int
}

// Large counts requests too large for UDP since the start, by the way they took;
// it never falls.
type Large struct {
	Way   string // tcp, or udp in fragments
	Count uint64
}

// Registrations counts registrations of one side in one state.
type Registrations struct {
	Side  string // lan or cloud
	State string
	Count int
}

// Calls counts calls in progress on one route.
type Calls struct {
	Route  string // internal, cloud or gateway
	Active int
}

// Packets counts RTP packets since the start; it never falls.
type Packets struct {
	Leg    string // lan, cloud or gateway
	Result string // relayed, dropped or lost
	Count  uint64
}

// liveHeap adds what the last garbage collection found in use
// (go_gc_heap_live_bytes): unlike the allocated heap it has no saw teeth.
var liveHeap = collectors.GoRuntimeMetricsRule{Matcher: regexp.MustCompile(`^/gc/heap/live:bytes$`)}

// maxValues bounds the values of a label that rooms choose; one more is
// counted as "other", so that no stranger can grow the registry.
const maxValues = 32

// Metrics is the registry and what rooms count with. Its methods may be called
// from anywhere and never block.
type Metrics struct {
	registry *prometheus.Registry
	calls    *prometheus.CounterVec
	mos      prometheus.Histogram
	changes  *prometheus.CounterVec
	rejected *prometheus.CounterVec
	trouble  *prometheus.CounterVec

	mu   sync.Mutex
	seen map[string]map[string]bool // label → values handed out
}

// New returns a registry that asks source at every scrape.
func New(source Source) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "linekeeper_calls_total", Help: "Calls that ended, by route and outcome."}, []string{"route", "outcome"}),
		mos: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "linekeeper_call_mos", Help: "Estimated quality (MOS, 1 to 4.5) of ended calls.",
			Buckets: []float64{1, 2, 2.5, 3, 3.3, 3.6, 3.8, 4, 4.1, 4.2, 4.3, 4.4, 4.5}}),
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "linekeeper_mode_changes_total", Help: "Changes of the mode, by the mode that was entered."}, []string{"to"}),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "linekeeper_guard_rejected_total", Help: "Requests that the guard refused, by reason."}, []string{"reason"}),
		trouble: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "linekeeper_media_trouble_total", Help: "Calls that were not heard well, by trouble and side."}, []string{"trouble", "side"}),
		seen: map[string]map[string]bool{},
	}
	for _, mode := range modes() {
		m.changes.WithLabelValues(mode) // there from the start, as 0
	}
	m.registry.MustRegister(m.calls, m.mos, m.changes, m.rejected, m.trouble, newScrape(source),
		collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(liveHeap)), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// modes returns the modes of the contract.
func modes() []string { return []string{"online", "degraded", "survival", "recovering"} }

// CallEnded counts a call that is over.
func (m *Metrics) CallEnded(route, outcome string) {
	m.calls.WithLabelValues(m.bounded("route", route), m.bounded("outcome", outcome)).Inc()
}

// MOS records the estimated quality of an ended call.
func (m *Metrics) MOS(mos float64) { m.mos.Observe(mos) }

// MediaTrouble counts a call that is not heard well.
func (m *Metrics) MediaTrouble(trouble, side string) {
	m.trouble.WithLabelValues(m.bounded("trouble", trouble), m.bounded("side", side)).Inc()
}

// ModeChanged counts an entry into a mode.
func (m *Metrics) ModeChanged(to string) { m.changes.WithLabelValues(m.bounded("to", to)).Inc() }

// Rejected counts a request that the guard refused.
func (m *Metrics) Rejected(reason string) {
	m.rejected.WithLabelValues(m.bounded("reason", reason)).Inc()
}

// RejectedMore counts n requests at a time that were refused before they were
// parsed; whoever refuses them counts for himself.
func (m *Metrics) RejectedMore(reason string, n uint64) {
	m.rejected.WithLabelValues(m.bounded("reason", reason)).Add(float64(n))
}

// Handler serves the registry in the Prometheus text format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: scrapeTimeout})
}

// bounded returns value, or "other" once a label has too many of them.
func (m *Metrics) bounded(label, value string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.seen[label]
	if known == nil {
		known = map[string]bool{}
		m.seen[label] = known
	}
	if !known[value] && len(known) >= maxValues {
		return "other"
	}
	known[value] = true
	return value
}
