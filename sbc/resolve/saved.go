package resolve

import (
	"time"

	"linekeeper/sbc/sip"
)

// load returns the saved targets if they belong to the source. What the disk
// gives back is checked like anything from outside.
func (k *keeper) load() []Target {
	if k.deps.Saver == nil {
		return nil
	}
	saved, err := k.deps.Saver.Load()
	if err != nil {
		k.deps.Log.Warn("loading the last targets; the first answer replaces them", "err", err)
		return nil
	}
	if saved.Source != k.source.key() {
		return nil
	}
	var good []Target
	for _, t := range saved.Targets[:min(len(saved.Targets), maxTargets)] {
		known := t.Transport == sip.UDP || t.Transport == sip.TCP || t.Transport == sip.TLS
		if known && t.Addr.IsValid() && t.Addr.Port() != 0 && reachable(t.Addr.Addr()) {
			good = append(good, t)
		}
	}
	return good
}

func (k *keeper) save(known []Target) {
	if k.deps.Saver == nil {
		return
	}
	if err := k.deps.Saver.Save(Saved{Source: k.source.key(), Targets: known, At: time.Now()}); err != nil {
		k.deps.Log.Warn("saving the targets; a restart without DNS would not know them", "err", err)
	}
}
