package law

import (
	"fmt"
	"go/ast"
	"go/token"
	"strings"
)

// makers build values that nobody changes afterwards: sentinels, patterns,
// tables from text.
const makers = "errors.New fmt.Errorf regexp.MustCompile netip.MustParsePrefix netip.MustParseAddr netip.MustParseAddrPort " +
	"netip.AddrFrom4 strings.NewReplacer template.Must language.MustParse big.NewInt reflect.TypeFor"

// noMutableGlobals refuses package variables except sentinels, patterns,
// tables written as literals, embedded files and interface checks. Tests may
// have flags.
func noMutableGlobals(h *house) (found []string) {
	h.product(func(p *pkg, f *file) {
		if ignored(p.path) {
			return
		}
		for _, d := range f.tree.Decls {
			decl, ok := d.(*ast.GenDecl)
			if !ok || decl.Tok != token.VAR {
				continue
			}
			for _, s := range decl.Specs {
				spec, ok := s.(*ast.ValueSpec)
				if !ok || blank(spec) || embedded(decl, spec) || stamped(p, spec) {
					continue
				}
				if why := mutable(spec); why != "" {
					found = append(found, fmt.Sprintf("%s: package variable %s: %s", h.at(spec.Pos()), spec.Names[0].Name, why))
				}
			}
		}
	})
	return found
}

// stamped is the version that the linker writes into a command.
func stamped(p *pkg, spec *ast.ValueSpec) bool {
	return strings.HasPrefix(p.path, "cmd/") && spec.Names[0].Name == "version"
}

func blank(spec *ast.ValueSpec) bool {
	for _, n := range spec.Names {
		if n.Name != "_" {
			return false
		}
	}
	return true
}

func embedded(decl *ast.GenDecl, spec *ast.ValueSpec) bool {
	for _, doc := range []*ast.CommentGroup{decl.Doc, spec.Doc} {
		if doc == nil {
			continue
		}
		for _, c := range doc.List {
			if strings.HasPrefix(c.Text, "//go:embed ") {
				return true
			}
		}
	}
	return false
}

// mutable says why a declaration is no sentinel, pattern or table, or "".
func mutable(spec *ast.ValueSpec) string {
	if why := mutableType(spec.Type); why != "" {
		return why
	}
	if len(spec.Values) == 0 {
		return "without a value it can only be meant to change"
	}
	for _, v := range spec.Values {
		if why := mutableValue(v); why != "" {
			return why
		}
	}
	return ""
}

func mutableValue(v ast.Expr) string {
	switch v := v.(type) {
	case *ast.BasicLit, *ast.Ident, *ast.SelectorExpr, *ast.BinaryExpr, *ast.FuncLit, *ast.IndexExpr:
		return ""
	case *ast.ParenExpr:
		return mutableValue(v.X)
	case *ast.CompositeLit:
		return mutableType(v.Type)
	case *ast.UnaryExpr:
		if v.Op == token.AND {
			return "a pointer lets anybody change what it points to"
		}
		return mutableValue(v.X)
	case *ast.CallExpr:
		switch fun := v.Fun.(type) {
		case *ast.ArrayType:
			return "" // []byte("text")
		case *ast.Ident:
			if fun.Name == "make" || fun.Name == "new" {
				return fun.Name + " is for what will change"
			}
			return "" // a conversion, or a table built by one of our own functions
		case *ast.SelectorExpr:
			if x, ok := fun.X.(*ast.Ident); ok && listed(makers, x.Name+"."+fun.Sel.Name) {
				return ""
			}
		}
		return "only sentinels, patterns and tables are global"
	default:
		return "only sentinels, patterns and tables are global"
	}
}

func mutableType(t ast.Expr) string {
	switch t := t.(type) {
	case *ast.ChanType:
		return "a channel belongs to an owner"
	case *ast.StarExpr:
		return "a pointer lets anybody change what it points to"
	case *ast.IndexExpr:
		return mutableType(t.X)
	case *ast.SelectorExpr:
		if x, ok := t.X.(*ast.Ident); ok && (x.Name == "sync" || x.Name == "atomic") {
			return "shared state belongs to an owner"
		}
	}
	return ""
}
