package sbc

import (
	"net/netip"
	"time"

	"linekeeper/sbc/exchange"
	"linekeeper/sbc/sip"
)

// Probe sends OPTIONS to one of the cloud's servers. done is called with the
// code of any answer; a server that keeps silent is the caller's to notice.
func (s *Switch) Probe(target int, done func(code int, rtt time.Duration)) {
	ts := *s.lines.targets.Load()
	cfg := s.cfg.Load()
	if target < 0 || target >= len(ts) || cfg == nil {
		return
	}
	flow, err := s.flows.Flow(cfg.Trunk.Zone, ts[target].Transport, ts[target].Addr)
	if err != nil {
		return // no route: the missing answer says it
	}
	who := sip.URI{Scheme: "sip", Host: cfg.Trunk.Domain}
	from := &sip.From{Address: sip.URI{Scheme: "sip", User: "linekeeper", Host: cfg.Trunk.Domain}, Params: sip.Params{{K: "tag", V: s.random()}}}
	contact := contactURI("linekeeper", flow)
	req := sip.Draft{Method: sip.OPTIONS, Target: who, From: from, To: &sip.To{Address: who}, CallID: s.random(), Seq: 1, Contact: &contact,
		Headers: []sip.Header{sip.NewHeader("Accept", "application/sdp"), sip.NewHeader("User-Agent", cfg.Agent)}}.Request()
	began := time.Now()
	s.lines.standings.probed(ts[target], began)
	s.exchange.Do(req, flow, func(ev exchange.ClientEvent) {
		if ev.Err == nil && ev.Response.StatusCode >= 200 {
			s.lines.standings.answered(ts[target], ev.Response.StatusCode, time.Now())
			done(int(ev.Response.StatusCode), time.Since(began))
		}
	})
}

// TargetAt is the number of the server at an address, -1 if it is none.
func (s *Switch) TargetAt(flow sip.Flow) int {
	for i, t := range *s.lines.targets.Load() {
		if t.Addr == flow.Remote && t.Transport == flow.Transport {
			return i
		}
	}
	return -1
}

// Knows says whether an address is one of the cloud's.
func (s *Switch) Knows(a netip.Addr) bool { return s.lines.knows(a) }
