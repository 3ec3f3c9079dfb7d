package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// ErrInUse says that another process works on the same data folder.
var ErrInUse = errors.New("another linekeeper uses this data folder")

// SnapshotEvery is the pace of snapshots.
const SnapshotEvery = time.Hour

// Store is the data folder.
type Store struct {
	// State holds bindings, revisions of the site document and counters.
	State *File
	// Records holds call records, the outbox and events.
	Records *File
	// Notes says what had to be restored at open, for an alarm; empty if nothing.
	Notes []string

	dir  string
	lock *os.File
	log  *slog.Logger
}

// Open takes the data folder, which it makes if needed, and gives the store.
// Damaged files are restored and said so in Notes. Errors: ErrInUse after two
// seconds, and those of the disk. The store must be closed.
func Open(dir string, log *slog.Logger) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	lock, err := take(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("data folder %s: %w", dir, err)
	}
	s := &Store{dir: dir, lock: lock, log: log}
	var noteState, noteRecords string
	var errState, errRecords error
	s.State, noteState, errState = open(filepath.Join(dir, "state.db"))
	s.Records, noteRecords, errRecords = open(filepath.Join(dir, "records.db"))
	for _, note := range []string{noteState, noteRecords} {
		if note != "" {
			s.Notes = append(s.Notes, note)
			log.Error("store was restored", "what", note)
		}
	}
	if err := errors.Join(errState, errRecords); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// take locks the folder for this process; the kernel lets go when it dies.
func take(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(lockWait); ; {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return f, nil
		case !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR):
			return nil, errors.Join(err, f.Close())
		case time.Now().After(end):
			return nil, errors.Join(ErrInUse, f.Close())
		}
		<-time.After(20 * time.Millisecond)
	}
}

// Close lets go of everything. Open files are consistent without it, too.
func (s *Store) Close() error {
	var errs []error
	for _, f := range []*File{s.State, s.Records} {
		if f != nil {
			errs = append(errs, f.close())
		}
	}
	return errors.Join(append(errs, s.lock.Close())...)
}

// Name is the room's name.
func (s *Store) Name() string { return "store" }

// Run takes a snapshot now and every SnapshotEvery until ctx ends.
func (s *Store) Run(ctx context.Context, ready func()) error {
	ready()
	tick := time.NewTicker(SnapshotEvery)
	defer tick.Stop()
	for {
		if err := s.Snapshot(); err != nil {
			s.log.Error("snapshot of the data folder", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Snapshot copies both files on demand, before an update say.
func (s *Store) Snapshot() error {
	return errors.Join(s.State.Snapshot(), s.Records.Snapshot())
}
