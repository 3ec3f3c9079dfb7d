package e2e

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// SIPp runs a scenario on a host.
type SIPp struct {
	*Proc
	messages string
	log      string // what the scenario itself wrote, for scripts
}

// SIPp starts a scenario of testdata/sipp. Media that arrives is echoed.
func (h *Host) SIPp(t *testing.T, scenario, from string, args ...string) *SIPp {
	t.Helper()
	file, err := filepath.Abs("../../testdata/sipp/" + scenario + ".xml")
	if err != nil {
		t.Fatal(err)
	}
	return h.sipp(t, t.TempDir(), file, from, append([]string{"-timeout", "60s"}, args...)...)
}

// sipp starts a scenario file; its logs go into dir.
func (h *Host) sipp(t *testing.T, dir, file, from string, args ...string) *SIPp {
	t.Helper()
	addr, port, _ := strings.Cut(from, ":")
	s := &SIPp{messages: filepath.Join(dir, "messages.log")}
	s.Proc = h.Start(t, dir, []string{"TERM=dumb"}, "sipp", append([]string{
		"-sf", file, "-i", addr, "-p", port, "-mi", addr, "-mp", "6000", "-rtp_echo",
		"-nostdin", "-trace_msg", "-message_file", s.messages, "-trace_err", "-error_file", filepath.Join(dir, "errors.log"),
		"-deadcall_wait", "0",
	}, args...)...)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s (%s) saw:\n%s%s", s.name, filepath.Base(file), ends(s.calls(), 12000), slurp(filepath.Join(dir, "errors.log")))
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

// hears waits until SIPp has its UDP socket.
func (s *SIPp) hears(t *testing.T, at string) {
	t.Helper()
	addr := netip.MustParseAddrPort(at)
	b := addr.Addr().As4()
	row := fmt.Sprintf(": %02X%02X%02X%02X:%04X ", b[3], b[2], b[1], b[0], addr.Port())
	eventually(t, 5*time.Second, s.name+" has a socket at "+at, func() (string, bool) {
		table := slurp("/proc/" + strconv.Itoa(s.cmd.Process.Pid) + "/net/udp")
		return table, strings.Contains(table, row)
	})
}

// calls is the log without registrations and keep-alives.
func (s *SIPp) calls() string {
	const divider = "-----------------------------------------------"
	var kept strings.Builder
	for part := range strings.SplitSeq(s.Messages(), divider) {
		if strings.Contains(part, "CSeq: ") && !strings.Contains(part, " REGISTER\r\n") && !strings.Contains(part, " OPTIONS\r\n") {
			kept.WriteString(part)
		}
	}
	return kept.String()
}

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

// registerOne registers one extension from an address of the host.
func registerOne(t *testing.T, h *Host, number int, from, registrar string) {
	t.Helper()
	list := filepath.Join(t.TempDir(), "users.csv")
	writeFile(t, list, fmt.Sprintf("SEQUENTIAL\n%d;[authentication username=%d password=phone-secret-%d]\n", number, number, number))
	h.SIPp(t, "register", from, registrar, "-inf", list, "-m", "1").Succeeds(t, 20*time.Second)
}

// heard counts the messages with a first line and a method in CSeq that came in.
func (s *SIPp) heard(first, method string) int {
	n := 0
	for part := range strings.SplitSeq(s.Messages(), "message received") {
		_, text, _ := strings.Cut(part, "\n\n")
		if text, _, _ = strings.Cut(text, "\n----"); strings.HasPrefix(text, first) && strings.Contains(text, " "+method+"\r\n") {
			n++
		}
	}
	return n
}
