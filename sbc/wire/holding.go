package wire

import (
	"fmt"
	"net/netip"
	"slices"

	"linekeeper/sbc/sip"
)

// closer is a socket of a zone, open but perhaps not served yet.
type closer interface {
	close()
	serve()
}

func closeAll(all []closer) {
	for _, c := range all {
		c.close()
	}
}

// holding gathers the sockets that a zone's new settings ask for.
type holding struct {
	zone      *zone
	dscp      uint8
	sockets   []*datagrams
	listeners []*listener
	fresh     []closer // those of them that were opened for it
}

// acquire finds or opens a socket for each address.
func (z *zone) acquire(want Zone) (*holding, error) {
	got := &holding{zone: z, dscp: want.DSCP}
	for _, l := range want.Listen {
		if err := got.add(l); err != nil {
			closeAll(got.fresh)
			return nil, err
		}
	}
	return got, nil
}

// add finds or opens what l asks for: one socket for each family of addresses,
// all on one port.
func (h *holding) add(l Listen) error {
	var port uint16
	for i, addr := range l.addresses() {
		if i > 0 && addr.Port() == 0 {
			addr = netip.AddrPortFrom(addr.Addr(), port)
		}
		open := h.listener
		if l.Transport == sip.UDP {
			open = h.socket
		}
		bound, err := open(l.Transport, addr)
		if err != nil && i > 0 && noFamily(err) {
			continue // a host without IPv6
		}
		if err != nil {
			return fmt.Errorf("listen on %s %s: %w", l.Transport, addr, err)
		}
		port = bound.Port()
	}
	return nil
}

func (h *holding) socket(_ sip.Transport, addr netip.AddrPort) (netip.AddrPort, error) {
	h.zone.mu.Lock()
	had := slices.Clone(h.zone.sockets)
	h.zone.mu.Unlock()
	if i := slices.IndexFunc(had, func(s *datagrams) bool { return s.asked == addr && !s.borrowed }); i >= 0 {
		h.sockets = append(h.sockets, had[i])
		return had[i].bound, nil
	}
	s, err := openDatagrams(h.zone, addr, h.dscp)
	if err != nil {
		return netip.AddrPort{}, err
	}
	h.sockets, h.fresh = append(h.sockets, s), append(h.fresh, s)
	return s.bound, nil
}

func (h *holding) listener(t sip.Transport, addr netip.AddrPort) (netip.AddrPort, error) {
	h.zone.mu.Lock()
	had := slices.Clone(h.zone.listeners)
	h.zone.mu.Unlock()
	if i := slices.IndexFunc(had, func(l *listener) bool { return l.asked == addr && l.transport == t }); i >= 0 {
		h.listeners = append(h.listeners, had[i])
		return had[i].bound, nil
	}
	l, err := openListener(h.zone, t, addr, h.dscp)
	if err != nil {
		return netip.AddrPort{}, err
	}
	h.listeners, h.fresh = append(h.listeners, l), append(h.fresh, l)
	return l.bound, nil
}
