package store

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// MaxDocument bounds a site document in octets.
const MaxDocument = 1 << 20

const revisions = "site-revisions"

// Revision is one version of the site document, never changed once kept.
type Revision struct {
	Number uint64    `json:"number"`
	Author string    `json:"author"`
	At     time.Time `json:"at"`
	// Origin is where it came from: "file", "ui", "cli", "tunnel", "rollback".
	Origin string `json:"origin"`
	// Fingerprint is the SHA-256 of Document in hex.
	Fingerprint string `json:"fingerprint"`
	Document    []byte `json:"document"`
}

// Fingerprint is how documents are told apart.
func Fingerprint(document []byte) string {
	sum := sha256.Sum256(document)
	return hex.EncodeToString(sum[:])
}

// AddRevision keeps r as the newest revision and returns it with its Number and
// Fingerprint. A copy goes into a plain file, so that the box starts with its
// settings even if the state file is lost. Error: ErrTooLarge.
func (s *Store) AddRevision(r Revision) (Revision, error) {
	if len(r.Document) > MaxDocument {
		return r, fmt.Errorf("site document: %w", ErrTooLarge)
	}
	r.Fingerprint = Fingerprint(r.Document)
	r.Number = 0
	raw, err := json.Marshal(r)
	if err != nil {
		return r, err
	}
	if r.Number, err = s.State.Append(revisions, raw); err != nil {
		return r, err
	}
	if raw, err = json.Marshal(r); err != nil {
		return r, err
	}
	return r, WriteFile(s.newestPath(), raw, 0o600)
}

func (s *Store) newestPath() string { return filepath.Join(s.dir, "site-newest.json") }

// Newest gives the newest revision, and whether there is one. If the state file
// lost it, the plain copy answers.
func (s *Store) Newest() (Revision, bool, error) {
	var newest Revision
	raw, err := os.ReadFile(s.newestPath())
	if err == nil {
		err = json.Unmarshal(raw, &newest)
	}
	sound := err == nil && newest.Fingerprint == Fingerprint(newest.Document)
	if !sound {
		newest = Revision{}
	}
	listErr := s.EachRevision(func(r Revision) error {
		if r.Number >= newest.Number {
			newest = r
		}
		return nil
	})
	if newest.Number > 0 {
		return newest, true, nil
	}
	if listErr == nil && err != nil && !errors.Is(err, os.ErrNotExist) {
		listErr = fmt.Errorf("newest site document: %w", err)
	}
	return Revision{}, false, listErr
}

// Revision gives the revision of that number, and whether there is one.
func (s *Store) Revision(n uint64) (found Revision, ok bool, err error) {
	err = s.State.Range(revisions, n, 1, func(got uint64, raw []byte) error {
		if got != n {
			return nil
		}
		ok = true
		return unpack(got, raw, &found)
	})
	return found, ok && err == nil, err
}

// EachRevision calls use for all revisions, oldest first.
func (s *Store) EachRevision(use func(Revision) error) error {
	return s.State.Range(revisions, 0, int(^uint(0)>>1), func(n uint64, raw []byte) error {
		var r Revision
		if err := unpack(n, raw, &r); err != nil {
			return err
		}
		return use(r)
	})
}

func unpack(n uint64, raw []byte, r *Revision) error {
	if err := json.Unmarshal(raw, r); err != nil {
		return fmt.Errorf("revision %d: %w", n, err)
	}
	r.Number = n
	return nil
}
