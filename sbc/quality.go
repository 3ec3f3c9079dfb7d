package sbc

import "time"

const (
	// mediaWatch is how often running media is looked at.
	mediaWatch = 250 * time.Millisecond
	// mediaSilence without a packet from the cloud raises suspicion.
	mediaSilence = time.Second
	// maxSilence ends the suspicion: the probes have had their time.
	maxSilence = 10 * time.Second
)

// watchMedia looks for external calls that no longer hear the cloud. Suspicion
// only makes the probes faster, so a peer that saves packets in silence does no harm.
func (s *Switch) watchMedia() {
	s.mu.Lock()
	owners := make([]*owner, 0, len(s.calls))
	for _, o := range s.calls {
		owners = append(owners, o)
	}
	s.mu.Unlock()
	dead := 0
	for _, o := range owners {
		list := o.ports.Load()
		if list == nil {
			continue
		}
		for _, p := range *list {
			if lanSide(p.side) || !p.sends {
				continue
			}
			st := p.stream.Stats()
			if st.In.Packets > 0 && st.Silence > mediaSilence && st.Silence < maxSilence {
				dead++
			}
		}
	}
	if dead != s.dead {
		s.dead = dead
		s.evidence.MediaDead(dead)
	}
}
