package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const tortureDir = "../../testdata/torture"

// tortured is a row of testdata/torture/README.md: a message and what the box
// answers to a host of the LAN.
type tortured struct {
	name     string // folder/name
	udp, tcp string // codes in order; "silence"; "closed": so is the connection
}

// tortures reads the table.
func tortures(t *testing.T) []tortured {
	t.Helper()
	var all []tortured
	folder := ""
	for line := range strings.Lines(readFile(t, tortureDir+"/README.md")) {
		if head, found := strings.CutPrefix(line, "## "); found {
			folder, _, _ = strings.Cut(strings.TrimSpace(head), ":")
		}
		cells := strings.Split(line, "|")
		if len(cells) < 7 || !strings.Contains(cells[1], "`") {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		all = append(all, tortured{name: folder + "/" + strings.Trim(cells[1], "`"), udp: cells[4], tcp: cells[5]})
	}
	files, err := filepath.Glob(tortureDir + "/*/*.msg")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		name := filepath.Base(filepath.Dir(f)) + "/" + strings.TrimSuffix(filepath.Base(f), ".msg")
		if !slices.ContainsFunc(all, func(row tortured) bool { return row.name == name }) {
			t.Errorf("%s has no row in the table", name)
		}
	}
	if len(all) != len(files) {
		t.Errorf("%d rows for %d messages", len(all), len(files))
	}
	return all
}

// TestTortureMessagesAreAnsweredAsTheTableSays plays every message of RFC 4475,
// of RFC 5118 and of our own to the daemon, by UDP and by TCP. Behind each goes
// an OPTIONS: when that is answered, whatever was to come before it has come.
func TestTortureMessagesAreAnsweredAsTheTableSays(t *testing.T) {
	town, box, _ := office(t, 4, Site{Lines: 2})
	a, b := town.Phone(t, 0, hzNear), town.Phone(t, 1, hzDesk)
	talk(t, a, b, "23")
	rows := tortures(t)
	t.Run("UDP", func(t *testing.T) {
		town.Phones[2].Inside(t, func() error { return tortureByUDP(t, rows) })
	})
	t.Run("TCP", func(t *testing.T) {
		town.Phones[3].Inside(t, func() error { return tortureByTCP(t, rows) })
	})
	bothHear(t, a, b)
	part(t, a, b)
	box.AwaitIdle(t)
}

// tortureByUDP reads answers raw: they go to the ports that the Vias name.
func tortureByUDP(t *testing.T, rows []tortured) error {
	ear, err := net.ListenPacket("ip4:udp", "0.0.0.0")
	if err != nil {
		return err
	}
	defer ear.Close()
	mouth, err := net.Dial("udp4", boxLAN+":5060")
	if err != nil {
		return err
	}
	defer mouth.Close()
	packet := make([]byte, 65536)
	repeated := map[string]bool{} // refusals of INVITE come until their ACK, byte by byte the same
	for i, row := range rows {
		fence := "fence" + strconv.Itoa(i)
		for _, shot := range []string{readFile(t, tortureDir+"/"+row.name+".msg"), options("UDP", mouth.LocalAddr(), fence)} {
			if _, err := mouth.Write([]byte(shot)); err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
				return err
			}
		}
		var heard answersHeard
		for !heard.fence {
			if err := ear.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
				return err
			}
			n, _, err := ear.ReadFrom(packet)
			if err != nil {
				return fmt.Errorf("%s, then OPTIONS: no answer: %w", row.name, err)
			}
			text := string(packet[min(8, n):n]) // behind the header of RFC 768
			if strings.Contains(text, " INVITE\r\n") {
				if repeated[text] {
					continue
				}
				repeated[text] = true
			}
			heard.take(text, fence)
		}
		if got := heard.text(); got != row.udp {
			t.Errorf("%s by UDP: %s, want %s", row.name, got, row.udp)
		}
	}
	return nil
}

// tortureByTCP gives each message a connection of its own.
func tortureByTCP(t *testing.T, rows []tortured) error {
	for i, row := range rows {
		if err := tortureOnce(t, row, "fence"+strconv.Itoa(i)); err != nil {
			return fmt.Errorf("%s: %w", row.name, err)
		}
	}
	return nil
}

func tortureOnce(t *testing.T, row tortured, fence string) error {
	conn, err := net.Dial("tcp4", boxLAN+":5060")
	if err != nil {
		return err
	}
	defer conn.Close()
	text := readFile(t, tortureDir+"/"+row.name+".msg") + options("TCP", conn.LocalAddr(), fence)
	if _, err := conn.Write([]byte(text)); err != nil {
		return err
	}
	if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return err
	}
	var heard answersHeard
	var said strings.Builder
	buffer := make([]byte, 4096)
	for !heard.fence {
		n, err := conn.Read(buffer)
		said.Write(buffer[:n])
		heard = answersHeard{}
		for part := range strings.SplitSeq(said.String(), "SIP/2.0 ") {
			if code, _, _ := strings.Cut(part, " "); len(code) == 3 {
				heard.take("SIP/2.0 "+part, fence)
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
			heard.fence = true
			heard.codes = append(heard.codes, "closed")
			break
		}
		if err != nil {
			return err
		}
	}
	if got := heard.text(); got != row.tcp {
		t.Errorf("%s by TCP: %s, want %s", row.name, got, row.tcp)
	}
	return nil
}

// answersHeard are the codes that came before that of the OPTIONS behind.
type answersHeard struct {
	codes []string
	fence bool
}

// take counts a response once, 100 and whatever belongs to an earlier OPTIONS not.
func (a *answersHeard) take(text, fence string) {
	rest, found := strings.CutPrefix(text, "SIP/2.0 ")
	if !found || a.fence {
		return
	}
	code, _, _ := strings.Cut(rest, " ")
	switch {
	case strings.Contains(text, "\r\nCall-ID: "+fence+"\r\n"):
		a.fence = true
		if code != "200" { // the OPTIONS was taken for a part of the message before
			a.codes = append(a.codes, code)
		}
	case code != "100":
		a.codes = append(a.codes, code)
	}
}

func (a *answersHeard) text() string {
	if len(a.codes) == 0 {
		return "silence"
	}
	return strings.Join(a.codes, ", ")
}

// options is an OPTIONS that the box answers with 200.
func options(transport string, from net.Addr, id string) string {
	return strings.ReplaceAll(fmt.Sprintf(`OPTIONS sip:%s SIP/2.0
Via: SIP/2.0/%s %s;branch=z9hG4bK%s%s;rport
Max-Forwards: 70
From: <sip:honest@%s>;tag=%s
To: <sip:%s>
Call-ID: %s
CSeq: 1 OPTIONS
Content-Length: 0

`, boxLAN, transport, from, transport, id, boxLAN, id, boxLAN, id), "\n", "\r\n")
}
