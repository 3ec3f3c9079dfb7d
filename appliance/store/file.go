package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"go.etcd.io/bbolt"
)

// Bounds of what is kept.
const (
	// MaxKey is the longest key in octets.
	MaxKey = 1024
	// MaxValue is the longest value in octets.
	MaxValue = 4 << 20
	// lockWait is how long to wait for another process to let go of a file.
	lockWait = 2 * time.Second
)

// What a file answers when it can't serve.
var (
	// ErrCorrupt says that the file on disk is damaged; the next start restores it.
	ErrCorrupt = errors.New("the file on disk is damaged")
	// ErrTooLarge says that a key or value passes MaxKey or MaxValue.
	ErrTooLarge = errors.New("too large to be stored")
)

// File is one bbolt file: named buckets of keys and values. It may be used from
// everywhere; every write returns after it is on disk, so none belongs on the
// call path.
type File struct {
	path string
	db   *bbolt.DB
	snap sync.Mutex // one snapshot at a time
}

// guarded runs one use of bbolt. A bad page makes bbolt panic or fault; here it
// becomes ErrCorrupt, and the process lives.
func guarded(what string, use func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(old)
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%s: %w: %v", what, ErrCorrupt, v)
		}
	}()
	return use()
}

// Batch changes several keys of a bucket in one transaction; a nil value
// deletes. bbolt's own Batch isn't used: it commits on a goroutine of its own,
// where a panic over a bad page would end the process.
func (f *File) Batch(bucket string, changes map[string][]byte) error {
	for k, v := range changes {
		if len(k) == 0 || len(k) > MaxKey || len(v) > MaxValue {
			return fmt.Errorf("%s %.40q: %w", bucket, k, ErrTooLarge)
		}
	}
	return guarded("write "+bucket, func() error {
		return f.db.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte(bucket))
			if err != nil {
				return err
			}
			return change(b, changes)
		})
	})
}

func change(b *bbolt.Bucket, changes map[string][]byte) error {
	for k, v := range changes {
		var err error
		if v == nil {
			err = b.Delete([]byte(k))
		} else {
			err = b.Put([]byte(k), seal([]byte(k), v))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Put stores one value.
func (f *File) Put(bucket, key string, value []byte) error {
	if value == nil {
		value = []byte{}
	}
	return f.Batch(bucket, map[string][]byte{key: value})
}

// Delete takes out one key; one that isn't there is no error.
func (f *File) Delete(bucket, key string) error {
	return f.Batch(bucket, map[string][]byte{key: nil})
}

// Get gives a copy of the value of key, and whether there is one.
func (f *File) Get(bucket, key string) (value []byte, ok bool, err error) {
	err = f.view("read "+bucket, bucket, func(b *bbolt.Bucket) error {
		sealed := b.Get([]byte(key))
		if sealed == nil {
			return nil
		}
		v, err := unseal([]byte(key), sealed)
		value, ok = append([]byte{}, v...), err == nil
		return err
	})
	return value, ok, err
}

// ForEach calls use for every key of a bucket in order, until use returns an
// error. value is valid during the call only, and use must not write to the file.
func (f *File) ForEach(bucket string, use func(key string, value []byte) error) error {
	return f.view("read "+bucket, bucket, func(b *bbolt.Bucket) error {
		return b.ForEach(func(k, sealed []byte) error {
			v, err := unseal(k, sealed)
			if err != nil {
				return err
			}
			return use(string(k), v)
		})
	})
}

func (f *File) view(what, bucket string, use func(*bbolt.Bucket) error) error {
	return guarded(what, func() error {
		return f.db.View(func(tx *bbolt.Tx) error {
			if b := tx.Bucket([]byte(bucket)); b != nil {
				return use(b)
			}
			return nil
		})
	})
}

// Append adds a value under the next number of the bucket, from 1, never given
// twice, and returns the number.
func (f *File) Append(bucket string, value []byte) (n uint64, err error) {
	return f.AppendAll(bucket, [][]byte{value})
}

// AppendAll adds values in one transaction, all or none, and returns the number
// of the last.
func (f *File) AppendAll(bucket string, values [][]byte) (last uint64, err error) {
	for _, v := range values {
		if len(v) > MaxValue {
			return 0, fmt.Errorf("%s: %w", bucket, ErrTooLarge)
		}
	}
	err = guarded("append to "+bucket, func() error {
		return f.db.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte(bucket))
			if err != nil {
				return err
			}
			for _, v := range values {
				if last, err = b.NextSequence(); err != nil {
					return err
				}
				k := number(last)
				if err := b.Put(k, seal(k, v)); err != nil {
					return err
				}
			}
			return nil
		})
	})
	return last, err
}

// Range calls use for at most limit appended values from number from on.
func (f *File) Range(bucket string, from uint64, limit int, use func(n uint64, value []byte) error) error {
	return f.view("read "+bucket, bucket, func(b *bbolt.Bucket) error {
		c := b.Cursor()
		for k, sealed := c.Seek(number(from)); k != nil && limit > 0; k, sealed = c.Next() {
			v, err := unseal(k, sealed)
			if err != nil {
				return err
			}
			if err := use(binary.BigEndian.Uint64(k), v); err != nil {
				return err
			}
			limit--
		}
		return nil
	})
}

// DropThrough takes out the appended values with numbers up to and including n:
// what was acknowledged, or what is beyond the bound of a list.
func (f *File) DropThrough(bucket string, n uint64) error {
	return guarded("drop from "+bucket, func() error {
		return f.db.Update(func(tx *bbolt.Tx) error {
			b := tx.Bucket([]byte(bucket))
			if b == nil {
				return nil
			}
			c := b.Cursor()
			for k, _ := c.First(); len(k) == 8 && binary.BigEndian.Uint64(k) <= n; k, _ = c.First() {
				if err := c.Delete(); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// Snapshot writes a consistent copy beside the file, in place of the last one.
func (f *File) Snapshot() error {
	f.snap.Lock()
	defer f.snap.Unlock()
	return guarded("snapshot of "+f.path, func() error {
		return f.db.View(func(tx *bbolt.Tx) error {
			return replace(snapshotOf(f.path), 0o600, func(to *os.File) error {
				_, err := tx.WriteTo(to)
				return err
			})
		})
	})
}

func (f *File) close() error {
	return guarded("close "+f.path, f.db.Close)
}

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// seal puts a checksum over key and value before the value.
func seal(key, value []byte) []byte {
	out := make([]byte, 4, 4+len(value))
	binary.BigEndian.PutUint32(out, sum(key, value))
	return append(out, value...)
}

func unseal(key, sealed []byte) ([]byte, error) {
	if len(sealed) < 4 || binary.BigEndian.Uint32(sealed) != sum(key, sealed[4:]) {
		return nil, fmt.Errorf("value of %.40q: %w", key, ErrCorrupt)
	}
	return sealed[4:], nil
}

func sum(key, value []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum(key, table), table, value)
}
