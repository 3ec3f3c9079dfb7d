package appliance

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"sync"
	"time"

	"linekeeper/appliance/store"
	"linekeeper/sbc"
)

// refusals remembers over a restart how often the provider has refused an
// account's credentials, so that restarting never adds up to a lock-out.
// Changed credentials begin at nought.
type refusals struct {
	bucket store.Bucket[refusal]
	log    *slog.Logger
	wake   chan struct{}

	mu    sync.Mutex
	kept  map[string]refusal
	dirty map[string]refusal
}

// refusal is what is kept of one account. Of names the credentials without telling them.
type refusal struct {
	Count int    `json:"count"`
	Of    string `json:"of"`
}

// openRefusals reads what was kept.
func openRefusals(f *store.File, log *slog.Logger) (*refusals, error) {
	r := &refusals{bucket: store.In[refusal](f, "refusals"), log: log, wake: make(chan struct{}, 1), dirty: make(map[string]refusal)}
	var err error
	r.kept, err = r.bucket.All()
	if r.kept == nil {
		r.kept = make(map[string]refusal)
	}
	return r, err
}

func credentials(l sbc.Line) string {
	sum := sha256.Sum256([]byte("linekeeper refusal\x00" + l.Account + "\x00" + l.Auth + "\x00" + l.Password))
	return hex.EncodeToString(sum[:8])
}

// Refused is how often these credentials were refused in a row.
func (r *refusals) Refused(l sbc.Line) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if k, ok := r.kept[l.Account]; ok && k.Of == credentials(l) {
		return k.Count
	}
	return 0
}

// NoteRefused takes a line's count; a change is written behind.
func (r *refusals) NoteRefused(l sbc.Line, count int) {
	now := refusal{count, credentials(l)}
	r.mu.Lock()
	was, known := r.kept[l.Account]
	changed := was != now && (known || count > 0)
	if changed {
		r.kept[l.Account], r.dirty[l.Account] = now, now
	}
	r.mu.Unlock()
	if changed {
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

// Name is the room's name.
func (r *refusals) Name() string { return "refusals" }

// Run writes changes until ctx ends, the last ones after that.
func (r *refusals) Run(ctx context.Context, ready func()) error {
	ready()
	retry := time.NewTicker(time.Second)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return r.flush()
		case <-r.wake:
		case <-retry.C:
		}
		if err := r.flush(); err != nil {
			r.log.Error("refused credentials not kept", "err", err)
		}
	}
}

func (r *refusals) flush() error {
	r.mu.Lock()
	batch := r.dirty
	r.dirty = make(map[string]refusal)
	r.mu.Unlock()
	if len(batch) == 0 {
		return nil
	}
	changes := make(map[string]*refusal, len(batch))
	for k, v := range batch {
		changes[k] = &v
	}
	err := r.bucket.Batch(changes)
	if err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		for k, v := range batch {
			if _, newer := r.dirty[k]; !newer {
				r.dirty[k] = v
			}
		}
	}
	return err
}
