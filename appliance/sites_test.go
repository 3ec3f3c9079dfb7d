package appliance

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"linekeeper/appliance/api"
	"linekeeper/appliance/config"
	"linekeeper/appliance/store"
)

const secret = "birnbaum-3-falke"

// small is a site document whose only extension has this name.
func small(name string) string {
	return fmt.Sprintf(`site: {name: Praxis, area_code: "89", main_number: "+498912345620"}
provider: {profile: generic, servers: ["udp://192.0.2.1:5060"]}
extensions:
  - {number: "22", name: %s, password: %s, cloud: {account: "22", password: "regenschirm-4-dachs"}}
`, name, secret)
}

// shelf is the store of site documents in a folder.
type shelf struct {
	*sites
	t    *testing.T
	dir  string
	held []string // names of the first extension as documents came in force
	deny error
}

func openShelf(t *testing.T, dir string) *shelf {
	t.Helper()
	st, err := store.Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	s, err := openSites(st, dir)
	if err != nil {
		t.Fatal(err)
	}
	sh := &shelf{sites: s, t: t, dir: dir}
	s.inForce = func(site *config.Site) ([]api.Finding, error) {
		if sh.deny == nil {
			sh.held = append(sh.held, site.Extensions[0].Name)
		}
		return []api.Finding{{Severity: "note", Text: "later"}}, sh.deny
	}
	return sh
}

// begin starts with a file of this text and says how the first extension is
// called; "" for no file.
func (s *shelf) begin(text string) (string, error) {
	s.t.Helper()
	path := ""
	if text != "" {
		path = filepath.Join(s.t.TempDir(), "site.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	site, err := s.start(path)
	if site == nil {
		return "", err
	}
	return site.Extensions[0].Name, err
}

func (s *shelf) expect(name string, revision int) func(string, error) {
	return func(got string, err error) {
		s.t.Helper()
		if err != nil || got != name || s.revision() != revision {
			s.t.Errorf("%q in force as revision %d (%v), want %q as %d", got, s.revision(), err, name, revision)
		}
	}
}

func (s *shelf) apply(text string, base int) (api.Applied, error) {
	return s.Apply(context.Background(), api.Change{Text: []byte(text), Author: "anna", Base: base})
}

func TestFileIsImportedOnlyWhenItDiffersFromTheLastOne(t *testing.T) {
	s := openShelf(t, t.TempDir())
	s.expect("A", 1)(s.begin(small("A")))
	s.expect("A", 1)(s.begin(small("A")))
	s.expect("A", 1)(s.begin(""))
	s.expect("B", 2)(s.begin(small("B")))
	if _, err := s.apply(small("C"), 0); err != nil {
		t.Fatal(err)
	}
	// The same file at the next start takes nothing back that was changed since.
	s.expect("C", 3)(s.begin(small("B")))
	s.expect("C", 3)(s.begin(""))
	s.expect("D", 4)(s.begin(small("D")))
	s.expect("B", 5)(s.begin(small("B"))) // it differs from the newest file, not from an older one
}

func TestFileThatCannotBeUsedLeavesTheStoredDocument(t *testing.T) {
	s := openShelf(t, t.TempDir())
	if _, err := s.begin("site: ["); err == nil {
		t.Error("a broken file alone was taken")
	}
	s.expect("A", 1)(s.begin(small("A")))
	name, err := s.begin(strings.Replace(small("B"), "number:", "nummer:", 1))
	if name != "A" || err == nil || !strings.Contains(err.Error(), "nummer") {
		t.Errorf("%q in force, %v", name, err)
	}
	if site, err := s.start(filepath.Join(s.dir, "nowhere.yaml")); site == nil || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if s.revision() != 1 {
		t.Errorf("revision %d", s.revision())
	}
}

func TestDocumentsAreEncryptedAtRest(t *testing.T) {
	s := openShelf(t, t.TempDir())
	s.expect("A", 1)(s.begin(small("A")))
	if _, err := s.apply(small("Geheimname"), 0); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(s.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if strings.Contains(string(text), secret) || strings.Contains(string(text), "Geheimname") {
			t.Errorf("%s shows what is in the document", e.Name())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(s.dir, "site.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key: %v %v", info.Mode(), err)
	}
}

func TestAnotherBoxsKeyOpensNothing(t *testing.T) {
	dir := t.TempDir()
	s := openShelf(t, dir)
	s.expect("A", 1)(s.begin(small("A")))
	if err := os.WriteFile(filepath.Join(dir, "site.key"), []byte(strings.Repeat("k", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	other, err := openSites(s.store, dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.start(""); err == nil || !strings.Contains(err.Error(), "--site") {
		t.Errorf("%v, want what to do", err)
	}
	s.sites = other
	s.expect("B", 2)(s.begin(small("B"))) // a file brings the box back
	if err := os.WriteFile(filepath.Join(dir, "site.key"), []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openSites(s.store, dir); err == nil || !strings.Contains(err.Error(), "site.key") {
		t.Errorf("a damaged key: %v", err)
	}
}

func TestApplyPutsADocumentInForceAndKeepsIt(t *testing.T) {
	s := openShelf(t, t.TempDir())
	s.expect("A", 1)(s.begin(small("A")))
	got, err := s.apply(small("B"), 1)
	if err != nil || !got.Changed || got.Revision.Number != 2 || got.Revision.Author != "anna" || got.Revision.State != "active" || got.Cost != "live" {
		t.Errorf("%+v, %v", got, err)
	}
	if len(got.Findings) == 0 || got.Findings[len(got.Findings)-1].Text != "later" {
		t.Errorf("what waits for a restart is not told: %v", got.Findings)
	}
	got, err = s.apply(small("B"), 2)
	if err != nil || got.Changed || got.Revision.Number != 2 {
		t.Errorf("the same again: %+v, %v", got, err)
	}
	if len(s.held) != 1 || s.held[0] != "B" {
		t.Errorf("put in force: %v", s.held)
	}
	s.expect("B", 2)(s.begin(""))
}

func TestRefusedChangesLeaveEverythingAsItWas(t *testing.T) {
	s := openShelf(t, t.TempDir())
	s.expect("A", 1)(s.begin(small("A")))
	var invalid *api.InvalidError
	if _, err := s.apply(strings.Replace(small("B"), "name: Praxis", "nam: Praxis", 1), 0); !errors.As(err, &invalid) || invalid.Findings[0].Line != 1 {
		t.Errorf("an invalid document: %v", err)
	}
	if _, err := s.apply(small("B"), 7); !errors.Is(err, api.ErrConflict) {
		t.Errorf("made from another revision: %v", err)
	}
	s.deny = errors.New("no such address")
	if _, err := s.apply(small("B"), 1); !errors.Is(err, s.deny) {
		t.Errorf("a document that can't take effect: %v", err)
	}
	if _, err := s.Confirm(t.Context(), 1, "anna"); !errors.Is(err, api.ErrNothingWaits) {
		t.Errorf("confirm: %v", err)
	}
	if len(s.held) != 0 || s.revision() != 1 {
		t.Errorf("put in force: %v, revision %d", s.held, s.revision())
	}
	s.expect("A", 1)(s.begin(""))
}

func TestRollbackIsANewRevision(t *testing.T) {
	s := openShelf(t, t.TempDir())
	s.expect("A", 1)(s.begin(small("A")))
	if _, err := s.Rollback(t.Context(), 0, "anna"); !errors.Is(err, api.ErrNoRevision) {
		t.Errorf("before the first there is nothing: %v", err)
	}
	for _, name := range []string{"B", "C"} {
		if _, err := s.apply(small(name), 0); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Rollback(t.Context(), 1, "anna")
	if err != nil || got.Revision.Number != 4 || got.Revision.Origin != "rollback" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := s.Rollback(t.Context(), 0, "anna"); err != nil {
		t.Error(err)
	}
	if want := []string{"B", "C", "A", "C"}; strings.Join(s.held, "") != strings.Join(want, "") {
		t.Errorf("put in force: %v, want %v", s.held, want)
	}
	for _, n := range []int{99, -1} {
		if _, err := s.Rollback(t.Context(), n, "anna"); !errors.Is(err, api.ErrNoRevision) {
			t.Errorf("revision %d: %v", n, err)
		}
	}
}

func TestShownDocumentsHideTheirSecrets(t *testing.T) {
	s := openShelf(t, t.TempDir())
	s.expect("A", 1)(s.begin(small("A")))
	if _, err := s.apply(small("B"), 0); err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]string{0: "B", 1: "A", 2: "B"} {
		doc, err := s.Document(t.Context(), n)
		if err != nil || !strings.Contains(doc.Text, "name: "+want) {
			t.Errorf("revision %d: %+v, %v", n, doc, err)
		}
		if strings.Contains(doc.Text, secret) || strings.Contains(doc.Text, "regenschirm") {
			t.Errorf("revision %d shows a password:\n%s", n, doc.Text)
		}
	}
	if _, err := s.Document(t.Context(), 3); !errors.Is(err, api.ErrNoRevision) {
		t.Errorf("revision 3: %v", err)
	}
	all, err := s.Revisions(t.Context())
	if err != nil || len(all) != 2 || all[0].Number != 2 || all[0].State != "active" || all[1].State != "replaced" || all[1].Origin != "file" {
		t.Errorf("%+v, %v", all, err)
	}
}
