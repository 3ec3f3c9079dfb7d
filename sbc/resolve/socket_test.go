package resolve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"linekeeper/sbc/sip"
)

// until polls a condition that real sockets bring about.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("not in time: %s", what)
		case <-tick.C:
		}
	}
}

func via(servers ...netip.AddrPort) func(*Deps) {
	return func(d *Deps) { d.Servers = func() []netip.AddrPort { return servers } }
}

// mute is a name server's port where nobody ever answers.
func mute(t *testing.T) netip.AddrPort {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return netip.MustParseAddrPort(c.LocalAddr().String())
}

func TestLoopbackServerIsAskedOverUDPAndForLongAnswersOverTCP(t *testing.T) {
	var records []string
	for i := range 700 { // some 40 kB
		records = append(records, fmt.Sprintf(`_sip._udp.pbx.test. SRV 1 0 5060 host-with-a-long-name-%d.test.`, i))
	}
	for i := range maxRecords {
		records = append(records, fmt.Sprintf(`host-with-a-long-name-%d.test. A 10.0.0.%d`, i, i+1))
	}
	z := newZone(t, records...)
	var tcp []string
	z.twist = func(q, _ *dns.Msg, network string) {
		if network == "tcp" {
			tcp = append(tcp, dns.TypeToString[q.Question[0].Qtype])
		} else if opt := q.IsEdns0(); opt == nil || opt.UDPSize() != bufferSize {
			t.Errorf("asked without EDNS0: %v", q)
		}
	}
	w := start(t, overSocket, domainOf(sip.UDP), via(z.serve(t)))
	until(t, "32 targets", func() bool { return len(w.Targets()) == maxRecords && w.Health().Verdict == Good })
	z.mu.Lock()
	defer z.mu.Unlock()
	if !slices.Equal(tcp, []string{"SRV"}) {
		t.Errorf("asked over TCP for %q", tcp)
	}
}

func TestNextServerIsAskedWhenOneIsSilentOrRefuses(t *testing.T) {
	z, refuses := newZone(t, `a.test. A 192.0.2.1`), newZone(t)
	refuses.fail("", dns.RcodeRefused)
	w := start(t, overSocket, oneServer("a.test", 5060), via(mute(t), refuses.serve(t), z.serve(t)))
	until(t, "the third server's answer", func() bool { return w.Health().Verdict == Good })
	w.want(t, "udp://192.0.2.1:5060", Good)
	if z.count() != 2 || refuses.count() != 1 {
		t.Errorf("asked the good server %d times, the other %d times: who answers should be asked first", z.count(), refuses.count())
	}
}

func TestAnswersToOtherQuestionsAndNonsenseAreNotBelieved(t *testing.T) {
	for name, twist := range map[string]func(q, r *dns.Msg, network string){
		"another name": func(_, r *dns.Msg, _ string) { r.Question[0].Name = "b.test." },
		"another type": func(_, r *dns.Msg, _ string) { r.Question[0].Qtype = dns.TypeMX },
		"no question":  func(_, r *dns.Msg, _ string) { r.Question = nil },
		"a question":   func(_, r *dns.Msg, _ string) { r.Response = false },
		"another id":   func(_, r *dns.Msg, _ string) { r.Id++ },
		"a referral": func(_, r *dns.Msg, _ string) {
			ns, _ := dns.NewRR("test. NS ns.test.")
			r.Answer, r.Ns = nil, []dns.RR{ns}
		},
		"other records": func(_, r *dns.Msg, _ string) {
			for _, rr := range r.Answer {
				rr.Header().Name = "b.test."
			}
		},
		"too long for UDP, and TCP says no more": func(_, r *dns.Msg, _ string) { r.Answer, r.Truncated, r.Rcode = nil, true, dns.RcodeServerFailure },
	} {
		t.Run(name, func(t *testing.T) {
			z := newZone(t, `a.test. A 192.0.2.1`)
			z.twist = twist
			a := &asker{exchange: overSocket, servers: []netip.AddrPort{z.serve(t)}, silent: 1}
			got, err := a.query(t.Context(), question{"a.test.", dns.TypeA})
			if len(got.records) != 0 || (err == nil && name != "other records") {
				t.Errorf("believed %v, %v", got, err)
			}
		})
	}
}

func TestGarbageFromTheNameServerIsNoAnswer(t *testing.T) {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { _ = c.Close(); <-done })
	go func() {
		defer close(done)
		buf := make([]byte, 1500)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			reply := append(slices.Clone(buf[:min(n, 12)]), 0xff, 0xc0, 0x0c, 0xc0)
			reply[2] |= 0x80
			reply[7] = 200 // answers that are not there
			_, _ = c.WriteTo(reply, from)
		}
	}()
	a := &asker{exchange: overSocket, servers: []netip.AddrPort{netip.MustParseAddrPort(c.LocalAddr().String())}, silent: 1}
	if got, err := a.query(t.Context(), question{"a.test.", dns.TypeA}); err == nil {
		t.Errorf("believed %v", got)
	}
}

func TestEndIsPromptAndLeavesNoGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	r := New(Deps{Log: quiet(), Servers: func() []netip.AddrPort { return []netip.AddrPort{mute(t)} }})
	r.SetSource(domainOf(sip.TLS))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx, func() {}) }()
	until(t, "a round under way", func() bool { return runtime.NumGoroutine() >= before+2 })
	begin := time.Now()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("took %v to end", took)
	}
	until(t, "goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
}

func TestServersOfResolvConfAreReadAnewForEachRound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	write := func(s string) {
		if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list := func() string { return fmt.Sprint(nameServers(path)) }
	if got := list(); got != "[127.0.0.1:53]" {
		t.Errorf("without a file: %s", got)
	}
	write("# nameserver 192.0.2.9\nsearch test\nnameserver 192.0.2.1 # first\nnameserver fe80::1%eth0\nnameserver name\nnameserver\noptions edns0\n")
	if got := list(); got != "[192.0.2.1:53 [fe80::1%eth0]:53]" {
		t.Errorf("got %s", got)
	}
	write(strings.Repeat("nameserver 192.0.2.1\n", 100))
	if n := len(nameServers(path)); n != maxNameServers {
		t.Errorf("%d servers", n)
	}
	write(strings.Repeat("x", 2*maxFile))
	if got := list(); got != "[127.0.0.1:53]" {
		t.Errorf("of nonsense: %s", got)
	}
	a := &asker{exchange: overSocket}
	if _, err := a.query(t.Context(), question{"a.test.", dns.TypeA}); err == nil || errors.Is(err, errLoop) {
		t.Errorf("without a server: %v", err)
	}
}

func FuzzGather(f *testing.F) {
	m := new(dns.Msg).SetQuestion("a.test.", dns.TypeSRV)
	for _, text := range []string{"a.test. 60 CNAME b.test.", "b.test. 60 SRV 1 2 3 c.test.", "b.test. 60 CNAME a.test."} {
		rr, err := dns.NewRR(text)
		if err != nil {
			f.Fatal(err)
		}
		m.Answer = append(m.Answer, rr)
		packed, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packed)
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		r := new(dns.Msg)
		if r.Unpack(packet) != nil {
			return
		}
		for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeSRV, dns.TypeNAPTR} {
			_ = lame(r)
			a := gather(r, question{"a.test.", kind})
			if len(a.records) > maxRecords || a.ttl < 0 || a.ttl > maxRefresh || (a.alias != "" && len(a.records) > 0) {
				t.Errorf("got %+v", a)
			}
		}
	})
}

func FuzzFiles(f *testing.F) {
	f.Add("nameserver 192.0.2.1\n192.0.2.1 a.test\n")
	path := filepath.Join(f.TempDir(), "file")
	f.Fuzz(func(t *testing.T, content string) {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if n := len(nameServers(path)); n < 1 || n > maxNameServers {
			t.Errorf("%d name servers", n)
		}
		if n := len(fromHosts(path, "a.test")); n > maxRecords {
			t.Errorf("%d addresses", n)
		}
	})
}
