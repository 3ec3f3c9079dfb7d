package law

import (
	"bytes"
	"fmt"
	"go/ast"
	"strings"
)

func packagesSpeak(h *house) (found []string) {
	for _, p := range h.packages {
		if ignored(p.path) {
			continue
		}
		spoken := false
		for _, f := range p.files {
			if f.test || f.tree.Doc == nil {
				continue
			}
			text := f.tree.Doc.Text()
			spoken = spoken || strings.HasPrefix(text, "Package ") || strings.HasPrefix(text, "Command ")
		}
		if !spoken {
			found = append(found, fmt.Sprintf("%s: no package comment (doc.go): what is it, and what must it never know", p.path))
		}
	}
	return found
}

func noInit(h *house) (found []string) {
	for _, p := range h.packages {
		for _, f := range p.files {
			for _, d := range f.tree.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
					found = append(found, fmt.Sprintf("%s: init: order by accident", h.at(fn.Pos())))
				}
			}
		}
	}
	return found
}

// Hard limits; the soft ones are 300 lines a file and 50 a function.
const (
	longestFile     = 600
	longestFunction = 100
)

// longer are the files and functions that may pass the limits, each with its
// reason.
var longer = map[string]string{}

func thingsAreShort(h *house) (found []string) {
	for _, p := range h.packages {
		if ignored(p.path) {
			continue
		}
		for _, f := range p.files {
			if n := bytes.Count(f.text, []byte("\n")); n > longestFile && longer[f.path] == "" {
				found = append(found, fmt.Sprintf("%s: %d lines, the limit is %d", f.path, n, longestFile))
			}
			if f.test {
				continue // a table may be as long as what it lists
			}
			for _, d := range f.tree.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if !ok {
					continue
				}
				n := h.fset.Position(fn.End()).Line - h.fset.Position(fn.Pos()).Line + 1
				if n > longestFunction && longer[f.path+" "+fn.Name.Name] == "" {
					found = append(found, fmt.Sprintf("%s: %s has %d lines, the limit is %d", h.at(fn.Pos()), fn.Name.Name, n, longestFunction))
				}
			}
		}
	}
	return found
}

// sleepers may wait for the clock: they play people and weather.
const sleepers = "appliance/lab/... appliance/bench/..."

func nobodySleeps(h *house) (found []string) {
	for _, p := range h.packages {
		if ignored(p.path) || listed(sleepers, p.path) {
			continue
		}
		for _, f := range p.files {
			clock := f.name("time")
			if clock == "" || f.test && f.name("testing/synctest") != "" {
				continue // in a bubble a sleep takes no time and hopes for nothing
			}
			ast.Inspect(f.tree, func(n ast.Node) bool {
				if calls(n, clock, "Sleep") {
					found = append(found, fmt.Sprintf("%s: time.Sleep: wait for what happens, with a deadline", h.at(n.Pos())))
				}
				return true
			})
		}
	}
	return found
}

// calls says whether n is a call of pkg.name.
func calls(n ast.Node, pkg, name string) bool {
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != name {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && x.Name == pkg
}

// machinePaths are folders of the machines that we build on. Written so that
// this file does not find itself.
var machinePaths = []string{"/wo" + "rk/", "/tmp/l" + "k/"}

func noMachinePaths(h *house) (found []string) {
	for _, p := range h.packages {
		for _, f := range p.files {
			for _, m := range machinePaths {
				if i := bytes.Index(f.text, []byte(m)); i >= 0 {
					line := bytes.Count(f.text[:i], []byte("\n")) + 1
					found = append(found, fmt.Sprintf("%s:%d: %s is a folder of one machine", f.path, line, m))
				}
			}
		}
	}
	return found
}
