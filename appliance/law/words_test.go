package law

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

var metricName = regexp.MustCompile(`^linekeeper_[a-z][a-z0-9_]*$`)

// metricsAreNamed checks the names that are given to Prometheus: Name fields
// of its option structs and the first argument of NewDesc.
func metricsAreNamed(h *house) (found []string) {
	h.product(func(p *pkg, f *file) {
		prom := f.name("github.com/prometheus/client_golang/prometheus")
		if prom == "" {
			return
		}
		blame := func(lit ast.Expr) {
			if name, ok := text(lit); ok && !metricName.MatchString(name) {
				found = append(found, fmt.Sprintf("%s: metric %q: names are linekeeper_<what>_<unit>", h.at(lit.Pos()), name))
			}
		}
		ast.Inspect(f.tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if calls(n, prom, "NewDesc") && len(n.Args) > 0 {
					blame(n.Args[0])
				}
			case *ast.CompositeLit:
				sel, ok := n.Type.(*ast.SelectorExpr)
				if !ok || !strings.HasSuffix(sel.Sel.Name, "Opts") {
					return true
				}
				for _, e := range n.Elts {
					kv, ok := e.(*ast.KeyValueExpr)
					if !ok {
						continue
					}
					if key, ok := kv.Key.(*ast.Ident); ok && key.Name == "Name" {
						blame(kv.Value)
					}
				}
			}
			return true
		})
	})
	return found
}

// wordsAreLowerCase checks the constant texts of errors and log lines: a
// chain of them shall read as a path.
func wordsAreLowerCase(h *house) (found []string) {
	h.product(func(p *pkg, f *file) {
		if ignored(p.path) {
			return
		}
		ast.Inspect(f.tree, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			said, ok := message(call)
			if !ok {
				return true
			}
			if why := badStyle(said); why != "" {
				found = append(found, fmt.Sprintf("%s: %q: %s", h.at(call.Pos()), said, why))
			}
			return true
		})
	})
	return found
}

// message is the constant text of a call that makes an error or a log line.
func message(call *ast.CallExpr) (string, bool) {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return "", false
	}
	where := -1
	x, isIdent := sel.X.(*ast.Ident)
	switch name := sel.Sel.Name; {
	case isIdent && (x.Name == "errors" && name == "New" || x.Name == "fmt" && name == "Errorf"):
		where = 0
	case name == "Debug", name == "Info", name == "Warn", name == "Error":
		where = 0
	case name == "DebugContext", name == "InfoContext", name == "WarnContext", name == "ErrorContext":
		where = 1
	}
	if where < 0 || len(call.Args) <= where {
		return "", false
	}
	return text(call.Args[where])
}

func text(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(lit.Value)
	return s, err == nil
}

// badStyle says what is wrong with an error's or log line's text, or "".
func badStyle(said string) string {
	word, _, _ := strings.Cut(said, " ")
	first := []rune(word + " ")[0]
	switch {
	case said == "":
		return "says nothing"
	case strings.HasPrefix(said, "failed to"):
		return "say what was being done, not that it failed"
	case strings.HasSuffix(said, ".") && !strings.HasSuffix(said, "..."), strings.HasSuffix(said, "!"), strings.HasSuffix(said, "\n"):
		return "no stop at the end"
	case unicode.IsUpper(first) && !properName(word):
		return "starts in lower case"
	}
	return ""
}

// headers are SIP header names with a single capital.
const headers = "Via Contact From To Route Expires Require Supported Allow Accept Subject Date Event Reason Replaces"

// properName says whether a word is written with capitals by its nature: an
// abbreviation (SRTP, RFC), a method (INVITE) or a header (Retry-After).
func properName(word string) bool {
	if listed(headers, strings.TrimRight(word, ":,")) {
		return true
	}
	upper := 0
	for _, r := range word {
		if unicode.IsUpper(r) {
			upper++
		}
	}
	return upper > 1
}
