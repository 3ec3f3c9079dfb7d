//go:build soak

package e2e

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Stream is a SIPp that plays one script again and again.
type Stream struct {
	*Proc
	name       string
	stats      string
	calls      bool // it begins calls; the others are called
	good, poor int  // how many went as they should, and not
}

// stream is what a Stream does.
type stream struct {
	name   string
	host   *Host
	port   int
	script func(*Script)
	file   string // instead of a script, one of testdata/sipp
	rate   float64
	to     string // where it calls; empty: it is called
	more   []string
}

// start lets a stream flow.
func (x stream) start(t *testing.T) *Stream {
	t.Helper()
	dir := t.TempDir()
	file, uri := "../../testdata/sipp/"+x.file+".xml", ""
	if x.script != nil {
		s := &Script{patient: true}
		x.script(s)
		file, uri = filepath.Join(dir, x.name+".xml"), s.number
		writeFile(t, file, s.text(false))
	}
	file, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	addr := x.host.addr.String()
	p := &Stream{name: x.name, stats: filepath.Join(dir, "stats.csv"), calls: x.to != ""}
	args := []string{"-sf", file, "-i", addr, "-p", strconv.Itoa(x.port), "-mi", addr, "-mp", strconv.Itoa(6000 + 200*(x.port-5060)), "-rtp_echo",
		"-nostdin", "-deadcall_wait", "0", "-trace_stat", "-stf", p.stats, "-fd", "1", "-trace_err", "-error_file", filepath.Join(dir, "errors.log")}
	if x.to != "" {
		args = append([]string{x.to}, args...)
		args = append(args, "-r", strconv.Itoa(int(x.rate*10)), "-rp", "10s", "-l", "200")
	}
	if uri != "" {
		args = append(args, "-auth_uri", uri+"@"+x.to)
	}
	p.Proc = x.host.Start(t, dir, []string{"TERM=dumb"}, "sipp", append(args, x.more...)...)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s had errors:\n%s", x.name, ends(slurp(filepath.Join(dir, "errors.log")), 2000))
		}
	})
	return p
}

// count reads how many calls went well and badly so far.
func (p *Stream) count() {
	rows := strings.Split(strings.TrimSpace(slurp(p.stats)), "\n")
	if len(rows) < 2 {
		return
	}
	names, last := strings.Split(rows[0], ";"), strings.Split(rows[len(rows)-1], ";")
	for i, name := range names {
		n, err := strconv.Atoi(strings.TrimSpace(at(last, i)))
		switch {
		case err != nil:
		case name == "SuccessfulCall(C)":
			p.good = n
		case name == "FailedCall(C)":
			p.poor = n
		}
	}
}

func at(row []string, i int) string {
	if i < len(row) {
		return row[i]
	}
	return ""
}

// stop begins nothing new and lets what goes on come to its end.
func (p *Stream) stop(t *testing.T) {
	t.Helper()
	select {
	case <-p.done:
		t.Errorf("%s ended by itself: %v", p.name, p.err)
	default:
		if err := syscall.Kill(p.cmd.Process.Pid, syscall.SIGUSR1); err != nil {
			t.Error(err)
		}
	}
}

// ended waits until a stopped stream has come to its end.
func (p *Stream) ended(t *testing.T) {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(15 * time.Second):
		p.Kill() // those that are called may wait for one that never comes
	}
	p.count()
}

// hold is how long the calls of the soak talk.
const hold = 2 * time.Second

// traffic is that of a soak: callers at the first phone's host, callees
// at the second's, registrations at the third's.
func traffic(town *Town, list, leavers string) []stream {
	box := boxLAN + ":5060"
	caller, callee, desk := town.Phones[0], town.Phones[1], town.Phones[2]
	answer := func(s *Script) {
		s.Recv("INVITE")
		s.Reply("180")
		s.Reply("200", sdp("sendrecv"))
		s.Recv("ACK")
		s.Recv("BYE")
		s.Reply("200")
	}
	dial := func(number string) func(*Script) {
		return func(s *Script) {
			s.Dial("22", number, sdp("sendrecv"))
			s.Recv("180", optional)
			s.Recv("200")
			s.Ack()
			s.Pause(hold)
			s.Ask("BYE")
			s.Recv("200")
		}
	}
	return []stream{
		{name: "answers", host: callee, port: 5070, script: answer},
		{name: "rings", host: callee, port: 5071, script: func(s *Script) {
			s.Recv("INVITE")
			s.Reply("180")
			s.Recv("CANCEL")
			s.Reply("200")
			s.ReplyTo("inv", "487")
			s.Recv("ACK")
		}},
		{name: "is busy", host: callee, port: 5072, script: func(s *Script) {
			s.Recv("INVITE")
			s.Reply("486")
			s.Recv("ACK")
		}},
		{name: "is transferred", host: callee, port: 5073, script: func(s *Script) {
			s.Recv("INVITE")
			s.Reply("180")
			s.Reply("200", sdp("sendrecv"))
			s.Recv("ACK")
			s.Recv("INVITE", says("a=sendrecv")) // somebody else is there
			s.Reply("200", sdp("sendrecv"))
			s.Recv("ACK")
			s.Pause(hold)
			s.Ask("BYE")
			s.Recv("200")
		}},
		{name: "takes transfers", host: callee, port: 5074, script: func(s *Script) { // without ringing: of what follows fast the box tells the last alone
			s.Recv("INVITE")
			s.Reply("200", sdp("sendrecv"))
			s.Recv("ACK")
			s.Recv("BYE")
			s.Reply("200")
		}},
		{name: "registers", host: desk, port: 5070, file: "register", rate: 2, to: box, more: []string{"-inf", list}},
		{name: "registers by TCP", host: desk, port: 5071, file: "register", rate: 1, to: box, more: []string{"-inf", leavers, "-t", "t1"}},
		{name: "calls inside", host: caller, port: 5070, script: dial("23"), rate: 2, to: box},
		{name: "calls inside by TCP", host: caller, port: 5071, script: dial("23"), rate: 1, to: box, more: []string{"-t", "t1"}},
		{name: "calls outside", host: caller, port: 5072, script: dial(farNumber), rate: 2, to: box},
		{name: "is called", host: town.Cloud, port: 5090, file: "cloud_calls", rate: 1, to: boxWAN + ":5080",
			more: []string{"-s", "23", "-key", "caller", "+4989777001", "-i", sippAddr, "-mi", sippAddr}},
		{name: "gives up", host: caller, port: 5073, script: func(s *Script) {
			s.Dial("22", "24", sdp("sendrecv"))
			s.Recv("180")
			s.Pause(time.Second)
			s.Cancel()
			s.Recv("200", has("CSeq", "CANCEL"))
			s.RecvRefusal("487")
		}, rate: 1, to: box},
		{name: "finds it busy", host: caller, port: 5074, script: func(s *Script) {
			s.Dial("22", "25", sdp("sendrecv"))
			s.RecvRefusal("486")
		}, rate: 1, to: box},
		{name: "transfers", host: caller, port: 5078, script: func(s *Script) {
			s.Dial("22", "62", sdp("sendrecv"))
			s.Recv("180", optional)
			s.Recv("200")
			s.Ack()
			s.Pause(time.Second)
			s.Ask("REFER", header("Refer-To: <sip:63@"+boxLAN+">"))
			s.Recv("202")
			for _, said := range []string{"100", "200"} {
				s.Recv("NOTIFY", says("SIP/2.0 "+said))
				s.Reply("200")
			}
			s.Ask("BYE")
			s.Recv("200")
		}, rate: 1, to: box},
		{name: "watches", host: caller, port: 5076, script: func(s *Script) {
			watch(s, "60")
			s.Pause(time.Second)
			s.Ask("SUBSCRIBE", header("Event: dialog"), header("Expires: 0"))
			s.Recv("401", auth)
			s.Ask("SUBSCRIBE", header("Event: dialog"), header("Expires: 0"), proven("22"))
			s.Recv("200")
			s.Recv("NOTIFY", has("Subscription-State", "terminated"))
			s.Reply("200")
		}, rate: 1, to: box},
		{name: "watches and vanishes", host: caller, port: 5077, script: func(s *Script) { watch(s, "60") }, rate: 0.2, to: box},
		{name: "vanishes", host: caller, port: 5075, script: func(s *Script) {
			s.Dial("22", "23", sdp("sendrecv"))
			s.Recv("180", optional)
			s.Recv("200") // and neither ACK nor BYE
		}, rate: 0.2, to: box},
	}
}

// watch subscribes to the calls of an extension that has none, for a minute.
func watch(s *Script, number string) {
	s.Begin("SUBSCRIBE", "22", number, header("Event: dialog"), header("Accept: application/dialog-info+xml"), header("Expires: 60"))
	s.Recv("200")
	s.Recv("NOTIFY", has("Subscription-State", "active"))
	s.Reply("200")
}

// vandal sends malformed messages by UDP and TCP, at some twenty a second, until
// it is told to end.
func vandal(t *testing.T, h *Host, end <-chan struct{}) {
	names, err := filepath.Glob("../../testdata/torture/*/*.msg")
	if err != nil || len(names) == 0 {
		t.Errorf("no torture messages: %v", err)
		return
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-end:
			return
		case <-tick.C:
		}
		text, err := os.ReadFile(names[i%len(names)])
		if err != nil {
			t.Error(err)
			return
		}
		network := "udp4"
		if i%20 == 0 {
			network = "tcp4"
		}
		if err := h.inside(func() error { return shout(network, text) }); err != nil {
			t.Error(fmt.Errorf("the vandal: %w", err))
			return
		}
	}
}

// shout sends one message and goes away; a refused connection is an answer too.
func shout(network string, text []byte) error {
	conn, err := net.DialTimeout(network, netip.MustParseAddrPort(boxLAN+":5060").String(), time.Second)
	if err != nil {
		return nil
	}
	defer conn.Close()
	_, _ = conn.Write(text) // may be cut off in the middle
	return nil
}
