package sbc

import (
	"time"

	"linekeeper/sbc/call"
)

const (
	// mediaWatch is how often running media is looked at.
	mediaWatch = 250 * time.Millisecond
	// mediaSilence without a packet from the cloud raises suspicion.
	mediaSilence = time.Second
	// maxSilence ends the suspicion: the probes have had their time.
	maxSilence = 10 * time.Second
)

// watchMedia looks at the media of all calls: it tells of trouble, and of external
// calls that no longer hear the cloud. That suspicion only makes the probes faster,
// so a peer that saves packets in silence does no harm.
func (s *Switch) watchMedia() {
	s.mu.Lock()
	owners := make([]*owner, 0, len(s.calls))
	for _, o := range s.calls {
		owners = append(owners, o)
	}
	s.mu.Unlock()
	now, dead := time.Now(), 0
	judges := make(map[string]*judge, len(s.judges))
	for _, o := range owners {
		legs, ok := o.listen()
		if !ok {
			continue
		}
		for i := range legs {
			if h := &legs[i]; h.side != LAN && (h.deaf() || h.Unwanted > 0 && h.Unwanted < maxSilence) {
				dead++
			}
		}
		j := s.judges[o.token]
		if j == nil {
			j = &judge{}
		}
		judges[o.token] = j
		if v, changed := j.look(now, legs, o.leastMOS()); changed {
			v.Call = o.token
			s.watch.MediaChanged(v)
		}
	}
	for token, j := range s.judges {
		if judges[token] == nil && j.state.Trouble != "" {
			s.watch.MediaChanged(MediaView{Call: token, Side: j.state.Side})
		}
	}
	s.judges = judges
	if dead != s.dead {
		s.dead = dead
		s.evidence.MediaDead(dead)
	}
}

// deaf says whether a leg has stopped being heard, not for long.
func (h *heard) deaf() bool {
	return h.expects && h.Packets > 0 && h.Silence > mediaSilence && h.Silence < maxSilence
}

// listen tells how the legs of a call that is talking are heard.
func (o *owner) listen() (legs [2]heard, ok bool) {
	list := o.ports.Load()
	v := o.view.Load()
	if list == nil || len(*list) != len(legs) || v == nil || v.State != call.Talking {
		return legs, false
	}
	for i, p := range *list {
		legs[i] = heard{side: legName(p.side), expects: p.sends, Pulse: p.stream.Pulse(), stats: p.stream.Stats}
	}
	return legs, true
}

func (o *owner) leastMOS() float64 {
	if o.cfg.MinMOS > 0 {
		return o.cfg.MinMOS
	}
	return minMOSUnset
}
