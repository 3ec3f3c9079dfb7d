package location

import (
	"errors"
	"hash/maphash"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"linekeeper/sbc/sip"
)

// MaxContacts bounds the contacts of one extension.
const MaxContacts = 10

// What Register and Remove answer when a change can't be made.
var (
	// ErrOutOfOrder says that a later registration of the same Call-ID was already
	// taken (RFC 3261 10.3 step 7: 500).
	ErrOutOfOrder = errors.New("a later registration of this contact was already taken")
)

const shards = 32

// Table holds the bindings. Make it with New; it may be used from everywhere.
type Table struct {
	seed    maphash.Seed
	shards  [shards]shard
	sources sources
	count   atomic.Int64
	behind  *behind
}

type shard struct {
	mu   sync.RWMutex
	exts map[string][]Binding // the slices are never written to once stored
}

// New makes an empty table whose changes go to saver; nil keeps them in memory only.
func New(saver Saver) *Table {
	t := &Table{seed: maphash.MakeSeed(), behind: newBehind(saver)}
	for i := range t.shards {
		t.shards[i].exts = make(map[string][]Binding)
	}
	t.sources.count = make(map[netip.Addr]int)
	return t
}

func (t *Table) shard(ext string) *shard {
	return &t.shards[maphash.String(t.seed, ext)%shards]
}

// Register adds b, or puts it in place of the contact it replaces, and returns
// the extension's live contacts afterwards. Expired ones are dropped on the way.
// A contact more than MaxContacts takes the place of the one that was silent
// longest, first of all of one from the same host: the phone that lives wins over
// what it left behind. Error: ErrOutOfOrder.
func (t *Table) Register(now time.Time, b Binding) ([]Binding, error) {
	s := t.shard(b.Extension)
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.exts[b.Extension]
	next := make([]Binding, 0, len(old)+1)
	b.Heard = now
	if b.Since.IsZero() {
		b.Since = now
	}
	for i := range old {
		o := &old[i]
		switch {
		case !now.Before(o.Expires):
		case o.same(&b):
			if o.overtakes(&b) {
				return live(old, now), ErrOutOfOrder
			}
			b.inherit(o)
		default:
			next = append(next, *o)
		}
	}
	if len(next) >= MaxContacts {
		next = displace(next, b.Flow.Remote.Addr())
	}
	next = append(next, b)
	byPreference(next)
	t.putLocked(s, b.Extension, old, next)
	return slices.Clone(next), nil
}

// displace takes out one contact to make room for a new one from addr.
func displace(all []Binding, addr netip.Addr) []Binding {
	worst := 0
	for i := range all {
		mine, theirs := all[i].Flow.Remote.Addr() == addr, all[worst].Flow.Remote.Addr() == addr
		if mine != theirs && mine || mine == theirs && all[i].Expires.Before(all[worst].Expires) {
			worst = i
		}
	}
	return slices.Delete(all, worst, worst+1)
}

// Remove takes out the contact that b names (by instance or URI), as a Contact
// with expires 0 asks, and returns what is left. A contact that isn't there is
// no error. Error: ErrOutOfOrder.
func (t *Table) Remove(now time.Time, b Binding) ([]Binding, error) {
	return t.drop(now, b.Extension, &b, (*Binding).named)
}

// RemoveAll takes out every contact of an extension (Contact: *). A contact that
// a later request of the same Call-ID registered makes it ErrOutOfOrder.
func (t *Table) RemoveAll(now time.Time, ext, callID string, cseq uint32) error {
	_, err := t.drop(now, ext, &Binding{CallID: callID, CSeq: cseq}, func(*Binding, *Binding) bool { return true })
	return err
}

// Forget takes out an extension that no longer exists, whatever its order.
func (t *Table) Forget(ext string) {
	s := t.shard(ext)
	s.mu.Lock()
	defer s.mu.Unlock()
	t.putLocked(s, ext, s.exts[ext], nil)
}

func (t *Table) drop(now time.Time, ext string, b *Binding, same func(*Binding, *Binding) bool) ([]Binding, error) {
	s := t.shard(ext)
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.exts[ext]
	var next []Binding
	for i := range old {
		o := &old[i]
		switch {
		case !now.Before(o.Expires):
		case same(o, b):
			if o.overtakes(b) {
				return live(old, now), ErrOutOfOrder
			}
		default:
			next = append(next, *o)
		}
	}
	if len(next) != len(old) {
		t.putLocked(s, ext, old, next)
	}
	return slices.Clone(next), nil
}

// Lost tells that a stream connection is gone. Its contacts stay: they are
// looked for where the phone says that it listens (RFC 3261 18.1.1).
func (t *Table) Lost(flow sip.Flow) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		for ext, all := range s.exts {
			at := slices.IndexFunc(all, func(b Binding) bool { return b.Flow.Conn == flow.Conn && b.Flow.Remote == flow.Remote })
			if at < 0 || flow.Conn == 0 {
				continue
			}
			next := slices.Clone(all)
			for j := range next {
				if next[j].Flow.Conn == flow.Conn && next[j].Flow.Remote == flow.Remote {
					next[j].detach()
				}
			}
			t.putLocked(s, ext, all, next)
		}
		s.mu.Unlock()
	}
}

// Lookup gives the live contacts of an extension, preferred first; nil if none.
func (t *Table) Lookup(now time.Time, ext string) []Binding {
	s := t.shard(ext)
	s.mu.RLock()
	all := s.exts[ext]
	s.mu.RUnlock()
	return live(all, now)
}

// live copies what hasn't expired.
func live(all []Binding, now time.Time) []Binding {
	var out []Binding
	for i := range all {
		if now.Before(all[i].Expires) {
			if out == nil {
				out = make([]Binding, 0, len(all))
			}
			out = append(out, all[i])
		}
	}
	return out
}

// Snapshot gives all live bindings by extension.
func (t *Table) Snapshot(now time.Time) map[string][]Binding {
	out := make(map[string][]Binding)
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.RLock()
		for ext, all := range s.exts {
			if l := live(all, now); l != nil {
				out[ext] = l
			}
		}
		s.mu.RUnlock()
	}
	return out
}

// Len is how many contacts the table holds, expired ones not yet swept included.
func (t *Table) Len() int { return int(t.count.Load()) }

// Trusted says whether a binding uses addr as its source: the guard never bans
// a registered phone. A binding counts until Sweep has taken it out.
func (t *Table) Trusted(addr netip.Addr) bool { return t.sources.has(addr.Unmap()) }

// Sweep takes out what has expired and returns it. The owner calls it about
// once a second.
func (t *Table) Sweep(now time.Time) []Binding {
	var gone []Binding
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		for ext, all := range s.exts {
			left := live(all, now)
			if len(left) == len(all) {
				continue
			}
			for _, b := range all {
				if !now.Before(b.Expires) {
					gone = append(gone, b)
				}
			}
			t.putLocked(s, ext, all, left)
		}
		s.mu.Unlock()
	}
	return gone
}

// putLocked stores the contacts of ext, counts, and tells the saver. It holds
// the shard's lock, so that changes of one extension are saved in order.
func (t *Table) putLocked(s *shard, ext string, old, next []Binding) {
	if len(next) == 0 {
		delete(s.exts, ext)
	} else {
		s.exts[ext] = next
	}
	t.count.Add(int64(len(next) - len(old)))
	t.sources.change(old, next)
	t.behind.note(ext, next)
}

// sources counts the bindings per source address.
type sources struct {
	mu    sync.RWMutex
	count map[netip.Addr]int
}

func (s *sources) has(a netip.Addr) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.count[a] > 0
}

func (s *sources) change(old, next []Binding) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range next {
		s.count[next[i].Flow.Remote.Addr().Unmap()]++
	}
	for i := range old {
		a := old[i].Flow.Remote.Addr().Unmap()
		if s.count[a]--; s.count[a] <= 0 {
			delete(s.count, a)
		}
	}
}
