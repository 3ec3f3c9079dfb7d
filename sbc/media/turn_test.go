package media

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/ice/v4"

	"linekeeper/sbc/sdp"
)

// Addresses of the tests with a relay: the server, what it relays from, and a peer
// whose firewall lets nothing else through.
var (
	turnAt     = netip.MustParseAddr("127.0.77.1")
	relayedAt  = netip.MustParseAddr("127.0.77.2")
	firewalled = netip.MustParseAddr("127.0.77.20")
)

const (
	turnUser     = "praxis"
	turnPassword = "wacholder-5-dohle"
)

// coturn is the stranger's TURN server.
type coturn struct {
	at string

	mu   sync.Mutex
	said []string
	more chan struct{}
}

// newCoturn starts one with long-term credentials and the options.
func newCoturn(t *testing.T, options ...string) *coturn {
	t.Helper()
	path, err := exec.LookPath("turnserver")
	if err != nil {
		lacks(t, "turnserver")
	}
	port := freePort(t, turnAt)
	dir := t.TempDir()
	c := &coturn{at: netip.AddrPortFrom(turnAt, port).String(), more: make(chan struct{}, 1)}
	cmd := exec.Command(path, append([]string{"-n", "-v", "--no-cli", "--no-tls", "--no-dtls", "--no-tcp", "--log-file=stdout", "--allow-loopback-peers",
		"--lt-cred-mech", "--realm=linekeeper.test", "--user=" + turnUser + ":" + turnPassword, "--listening-ip=" + turnAt.String(), "--relay-ip=" + relayedAt.String(),
		"--listening-port=" + fmt.Sprint(port), "--pidfile=" + filepath.Join(dir, "pid"), "--userdb=" + filepath.Join(dir, "db")}, options...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			c.mu.Lock()
			c.said = append(c.said, lines.Text())
			c.mu.Unlock()
			select {
			case c.more <- struct{}{}:
			default:
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-read
		_ = cmd.Wait()
		if t.Failed() {
			c.mu.Lock()
			defer c.mu.Unlock()
			t.Logf("turnserver said:\n%s", strings.Join(c.said[max(0, len(c.said)-60):], "\n"))
		}
	})
	return c
}

// count is how many lines of its log have a text.
func (c *coturn) count(text string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.said {
		if strings.Contains(l, text) {
			n++
		}
	}
	return n
}

func freePort(t *testing.T, at netip.Addr) uint16 {
	t.Helper()
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(at, 0)))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Port()
}

// running are relays that live until the test ends.
func running(t *testing.T, c TURNConfig) *Relays {
	t.Helper()
	r := NewRelays(slog.New(slog.DiscardHandler))
	r.Configure(c)
	ctx, cancel := context.WithCancel(context.Background())
	gone := make(chan error, 1)
	go func() { gone <- r.Run(ctx, nil) }()
	t.Cleanup(func() {
		cancel()
		if err := <-gone; err != nil {
			t.Error(err)
		}
	})
	return r
}

// taken waits for a relayed address; the server may only just be starting.
func taken(t *testing.T, r *Relays) *Relayed {
	t.Helper()
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for late := time.After(30 * time.Second); ; {
		if a := r.Take(); a != nil {
			return a
		}
		select {
		case <-look.C:
			r.soon()
		case <-late:
			t.Fatal("no relayed address")
		}
	}
}

// firewall is a socket that hears and reaches one address alone.
type firewall struct {
	*net.UDPConn
	only netip.Addr
}

// ReadFrom passes over what comes from elsewhere.
func (f firewall) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := f.UDPConn.ReadFromUDPAddrPort(b)
		if err != nil || from.Addr().Unmap() == f.only {
			return n, net.UDPAddrFromAddrPort(from), err
		}
	}
}

// WriteTo loses what goes elsewhere.
func (f firewall) WriteTo(b []byte, to net.Addr) (int, error) {
	if to.(*net.UDPAddr).AddrPort().Addr().Unmap() != f.only {
		return len(b), nil
	}
	return f.UDPConn.WriteTo(b, to)
}

// behindFirewall is a stranger with ICE that only the relay reaches.
func behindFirewall(t *testing.T, keys string, seed byte) *stranger {
	t.Helper()
	s := &stranger{t: t, keys: keys, mux: true, ice: true, seed: seed, setup: "active", ssrc: uint32(seed) << 8, seq: 65000, heard: make(chan []byte, 256)}
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(firewalled, 0)))
	if err != nil {
		t.Fatal(err)
	}
	mux := ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: firewall{conn, relayedAt}})
	t.Cleanup(func() {
		_ = mux.Close()
		_ = conn.Close()
	})
	agent, err := ice.NewAgentWithOptions(ice.WithNetworkTypes([]ice.NetworkType{ice.NetworkTypeUDP4}), ice.WithIncludeLoopback(), ice.WithUDPMux(mux),
		ice.WithMulticastDNSMode(ice.MulticastDNSModeDisabled), ice.WithCandidateTypes([]ice.CandidateType{ice.CandidateTypeHost}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = agent.Close() })
	done := make(chan struct{})
	if err := agent.OnCandidate(func(c ice.Candidate) {
		if c == nil {
			close(done)
			return
		}
		s.candidates = append(s.candidates, c.Marshal())
	}); err != nil {
		t.Fatal(err)
	}
	if err := agent.GatherCandidates(); err != nil {
		t.Fatal(err)
	}
	<-done
	s.agent = agent
	s.renew()
	return s
}

// relayedLeg is a leg of the box with a relayed address.
func relayedLeg(t *testing.T, e *Engine, r *Relays, far *stranger) *boxLeg {
	t.Helper()
	l := &boxLeg{t: t, far: far, events: make(chan Event, 64)}
	relay := taken(t, r)
	s, err := e.Open(Side{Leg: "wan", Addr: lo, Low: 21000, High: 29999, Relay: relay, Notify: func(ev Event) { l.events <- ev }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	l.stream = s
	l.local = sdp.Local{
		Addr: s.Local().Addr(), Port: s.Local().Port(), SessionID: 1, Version: 1, SRTP: sdp.Required, Keys: bytes.Repeat([]byte{far.seed}, 32), Mux: true,
		Certificate: e.conf.Certificate.Fingerprint(), DTLS: far.keys == byDTLS, ICE: sdp.ICEFull, Relayed: relay.Addr(),
	}
	return l
}

// TestPeersThatOnlyARelayReachesAreHeard lets the tone go both ways through coturn:
// offered and answered, with keys by SDES and by DTLS, over changes of the session.
func TestPeersThatOnlyARelayReachesAreHeard(t *testing.T) {
	server := newCoturn(t)
	r := running(t, TURNConfig{Servers: []string{server.at}, User: turnUser, Password: turnPassword, From: lo})
	cert, err := NewCertificate()
	if err != nil {
		t.Fatal(err)
	}
	e := engine(t, Config{Certificate: cert})
	for i, c := range []struct {
		keys  string
		offer bool
	}{{string(sdp.AES128SHA80), true}, {string(sdp.AES256GCM), false}, {byDTLS, true}, {byDTLS, false}} {
		t.Run(fmt.Sprintf("%s, offered by the box: %v", c.keys, c.offer), func(t *testing.T) {
			near, far := newStranger(t, byNothing, false, false, byte(10+i)), behindFirewall(t, c.keys, byte(40+i))
			la, lb := newBoxLeg(t, e, "lan", near, sdp.ICEOff), relayedLeg(t, e, r, far)
			la.offered("sendrecv")
			e.Bridge(la.stream, lb.stream)
			meet := func() {
				if c.offer {
					lb.offers()
				} else {
					lb.offered("sendrecv")
				}
				lb.ready()
			}
			meet()
			talk(t, "through the relay", near, far)
			if !strings.Contains(string(lb.mine.Bytes()), " "+relayedAt.String()+" ") {
				t.Errorf("the relayed address is not offered:\n%s", lb.mine.Bytes())
			}
			if stats := lb.stream.Stats(); stats.In.Packets == 0 {
				t.Error("nothing came by the leg with the relay")
			}
			far.renew()
			meet()
			talk(t, "after new keys", near, far)
			clean(t, la, lb)
		})
	}
}

// TestARelayedCallOutlivesNoncesAndLifetimes talks until the server has asked for a new
// nonce and granted every allocation anew twice, so that the first one is over.
func TestARelayedCallOutlivesNoncesAndLifetimes(t *testing.T) {
	server := newCoturn(t, "--stale-nonce=1", "--max-allocate-lifetime=10")
	r := running(t, TURNConfig{Servers: []string{server.at}, User: turnUser, Password: turnPassword, From: lo})
	cert, err := NewCertificate()
	if err != nil {
		t.Fatal(err)
	}
	e := engine(t, Config{Certificate: cert})
	near, far := newStranger(t, byNothing, false, false, 60), behindFirewall(t, string(sdp.AES128SHA80), 70)
	la, lb := newBoxLeg(t, e, "lan", near, sdp.ICEOff), relayedLeg(t, e, r, far)
	la.offered("sendrecv")
	e.Bridge(la.stream, lb.stream)
	lb.offers()
	pace := time.NewTicker(100 * time.Millisecond)
	defer pace.Stop()
	late := time.After(60 * time.Second)
	for server.count("REFRESH processed, success") <= 2*(spareRelays+1) || server.count("Stale nonce") == 0 && server.count("438") == 0 {
		talk(t, "as time goes by", near, far)
		select {
		case <-pace.C:
		case <-late:
			t.Fatalf("%d refreshes", server.count("REFRESH processed, success"))
		}
	}
	talk(t, "in the end", near, far)
	clean(t, la, lb)
	if server.count("CHANNEL_BIND processed, success") == 0 {
		t.Error("no channel was bound")
	}
}

// TestARelayIsGivenBack frees the address at the server when the stream ends.
func TestARelayIsGivenBack(t *testing.T) {
	server := newCoturn(t)
	r := running(t, TURNConfig{Servers: []string{server.at}, User: turnUser, Password: turnPassword, From: lo})
	e := engine(t, Config{})
	a := taken(t, r)
	s, err := e.Open(Side{Leg: "wan", Addr: lo, Low: 21000, High: 29999, Relay: a})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	for late := time.After(30 * time.Second); server.count("REFRESH processed, success") == 0; {
		select {
		case <-server.more:
		case <-late:
			t.Fatal("the address is kept")
		}
	}
	a.Close() // again is fine
}

// TestNobodyWaitsForARelay asks a server that refuses us, and one that is not there.
func TestNobodyWaitsForARelay(t *testing.T) {
	server := newCoturn(t)
	silent, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(turnAt, 0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	for what, c := range map[string]TURNConfig{
		"nobody":           {},
		"a silent server":  {Servers: []string{silent.LocalAddr().String()}, User: turnUser, Password: turnPassword},
		"a wrong password": {Servers: []string{server.at}, User: turnUser, Password: "falsch"},
	} {
		r := running(t, c)
		if a := r.Take(); a != nil {
			t.Errorf("%s gives %s", what, a.Addr())
		}
	}
	// Of several servers the next one is asked.
	r := running(t, TURNConfig{Servers: []string{"127.0.77.1:1", server.at}, User: turnUser, Password: turnPassword, From: lo})
	a := taken(t, r)
	if a.Addr().Addr() != relayedAt {
		t.Errorf("relayed at %s", a.Addr())
	}
	r.Renew()
	b := taken(t, r)
	b.Close()
	r.Configure(TURNConfig{})
	if a := r.Take(); a != nil {
		t.Error("an address of the former server is still given out")
	}
	a.Close()
}
