package sbc

import (
	"crypto/rand"
	"encoding/binary"

	"linekeeper/sbc/call"
	"linekeeper/sbc/media"
	"linekeeper/sbc/sdp"
)

// CallReport is what was measured of a call's media.
type CallReport struct {
	A, B media.Stats
}

// open binds a leg's media ports.
func (o *owner) open(e call.Open) []call.Input {
	side := o.cfg.Sides[e.Side.Name]
	st, err := o.s.media.Open(media.Side{Addr: e.Side.Addr, Low: side.Low, High: side.High})
	if err != nil {
		o.log.Error("no media port", "side", e.Side.Name, "addr", e.Side.Addr, "err", err)
		return []call.Input{call.MediaRefused{Leg: e.Leg, Err: err}}
	}
	o.streams[e.Leg], o.sides[e.Leg] = st, e.Side.Name
	local := st.Local()
	seed := make([]byte, 40)
	_, _ = rand.Read(seed)
	return []call.Input{call.MediaOpened{Leg: e.Leg, Local: sdp.Local{
		Addr: local.Addr(), Port: local.Port(),
		SessionID: binary.BigEndian.Uint64(seed[32:]) >> 2, Version: 1,
		SRTP: side.SRTP, Suites: side.Suites, Codecs: side.Codecs, Keys: seed[:32],
	}}}
}

func (o *owner) media(e call.Media) {
	st := o.streams[e.Leg]
	if st == nil {
		return
	}
	if err := st.Set(e.Flow); err != nil {
		o.log.Error("media not set", "leg", e.Leg, "err", err)
	}
	o.watchPorts(e.Leg, e.Flow.Recv)
}

func (o *owner) bridge(e call.Bridge) {
	a, b := o.streams[e.A], o.streams[e.B]
	if a == nil || b == nil {
		return
	}
	o.s.media.Bridge(a, b)
	o.bridged = [2]call.LegID{e.A, e.B}
	o.watchPorts(-1, false)
}

func (o *owner) close(leg call.LegID) {
	st := o.streams[leg]
	if st == nil {
		return
	}
	if o.bridged[0] != o.bridged[1] && (leg == o.bridged[0] || leg == o.bridged[1]) {
		if o.report == nil {
			o.report = &CallReport{}
		}
		if leg == o.bridged[0] {
			o.report.A = st.Stats()
		} else {
			o.report.B = st.Stats()
		}
	}
	delete(o.streams, leg)
	st.Close()
	o.watchPorts(-1, false)
}

// watchPorts publishes the streams of the talking legs for the quality watch.
func (o *owner) watchPorts(leg call.LegID, sends bool) {
	was := map[call.LegID]bool{}
	if p := o.ports.Load(); p != nil {
		for _, x := range *p {
			was[x.leg] = x.sends
		}
	}
	if leg >= 0 {
		was[leg] = sends
	}
	var list []port
	for _, id := range o.bridged {
		if st := o.streams[id]; st != nil && o.bridged[0] != o.bridged[1] {
			list = append(list, port{id, o.sides[id], st, was[id]})
		}
	}
	o.ports.Store(&list)
}
