// Command housevet bundles the analysers that the house adds to go vet, so
// that one small tool is built and one cached pass over the tree is made. It
// is run by go vet -vettool and must never hold a rule of its own: those live
// in appliance/law.
package main

import (
	"github.com/nishanths/exhaustive/passes/exhaustive"
	"github.com/polyfloyd/go-errorlint/errorlint"
	"go-simpler.org/sloglint"
	"golang.org/x/tools/go/analysis/unitchecker"
)

func main() {
	enums := exhaustive.Analyzer
	// Our own enums only; a default clause is a decision that was made, a
	// missing one is not.
	set(enums.Flags.Set("check", "switch"))
	set(enums.Flags.Set("d", "true"))
	set(enums.Flags.Set("typeignore", `^(reflect|go\.yaml\.in/yaml/v3|github\.com/emiago/sipgo/sip)\.`))

	logs := sloglint.New(&sloglint.Options{
		NoGlobalLogger:   "all",
		StaticMessage:    true,
		NoMixedArguments: true,
		MessageStyle:     "lowercased",
		KeyNamingCase:    "snake",
	})
	unitchecker.Main(enums, errorlint.NewAnalyzer(), logs)
}

// set ends the tool when an analyser no longer knows one of our settings.
func set(err error) {
	if err != nil {
		panic(err)
	}
}
