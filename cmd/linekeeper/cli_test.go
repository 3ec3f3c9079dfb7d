package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"linekeeper/appliance/api"
	"linekeeper/appliance/api/apitest"
	"linekeeper/appliance/events"
	"linekeeper/appliance/health"
)

// daemon serves a made-up appliance on a real socket and returns its path.
func daemon(t *testing.T, a *apitest.Appliance) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "lk") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "api.sock")
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	s := api.NewServer(path, api.NewHandler(a.Backend(), "1.0.0", log), log)
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- s.Run(ctx, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-done:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		os.RemoveAll(dir)
	})
	return path
}

// typed runs the program as if typed, and returns its exit code and output.
func typed(t *testing.T, socket, line string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), append([]string{"--socket", socket}, strings.Fields(line)...), &o, &e)
	return code, o.String(), e.String()
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "site.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCommandsOverARealSocket(t *testing.T) {
	socket := daemon(t, apitest.Weber())
	good, bad := file(t, "site: {name: Neu}\n"), file(t, "site: {}\n  bogus: 1\n")
	for _, tc := range []struct {
		line string
		code int
		out  string // a regular expression that stdout must match; "" for silence
		errs string // the same of stderr
	}{
		{"status", 0, `Mode +online for [\s\S]*Lines +2 of 2 registered[\s\S]*Readiness +87 of 100\n +-13  Never registered: 40`, ""},
		{"status --json", 0, `"mode": "online"[\s\S]*"score": 87`, ""},
		{"phones", 0, `NUMBER +NAME +STATE[\s\S]*22 +Empfang +registered[\s\S]*40 +Fax +never seen`, ""},
		{"phones --json", 0, `"contacts": \[\]`, ""},
		{"lines", 0, `23 +23 +waiting[\s\S]*23: the cloud PBX is overloaded and asked us to wait \(SIP 503\)`, ""},
		{"calls", 0, `c1 +22 +\+49301234567 +cloud +talking`, ""},
		{"calls --json", 0, `"route": "cloud"`, ""},
		{"events", 0, `mode +online: all lines[\s\S]*registration  phone 22 registered`, ""},
		{"events -n 1 --json", 0, `^\{"seq":2,.*\}\n$`, ""},
		{"events -n 5000", 2, "", `--last is a number from 0 to 1000`},
		{"site show", 0, `^site: \{name: Praxis Dr. Weber\}\n$`, ""},
		{"site show 9", 1, "", `revision 9: no such revision`},
		{"site confirm", 1, "", `no change waits`},
		{"site apply " + good, 0, `revision 2 is in force at once; calls go on`, ""},
		{"site apply " + good, 0, `nothing changed, revision 2 stays in force`, ""},
		{"site apply " + bad, 1, "", `site.yaml:2:3: error: bogus: unknown key \(did you mean site\?\)\n.*the site document has 1 error`},
		{"site apply /nowhere.yaml", 2, "", `read site document: open /nowhere.yaml`},
		{"site apply --confirm-within 1s " + good, 2, "", `confirm_within is a duration from 10s`},
		{"site diff 1 2", 0, `-site: \{name: Praxis Dr. Weber\}\n\+site: \{name: Neu\}\n`, ""},
		{"site rollback", 0, `revision 3 is in force`, ""},
		{"site history", 0, `REV +TIME +STATE[\s\S]*3 .*active +rollback[\s\S]*1 .*replaced +file`, ""},
		{"stat", 2, "", `unexpected argument stat`},
		{"sitecheck", 2, "", `unexpected argument sitecheck`},
		{"--version", 0, `^linekeeper \S+\n$`, ""},
	} {
		code, out, errs := typed(t, socket, tc.line)
		if code != tc.code || !matches(tc.out, out) || !matches(tc.errs, errs) {
			t.Errorf("linekeeper %s: exit code %d, want %d\n%s%s", tc.line, code, tc.code, out, errs)
		}
		for line := range strings.Lines(out) {
			if n := utf8.RuneCountInString(strings.TrimSpace(line)); n > width && !strings.Contains(tc.line, "json") {
				t.Errorf("linekeeper %s: a line of %d characters: %s", tc.line, n, line)
			}
		}
	}
}

func matches(pattern, text string) bool {
	if pattern == "" {
		return text == ""
	}
	return regexp.MustCompile(pattern).MatchString(text)
}

func TestEveryCommandHasHelpWithAnExample(t *testing.T) {
	for _, c := range []string{"check", "status", "phones", "lines", "calls", "events",
		"site show", "site apply", "site confirm", "site rollback", "site history", "site diff"} {
		code, out, errs := typed(t, "/nowhere", c+" --help")
		if code != 0 || errs != "" || !strings.Contains(out, "Example:") || !strings.Contains(out, "linekeeper "+c) {
			t.Errorf("%s --help: exit code %d\n%s%s", c, code, out, errs)
		}
	}
}

func TestNoDaemonIsExitCode2(t *testing.T) {
	code, out, errs := typed(t, filepath.Join(t.TempDir(), "none"), "status")
	if code != 2 || out != "" || !strings.Contains(errs, "no daemon answers on") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}

func TestSocketComesFromEnvironmentAndSettings(t *testing.T) {
	set := file(t, "api: {socket: /tmp/from-file.sock}\n")
	for _, tc := range []struct {
		path, want string
		env        []string
	}{
		{"/nowhere.yaml", "/run/linekeeper/api.sock", nil},
		{set, "/tmp/from-file.sock", nil},
		{set, "/tmp/from-env.sock", []string{"LINEKEEPER_API_SOCKET=/tmp/from-env.sock"}},
	} {
		if got, err := socketOfSettings(tc.path, tc.env); err != nil || got != tc.want {
			t.Errorf("%s, %v: %q, %v", tc.path, tc.env, got, err)
		}
	}
}

func TestWaitingChangeAndAlarmsAreShown(t *testing.T) {
	a := apitest.Weber()
	a.ConfirmAll = true
	before := time.Now().Add(42 * time.Second)
	a.Now.Site.ConfirmBefore = &before
	a.Now.Alarms = []health.Alarm{{Code: health.LineRejected, Subject: "22", Severity: health.Critical, Since: time.Now(),
		Title: health.Text{EN: "Credentials rejected"}, Cause: "403 three times\x1b[2J"}}
	socket := daemon(t, a)
	_, out, _ := typed(t, socket, "status")
	if !strings.Contains(out, "WAITS: linekeeper site confirm within 4") || !strings.Contains(out, "Credentials rejected (22): 403 three times.[2J") {
		t.Error(out)
	}
	if _, out, _ := typed(t, socket, "site apply "+file(t, "site: {}\n")); !strings.Contains(out, "unless you run: linekeeper site confirm") {
		t.Error(out)
	}
	if code, out, _ := typed(t, socket, "site confirm"); code != 0 || out != "revision 2 is confirmed\n" {
		t.Error(code, out)
	}
}

// tap is a writer that tells each write.
type tap struct {
	mu   sync.Mutex
	text string
	came chan struct{}
}

func (w *tap) Write(b []byte) (int, error) {
	w.mu.Lock()
	w.text += string(b)
	w.mu.Unlock()
	w.came <- struct{}{}
	return len(b), nil
}

func TestFollowingEndsWithTheFirstSignal(t *testing.T) {
	a := apitest.Weber()
	socket := daemon(t, a)
	ctx, cancel := context.WithCancel(t.Context())
	out, done := &tap{came: make(chan struct{}, 100)}, make(chan int)
	go func() { done <- run(ctx, []string{"--socket", socket, "events", "--follow"}, out, io.Discard) }()
	<-out.came
	<-out.came
	a.Hub.Publish(events.Event{Kind: events.CallStarted, Severity: events.Warning, Text: "22 calls 23"})
	<-out.came
	cancel()
	if code := <-done; code != 0 {
		t.Errorf("exit code %d", code)
	}
	if !strings.Contains(out.text, "!  call-started  22 calls 23\n") {
		t.Error(out.text)
	}
}

func TestCheckPrintsPlacesAndFailsOnErrors(t *testing.T) {
	bad := file(t, "site: {name: X}\nprovider: {profile: generic}\nextensoins: []\n")
	code, out, errs := typed(t, "/nowhere", "check "+bad)
	if code != 1 || errs != "" || !strings.Contains(out, "site.yaml:3:1:") || !strings.Contains(out, "can't be used") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	code, out, _ = typed(t, "/nowhere", "check --json "+bad)
	if code != 1 || !strings.Contains(out, `"severity": "error"`) {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if code, _, errs := typed(t, "/nowhere", "check /nowhere.yaml"); code != 2 || errs == "" {
		t.Errorf("exit code %d\n%s", code, errs)
	}
}

func TestDiffShowsChangesInTheirSurroundings(t *testing.T) {
	a := strings.Repeat("same\n", 10) + "old\n" + strings.Repeat("tail\n", 10)
	b := strings.Repeat("same\n", 10) + "new\nmore\n" + strings.Repeat("tail\n", 10)
	want := "@@ line 8 @@\n same\n same\n same\n-old\n+new\n+more\n tail\n tail\n tail\n"
	if got := diff(a, b); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got := diff(a, a); got != "" {
		t.Errorf("equal texts differ: %s", got)
	}
}

func TestSpansAreShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 59 * time.Second: "59s", 61 * time.Second: "1m 01s", 90 * time.Minute: "1h 30m", 49 * time.Hour: "2d 01h"} {
		if got := span(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}
