package location

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// SaveEvery is how late a change may reach the saver.
const SaveEvery = 100 * time.Millisecond

// Saver keeps bindings on disk. Save gets the whole contact list of every
// extension that changed; an empty list means none is left. It may be slow: only
// the table's own goroutine waits for it.
type Saver interface {
	Save(changed map[string][]Binding) error
	Load() (map[string][]Binding, error)
}

// behind collects changes until Run hands them over. Changes to one extension
// fold into one, so it is bounded by the number of extensions.
type behind struct {
	saver Saver
	mu    sync.Mutex
	dirty map[string][]Binding
	wake  chan struct{}
}

func newBehind(saver Saver) *behind {
	return &behind{saver: saver, dirty: make(map[string][]Binding), wake: make(chan struct{}, 1)}
}

func (b *behind) note(ext string, all []Binding) {
	if b.saver == nil {
		return
	}
	b.mu.Lock()
	b.dirty[ext] = all
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// flush saves what is dirty. What can't be saved stays dirty unless it changed again.
func (b *behind) flush() error {
	b.mu.Lock()
	batch := b.dirty
	b.dirty = make(map[string][]Binding, len(batch))
	b.mu.Unlock()
	if len(batch) == 0 {
		return nil
	}
	err := b.saver.Save(batch)
	if err == nil {
		return nil
	}
	b.mu.Lock()
	for ext, all := range batch {
		if _, newer := b.dirty[ext]; !newer {
			b.dirty[ext] = all
		}
	}
	b.mu.Unlock()
	return fmt.Errorf("save the bindings of %d extensions: %w", len(batch), err)
}

// Load fills an empty table with what the saver has and hasn't expired. Call it
// before traffic.
func (t *Table) Load(now time.Time) error {
	if t.behind.saver == nil {
		return nil
	}
	saved, err := t.behind.saver.Load()
	if err != nil {
		return fmt.Errorf("load bindings: %w", err)
	}
	for ext, all := range saved {
		left := live(all, now)
		if len(left) == 0 {
			t.behind.note(ext, nil)
			continue
		}
		byPreference(left)
		left = left[:min(len(left), MaxContacts)]
		for i := range left {
			left[i].detach() // no connection outlives a restart
		}
		t.adopt(ext, left)
	}
	return nil
}

func (t *Table) adopt(ext string, all []Binding) {
	s := t.shard(ext)
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.exts[ext]
	s.exts[ext] = all
	t.count.Add(int64(len(all) - len(old)))
	t.sources.change(old, all)
}

// Run hands changes to the saver until ctx ends, and the last ones after that.
// A failed save is reported and tried again after a second.
func (t *Table) Run(ctx context.Context, report func(error)) error {
	for {
		select {
		case <-ctx.Done():
			return t.behind.flush()
		case <-t.behind.wake:
		}
		if !pause(ctx, SaveEvery) {
			return t.behind.flush()
		}
		for t.behind.try(report) != nil {
			if !pause(ctx, time.Second) {
				return t.behind.flush()
			}
		}
	}
}

func (b *behind) try(report func(error)) error {
	err := b.flush()
	if err != nil {
		report(err)
	}
	return err
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
