package store_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"linekeeper/appliance/store"
)

const childDir = "LINEKEEPER_TEST_STORE_CHILD"

// TestMain lets the test binary be the process that is killed while it writes.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir)
		return
	}
	os.Exit(m.Run())
}

// child writes numbers until it is killed and prints each once it is on disk.
func child(dir string) {
	s, err := store.Open(dir, quiet())
	if err != nil {
		fmt.Println("error", err)
		return
	}
	for {
		n, err := s.Records.Append("n", bytes.Repeat([]byte("x"), 200))
		if err == nil {
			err = s.State.Put("last", "n", []byte(strconv.FormatUint(n, 10)))
		}
		if err != nil {
			fmt.Println("error", err)
			return
		}
		fmt.Println(n)
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func open(t *testing.T, dir string) *store.Store {
	t.Helper()
	s, err := store.Open(dir, quiet())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closed(t *testing.T, s *store.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestWhatWasAcknowledgedSurvivesKill9(t *testing.T) {
	dir := t.TempDir()
	var last uint64
	for round := range 5 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childDir+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; n < 10+round*7 && lines.Scan(); n++ {
			if last, err = strconv.ParseUint(lines.Text(), 10, 64); err != nil {
				t.Fatalf("child: %s", lines.Text())
			}
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		s := open(t, dir)
		if len(s.Notes) != 0 {
			t.Errorf("a kill is no damage: %v", s.Notes)
		}
		v, ok, err := s.State.Get("last", "n")
		if n, _ := strconv.ParseUint(string(v), 10, 64); err != nil || !ok || n < last {
			t.Fatalf("round %d: %q %v %v, acknowledged %d", round, v, ok, err, last)
		}
		count := uint64(0)
		if err := s.Records.ForEach("n", func(string, []byte) error { count++; return nil }); err != nil || count < last {
			t.Fatalf("%d records of %d, %v", count, last, err)
		}
		closed(t, s)
	}
}

// damage fills a store, snapshots it at "old", goes on to "new", and hands back
// the bytes of its state file.
func damage(t *testing.T, dir string) []byte {
	t.Helper()
	s := open(t, dir)
	fill := func(what string) {
		for i := range 60 {
			if err := s.State.Put("b"+strconv.Itoa(i%3), fmt.Sprint("key", i), []byte(what+string(bytes.Repeat([]byte{'.'}, 900)))); err != nil {
				t.Fatal(err)
			}
		}
	}
	fill("old")
	if err := s.Snapshot(); err != nil {
		t.Fatal(err)
	}
	fill("new")
	closed(t, s)
	content, err := os.ReadFile(filepath.Join(dir, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// oldOrNew opens the store with that content as its state file: everything must
// be there, all old or all new, and writable.
func oldOrNew(t *testing.T, dir, what string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "state.db"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	defer closed(t, s)
	seen := map[string]int{}
	for i := range 60 {
		v, ok, err := s.State.Get("b"+strconv.Itoa(i%3), fmt.Sprint("key", i))
		if err != nil || !ok || len(v) != 903 {
			t.Fatalf("%s: key %d: %v %v", what, i, ok, err)
		}
		seen[string(v[:3])]++
	}
	// With one of the two meta pages lost bbolt stands on the other: the state
	// before the last transaction, which is whole as well.
	if seen["old"] != 60 && seen["new"] < 59 {
		t.Errorf("%s: neither old nor new: %v", what, seen)
	}
	if seen["old"] == 60 && len(s.Notes) == 0 {
		t.Errorf("%s: restored without a word", what)
	}
	if err := s.State.Put("b0", "more", []byte("x")); err != nil {
		t.Errorf("%s: not writable: %v", what, err)
	}
}

func TestDamageAtEveryPageEndsInOldOrNewAndNeverInAPanic(t *testing.T) {
	dir := t.TempDir()
	content := damage(t, dir)
	rng := rand.New(rand.NewPCG(1, 2))
	for at := 0; at < len(content); at += 4096 {
		oldOrNew(t, dir, fmt.Sprintf("truncated at %d", at), content[:at])
		oldOrNew(t, dir, fmt.Sprintf("torn at %d", at+1000), content[:at+1000])
		garbled := bytes.Clone(content)
		for i := range 4096 {
			garbled[at+i] = byte(rng.Uint32())
		}
		oldOrNew(t, dir, fmt.Sprintf("page at %d garbled", at), garbled)
		zero := bytes.Clone(content)
		clear(zero[at : at+4096])
		oldOrNew(t, dir, fmt.Sprintf("page at %d zeroed", at), zero)
		bit := bytes.Clone(content)
		bit[at+int(rng.Uint32N(4096))] ^= 1 << rng.Uint32N(8)
		oldOrNew(t, dir, fmt.Sprintf("page at %d with a flipped bit", at), bit)
	}
}

func TestDamageWithoutASnapshotStartsEmptyAndKeepsTheFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "state.db"), bytes.Repeat([]byte("nonsense"), 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	defer closed(t, s)
	if len(s.Notes) != 1 {
		t.Errorf("notes: %v", s.Notes)
	}
	if _, err := os.Stat(filepath.Join(dir, "state.db.damaged")); err != nil {
		t.Error(err)
	}
}

func TestSecondProcessIsToldThatTheFolderIsInUse(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	defer closed(t, s)
	began := time.Now()
	if _, err := store.Open(dir, quiet()); !errors.Is(err, store.ErrInUse) {
		t.Errorf("got %v", err)
	}
	if d := time.Since(began); d > 10*time.Second {
		t.Errorf("it took %v", d)
	}
}

func TestSpaceIsGivenBackAtOpen(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	for range 20 {
		if _, err := s.Records.Append("cdr", make([]byte, 256<<10)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Records.DropThrough("cdr", 19); err != nil {
		t.Fatal(err)
	}
	closed(t, s)
	s = open(t, dir)
	defer closed(t, s)
	info, err := os.Stat(filepath.Join(dir, "records.db"))
	if err != nil || info.Size() > 2<<20 {
		t.Errorf("%d octets left, %v", info.Size(), err)
	}
	if n, err := s.Records.Append("cdr", []byte("x")); n != 21 || err != nil {
		t.Errorf("the number %d was given twice, %v", n, err)
	}
}

func TestRevisionsAreKeptInOrderAndSurviveTheLossOfTheStateFile(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if _, ok, err := s.Newest(); ok || err != nil {
		t.Fatalf("an empty store has a newest revision: %v", err)
	}
	for i := range 3 {
		r, err := s.AddRevision(store.Revision{Author: "anna", Origin: "cli", Document: fmt.Appendf(nil, "site: %d", i)})
		if err != nil || r.Number != uint64(i+1) {
			t.Fatalf("%+v %v", r, err)
		}
	}
	if r, ok, err := s.Revision(2); err != nil || !ok || string(r.Document) != "site: 1" {
		t.Errorf("%+v %v %v", r, ok, err)
	}
	if _, ok, err := s.Revision(9); ok || err != nil {
		t.Errorf("revision 9: %v %v", ok, err)
	}
	if _, err := s.AddRevision(store.Revision{Document: make([]byte, store.MaxDocument+1)}); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("too large a document: %v", err)
	}
	closed(t, s)
	if err := os.Remove(filepath.Join(dir, "state.db")); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	defer closed(t, s)
	if r, ok, err := s.Newest(); err != nil || !ok || r.Number != 3 || string(r.Document) != "site: 2" {
		t.Errorf("%+v %v %v", r, ok, err)
	}
}

func TestTypedBucketsGiveBackWhatWasPut(t *testing.T) {
	s := open(t, t.TempDir())
	defer closed(t, s)
	b := store.In[[]int](s.State, "ints")
	one := []int{1}
	if err := errors.Join(b.Put("a", []int{1, 2}), b.Batch(map[string]*[]int{"b": &one, "c": nil})); err != nil {
		t.Fatal(err)
	}
	all, err := b.All()
	if err != nil || len(all) != 2 || len(all["a"]) != 2 {
		t.Errorf("%v %v", all, err)
	}
	if _, ok, err := b.Get("c"); ok || err != nil {
		t.Errorf("%v %v", ok, err)
	}
}

func TestWriteFileReplacesOrLeavesAlone(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for _, content := range []string{"one", "two"} {
		if err := store.WriteFile(path, []byte(content), 0o640); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != content {
			t.Errorf("%q %v", got, err)
		}
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v", info.Mode())
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := store.WriteFile(filepath.Join(dir, "folder"), []byte("x"), 0o600); err == nil {
		t.Error("a folder was replaced")
	}
	left, _ := os.ReadDir(dir)
	if len(left) != 2 {
		t.Errorf("left over: %v", left)
	}
}
