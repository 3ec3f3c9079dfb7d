package records

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"linekeeper/appliance/store"
)

func TestEveryRecordIsThereOnceAfterARestart(t *testing.T) {
	dir := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	for run := range 2 {
		st, err := store.Open(dir, log)
		if err != nil {
			t.Fatal(err)
		}
		b := New(st.Records, log, func(err error) { t.Error(err) })
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = b.Run(ctx, func() {}) })
		for i := range 1500 {
			b.Keep(Record{ID: fmt.Sprint(run, "-", i), Route: "internal"})
		}
		cancel()
		wg.Wait()
		seen := map[string]int{}
		last := uint64(0)
		err = b.Each(0, func(r Record) bool {
			seen[r.ID]++
			if r.Seq != last+1 {
				t.Errorf("record %d follows %d", r.Seq, last)
			}
			last = r.Seq
			return true
		})
		if err != nil || len(seen) != (run+1)*1500 {
			t.Errorf("run %d: %d records, %v", run, len(seen), err)
		}
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// sick is a disk that refuses a number of times.
type sick struct {
	refuse int
	got    int
}

func (s *sick) AppendAll(_ string, v [][]byte) (uint64, error) {
	if s.refuse > 0 {
		s.refuse--
		return 0, errors.New("no space left on device")
	}
	s.got += len(v)
	return uint64(s.got), nil
}
func (s *sick) Range(string, uint64, int, func(uint64, []byte) error) error { return nil }
func (s *sick) DropThrough(string, uint64) error                            { return nil }

func TestAFullDiskLosesNothingOnceThereIsRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &sick{refuse: 5}
		var told []bool
		b := New(disk, slog.New(slog.DiscardHandler), func(err error) { told = append(told, err != nil) })
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = b.Run(ctx, func() {}) })
		b.Keep(Record{ID: "a"})
		time.Sleep(10 * time.Second)
		cancel()
		wg.Wait()
		if disk.got != 1 || len(told) != 2 || !told[0] || told[1] {
			t.Errorf("kept %d, told %v", disk.got, told)
		}
	})
}
