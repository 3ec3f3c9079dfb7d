package law

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
	"testing"
)

// module is the path of the house in import statements.
const module = "linekeeper"

// house is the source tree as the laws see it.
type house struct {
	fset     *token.FileSet
	packages []*pkg
	top      []string // names in the root folder that git knows or would take
	modules  []string // direct requirements of go.mod; nil where there is none
}

// pkg is one folder with Go files; path is relative to the root of the house.
type pkg struct {
	path  string
	files []*file
}

// file is one Go file.
type file struct {
	path string
	test bool
	text []byte
	tree *ast.File
}

// imports lists the import paths of a file.
func (f *file) imports() []string {
	var all []string
	for _, spec := range f.tree.Imports {
		all = append(all, strings.Trim(spec.Path.Value, "`\""))
	}
	return all
}

// name is what a file calls an imported package, "" where it does not import it.
func (f *file) name(importPath string) string {
	for _, spec := range f.tree.Imports {
		if strings.Trim(spec.Path.Value, "`\"") != importPath {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path.Base(importPath)
	}
	return ""
}

// product calls do for each file that is no test.
func (h *house) product(do func(*pkg, *file)) {
	for _, p := range h.packages {
		for _, f := range p.files {
			if !f.test {
				do(p, f)
			}
		}
	}
}

// at names a place for a person: file:line.
func (h *house) at(pos token.Pos) string {
	place := h.fset.Position(pos)
	return fmt.Sprintf("%s:%d", place.Filename, place.Line)
}

// add parses one file into the house.
func (h *house) add(name string, text []byte) error {
	tree, err := parser.ParseFile(h.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	dir := path.Dir(name)
	var home *pkg
	for _, p := range h.packages {
		if p.path == dir {
			home = p
		}
	}
	if home == nil {
		home = &pkg{path: dir}
		h.packages = append(h.packages, home)
	}
	home.files = append(home.files, &file{
		path: name, text: text, tree: tree,
		test: strings.HasSuffix(name, "_test.go"),
	})
	return nil
}

// readHouse parses the tree that this package stands in.
func readHouse(t *testing.T) *house {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	h := &house{fset: token.NewFileSet()}
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel := filepath.ToSlash(strings.TrimPrefix(strings.TrimPrefix(name, root), string(filepath.Separator)))
		if d.IsDir() {
			if rel != "" && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || rel == "bin") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(rel, ".go") {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return h.add(rel, text)
	})
	if err != nil {
		t.Fatal(err)
	}
	sort.Slice(h.packages, func(i, j int) bool { return h.packages[i].path < h.packages[j].path })
	h.top = topFolder(t, root)
	if h.modules, err = requirements(filepath.Join(root, "go.mod")); err != nil {
		t.Fatal(err)
	}
	return h
}

// requirements lists the direct requirements of a go.mod file.
func requirements(name string) ([]string, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var direct []string
	inside := false
	for line := range bytes.Lines(text) {
		words := strings.Fields(string(line))
		switch {
		case len(words) == 2 && words[0] == "require" && words[1] == "(":
			inside = true
		case len(words) == 1 && words[0] == ")":
			inside = false
		case strings.Contains(string(line), "// indirect"):
		case inside && len(words) >= 2:
			direct = append(direct, words[0])
		case len(words) == 3 && words[0] == "require":
			direct = append(direct, words[1])
		}
	}
	return direct, nil
}

// imaginary builds a house from texts, to show that a breach is caught.
func imaginary(t *testing.T, files map[string]string) *house {
	t.Helper()
	h := &house{fset: token.NewFileSet()}
	for name, text := range files {
		if !strings.HasSuffix(name, ".go") {
			h.top = append(h.top, name)
			continue
		}
		if err := h.add(name, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	return h
}
