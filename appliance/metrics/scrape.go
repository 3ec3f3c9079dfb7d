package metrics

import "github.com/prometheus/client_golang/prometheus"

// scrape turns the figures of a moment into metrics.
type scrape struct {
	source                                         Source
	mode, registrations, calls, packs, held, large *prometheus.Desc
}

func newScrape(s Source) *scrape {
	return &scrape{
		source:        s,
		mode:          prometheus.NewDesc("linekeeper_mode", "1 for the mode that the appliance is in, 0 for the others.", []string{"mode"}, nil),
		registrations: prometheus.NewDesc("linekeeper_registrations", "Registrations of phones (lan) and cloud accounts (cloud), by state.", []string{"side", "state"}, nil),
		calls:         prometheus.NewDesc("linekeeper_calls_active", "Calls in progress, by route.", []string{"route"}, nil),
		packs:         prometheus.NewDesc("linekeeper_rtp_packets_total", "RTP packets, by leg and what became of them.", []string{"leg", "result"}, nil),
		held:          prometheus.NewDesc("linekeeper_held", "What the daemon holds at this moment and lets go of by itself, by kind.", []string{"what"}, nil),
		large:         prometheus.NewDesc("linekeeper_sip_large_requests_total", "Requests too large for UDP, by the way they took: tcp, or udp in fragments.", []string{"way"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (s *scrape) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{s.mode, s.registrations, s.calls, s.packs, s.held, s.large} {
		to <- d
	}
}

// pair is the values of a metric's labels.
type pair [2]string

// Collect implements prometheus.Collector. Figures that name the same labels
// twice are added up, since Prometheus refuses a scrape with duplicates.
func (s *scrape) Collect(to chan<- prometheus.Metric) {
	f := s.source.Figures()
	for _, mode := range modes() {
		is := 0.0
		if mode == f.Mode {
			is = 1
		}
		to <- prometheus.MustNewConstMetric(s.mode, prometheus.GaugeValue, is, mode)
	}
	registrations := map[pair]float64{}
	for _, r := range f.Registrations {
		registrations[pair{r.Side, r.State}] += float64(r.Count)
	}
	calls := map[pair]float64{{"internal"}: 0, {"cloud"}: 0, {"gateway"}: 0}
	for _, c := range f.Calls {
		calls[pair{c.Route}] += float64(c.Active)
	}
	packets := map[pair]float64{}
	for _, p := range f.Packets {
		packets[pair{p.Leg, p.Result}] += float64(p.Count)
	}
	held := map[pair]float64{}
	for _, h := range f.Held {
		held[pair{h.What}] += float64(h.Count)
	}
	large := map[pair]float64{{"tcp"}: 0, {"udp"}: 0}
	for _, l := range f.Large {
		large[pair{l.Way}] += float64(l.Count)
	}
	emit(to, s.large, prometheus.CounterValue, large, 1)
	emit(to, s.registrations, prometheus.GaugeValue, registrations, 2)
	emit(to, s.calls, prometheus.GaugeValue, calls, 1)
	emit(to, s.packs, prometheus.CounterValue, packets, 2)
	emit(to, s.held, prometheus.GaugeValue, held, 1)
}

// emit sends sums whose first n label values count.
func emit(to chan<- prometheus.Metric, d *prometheus.Desc, kind prometheus.ValueType, sums map[pair]float64, n int) {
	for labels, sum := range sums {
		to <- prometheus.MustNewConstMetric(d, kind, sum, labels[:n]...)
	}
}
