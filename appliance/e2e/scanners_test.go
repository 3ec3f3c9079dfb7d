package e2e

import (
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// disguise makes sipvicious name itself as a telephone that knows MD5 only, so
// that it is not met with the silence that scanners are met with.
const disguise = `
import sys
sys.path.insert(0, "/usr/share/sipvicious")
from sipvicious.libs import svhelper
plain = svhelper.makeRequest
def makeRequest(*args, **kwargs):
    kwargs["useragent"] = "SIPp"
    return plain(*args, **kwargs)
svhelper.makeRequest = makeRequest
`

// scanner is a host with sipvicious on it.
type scanner struct {
	host *Host
	home string
	port int
	mask bool
}

func scannerOn(t *testing.T, h *Host, mask bool) *scanner {
	t.Helper()
	s := &scanner{host: h, home: t.TempDir(), port: 5090, mask: mask}
	writeFile(t, filepath.Join(s.home, "sitecustomize.py"), disguise)
	return s
}

// runs runs a tool to its end and returns all that it printed.
func (s *scanner) runs(t *testing.T, tool string, args ...string) string {
	t.Helper()
	p := s.starts(t, tool, args...)
	_ = p.Wait(t, 60*time.Second) // its exit code says nothing
	return p.Text()
}

func (s *scanner) starts(t *testing.T, tool string, args ...string) *Proc {
	t.Helper()
	env := []string{"HOME=" + s.home, "PYTHONWARNINGS=ignore"}
	if s.mask {
		env = append(env, "PYTHONPATH="+s.home)
	}
	s.port++
	addr := s.host.addr.String()
	return s.host.Start(t, s.home, env, tool, append([]string{"-P", strconv.Itoa(s.port), "-b", addr, "-x", addr}, args...)...)
}

// passwords is a dictionary with the right one behind so many wrong ones.
func (s *scanner) passwords(t *testing.T, wrong int, right string) string {
	t.Helper()
	var text strings.Builder
	for i := range wrong {
		fmt.Fprintf(&text, "guess-%d\n", i)
	}
	text.WriteString(right + "\n")
	file := filepath.Join(t.TempDir(), "passwords")
	writeFile(t, file, text.String())
	return file
}

// findsNobody scans a range of extensions by every method that svwar knows.
func (s *scanner) findsNobody(t *testing.T, target string) {
	t.Helper()
	host, port, err := net.SplitHostPort(target)
	if err != nil {
		t.Fatal(err)
	}
	scans := map[string]*Proc{}
	for _, method := range []string{"REGISTER", "INVITE", "OPTIONS"} {
		scans[method] = s.starts(t, "svwar", "-p", port, "-m", method, "-e", "20-30", "-t", "0.02", "--maximumtime", "2", "--force", host)
	}
	for method, p := range scans {
		_ = p.Wait(t, 60*time.Second)
		said := p.Text()
		if strings.Contains(said, "Traceback") || strings.Contains(said, "Usage:") {
			t.Errorf("svwar %s broke:\n%s", method, said)
		}
		if regexp.MustCompile(`(?m)^\|? *2[0-9] *\|`).MatchString(said) || strings.Contains(said, "exists") {
			t.Errorf("svwar %s knows extensions:\n%s", method, said)
		}
	}
}

// TestScannersFindNobodyAndDisturbNobody lets sipvicious and sipsak loose from
// the LAN and from the line while two phones talk.
func TestScannersFindNobodyAndDisturbNobody(t *testing.T) {
	town, box, _ := office(t, 7, Site{Lines: 3, Server: "udp://" + pbxAddr + ":5060", SRTP: "off"})
	a, b := town.Phone(t, 0, hzNear), town.Phone(t, 1, hzDesk)
	talk(t, a, b, "23")
	honest := town.Phones[6]
	lan := net.JoinHostPort(boxLAN, "5060")
	step := func(name string, run func(*testing.T)) {
		t.Run(name, run)
		answers(t, honest)
		bothHear(t, a, b)
	}
	step("scanners that say who they are meet silence", func(t *testing.T) {
		s := scannerOn(t, town.Phones[2], false)
		if said := s.runs(t, "svmap", "-p", "5060", boxLAN); strings.Contains(said, "Linekeeper") || strings.Contains(said, boxLAN+":5060") {
			t.Errorf("svmap sees the box:\n%s", said)
		}
		s.findsNobody(t, lan)
		if said, _ := town.Phones[2].Run(t, nil, "sipsak", "-v", "-s", "sip:22@"+lan); strings.Contains(said, "200") || strings.Contains(said, "reply received") {
			t.Errorf("sipsak sees the box:\n%s", said)
		}
		for _, args := range [][]string{
			{"-U", "-C", "sip:24@10.77.1.13:5060", "-a", "phone-secret-24", "-s", "sip:24@" + lan}, // the right password, even
			{"-R", "-t", "50", "-s", "sip:22@" + lan},
			{"-F", "-s", "sip:22@" + lan}, // without end
		} {
			_, _ = town.Phones[2].Run(t, nil, "timeout", append([]string{"3", "sipsak"}, args...)...) // what it says matters to nobody
		}
		if n := box.Status(t).Extensions.Registered; n != 2 {
			t.Errorf("%d extensions are registered, want the two phones", n)
		}
		if box.metric(t, `linekeeper_guard_rejected_total{reason="scanner"}`) < 1 {
			t.Error("no scanner was counted")
		}
	})
	step("extensions that exist and others look alike", func(t *testing.T) {
		scannerOn(t, town.Phones[3], true).findsNobody(t, lan)
		lookAlike(t, town.Phones[3])
	})
	step("passwords are not found", func(t *testing.T) {
		s := scannerOn(t, town.Phones[4], true)
		if said := s.runs(t, "svcrack", "-u", "24", "-d", s.passwords(t, 1, "phone-secret-24"), boxLAN); !strings.Contains(said, "phone-secret-24") {
			t.Fatalf("svcrack does not even find the second password, so it proves nothing:\n%s", said)
		}
		s = scannerOn(t, town.Phones[5], true)
		if said := s.runs(t, "svcrack", "-u", "24", "-t", "0.02", "--maximumtime", "3", "-d", s.passwords(t, 40, "phone-secret-24"), boxLAN); strings.Contains(said, "phone-secret-24") {
			t.Errorf("svcrack found the password:\n%s", said)
		}
		if box.metric(t, `linekeeper_guard_rejected_total{reason="ban"}`) < 1 {
			t.Error("nobody is banned")
		}
	})
	step("nor from the address of a registered phone, which is not banned for it", func(t *testing.T) {
		s := scannerOn(t, town.Phones[0], true)
		if said := s.runs(t, "svcrack", "-u", "24", "-t", "0.02", "--maximumtime", "3", "-d", s.passwords(t, 40, "phone-secret-24"), boxLAN); strings.Contains(said, "phone-secret-24") {
			t.Errorf("svcrack found the password:\n%s", said)
		}
		answers(t, town.Phones[0])
	})
	step("strangers on the line meet silence", func(t *testing.T) {
		port := strconv.Itoa(int(box.wanPort(t)))
		scannerOn(t, town.Other, true).findsNobody(t, net.JoinHostPort(boxWAN, port))
		if said := scannerOn(t, town.Other, true).runs(t, "svmap", "-p", port, boxWAN); strings.Contains(said, boxWAN+":"+port) {
			t.Errorf("svmap sees the box:\n%s", said)
		}
	})
	part(t, a, b)
	talk(t, b, a, "22")
	part(t, b, a)
	box.AwaitIdle(t)
}

// wanPort is the daemon's UDP port toward the provider.
func (b *Box) wanPort(t *testing.T) uint16 {
	t.Helper()
	var ports []uint64
	for row := range strings.Lines(slurp("/proc/" + strconv.Itoa(b.cmd.Process.Pid) + "/net/udp")) {
		if words := strings.Fields(row); len(words) > 2 {
			if addr, hex, _ := strings.Cut(words[1], ":"); addr == "01024D0A" { // 10.77.2.1, the first octet last
				port, err := strconv.ParseUint(hex, 16, 16)
				if err != nil {
					t.Fatal(err)
				}
				ports = append(ports, port)
			}
		}
	}
	if len(ports) != 1 {
		t.Fatalf("UDP ports toward the line: %v", ports)
	}
	return uint16(ports[0])
}

// lookAlike asks for a phone that is there, one that is not, an extension that
// does not exist and an odd one, by every method that begins something, and
// compares the answers octet for octet save for what is random.
func lookAlike(t *testing.T, h *Host) {
	random := regexp.MustCompile(`(tag|nonce|branch|rport|received)="?[^;",\r]*"?|(?m)^(Call-ID|Date):.*$`)
	for _, method := range []string{"REGISTER", "INVITE", "OPTIONS", "SUBSCRIBE", "MESSAGE"} {
		var seen []string
		for _, ext := range []string{"22", "24", "29", "no%20body"} {
			h.Inside(t, func() error {
				conn, err := net.Dial("udp4", boxLAN+":5060")
				if err != nil {
					return err
				}
				defer conn.Close()
				text := strings.Replace(options("UDP", conn.LocalAddr(), method+ext), "OPTIONS sip:"+boxLAN, method+" sip:"+ext+"@"+boxLAN, 1)
				text = strings.NewReplacer("1 OPTIONS", "1 "+method, "<sip:"+boxLAN+">", "<sip:"+ext+"@"+boxLAN+">", "<sip:honest@", "<sip:"+ext+"@",
					"Content-Length", "Contact: <sip:"+ext+"@"+conn.LocalAddr().String()+">\r\nEvent: dialog\r\nContent-Length", "Call-ID: "+method+ext, "Call-ID: "+method+strconv.Itoa(len(seen)),
					"z9hG4bKUDP"+method+ext, "z9hG4bKUDP"+method+strconv.Itoa(len(seen)), "tag="+method+ext, "tag="+method+strconv.Itoa(len(seen))).Replace(text)
				if _, err := conn.Write([]byte(text)); err != nil {
					return err
				}
				if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
					return err
				}
				answer := make([]byte, 4096)
				n, err := conn.Read(answer)
				if err != nil {
					return fmt.Errorf("%s for %s: %w", method, ext, err)
				}
				plain := random.ReplaceAllString(string(answer[:n]), "$1$2")
				plain = strings.ReplaceAll(plain, conn.LocalAddr().String(), "phone")
				seen = append(seen, strings.ReplaceAll(plain, ext+"@", "ext@"))
				return nil
			})
		}
		if len(slices.Compact(seen)) != 1 {
			t.Errorf("%s tells extensions apart:\n%s", method, strings.Join(slices.Compact(seen), "\n"))
		}
	}
}
