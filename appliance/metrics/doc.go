// Package metrics offers the appliance's figures to Prometheus: the names and
// labels of CONTRACT.md in a registry of its own, plus Go's own collectors.
//
//	gauges, packet counters ◀── Source.Figures, asked once for each scrape
//	events (a call ended…)  ──▶ CallEnded, MOS, ModeChanged, Rejected
//
// Nothing on the packet path touches a metric: the media engine's own counters
// are read when somebody scrapes. The package must never know what a call is.
package metrics
