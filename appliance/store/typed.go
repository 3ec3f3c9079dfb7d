package store

import (
	"encoding/json"
	"fmt"
)

// Bucket is a bucket whose values are JSON of T.
type Bucket[T any] struct {
	file *File
	name string
}

// In gives the bucket of that name in f. It is made at the first write.
func In[T any](f *File, name string) Bucket[T] { return Bucket[T]{f, name} }

// Put stores v under key.
func (b Bucket[T]) Put(key string, v T) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("%s %q: %w", b.name, key, err)
	}
	return b.file.Put(b.name, key, raw)
}

// Get gives the value of key, and whether there is one.
func (b Bucket[T]) Get(key string) (v T, ok bool, err error) {
	raw, ok, err := b.file.Get(b.name, key)
	if err != nil || !ok {
		return v, false, err
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return v, false, fmt.Errorf("%s %q: %w", b.name, key, err)
	}
	return v, true, nil
}

// Batch stores several values in one transaction; nil deletes.
func (b Bucket[T]) Batch(changes map[string]*T) error {
	raw := make(map[string][]byte, len(changes))
	for key, v := range changes {
		if v == nil {
			raw[key] = nil
			continue
		}
		text, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("%s %q: %w", b.name, key, err)
		}
		raw[key] = text
	}
	return b.file.Batch(b.name, raw)
}

// All gives every value by key.
func (b Bucket[T]) All() (map[string]T, error) {
	all := make(map[string]T)
	err := b.file.ForEach(b.name, func(key string, raw []byte) error {
		var v T
		if err := json.Unmarshal(raw, &v); err != nil {
			return fmt.Errorf("%s %q: %w", b.name, key, err)
		}
		all[key] = v
		return nil
	})
	return all, err
}
