package resolve

import (
	"cmp"
	"math"
	"slices"
)

// order writes groups as one list without doubles. Within a group whoever was
// listed before keeps its place; the others follow, spread by weight.
func order(groups []group, before []Target, intN func(int) int) []Target {
	place := make(map[Target]int, len(before))
	for i, t := range before {
		place[t] = i
	}
	var all []Target
	taken := make(map[Target]bool)
	for _, g := range groups {
		for _, e := range arrange(g, place, intN) {
			for _, t := range e.targets {
				if !taken[t] && len(all) < maxTargets {
					taken[t] = true
					all = append(all, t)
				}
			}
		}
	}
	return all
}

// arrange orders one group.
func arrange(g group, place map[Target]int, intN func(int) int) []entry {
	var stay, come []entry
	for _, e := range g {
		e.targets = slices.Clone(e.targets)
		slices.SortStableFunc(e.targets, func(a, b Target) int { return cmp.Compare(at(place, a), at(place, b)) })
		switch {
		case len(e.targets) == 0:
		case at(place, e.targets[0]) < math.MaxInt:
			stay = append(stay, e)
		default:
			come = append(come, e)
		}
	}
	slices.SortStableFunc(stay, func(a, b entry) int {
		return cmp.Compare(at(place, a.targets[0]), at(place, b.targets[0]))
	})
	return append(stay, draw(come, intN)...)
}

func at(place map[Target]int, t Target) int {
	if i, ok := place[t]; ok {
		return i
	}
	return math.MaxInt
}

// draw spreads servers of one priority by weight, as RFC 2782 has it: those of
// weight 0 stand first, so that they are drawn with a small chance.
func draw(from []entry, intN func(int) int) []entry {
	slices.SortStableFunc(from, func(a, b entry) int { return after(a.weight == 0, b.weight == 0) })
	drawn := make([]entry, 0, len(from))
	for len(from) > 0 {
		sum := 0
		for _, e := range from {
			sum += int(e.weight)
		}
		shot, pick := intN(sum+1), 0
		for running := int(from[0].weight); running < shot; running += int(from[pick].weight) {
			pick++
		}
		drawn = append(drawn, from[pick])
		from = slices.Delete(from, pick, pick+1)
	}
	return drawn
}
