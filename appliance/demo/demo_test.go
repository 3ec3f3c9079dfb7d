package demo

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"linekeeper/appliance/lab/cloud"
	"linekeeper/appliance/lab/ua"
)

func TestMain(m *testing.M) {
	ua.Quiet()
	os.Exit(m.Run())
}

func TestWholeDemoHolds(t *testing.T) {
	var out, log bytes.Buffer
	tmp, err := os.MkdirTemp("", "lk") // short: a socket's path has 107 characters
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(tmp)
	t.Setenv("TMPDIR", tmp)
	err = play(t.Context(), Options{Out: &out, Log: &log, Version: "test"}, func(*cloud.Cloud) error { return nil })
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, &out, &log)
	}
	text := out.String()
	for _, want := range []string{"lines register at the cloud", "over SRTP", "the line is cut", "calls dialled in survival", "the line is back", "calls after the return"} {
		if !regexp.MustCompile(`(?m)^ok +.*` + regexp.QuoteMeta(want) + `.* [\d.]+m?s$`).MatchString(text) {
			t.Errorf("no measured step %q in\n%s", want, text)
		}
	}
	if n := strings.Count(text, "tone heard at both ends"); n < 8 {
		t.Errorf("tone was heard in %d calls", n)
	}
	if !strings.Contains(text, "all held") || strings.Contains(text, "FAIL") {
		t.Errorf("the verdict is missing in\n%s", text)
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("the demo left %v behind (%v)", left, err)
	}
}

// A demo that can't fail shows nothing.
func TestDemoFailsWhereTheCloudRejectsTheAccounts(t *testing.T) {
	var out bytes.Buffer
	began := time.Now()
	err := play(t.Context(), Options{Out: &out, For: 4 * time.Second}, func(c *cloud.Cloud) error {
		return c.SetFault(cloud.Fault{RejectCredentials: true})
	})
	if !errors.Is(err, ErrFailed) {
		t.Errorf("the demo ended with %v", err)
	}
	text := out.String()
	if !strings.Contains(text, "FAIL  lines register at the cloud") || !strings.Contains(text, "1 failed") || !strings.Contains(text, "not so:") {
		t.Errorf("the report does not say which check failed:\n%s", text)
	}
	if strings.Contains(text, "internal call") {
		t.Errorf("the demo went on:\n%s", text)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestDemoFailsWhereTheOutsideIsMute(t *testing.T) {
	var out bytes.Buffer
	err := play(t.Context(), Options{Out: &out, For: 10 * time.Second}, func(c *cloud.Cloud) error {
		c.SetOutside(outside, cloud.Script{Does: cloud.Answers}) // it answers and nothing is heard
		return nil
	})
	if !errors.Is(err, ErrFailed) || !strings.Contains(out.String(), "FAIL  call to the outside world over SRTP") {
		t.Errorf("the demo ended with %v\n%s", err, &out)
	}
}

func TestDemoThatIsInterruptedCleansUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var out bytes.Buffer
	err := play(ctx, Options{Out: &out, Dir: filepath.Join(t.TempDir(), "d")}, func(*cloud.Cloud) error {
		cancel()
		return nil
	})
	if err == nil {
		t.Errorf("an interrupted demo counts as success\n%s", &out)
	}
}
