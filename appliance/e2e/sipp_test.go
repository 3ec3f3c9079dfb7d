package e2e

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// SIPp runs a scenario of testdata/sipp on the host.
type SIPp struct {
	*Proc
	messages string
}

// SIPp starts a scenario. Media that arrives is echoed.
func (h *Host) SIPp(t *testing.T, scenario, from string, args ...string) *SIPp {
	t.Helper()
	file, err := filepath.Abs("../../testdata/sipp/" + scenario + ".xml")
	if err != nil {
		t.Fatal(err)
	}
	addr, port, _ := strings.Cut(from, ":")
	dir := t.TempDir()
	s := &SIPp{messages: filepath.Join(dir, "messages.log")}
	s.Proc = h.Start(t, dir, []string{"TERM=dumb"}, "sipp", append([]string{
		"-sf", file, "-i", addr, "-p", port, "-mi", addr, "-mp", "6000", "-rtp_echo",
		"-nostdin", "-trace_msg", "-message_file", s.messages, "-trace_err", "-error_file", filepath.Join(dir, "errors.log"),
		"-timeout", "60s", "-deadcall_wait", "0",
	}, args...)...)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s saw:\n%s", s.name, tail(s.Messages(), 6000))
		}
	})
	return s
}

// Succeeds waits for the scenario to end as it should.
func (s *SIPp) Succeeds(t *testing.T, within time.Duration) {
	t.Helper()
	if err := s.Wait(t, within); err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
}

// Messages is the log of what SIPp sent and received.
func (s *SIPp) Messages() string { return slurp(s.messages) }

// registerAll registers the first n extensions from one address of the host
// at a registrar, and leaves them there.
func registerAll(t *testing.T, h *Host, n int, from, registrar string) {
	t.Helper()
	var users strings.Builder
	users.WriteString("SEQUENTIAL\n")
	for i := range n {
		number := strconv.Itoa(firstExtension + i)
		fmt.Fprintf(&users, "%s;[authentication username=%s password=phone-secret-%s]\n", number, number, number)
	}
	list := filepath.Join(t.TempDir(), "users.csv")
	writeFile(t, list, users.String())
	h.SIPp(t, "register", from, registrar, "-inf", list, "-m", strconv.Itoa(n), "-r", "50").Succeeds(t, 20*time.Second)
}

// contactSeen is the host and port that an account has registered at a
// scripted cloud: where the box wants to be called.
func contactSeen(t *testing.T, cloud *SIPp, account string) string {
	t.Helper()
	contact := regexp.MustCompile(`(?m)^Contact:\s*<sips?:` + account + `@([0-9.]+:[0-9]+)`)
	seen := contact.FindStringSubmatch(cloud.Messages())
	if seen == nil {
		t.Fatalf("%s never registered at the scripted cloud", account)
	}
	return seen[1]
}
