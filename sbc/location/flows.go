package location

import (
	"cmp"
	"slices"
	"time"
)

// MaxTemps bounds the temporary GRUUs of one contact that stay good. RFC 5627 has
// them good for as long as the registration lasts; the oldest go first.
const MaxTemps = 16

// Devices sorts contacts by device: several flows of one instance (RFC 5626) are
// one device and ring once. The devices keep their order; of each the flow that
// promises most comes first: one whose connection stands, then the one heard of last.
func Devices(all []Binding) [][]Binding {
	var out [][]Binding
	for _, b := range all {
		at := -1
		if b.RegID != 0 {
			at = slices.IndexFunc(out, func(d []Binding) bool { return d[0].RegID != 0 && d[0].Instance == b.Instance })
		}
		if at < 0 {
			out = append(out, []Binding{b})
			continue
		}
		out[at] = append(out[at], b)
	}
	for _, d := range out {
		slices.SortStableFunc(d, func(a, b Binding) int {
			if a.stands() != b.stands() {
				return cmp.Compare(truth(b.stands()), truth(a.stands()))
			}
			return b.Heard.Compare(a.Heard)
		})
	}
	return out
}

// stands says that nothing is known against a flow: no connection was lost.
func (b *Binding) stands() bool { return !b.Flow.Transport.Reliable() || b.Flow.Conn != 0 }

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Temp finds the contact that a temporary GRUU was given to.
func (t *Table) Temp(now time.Time, user string) (Binding, bool) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.RLock()
		for _, all := range s.exts {
			for j := range all {
				if slices.Contains(all[j].Temps, user) && now.Before(all[j].Expires) {
					b := all[j]
					s.mu.RUnlock()
					return b, true
				}
			}
		}
		s.mu.RUnlock()
	}
	return Binding{}, false
}

// inherit takes over what a contact keeps from its registration before.
func (b *Binding) inherit(o *Binding) {
	if o.Since.Before(b.Since) {
		b.Since = o.Since
	}
	if b.Instance == "" || b.CallID != o.CallID || b.Instance != o.Instance { // RFC 5627 5.4: a new Call-ID ends them
		return
	}
	b.Temps = append(slices.Clip(b.Temps), o.Temps...)
	b.Temps = b.Temps[:min(len(b.Temps), MaxTemps)]
}
