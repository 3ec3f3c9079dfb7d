package law

import (
	"strings"
	"testing"
)

// breach is a small house that breaks one law, or, with an empty want, one
// that only looks as if it did.
type breach struct {
	law   string
	name  string
	files map[string]string
	want  string
}

func source(lines ...string) string { return strings.Join(lines, "\n") + "\n" }

func one(path string, lines ...string) map[string]string {
	return map[string]string{path: source(lines...)}
}

var breaches = []breach{
	{"imports go downwards only", "upwards",
		one("sbc/sip/a.go", "package sip", `import _ "linekeeper/sbc/txn"`), "it stands higher"},
	{"imports go downwards only", "sideways",
		one("sbc/sip/a.go", "package sip", `import _ "linekeeper/sbc/sdp"`), "it stands on the same floor"},
	{"imports go downwards only", "a room imports a room",
		one("sbc/a.go", "package sbc", `import _ "linekeeper/survivability"`), "it stands on the same floor"},
	{"imports go downwards only", "a package without a floor",
		one("sbc/util/a.go", "package util"), "stands on no floor"},
	{"imports go downwards only", "an unknown target",
		one("sbc/a.go", "package sbc", `import _ "linekeeper/sbc/util"`), "it stands on no floor"},
	{"imports go downwards only", "the product imports the lab",
		one("appliance/a.go", "package appliance", `import _ "linekeeper/appliance/lab/tone"`), "beside the house"},
	{"imports go downwards only", "the product imports a twin",
		one("sbc/a.go", "package sbc", `import _ "linekeeper/sbc/wire/wiretest"`), "a twin is for tests"},
	{"imports go downwards only", "a test reaches over the roof",
		one("sbc/a_test.go", "package sbc", `import _ "linekeeper/appliance"`), "it stands higher"},
	{"imports go downwards only", "honest ones", map[string]string{
		"sbc/a.go":                "package sbc\n\nimport _ \"linekeeper/sbc/wire\"\n",
		"sbc/a_test.go":           "package sbc\n\nimport _ \"linekeeper/appliance/lab\"\n\nimport _ \"linekeeper/sbc/wire/wiretest\"\n",
		"sbc/wire/wiretest/a.go":  "package wiretest\n\nimport _ \"linekeeper/sbc/wire\"\n",
		"cmd/linekeeper/a.go":     "package main\n\nimport _ \"linekeeper/appliance/lab\"\n",
		"appliance/lab/tone/a.go": "package tone\n",
	}, ""},

	{"lower floors are pure", "a socket",
		one("sbc/txn/a.go", "package txn", `import _ "net"`), "imports net"},
	{"lower floors are pure", "a log",
		one("sbc/call/a.go", "package call", `import _ "log/slog"`), "imports log/slog"},
	{"lower floors are pure", "an atomic",
		one("sbc/rtp/a.go", "package rtp", `import _ "sync/atomic"`), "imports sync/atomic"},
	{"lower floors are pure", "a clock under another name",
		one("sbc/line/a.go", "package line", `import t "time"`, "func f() t.Time { return t.Now() }"), "time.Now on a pure floor"},
	{"lower floors are pure", "a goroutine",
		one("sbc/line/a.go", "package line", "func f() { go f() }"), "starts a goroutine"},
	{"lower floors are pure", "addresses and durations are words", map[string]string{
		"sbc/line/a.go":      source("package line", `import "time"`, `import "net/netip"`, "type a struct { d time.Duration; n netip.Addr }"),
		"sbc/line/a_test.go": source("package line", `import _ "os"`),
		"sbc/wire/a.go":      source("package wire", `import _ "net"`),
	}, ""},

	{"sipgo stays behind sbc/sip", "a room that speaks sipgo",
		one("sbc/a.go", "package sbc", `import _ "github.com/emiago/sipgo/sip"`), "say it in sbc/sip's words"},
	{"sipgo stays behind sbc/sip", "the door and the lab", map[string]string{
		"sbc/sip/a.go":       source("package sip", `import _ "github.com/emiago/sipgo/sip"`),
		"appliance/lab/a.go": source("package lab", `import _ "github.com/emiago/sipgo"`),
	}, ""},

	{"the top folder is as agreed", "a folder for leftovers",
		map[string]string{"internal": ""}, "internal: a new name"},
	{"the top folder is as agreed", "what is agreed",
		map[string]string{"sbc": "", "go.mod": "", ".ci": "", "LICENSE": ""}, ""},

	{"every module has its reason", "no go.mod, no opinion", one("sbc/a.go", "package sbc"), ""},

	{"every package says what it is", "silence",
		one("sbc/a.go", "package sbc"), "no package comment"},
	{"every package says what it is", "a comment in a test only", map[string]string{
		"sbc/a.go":      "package sbc\n",
		"sbc/a_test.go": "// Package sbc is tested.\npackage sbc\n",
	}, "no package comment"},
	{"every package says what it is", "two lines", map[string]string{
		"sbc/doc.go": "// Package sbc is the switchboard.\npackage sbc\n", "sbc/a.go": "package sbc\n",
	}, ""},

	{"nothing runs before main", "init in a test",
		one("sbc/a_test.go", "package sbc", "func init() {}"), "order by accident"},
	{"nothing runs before main", "a method of that name",
		one("sbc/a.go", "package sbc", "type a int", "func (a) init() {}"), ""},

	{"nothing global can change", "a lock",
		one("sbc/a.go", "package sbc", `import "sync"`, "var mu sync.Mutex"), "shared state"},
	{"nothing global can change", "a counter",
		one("sbc/a.go", "package sbc", "var calls int"), "meant to change"},
	{"nothing global can change", "a map to fill",
		one("sbc/a.go", "package sbc", "var calls = make(map[string]int)"), "make is for what will change"},
	{"nothing global can change", "a pointer",
		one("sbc/a.go", "package sbc", "type t struct{}", "var it = &t{}"), "a pointer"},
	{"nothing global can change", "an atomic",
		one("sbc/a.go", "package sbc", `import "sync/atomic"`, "var at = atomic.Pointer[int]{}"), "shared state"},
	{"nothing global can change", "a channel",
		one("sbc/a.go", "package sbc", "var c chan int = nil"), "a channel"},
	{"nothing global can change", "what a call opened",
		one("sbc/a.go", "package sbc", `import "os"`, `var f = os.Getenv("HOME")`), "only sentinels"},
	{"nothing global can change", "sentinels and tables", map[string]string{
		"sbc/a.go": source("package sbc", `import ("errors"; "regexp"; "embed")`,
			`var ErrBusy = errors.New("busy")`, `var word = regexp.MustCompile("a+")`,
			`var table = map[string]int{"a": 1}`, `var crlf = []byte("\r\n")`, "var _ error = (*e)(nil)",
			"//go:embed a", "var files embed.FS", "type e struct{ error }"),
		"cmd/linekeeper/main.go": source("package main", `var version = "unknown"`),
		"sbc/a_test.go":          source("package sbc", `import "flag"`, `var update = flag.Bool("update", false, "rewrite")`),
	}, ""},

	{"nobody sleeps", "a test that hopes",
		one("sbc/a_test.go", "package sbc", `import "time"`, "func f() { time.Sleep(1) }"), "wait for what happens"},
	{"nobody sleeps", "a bubble",
		one("sbc/a_test.go", "package sbc", `import ("time"; "testing/synctest")`, "func f() { time.Sleep(1); synctest.Wait() }"), ""},

	{"files and functions are short", "a long file",
		one("sbc/a.go", "package sbc"+strings.Repeat("\n", longestFile)), "601 lines"},
	{"files and functions are short", "a long function",
		one("sbc/a.go", "package sbc", "func f() {"+strings.Repeat("\n", longestFunction)+"}"), "f has 101 lines"},
	{"files and functions are short", "just as long as allowed",
		one("sbc/a.go", "package sbc", "func f() {"+strings.Repeat("\n", longestFunction-1)+"}"), ""},

	{"metrics carry the house's name", "a stranger's name",
		one("sbc/a.go", "package sbc", `import "github.com/prometheus/client_golang/prometheus"`,
			`func f() any { return prometheus.CounterOpts{Name: "calls_total"} }`), `metric "calls_total"`},
	{"metrics carry the house's name", "a description",
		one("sbc/a.go", "package sbc", `import p "github.com/prometheus/client_golang/prometheus"`,
			`func f() any { return p.NewDesc("linekeeper_Calls", "", nil, nil) }`), "linekeeper_Calls"},
	{"metrics carry the house's name", "ours",
		one("sbc/a.go", "package sbc", `import "github.com/prometheus/client_golang/prometheus"`,
			`func f() any { return prometheus.CounterOpts{Name: "linekeeper_calls_total"} }`), ""},

	{"errors and log lines are lower case", "a capital",
		one("sbc/a.go", "package sbc", `import "errors"`, `func f() error { return errors.New("Bad line") }`), "lower case"},
	{"errors and log lines are lower case", "a stop",
		one("sbc/a.go", "package sbc", `import "fmt"`, `func f() error { return fmt.Errorf("line %d is bad.", 1) }`), "no stop"},
	{"errors and log lines are lower case", "it failed to",
		one("sbc/a.go", "package sbc", `import "log/slog"`, `func f(l *slog.Logger) { l.Warn("failed to bind") }`), "what was being done"},
	{"errors and log lines are lower case", "a log line with a context",
		one("sbc/a.go", "package sbc", `import "log/slog"`, `func f(l *slog.Logger) { l.InfoContext(nil, "Up") }`), "lower case"},
	{"errors and log lines are lower case", "abbreviations and headers",
		one("sbc/a.go", "package sbc", `import "errors"`,
			`func f() error { return errors.Join(errors.New("SRTP key is short"), errors.New("Retry-After is no number"), errors.New("Via is missing")) }`), ""},

	{"no machine's paths are in the text", "a builder's folder",
		one("sbc/a.go", "package sbc", `const dir = "`+machinePaths[0]+`main"`), "a folder of one machine"},
}

func TestModulesWithoutReasonOrUseAreCaught(t *testing.T) {
	h := imaginary(t, one("sbc/a.go", "package sbc", `import _ "example.org/new/part"`))
	h.modules = append(h.modules, "example.org/new", "go.etcd.io/bbolt")
	found := strings.Join(modulesHaveReasons(h), "\n")
	for _, want := range []string{
		"requires example.org/new: no reason",
		"requires go.etcd.io/bbolt: nobody imports it",
		"gives a reason for github.com/pion/rtp, which go.mod does not require",
	} {
		if !strings.Contains(found, want) {
			t.Errorf("%q is not among\n%s", want, found)
		}
	}
	if strings.Contains(found, "example.org/new: nobody") {
		t.Error("a module whose sub-package is imported counts as unused")
	}
}
