package wire

import "time"

// strain tells a box that has more to do than it can from one that something held up
// for a moment: after a moment what waited is soon read.
//
//	idle --waited too long--> doubtful --for twice that long--> strained
//	  ▲------in time--------------┘                                │
//	  ▲------nothing late for strainFor----------------------------┘
type strain struct {
	since time.Time // all that was read since then was late; zero: the last was not
	until time.Time // strained so long
}

// strainFor is how long a strained reader needs no second proof.
const strainFor = 2 * time.Second

// late notes how long something has waited, and says whether that was too long and no
// passing thing.
func (s *strain) late(now time.Time, waited, most time.Duration) bool {
	if waited <= most {
		s.since = time.Time{}
		return false
	}
	if s.since.IsZero() {
		s.since = now
	}
	if now.Sub(s.since) < 2*most && !now.Before(s.until) {
		return false
	}
	s.until = now.Add(strainFor)
	return true
}
