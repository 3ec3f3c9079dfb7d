package sbc

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync/atomic"

	"linekeeper/sbc/call"
	"linekeeper/sbc/media"
	"linekeeper/sbc/sdp"
	"linekeeper/sbc/sound"
)

// CallReport is what was measured of a call's media.
type CallReport struct {
	A, B media.Stats
}

// port is one leg's media.
type port struct {
	leg    call.LegID
	side   string
	stream Stream
	sends  bool // the peer is expected to send
	secure bool // SRTP
	codec  string
	seat   *atomic.Pointer[place] // whose it is now
}

// open binds a leg's media ports.
func (o *owner) open(e call.Open) []call.Input {
	side := o.cfg.Sides[e.Side.Name]
	var with Stream
	if a := o.legs[0]; a != nil {
		with = a.stream
	}
	seat := &atomic.Pointer[place]{}
	seat.Store(&place{o, e.Leg})
	relay, relayed := o.s.relayedFor(e.Side.Name, side)
	st, err := o.s.media.Open(media.Side{
		Leg: legName(e.Side.Name), Addr: e.Side.Addr, Low: side.Low, High: side.High, Relay: relay,
		Notify: func(ev media.Event) { at := seat.Load(); at.owner.told(at.leg, e.Side.Name, ev) },
	}, with)
	if err != nil {
		if relay != nil {
			relay.Close()
		}
		o.log.Error("no media port", "side", e.Side.Name, "addr", e.Side.Addr, "err", err)
		return []call.Input{call.MediaRefused{Leg: e.Leg, Err: err}}
	}
	o.legs[e.Leg] = &port{leg: e.Leg, side: e.Side.Name, stream: st, seat: seat}
	o.hearKeys(e.Leg, st)
	local := st.Local()
	seed := make([]byte, 36)
	_, _ = rand.Read(seed)
	return []call.Input{call.MediaOpened{Leg: e.Leg, Local: sdp.Local{
		Addr: local.Addr(), Port: local.Port(),
		SessionID: uint64(binary.BigEndian.Uint32(seed[32:])), Version: 1,
		SRTP: side.SRTP, Suites: side.Suites, Codecs: side.Codecs, Convert: side.Transcode, Presses: side.Presses, Keys: seed[:32],
		Certificate: o.s.fingerprint, DTLS: side.DTLS && o.s.fingerprint != sdp.Fingerprint{}, Sole: side.Sole, ICE: side.ICE, Public: o.s.seenAt(side), Relayed: relayed,
	}}}
}

// seenAt is the public address for a side that offers candidates.
func (s *Switch) seenAt(side MediaSide) netip.Addr {
	if !side.ICE.Full() || s.public == nil {
		return netip.Addr{}
	}
	return s.public()
}

// relayedFor is a relayed address for a leg toward the cloud that offers candidates,
// where one is ready.
func (s *Switch) relayedFor(name string, side MediaSide) (*media.Relayed, netip.AddrPort) {
	if lanSide(name) || !side.ICE.Full() || s.relayed == nil {
		return nil, netip.AddrPort{}
	}
	r := s.relayed()
	if r == nil {
		return nil, netip.AddrPort{}
	}
	return r, r.Addr()
}

// told hears of a leg's keys and path, on any goroutine. A call that talks is over
// where they will not come: nobody would hear anything. One that rings may get them
// with the answer.
func (o *owner) told(leg call.LegID, side string, ev media.Event) {
	who := "the phone"
	end := call.End{Blame: call.Unknown, Code: 488}
	if !lanSide(side) {
		who, end.Blame = "the cloud", call.ByCloud
	}
	switch ev.Kind {
	case media.KeysAgreed, media.PathFound:
		o.log.Debug("media", "leg", leg, "now", ev.Kind)
		return
	case media.ConsentLost:
		o.log.Warn("media", "leg", leg, "now", ev.Kind, "err", ev.Err)
		return
	case media.KeysLate, media.PathLate:
		if o.view.Load().State != call.Talking {
			o.log.Info("media", "leg", leg, "now", ev.Kind, "err", ev.Err)
			return
		}
	case media.KeysWorn:
		o.log.Info("media keys have served their time", "leg", leg)
		seed := make([]byte, 32)
		_, _ = rand.Read(seed)
		_ = o.post(call.Rekey{Leg: leg, Keys: seed})
		return
	case media.KeysFailed:
	}
	o.log.Warn("media", "leg", leg, "now", ev.Kind, "err", ev.Err)
	end.Reason = fmt.Sprintf("no media with %s: %v", who, ev.Err)
	_ = o.post(call.Hangup{End: end})
}

func (o *owner) media(e call.Media) {
	p := o.legs[e.Leg]
	if p == nil {
		return
	}
	e.Flow.Info = o.m.TakesInfo(e.Leg)
	if err := p.stream.Set(e.Flow); err != nil {
		o.log.Error("media not set", "leg", e.Leg, "err", err)
	}
	p.sends, p.secure = e.Flow.Recv, e.Flow.Secure()
	if len(e.Flow.Formats) > 0 {
		p.codec = e.Flow.Formats[0].Name
	}
	o.watchPorts()
}

func (o *owner) bridge(e call.Bridge) {
	a, b := o.legs[e.A], o.legs[e.B]
	if a == nil || b == nil {
		return
	}
	o.s.media.Bridge(a.stream, b.stream)
	o.bridged = [2]call.LegID{e.A, e.B}
	o.watchPorts()
}

// talks says whether a leg is one of the two that hear each other.
func (o *owner) talks(leg call.LegID) bool {
	return o.bridged[0] != o.bridged[1] && (leg == o.bridged[0] || leg == o.bridged[1])
}

func (o *owner) close(leg call.LegID) {
	p := o.legs[leg]
	if p == nil {
		return
	}
	if o.talks(leg) {
		if o.report == nil {
			o.report = &CallReport{}
		}
		report := *o.report // views that are out share the former one
		if leg == o.bridged[0] {
			report.A = p.stream.Stats()
		} else {
			report.B = p.stream.Stats()
		}
		o.report = &report
	}
	delete(o.legs, leg)
	p.stream.Close()
	o.watchPorts()
}

// play lets a leg hear a tone of the box's own.
func (o *owner) play(e call.Play) {
	p := o.legs[e.Leg]
	switch {
	case p == nil:
	case e.RingBack:
		p.stream.Play(sound.TonesOf(o.cfg.Country).RingBack())
	default:
		p.stream.Play(nil)
	}
}

// press tells the relay of a key press that came by INFO.
func (o *owner) press(e call.Press) {
	if p := o.legs[e.Leg]; p != nil {
		p.stream.Press(media.Digit{Key: e.Key, Length: e.Length})
	}
}

// hearKeys lets the call know what its leg's peer must be told by INFO.
func (o *owner) hearKeys(leg call.LegID, st Stream) {
	st.OnDigit(func(d media.Digit) {
		if !d.Heard {
			_ = o.post(call.Digit{Leg: leg, Key: d.Key, Length: d.Length})
		}
	})
}

// watchPorts publishes the streams of the talking legs for the quality watch.
func (o *owner) watchPorts() {
	var list []port
	for _, id := range o.bridged {
		if p := o.legs[id]; p != nil && o.talks(id) {
			seen := *p
			seen.sends = p.sends && !o.direct // nothing is to be heard here
			list = append(list, seen)
		}
	}
	o.ports.Store(&list)
}

// legName is a side's name in the metrics.
func legName(side string) string {
	if lanSide(side) {
		return "lan"
	}
	return "cloud"
}
