package law

import (
	"fmt"
	"go/ast"
	"strings"
)

// impure are the imports that a machine of words or states has no use for.
// Whole trees where the name ends in "/...".
const impure = "net net/http/... os/... sync/... context log/... crypto/rand math/rand/... io/fs runtime/... syscall " +
	"golang.org/x/net/... golang.org/x/sys/... golang.org/x/sync/... golang.org/x/time/..."

// clocks are the functions of package time that read or run a clock.
const clocks = "Now Since Until After AfterFunc NewTimer NewTicker Tick Sleep"

func lowerFloorsArePure(h *house) (found []string) {
	h.product(func(p *pkg, f *file) {
		height, twin, ok := floorOf(p.path)
		if !ok || twin || !storeys[height].pure {
			return
		}
		for _, imported := range f.imports() {
			if listed(impure, imported) {
				found = append(found, fmt.Sprintf("%s: imports %s: time, chance and the world come in as inputs here", f.path, imported))
			}
		}
		clock := f.name("time")
		ast.Inspect(f.tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				found = append(found, fmt.Sprintf("%s: starts a goroutine on a pure floor", h.at(n.Pos())))
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && clock != "" && x.Name == clock && listed(clocks, n.Sel.Name) {
					found = append(found, fmt.Sprintf("%s: time.%s on a pure floor: the time is an input", h.at(n.Pos()), n.Sel.Name))
				}
			}
			return true
		})
	})
	return found
}

// sipgoDoors may import the SIP library: the house's grammar, and the lab and
// the benchmark, which are deliberately a different stack from the product's.
const sipgoDoors = "sbc/sip appliance/lab/... appliance/bench/..."

func sipgoHasOneDoor(h *house) (found []string) {
	for _, p := range h.packages {
		if ignored(p.path) || listed(sipgoDoors, p.path) {
			continue
		}
		for _, f := range p.files {
			for _, imported := range f.imports() {
				if strings.HasPrefix(imported, "github.com/emiago/") {
					found = append(found, fmt.Sprintf("%s: imports %s: say it in sbc/sip's words", f.path, imported))
				}
			}
		}
	}
	return found
}
