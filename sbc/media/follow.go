package media

import "net/netip"

// hold latches the RTP or the RTCP port of s to the source of the packet at hand.
func (w *worker) hold(s *Stream, control bool) {
	l := &s.live.latch
	if control {
		l = &s.live.control
	}
	l.hold(w.from.addrPort())
	w.follow(s)
}

// follow steers what comes from the sources that s is latched to, and nothing
// else. Packets of these that wait in a port's own socket are older than what will
// come by the shared one, and are taken first.
func (w *worker) follow(s *Stream) {
	if w.steer == nil || !s.pair.bound4 {
		return
	}
	for i, from := range [...]netip.AddrPort{s.live.latch.source, s.live.control.source} {
		p := w.slots[s.live.slots[i]]
		if p.from == from || from.IsValid() && !from.Addr().Is4() {
			continue
		}
		w.unsteer(p)
		if !from.IsValid() {
			continue
		}
		if err := w.steer.add(p.at, from, w.id); err != nil {
			w.log.Warn("media port is not steered", "local", p.at, "err", err)
			continue
		}
		p.from = from
		w.fresh = append(w.fresh, int32(s.live.slots[i]))
	}
}

// unsteer lets what comes from now on go to the port's own socket.
func (w *worker) unsteer(p *port) {
	if p.from.IsValid() {
		_ = w.steer.drop(p.at, p.from) // it is there
		p.from = netip.AddrPort{}
	}
}

// unsteerAll does so with both ports of a stream.
func (w *worker) unsteerAll(s *Stream) {
	for _, slot := range s.live.slots {
		w.unsteer(w.slots[slot])
	}
}
