package appliance

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"linekeeper/appliance/api"
	"linekeeper/appliance/config"
	"linekeeper/appliance/store"
)

// sites keeps the versions of the site document, encrypted at rest, and puts
// them in force.
type sites struct {
	store *store.Store
	aead  cipher.AEAD
	now   func() time.Time

	mu      sync.Mutex
	number  int
	present *config.Site
	text    []byte
	// inForce makes a document take effect, or refuses it and changes nothing.
	inForce func(*config.Site) ([]api.Finding, error)
}

// openSites reads or makes the key that encrypts documents; it lies beside the
// data, readable by the daemon alone.
func openSites(s *store.Store, dir string) (*sites, error) {
	path := filepath.Join(dir, "site.key")
	key, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key = make([]byte, 32)
		_, _ = rand.Read(key)
		err = store.WriteFile(path, key, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("key of the site document: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("key of the site document %s: %w", path, err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &sites{store: s, aead: aead, now: time.Now}, nil
}

func (s *sites) open(r store.Revision) ([]byte, error) {
	text, err := s.aead.Open(nil, nil, r.Document, nil)
	if err != nil {
		return nil, fmt.Errorf("revision %d cannot be decrypted, site.key in the data folder is another box's: start with --site to import a document anew", r.Number)
	}
	return text, nil
}

// keep adds a revision.
func (s *sites) keep(text []byte, author, origin string) (store.Revision, error) {
	return s.store.AddRevision(store.Revision{Author: author, At: s.now(), Origin: origin, Document: s.aead.Seal(nil, nil, text, nil)})
}

// start finds the document to begin with: the file's if it is new, else the
// newest one kept. A file that can't be used never keeps the box from starting
// with what it has.
func (s *sites) start(path string) (*config.Site, error) {
	var fromFile error
	if path != "" {
		fromFile = s.importFile(path)
	}
	newest, ok, err := s.store.Newest()
	if err != nil || !ok {
		return nil, errors.Join(fromFile, err, errors.New("there is no site document: give one with --site"))
	}
	text, err := s.open(newest)
	if err != nil {
		return nil, errors.Join(fromFile, err)
	}
	site, found := config.Parse("stored site document", text)
	if found.Failed() {
		return nil, errors.Join(fromFile, found.Err())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.number, s.present, s.text = int(newest.Number), site, text
	return site, fromFile
}

// importFile makes a file a new revision when it differs from the newest one
// that came from a file.
func (s *sites) importFile(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("site document: %w", err)
	}
	_, found := config.Parse(path, text)
	if found.Failed() {
		return found.Err()
	}
	mark := config.Fingerprint(text)
	same := false
	err = s.store.EachRevision(func(r store.Revision) error {
		if r.Origin != "file" {
			return nil
		}
		old, err := s.open(r)
		same = err == nil && config.Fingerprint(old) == mark
		return nil
	})
	if err != nil || same {
		return err
	}
	_, err = s.keep(text, "file", "file")
	return err
}

// Document gives one revision with its secrets redacted; 0: the one in force.
func (s *sites) Document(_ context.Context, n int) (api.Document, error) {
	s.mu.Lock()
	present := s.number
	s.mu.Unlock()
	if n == 0 {
		n = present
	}
	r, ok, err := s.store.Revision(uint64(n))
	if err != nil {
		return api.Document{}, err
	}
	if !ok {
		return api.Document{}, fmt.Errorf("revision %d: %w", n, api.ErrNoRevision)
	}
	text, err := s.open(r)
	if err != nil {
		return api.Document{}, err
	}
	clean, err := config.RedactDocument(text)
	if err != nil {
		return api.Document{}, fmt.Errorf("revision %d: %w", n, err)
	}
	return api.Document{Revision: described(r, present), Text: string(clean)}, nil
}

func described(r store.Revision, present int) api.Revision {
	out := api.Revision{Number: int(r.Number), Time: r.At, Author: r.Author, Origin: r.Origin, State: "replaced"}
	if out.Number == present {
		out.State = "active"
	}
	return out
}

// Revisions lists all versions, the newest first.
func (s *sites) Revisions(context.Context) ([]api.Revision, error) {
	s.mu.Lock()
	present := s.number
	s.mu.Unlock()
	var out []api.Revision
	err := s.store.EachRevision(func(r store.Revision) error {
		out = append(out, described(r, present))
		return nil
	})
	slices.Reverse(out)
	return out, err
}

// Apply checks a document and puts it in force. This version changes no
// network, so nothing waits for a confirmation.
func (s *sites) Apply(_ context.Context, c api.Change) (api.Applied, error) {
	site, found := config.Parse("site document", c.Text)
	if found.Failed() {
		return api.Applied{}, &api.InvalidError{Findings: findings(found)}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.Base != 0 && c.Base != s.number {
		return api.Applied{}, fmt.Errorf("revision %d is in force, not %d: %w", s.number, c.Base, api.ErrConflict)
	}
	return s.applyLocked(site, c.Text, c.Author, "api", found)
}

func (s *sites) applyLocked(site *config.Site, text []byte, author, origin string, found config.Problems) (api.Applied, error) {
	out := api.Applied{Findings: findings(found)}
	if config.Fingerprint(text) == config.Fingerprint(s.text) {
		r, ok, err := s.store.Revision(uint64(s.number))
		if err != nil || !ok {
			return out, errors.Join(err, fmt.Errorf("revision %d: %w", s.number, api.ErrNoRevision))
		}
		out.Revision = described(r, s.number)
		return out, nil
	}
	cost, _ := config.CostOf(s.present, site)
	waits, err := s.inForce(site)
	if err != nil {
		return out, err
	}
	r, err := s.keep(text, author, origin)
	if err != nil {
		return out, fmt.Errorf("the change is in force but could not be kept: %w", err)
	}
	s.number, s.present, s.text = int(r.Number), site, text
	out.Changed, out.Cost, out.Revision = true, cost.String(), described(r, s.number)
	out.Findings = append(out.Findings, waits...)
	return out, nil
}

// Confirm has nothing to confirm in this version.
func (s *sites) Confirm(context.Context, int, string) (api.Revision, error) {
	return api.Revision{}, api.ErrNothingWaits
}

// Rollback puts an earlier revision in force again, as a new one; 0: the one before.
func (s *sites) Rollback(_ context.Context, n int, author string) (api.Applied, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n == 0 {
		n = s.number - 1
	}
	r, ok, err := s.store.Revision(uint64(max(n, 0)))
	if err != nil {
		return api.Applied{}, err
	}
	if !ok {
		return api.Applied{}, fmt.Errorf("revision %d: %w", n, api.ErrNoRevision)
	}
	text, err := s.open(r)
	if err != nil {
		return api.Applied{}, err
	}
	site, found := config.Parse("site document", text)
	if found.Failed() {
		return api.Applied{}, &api.InvalidError{Findings: findings(found)}
	}
	return s.applyLocked(site, text, author, "rollback", found)
}

// revision is the number of the document in force.
func (s *sites) revision() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.number
}

func findings(ps config.Problems) []api.Finding {
	out := make([]api.Finding, 0, len(ps))
	for _, p := range ps {
		out = append(out, api.Finding{Line: p.Line, Column: p.Column, Path: p.Path, Severity: p.Severity.String(), Text: p.Text, Hint: p.Hint})
	}
	return out
}
