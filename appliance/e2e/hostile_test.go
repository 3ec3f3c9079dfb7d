package e2e

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestBadInputDisturbsNobody lets one host of the LAN misbehave in every way
// we know while two phones talk, and another asks whether the box is there.
func TestBadInputDisturbsNobody(t *testing.T) {
	town, box, _ := office(t, 4, Site{Lines: 2})
	a, b := town.Phone(t, 0, hzNear), town.Phone(t, 1, hzDesk)
	villain, honest := town.Phones[2], town.Phones[3]
	talk(t, a, b, "23")
	for _, attack := range []struct {
		name string
		run  func(*testing.T, *Host)
	}{
		{"malformed messages", torture},
		{"garbage datagrams", garbage},
		{"half a message by TCP, then nothing", halfMessage},
		{"connections that say nothing", mute},
		{"ten thousand datagrams", flood},
	} {
		t.Run(attack.name, func(t *testing.T) {
			attack.run(t, villain)
			answers(t, honest)
			bothHear(t, a, b)
		})
	}
	part(t, a, b)
	talk(t, b, a, "22")
	part(t, b, a)

	nothingGrows(t, box, villain)
}

// nothingGrows floods once more, now that all pools are warm, and wants the
// daemon to come back to where it was: memory, goroutines, files.
func nothingGrows(t *testing.T, box *Box, villain *Host) {
	t.Helper()
	const transactionLife = 32 * time.Second // timer J, RFC 3261 17.2.2
	slack := 16 << 20
	if raceEnabled {
		slack *= 4 // the detector's shadow of once-used memory is not given back
	}
	pass(transactionLife + 3*time.Second)
	memory, goroutines, files := box.resident(t), box.metric(t, "go_goroutines"), box.files(t)
	flood(t, villain)
	garbage(t, villain)
	pass(transactionLife)
	eventually(t, 30*time.Second, "the daemon is back where it was", func() (string, bool) {
		m, g, f := box.resident(t), box.metric(t, "go_goroutines"), box.files(t)
		return fmt.Sprintf("memory %d MiB (was %d), goroutines %v (was %v), files %d (was %d)", m>>20, memory>>20, g, goroutines, f, files),
			m < memory+slack && g < goroutines+10 && f < files+10
	})
}

// answers wants a 200 to an OPTIONS within two seconds.
func answers(t *testing.T, h *Host) {
	t.Helper()
	h.Inside(t, func() error {
		conn, err := net.Dial("udp4", boxLAN+":5060")
		if err != nil {
			return err
		}
		defer conn.Close()
		branch := strconv.FormatUint(rand.Uint64(), 36)
		request := strings.ReplaceAll(fmt.Sprintf(`OPTIONS sip:%s SIP/2.0
Via: SIP/2.0/UDP %s;branch=z9hG4bK%s;rport
Max-Forwards: 70
From: <sip:honest@%s>;tag=%s
To: <sip:%s>
Call-ID: %s
CSeq: 1 OPTIONS
Content-Length: 0

`, boxLAN, conn.LocalAddr(), branch, boxLAN, branch, boxLAN, branch), "\n", "\r\n")
		answer := make([]byte, 4096)
		var n int
		for range 4 { // UDP may lose; whoever asks repeats himself (RFC 3261 17.1.2.2)
			if _, err := conn.Write([]byte(request)); err != nil {
				return err
			}
			if err := conn.SetReadDeadline(time.Now().Add(500 * time.Millisecond)); err != nil {
				return err
			}
			if n, err = conn.Read(answer); err == nil {
				break
			}
		}
		if err != nil {
			return fmt.Errorf("OPTIONS found no answer: %w", err)
		}
		if !bytes.HasPrefix(answer[:n], []byte("SIP/2.0 200 ")) {
			return fmt.Errorf("OPTIONS was answered %q", answer[:n])
		}
		return nil
	})
}

// shoot sends datagrams to the box's SIP port.
func shoot(t *testing.T, h *Host, shots func(send func([]byte))) {
	t.Helper()
	h.Inside(t, func() error {
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: h.addr.AsSlice()})
		if err != nil {
			return err
		}
		defer conn.Close()
		to := &net.UDPAddr{IP: net.ParseIP(boxLAN), Port: 5060}
		var failed error
		shots(func(datagram []byte) {
			if _, err := conn.WriteToUDP(datagram, to); err != nil && failed == nil {
				failed = err
			}
		})
		return failed
	})
}

// torture sends every message of testdata/torture by UDP, and all of them,
// one after the other, by TCP.
func torture(t *testing.T, h *Host) {
	names, err := filepath.Glob("../../testdata/torture/*/*.msg")
	if err != nil || len(names) < 10 {
		t.Fatalf("only %d torture messages (%v)", len(names), err)
	}
	shoot(t, h, func(send func([]byte)) {
		for _, name := range names {
			send([]byte(readFile(t, name)))
		}
	})
	for _, name := range names {
		h.Inside(t, func() error {
			conn, err := net.DialTimeout("tcp4", boxLAN+":5060", time.Second)
			if err != nil {
				return nil // refused for what came before: an answer too
			}
			defer conn.Close()
			_, _ = conn.Write([]byte(readFile(t, name))) // may be cut off in the middle
			return nil
		})
	}
}

// garbage sends noise, and beginnings of messages with noise behind.
func garbage(t *testing.T, h *Host) {
	noise := rand.New(rand.NewPCG(1, 2))
	shoot(t, h, func(send func([]byte)) {
		for i := range 1000 {
			datagram := make([]byte, noise.IntN(1400))
			for j := range datagram {
				datagram[j] = byte(noise.Uint32())
			}
			if i%3 == 0 {
				datagram = append([]byte("INVITE sip:22@"+boxLAN+" SIP/2.0\r\nVia: "), datagram...)
			}
			send(datagram)
		}
	})
}

// halfMessage leaves connections open with half a message in them.
func halfMessage(t *testing.T, h *Host) {
	h.Inside(t, func() error {
		for range 20 {
			conn, err := net.DialTimeout("tcp4", boxLAN+":5060", time.Second)
			if err != nil {
				return nil // a limit of connections is an answer too
			}
			t.Cleanup(func() { conn.Close() })
			_, _ = conn.Write([]byte("REGISTER sip:" + boxLAN + " SIP/2.0\r\nVia: SIP/2.0/TCP x;branch=z9hG4bK1\r\nContent-Length: 65000\r\n\r\nhalf"))
		}
		return nil
	})
}

// mute opens connections, to TLS too, and says nothing.
func mute(t *testing.T, h *Host) {
	h.Inside(t, func() error {
		for i := range 40 {
			conn, err := net.DialTimeout("tcp4", boxLAN+":"+strconv.Itoa(5060+i%2), time.Second)
			if err != nil {
				return nil
			}
			t.Cleanup(func() { conn.Close() })
		}
		return nil
	})
}

// flood sends ten thousand well-formed requests from one source.
func flood(t *testing.T, h *Host) {
	shoot(t, h, func(send func([]byte)) {
		for i := range 10000 {
			n := strconv.Itoa(i)
			send([]byte("REGISTER sip:" + boxLAN + " SIP/2.0\r\nVia: SIP/2.0/UDP " + h.addr.String() + ":5060;branch=z9hG4bK" + n +
				"\r\nMax-Forwards: 70\r\nFrom: <sip:22@x>;tag=" + n + "\r\nTo: <sip:22@x>\r\nCall-ID: " + n +
				"\r\nCSeq: 1 REGISTER\r\nContact: <sip:22@" + h.addr.String() + ">\r\nContent-Length: 0\r\n\r\n"))
		}
	})
}

// resident is the daemon's resident memory in bytes.
func (b *Box) resident(t *testing.T) int {
	t.Helper()
	text := readFile(t, "/proc/"+strconv.Itoa(b.cmd.Process.Pid)+"/status")
	_, rest, _ := strings.Cut(text, "VmRSS:")
	words := strings.Fields(rest)
	if len(words) == 0 {
		t.Fatal("the daemon is gone")
	}
	kib, err := strconv.Atoi(words[0])
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

// files is how many files and sockets the daemon has open.
func (b *Box) files(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/" + strconv.Itoa(b.cmd.Process.Pid) + "/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}

// metric reads one of the daemon's metrics; its labels are part of the name.
func (b *Box) metric(t *testing.T, name string) float64 {
	t.Helper()
	page := b.scrape(t)
	value, ok := page[name]
	if !ok {
		t.Fatalf("there is no metric %s among %d", name, len(page))
	}
	return value
}

// scrape reads all of the daemon's metrics.
func (b *Box) scrape(t *testing.T) map[string]float64 {
	t.Helper()
	var page string
	b.town.Box.Inside(t, func() error {
		conn, err := net.DialTimeout("tcp4", "127.0.0.1:9464", time.Second)
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
			return err
		}
		if _, err := io.WriteString(conn, "GET /metrics HTTP/1.0\r\n\r\n"); err != nil {
			return err
		}
		text, err := io.ReadAll(conn)
		page = string(text)
		return err
	})
	all := map[string]float64{}
	for line := range strings.Lines(page) {
		name, value, found := strings.Cut(strings.TrimSpace(line), " ")
		if number, err := strconv.ParseFloat(value, 64); found && err == nil {
			all[name] = number
		}
	}
	return all
}

// TestABrokenSiteDocumentStopsNobody breaks the file under a running daemon
// and offers it the broken one.
func TestABrokenSiteDocumentStopsNobody(t *testing.T) {
	town, box, far := office(t, 1, Site{Lines: 1})
	phone := town.Phone(t, 0, hzNear)
	if err := os.WriteFile(box.site, []byte("site: {name: [\nextensions: nobody\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	talk(t, phone, far, farNumber)
	part(t, phone, far)
	if out, err := town.Box.Run(t, nil, daemon, "check", box.site); err == nil {
		t.Errorf("linekeeper check finds nothing in a broken document: %s", out)
	}
	apply := []string{"LINEKEEPER_API_SOCKET=" + box.socket()}
	if out, err := town.Box.Run(t, apply, daemon, "site", "apply", box.site); err == nil {
		t.Errorf("linekeeper site apply took a broken document: %s", out)
	}
	talk(t, far, phone, "+498912345622")
	part(t, phone, far)
	box.AwaitOnline(t, 5*time.Second)
}
