package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"
)

func snapshotOf(path string) string { return path + ".snapshot" }
func damagedOf(path string) string  { return path + ".damaged" }

// open gives the file at path, restored where needed. note says what was found
// and done, "" if all was well.
func open(path string) (f *File, note string, err error) {
	note, err = prepare(path)
	if err != nil {
		return nil, note, err
	}
	f = &File{path: path}
	err = guarded("open "+path, func() error {
		f.db, err = bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockWait, FreelistType: bbolt.FreelistMapType})
		return err
	})
	if err != nil {
		return nil, note, fmt.Errorf("open %s: %w", path, err)
	}
	return f, note, nil
}

// prepare leaves at path a fresh copy of what passed the check: the file, else
// its snapshot, else nothing. The copy has no freelist of unknown condition and
// no unused pages.
func prepare(path string) (note string, err error) {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		if _, err := os.Stat(snapshotOf(path)); errors.Is(err, os.ErrNotExist) {
			return "", nil // the first start
		}
		note = filepath.Base(path) + " was missing"
	} else {
		broken := rewrite(path, path)
		if broken == nil {
			return "", nil
		}
		if !errors.Is(broken, ErrCorrupt) {
			return "", broken // a full or read-only disk: no reason to give up the file
		}
		note = fmt.Sprintf("%s was damaged (%v) and is kept as %s", filepath.Base(path), broken, filepath.Base(damagedOf(path)))
		if err := os.Rename(path, damagedOf(path)); err != nil {
			return note, fmt.Errorf("move the damaged file aside: %w", err)
		}
	}
	switch bad := rewrite(snapshotOf(path), path); {
	case bad == nil:
		return note + "; the last snapshot was restored", nil
	case errors.Is(bad, os.ErrNotExist):
		return note + "; there was no snapshot: it starts empty", nil
	case errors.Is(bad, ErrCorrupt):
		return note + fmt.Sprintf("; its snapshot was damaged too (%v): it starts empty", bad), nil
	default:
		return note, bad
	}
}

// rewrite reads from through, every key and checksum, into a new file that takes
// the place of to.
func rewrite(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if info.Size() == 0 {
		return fmt.Errorf("%w: it is empty", ErrCorrupt)
	}
	fresh := to + ".fresh"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	defer os.Remove(fresh) //nolint:errcheck // gone already when all went well
	dst, err := bbolt.Open(fresh, 0o600, &bbolt.Options{Timeout: lockWait, NoSync: true})
	if err != nil {
		return fmt.Errorf("write %s: %w", fresh, err)
	}
	if err := errors.Join(copyAll(from, dst), dst.Sync(), dst.Close()); err != nil {
		return err
	}
	if err := os.Rename(fresh, to); err != nil {
		return err
	}
	return syncDir(filepath.Dir(to))
}

func copyAll(from string, dst *bbolt.DB) error {
	var src *bbolt.DB
	err := guarded("read "+from, func() error {
		var err error
		// Read-only leaves the freelist alone: it may be the part that is damaged.
		if src, err = bbolt.Open(from, 0o600, &bbolt.Options{Timeout: lockWait, ReadOnly: true}); err != nil {
			return asCorrupt(err)
		}
		return src.View(func(tx *bbolt.Tx) error {
			return tx.ForEach(func(name []byte, b *bbolt.Bucket) error { return copyBucket(name, b, dst) })
		})
	})
	if src != nil {
		err = errors.Join(err, guarded("close "+from, src.Close))
	}
	return err
}

// asCorrupt tells a file that isn't what it should be from a system that refuses.
func asCorrupt(err error) error {
	var sys *os.PathError
	if errors.As(err, &sys) || errors.Is(err, bbolterrors.ErrTimeout) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrCorrupt, err)
}

// perCopy bounds one transaction of the copy.
const perCopy = 4096

func copyBucket(name []byte, from *bbolt.Bucket, dst *bbolt.DB) error {
	c := from.Cursor()
	k, v := c.First()
	for first := true; first || k != nil; first = false {
		err := dst.Update(func(tx *bbolt.Tx) error {
			to, err := tx.CreateBucketIfNotExists(name)
			if err != nil {
				return err
			}
			if err := to.SetSequence(from.Sequence()); err != nil {
				return err
			}
			for n := 0; k != nil && n < perCopy; n++ {
				if _, err := unseal(k, v); err != nil {
					return err
				}
				if err := to.Put(k, v); err != nil {
					return fmt.Errorf("%w: %w", ErrCorrupt, err)
				}
				k, v = c.Next()
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
