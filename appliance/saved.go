package appliance

import (
	"context"
	"fmt"
	"time"

	"linekeeper/appliance/health"
	"linekeeper/appliance/store"
	"linekeeper/sbc/location"
	"linekeeper/sbc/resolve"
)

// keepBindings writes bindings behind the call path and takes out what expired.
func (b *Box) keepBindings(ctx context.Context, ready func()) error {
	done := make(chan error, 1)
	go func() {
		done <- b.bindings.Run(ctx, func(err error) { b.health.Raise(health.StoreFailing, "bindings", err.Error()) })
	}()
	ready()
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			return err
		case now := <-tick.C:
			for _, gone := range b.bindings.Sweep(now) {
				b.news.PhoneGone(gone.Extension)
				b.sw.Unbound(gone.Extension)
			}
		}
	}
}

// savedBindings keeps bindings in the store.
type savedBindings struct {
	bucket store.Bucket[[]location.Binding]
	saved  func()
}

// Save writes what changed in one transaction.
func (s savedBindings) Save(changed map[string][]location.Binding) error {
	batch := make(map[string]*[]location.Binding, len(changed))
	for ext, all := range changed {
		if len(all) > 0 {
			batch[ext] = &all
			continue
		}
		batch[ext] = nil
	}
	if err := s.bucket.Batch(batch); err != nil {
		return err
	}
	s.saved() // whatever was wrong before is over
	return nil
}

// Load reads all bindings.
func (s savedBindings) Load() (map[string][]location.Binding, error) { return s.bucket.All() }

// saved keeps what the switchboard's phones watch.
type saved[T any] struct {
	bucket store.Bucket[T]
	told   func(error) // of each try
}

// Save writes what changed in one transaction.
func (s saved[T]) Save(changed map[string]*T) error {
	err := s.bucket.Batch(changed)
	s.told(err)
	return err
}

// Load reads everything.
func (s saved[T]) Load() (map[string]T, error) { return s.bucket.All() }

// savedIn is a saver whose failures raise an alarm.
func savedIn[T any](b *Box, name string) saved[T] {
	return saved[T]{store.In[T](b.store.State, name), func(err error) { set(b.health, health.StoreFailing, name, err != nil, fmt.Sprint(err)) }}
}

// savedTargets keeps the provider's last known addresses, so that a restart
// while names can't be resolved still finds the cloud.
type savedTargets struct{ bucket store.Bucket[resolve.Saved] }

// Save keeps the last good answer.
func (s savedTargets) Save(v resolve.Saved) error { return s.bucket.Put("provider", v) }

// Load reads it; zero if there is none.
func (s savedTargets) Load() (resolve.Saved, error) {
	v, _, err := s.bucket.Get("provider")
	return v, err
}
