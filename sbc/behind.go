package sbc

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Saver keeps values by key over a restart; nil in a batch takes one out. Its
// methods may be slow: nothing of a call waits for them.
type Saver[T any] interface {
	Save(changed map[string]*T) error
	Load() (map[string]T, error)
}

const (
	// saveAfter is how late a change may reach the saver, saveAgain when a failed
	// save is tried once more.
	saveAfter = 100 * time.Millisecond
	saveAgain = time.Second
)

// behind hands changes to a saver from a goroutine of its own. Changes of one
// key fold into one.
type behind[T any] struct {
	saver Saver[T]
	log   *slog.Logger
	wake  chan struct{}

	mu    sync.Mutex
	dirty map[string]*T
}

func newBehind[T any](saver Saver[T], log *slog.Logger) *behind[T] {
	return &behind[T]{saver: saver, log: log, wake: make(chan struct{}, 1), dirty: make(map[string]*T)}
}

// note takes a change; nil says that the key is gone.
func (b *behind[T]) note(key string, v *T) {
	if b.saver == nil {
		return
	}
	b.mu.Lock()
	b.dirty[key] = v
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// run saves until ctx ends, and what is left then.
func (b *behind[T]) run(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-b.wake:
			rest(ctx, saveAfter)
			for b.flush() != nil && ctx.Err() == nil {
				rest(ctx, saveAgain)
			}
		}
	}
	_ = b.flush() // it has been logged
}

// load reads what was saved. Error: the saver's.
func (b *behind[T]) load() (map[string]T, error) {
	if b.saver == nil {
		return nil, nil
	}
	return b.saver.Load()
}

func (b *behind[T]) flush() error {
	b.mu.Lock()
	batch := b.dirty
	b.dirty = make(map[string]*T)
	b.mu.Unlock()
	if len(batch) == 0 {
		return nil
	}
	err := b.saver.Save(batch)
	if err == nil {
		return nil
	}
	b.log.Error("not saved; what phones watch may have to be asked for anew after a restart", "entries", len(batch), "err", err)
	b.mu.Lock()
	defer b.mu.Unlock()
	for k, v := range batch {
		if _, newer := b.dirty[k]; !newer {
			b.dirty[k] = v
		}
	}
	return err
}

// rest lets time pass unless ctx ends before.
func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
