package rtp

// gmin is how many packets must arrive between two losses for them to count as
// apart (RFC 3611 4.7.2).
const gmin = 16

// Bursts tells how losses lie together. Packets are told in order of their
// numbers, once it is sure whether they came. The zero value is ready.
type Bursts struct {
	since uint64 // packets that came since the last loss
	run   uint64 // losses of the burst under way
	// Counts of RFC 3611 A.2: arrived and lost in gaps, gaps that ended in a
	// burst; arrived in bursts, and in bursts from loss to arrival and from loss to loss.
	gapGot, gapLost, bursts     uint64
	burstGot, burstBreaks, twin uint64

	got, lost, runs uint64 // all of both, and how often one or more were lost in a row
}

// Got tells of one packet that came.
func (u *Bursts) Got() {
	u.since++
	u.got++
}

// Missed tells of one that did not.
func (u *Bursts) Missed() {
	u.lost++
	if u.since > 0 || u.runs == 0 {
		u.runs++
	}
	if u.since >= gmin || u.run == 0 {
		if u.run == 1 {
			u.gapLost++
		} else if u.run > 1 {
			u.bursts++
		}
		u.run = 1
		u.gapGot += u.since
	} else {
		u.run++
		if u.since == 0 {
			u.twin++
		} else {
			u.burstBreaks++
			u.burstGot += u.since - 1
		}
	}
	u.since = 0
}

// Ratio is BurstR of G.107: the mean length of the losses in a row over that of
// random loss as frequent; 1 where nothing was lost, never less.
func (u *Bursts) Ratio() float64 {
	if u.lost == 0 {
		return 1
	}
	mean := float64(u.lost) / float64(u.runs)
	return max(1, mean*float64(u.got)/float64(u.got+u.lost))
}

// BurstMetrics are those of RFC 3611 4.7.2: shares of loss in bursts and in the
// gaps between them, and how many packets either lasts on average.
type BurstMetrics struct {
	BurstLoss, GapLoss     float64
	BurstLength, GapLength float64
}

// Metrics sums up what was told so far.
func (u *Bursts) Metrics() BurstMetrics {
	end := *u // what is under way counts as if it ended here
	switch {
	case end.run == 1:
		end.gapLost++
	case end.run > 1:
		end.bursts++
	}
	end.gapGot += end.since
	inGap := float64(end.gapGot + end.gapLost)
	m := BurstMetrics{GapLength: inGap}
	if inGap > 0 {
		m.GapLoss = float64(end.gapLost) / inGap
	}
	if end.bursts == 0 {
		return m
	}
	n := float64(end.bursts)
	lost := n + float64(end.twin+end.burstBreaks)
	all := lost + float64(end.burstGot+end.burstBreaks)
	m.BurstLoss, m.BurstLength, m.GapLength = lost/all, all/n, inGap/n
	return m
}
