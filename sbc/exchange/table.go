package exchange

import (
	"hash/maphash"
	"sync"
)

const shards = 64

// table is a map in shards, each under a mutex of its own.
type table[T any] struct {
	seed  maphash.Seed
	shard [shards]struct {
		mu sync.Mutex
		m  map[string]T
	}
}

func newTable[T any]() *table[T] {
	t := &table[T]{seed: maphash.MakeSeed()}
	for i := range t.shard {
		t.shard[i].m = map[string]T{}
	}
	return t
}

func (t *table[T]) get(key []byte) (T, bool) {
	s := &t.shard[maphash.Bytes(t.seed, key)%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.m[string(key)]
	return v, ok
}

// add puts v in unless the key is taken; then it returns who has it.
func (t *table[T]) add(key string, v T) (have T, added bool) {
	s := &t.shard[maphash.String(t.seed, key)%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if have, ok := s.m[key]; ok {
		return have, false
	}
	s.m[key] = v
	return v, true
}

func (t *table[T]) remove(key string) {
	s := &t.shard[maphash.String(t.seed, key)%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.m, key)
	if len(s.m) == 0 {
		s.m = map[string]T{} // a map never shrinks: give a burst's memory back
	}
}

// all collects the values that want accepts.
func (t *table[T]) all(want func(T) bool) []T {
	var out []T
	for i := range t.shard {
		s := &t.shard[i]
		s.mu.Lock()
		for _, v := range s.m {
			if want(v) {
				out = append(out, v)
			}
		}
		s.mu.Unlock()
	}
	return out
}
